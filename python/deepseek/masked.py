"""torch.masked: reductions and normalisations of the elements where a mask holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import _C
from ._functions import TABLE, Tensor, as_operand, cast_to, dims_of, floating, kind
from ._functions_reduce import vector_norm


def _where(x: Tensor, mask: Any, other: Any) -> Tensor:
    """x where the mask holds, else `other`."""
    if mask is None:
        return x
    return _C.where(_C.broadcast_to(mask, x.shape), x, cast_to(as_operand(other, x), x.dtype))


def _count(x: Tensor, dims: Any, keepdim: bool, mask: Any) -> Tensor:
    held = _C.full(x.shape, 1.0, _C.bool, x.device) if mask is None else _C.broadcast_to(mask, x.shape)
    return _C.sum(held, dims, keepdim) if dims else _C.cast(held, _C.int64)


def _dims(name: str, x: Tensor, dim: Any) -> list[int]:
    return dims_of(name, dim, x.ndim)


def _least(x: Tensor) -> Any:
    return -math.inf if kind(x.dtype) == 2 else TABLE["iinfo"](x.dtype).min


def _greatest(x: Tensor) -> Any:
    return math.inf if kind(x.dtype) == 2 else TABLE["iinfo"](x.dtype).max


def _reduction(name: str, of_none: Callable[[Tensor], Any]) -> Any:
    def f(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
        x = cast_to(input, dtype)
        if kind(x.dtype) < 2 and dtype is None and name in ("sum", "prod"):
            x = cast_to(x, _C.int64)
        dims = _dims(name, x, dim)
        held = _where(x, mask, of_none(x))
        return TABLE[name](held, dims, keepdim) if dims else held

    f.__name__ = f.__qualname__ = name
    return f


def _cumulative(name: str, none: int) -> Any:
    def f(input: Tensor, dim: int, *, dtype: Any = None, mask: Any = None) -> Tensor:
        return TABLE[name](_where(cast_to(input, dtype), mask, none), dim)

    f.__name__ = f.__qualname__ = name
    return f


sum, prod = _reduction("sum", lambda x: 0), _reduction("prod", lambda x: 1)
amax, amin = _reduction("amax", _least), _reduction("amin", _greatest)
cumsum, cumprod = _cumulative("cumsum", 0), _cumulative("cumprod", 1)


def argmax(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    return TABLE["argmax"](_where(cast_to(input, dtype), mask, _least(cast_to(input, dtype))), dim, keepdim)


def argmin(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    return TABLE["argmin"](_where(cast_to(input, dtype), mask, _greatest(cast_to(input, dtype))), dim, keepdim)


def mean(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    """The mean of what is held; NaN of nothing."""
    x = floating(cast_to(input, dtype))
    dims = _dims("mean", x, dim)
    return sum(x, dims, keepdim=keepdim, mask=mask) / cast_to(_count(x, dims, keepdim, mask), x.dtype)


def median(input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    x = floating(cast_to(input, dtype))
    out = TABLE["nanmedian" if mask is not None else "median"](_where(x, mask, math.nan), dim, keepdim)
    return out.values


def var(input: Tensor, dim: Any = None, unbiased: Any = None, *, correction: Any = None, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    x = floating(cast_to(input, dtype))
    c = float(unbiased) if unbiased is not None else 1.0 if correction is None else float(correction)
    dims = _dims("var", x, dim)
    away = x - mean(x, dims, keepdim=True, mask=mask)
    left = TABLE["clamp"](cast_to(_count(x, dims, keepdim, mask), x.dtype) - c, min=0.0)
    return sum(away * away, dims, keepdim=keepdim, mask=mask) / left


def std(input: Tensor, dim: Any = None, unbiased: Any = None, *, correction: Any = None, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    return _C.sqrt(var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask))


def norm(input: Tensor, ord: float = 2.0, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    x = floating(cast_to(input, dtype))
    return vector_norm(_where(x, mask, math.inf if ord == -math.inf else 0.0), ord, _dims("norm", x, dim), keepdim)


def logsumexp(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None) -> Tensor:
    x = floating(cast_to(input, dtype))
    return TABLE["logsumexp"](_where(x, mask, -math.inf), _dims("logsumexp", x, dim), keepdim)


def logaddexp(input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Any = None, other_mask: Any = None) -> Tensor:
    a, b = (_where(floating(cast_to(x, dtype)), m, -math.inf) for x, m in ((input, input_mask), (other, other_mask)))
    return TABLE["logaddexp"](a, b)


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Any = None) -> Tensor:
    return TABLE["softmax"](_where(floating(cast_to(input, dtype)), mask, -math.inf), dim)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Any = None) -> Tensor:
    return TABLE["log_softmax"](_where(floating(cast_to(input, dtype)), mask, -math.inf), dim)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Any = None) -> Tensor:
    return softmax(-floating(cast_to(input, dtype)), dim, mask=mask)


def normalize(input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Any = None) -> Tensor:
    """x divided by its norm, which counts as eps at least."""
    x = floating(cast_to(input, dtype))
    size = norm(x, ord, dim, keepdim=True, mask=mask)
    return _where(x, mask, 0.0) / TABLE["maximum"](size, as_operand(eps, size))
