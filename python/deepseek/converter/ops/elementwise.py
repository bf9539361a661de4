"""Arithmetic whose arguments differ from ours, reductions, products, and Python's own operators on sizes."""

from __future__ import annotations

import math
import operator
from typing import Any

import deepseek

from ... import _C
from ... import functional as F
from ..._C import Tensor
from . import TABLE, op

op("mul", "multiply")(operator.mul)
op("eq")(operator.eq)
op("ne", "not_equal")(operator.ne)
op("lt", "less")(operator.lt)
op("le", "less_equal")(operator.le)
op("gt", "greater")(operator.gt)
op("ge", "greater_equal")(operator.ge)
op("add")(lambda x, y, alpha=1: x + (y if alpha == 1 else y * alpha))
op("sub", "subtract")(lambda x, y, alpha=1: x - (y if alpha == 1 else y * alpha))
op("alias", "contiguous", "lift_fresh", "lift_fresh_copy", "_conj_physical", "resolve_conj", "resolve_neg",
   "detach_")(lambda x, *_, **__: x)  # fmt: skip
op("clone")(lambda x, **_: _C.clone(x))
op("detach")(_C.detach)


@op("elu")
def elu(x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    return F.elu(x, alpha) if scale == input_scale == 1 else _C.where(x > 0, x, alpha * ((x * input_scale).exp() - 1.0)) * scale


@op("prelu", "_prelu_kernel")
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    return F.prelu(x, weight) if weight.ndim <= 1 else _C.where(x > 0, x, x * weight)



def _soft(f: Any) -> Any:
    return lambda x, dim, dtype=None: f(x, dim, dtype=dtype if isinstance(dtype, _C.dtype) else None)


for _name in ("softmax", "log_softmax"):
    op(_name, f"_{_name}", f"_safe_{_name}", f"special_{_name}")(_soft(getattr(F, _name)))

for _name in ("max", "min"):
    op(f"{_name}.default", f"{_name}.dim", f"{_name}.other", _name)(getattr(deepseek, _name))

op("linalg_vector_norm")(lambda x, ord=2, dim=None, keepdim=False, dtype=None: deepseek.norm(x, ord, dim, keepdim, dtype=dtype))
op("frobenius_norm")(lambda x, dim=None, keepdim=False: deepseek.norm(x, 2, dim, keepdim))
op("linalg_norm")(lambda x, ord=None, dim=None, keepdim=False, **_: deepseek.norm(x, "fro" if ord is None else ord, dim, keepdim))
op("einsum")(lambda equation, operands, **_: deepseek.einsum(equation, *operands))
op("meshgrid")(lambda xs, indexing="ij": deepseek.meshgrid(*xs, indexing=indexing))
op("bernoulli.p", "bernoulli.float")(lambda x, p=0.5, **_: deepseek.bernoulli(deepseek.full(x.shape, p, dtype=x.dtype)))
op("uniform")(lambda x, low=0.0, high=1.0, **_: deepseek.rand_like(x) * (high - low) + low)
op("normal")(lambda x, mean=0.0, std=1.0, **_: deepseek.randn_like(x) * std + mean)
op("item", "_local_scalar_dense")(lambda x: x.item())


def _cross_entropy(x: Tensor, target: Tensor, weight: Any = None, reduction: int = 1, ignore: int = -100, smoothing: float = 0.0) -> Tensor:
    return F.cross_entropy(x, target, weight, ignore_index=ignore, reduction=_REDUCTIONS[reduction], label_smoothing=smoothing)


_REDUCTIONS = ("none", "mean", "sum")
op("cross_entropy_loss")(_cross_entropy)
op("nll_loss_nd", "nll_loss", "nll_loss2d")(
    lambda x, target, weight=None, reduction=1, ignore=-100: F.nll_loss(x, target, weight, ignore_index=ignore, reduction=_REDUCTIONS[reduction]))


def _loss(f: Any) -> Any:
    return lambda x, y, reduction=1, **k: f(x, y, reduction=_REDUCTIONS[reduction], **k)


for _name in ("mse_loss", "l1_loss", "soft_margin_loss", "kl_div"):
    op(_name)(_loss(getattr(F, _name)))
op("smooth_l1_loss")(lambda x, y, reduction=1, beta=1.0: F.smooth_l1_loss(x, y, reduction=_REDUCTIONS[reduction], beta=beta))
op("huber_loss")(lambda x, y, reduction=1, delta=1.0: F.huber_loss(x, y, reduction=_REDUCTIONS[reduction], delta=delta))
op("binary_cross_entropy")(lambda x, y, weight=None, reduction=1: F.binary_cross_entropy(x, y, weight, reduction=_REDUCTIONS[reduction]))
op("binary_cross_entropy_with_logits")(
    lambda x, y, weight=None, pos_weight=None, reduction=1: F.binary_cross_entropy_with_logits(
        x, y, weight, reduction=_REDUCTIONS[reduction], pos_weight=pos_weight))  # fmt: skip

for _f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
           operator.neg, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.and_,
           operator.or_, operator.not_, operator.getitem):  # fmt: skip
    TABLE[f"operator.{_f.__name__}"] = _f
TABLE.update({"math.floor": math.floor, "math.ceil": math.ceil, "math.trunc": math.trunc, "sym_float": float,
              "sym_int": int, "sym_min": min, "sym_max": max, "sym_not": operator.not_, "sym_sqrt": math.sqrt})  # fmt: skip
