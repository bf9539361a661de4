"""Convolution, normalisation, attention, pooling and dropout as ATen spells them."""

from __future__ import annotations

from typing import Any

from ... import _C
from ... import functional as F
from ..._C import Tensor
from . import op


@op("convolution", "_convolution")
def convolution(x: Tensor, w: Tensor, b: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any, groups: int, *_: Any) -> Tensor:
    n = w.ndim - 2
    if transposed:
        return getattr(F, f"conv_transpose{n}d")(x, w, b, stride, padding, output_padding, groups, dilation)
    return getattr(F, f"conv{n}d")(x, w, b, stride, padding, dilation, groups)


@op("batch_norm", "cudnn_batch_norm")
def batch_norm(x: Tensor, w: Any, b: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float, *_: Any) -> Tensor:
    return F.batch_norm(x, mean, var, w, b, training or mean is None, momentum, eps)


@op("count_batches")
def count_batches(count: Tensor, by: int, training: bool) -> None:
    if training:
        _C.assign(count, count + by, "batch_norm")


op("native_batch_norm", "_native_batch_norm_legit")(lambda *a: (batch_norm(*a), None, None))
op("_native_batch_norm_legit.no_stats")(lambda x, w, b, *rest: (batch_norm(x, w, b, None, None, *rest), None, None))
op("_native_batch_norm_legit_no_training")(
    lambda x, w, b, mean, var, *rest: (batch_norm(x, w, b, mean, var, False, *rest), None, None))  # fmt: skip
op("_batch_norm_with_update", "_batch_norm_with_update_functional")(
    lambda x, w, b, mean, var, *rest: (batch_norm(x, w, b, mean, var, True, *rest), None, None, None))  # fmt: skip
op("instance_norm")(
    lambda x, w, b, mean, var, use_input, momentum, eps, *_: F.instance_norm(x, mean, var, w, b, use_input, momentum, eps))  # fmt: skip
op("layer_norm")(lambda x, shape, w=None, b=None, eps=1e-5, *_: F.layer_norm(x, shape, w, b, eps))
op("native_layer_norm")(lambda x, shape, w, b, eps: (F.layer_norm(x, shape, w, b, eps), None, None))
op("_fused_rms_norm")(lambda x, shape, w, eps: (F.rms_norm(x, shape, w, eps), None))
op("group_norm")(lambda x, groups, w=None, b=None, eps=1e-5, *_: F.group_norm(x, groups, w, b, eps))
op("native_group_norm")(lambda x, w, b, n, c, hw, groups, eps: (F.group_norm(x, groups, w, b, eps), None, None))
op("native_dropout")(lambda x, p, training: (F.dropout(x, p, bool(training)), None))
op("embedding")(lambda w, at, padding=-1, *_: F.embedding(at, w, padding if padding >= 0 else None))



@op("_weight_norm")
def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    length = _C.sqrt(_C.sum(v * v, [d for d in range(v.ndim) if d != dim % v.ndim], True))
    return v * (g / length)


op("_weight_norm_interface")(lambda *a: (weight_norm(*a), None))
for _name in ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention"):
    op(_name)(
        lambda q, k, v, p=0.0, causal=False, attn_mask=None, scale=None: (
            F.scaled_dot_product_attention(q, k, v, attn_mask, p, causal, scale), None))  # fmt: skip
op("_scaled_dot_product_attention_math")(lambda *a, **k: (F.scaled_dot_product_attention(*a, **k), None))


def _max_pool(n: int) -> None:
    f = getattr(F, f"max_pool{n}d")

    def pool(x: Tensor, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Tensor:
        return f(x, kernel, stride or None, padding, dilation, ceil)

    op(f"max_pool{n}d")(pool)
    op(f"max_pool{n}d_with_indices")(
        lambda x, kernel, stride=None, padding=0, dilation=1, ceil=False: f(x, kernel, stride or None, padding, dilation, ceil, True))  # fmt: skip
    op(f"avg_pool{n}d")(lambda x, kernel, stride=None, *rest: getattr(F, f"avg_pool{n}d")(x, kernel, stride or None, *rest))
    op(f"adaptive_max_pool{n}d")(lambda x, size: getattr(F, f"adaptive_max_pool{n}d")(x, size, True))


for _n in (1, 2, 3):
    _max_pool(_n)
