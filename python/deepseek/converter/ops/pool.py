"""Pooling."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from . import op, same
from .layers import many
from .shape import pad, unfold

Tensor = _C.Tensor
same("max_pool3d avg_pool3d lp_pool1d lp_pool2d max_unpool1d max_unpool2d fractional_max_pool2d "
     "max_pool1d_with_indices max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool3d")  # fmt: skip


def _room(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """How much is missing behind for the last window when sizes round up."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil or span % stride == 0:
        return 0
    count = math.ceil(span / stride) + 1
    if (count - 1) * stride >= size + padding:
        return 0
    return (count - 1) * stride + dilation * (kernel - 1) + 1 - size - 2 * padding


@op("max_pool2d")
def max_pool2d(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Tensor:
    kernel, padding, dilation = many(kernel, 2), many(padding, 2), many(dilation, 2)
    stride = many(stride, 2) if stride else kernel
    if x.ndim == 3:
        return _C.squeeze(max_pool2d(_C.unsqueeze(x, 0), kernel, stride, padding, dilation, ceil), 0)
    more = [_room(*v, ceil) for v in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)]
    if any(more):
        x = pad(x, (padding[1], padding[1] + more[1], padding[0], padding[0] + more[0]), "constant", -math.inf)
        padding = (0, 0)
    if dilation != (1, 1):
        x = pad(x, (padding[1], padding[1], padding[0], padding[0]), "constant", -math.inf)
        for d in (2, 3):
            x = _dilated_max(x, d, kernel[d - 2], stride[d - 2], dilation[d - 2])
        return x
    return _C.max_pool2d(x, kernel, stride, padding)


def _dilated_max(x: Tensor, dim: int, kernel: int, stride: int, dilation: int) -> Tensor:
    count = (x.shape[dim] - dilation * (kernel - 1) - 1) // stride + 1
    out = None
    for k in range(kernel):
        start = k * dilation
        part = _C.slice(x, dim, start, start + (count - 1) * stride + 1, stride)
        out = part if out is None else _C.maximum(out, part)
    return out


@op("max_pool1d")
def max_pool1d(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Tensor:
    k, p, d = many(kernel, 1), many(padding, 1), many(dilation, 1)
    s = many(stride, 1) if stride else k
    return _C.squeeze(max_pool2d(_C.unsqueeze(x, -2), (1, *k), (1, *s), (0, *p), (1, *d), ceil), -2)


@op("max_pool2d_with_indices")
def max_pool2d_with_indices(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> tuple[Tensor, Any]:
    """The indices are worked out by nobody: a graph that reads them fails on None."""
    return max_pool2d(x, kernel, stride, padding, dilation, ceil), None


@op("avg_pool2d")
def avg_pool2d(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, count_pad: bool = True, divisor: Any = None) -> Tensor:
    kernel, padding = many(kernel, 2), many(padding, 2)
    stride = many(stride, 2) if stride else kernel
    if x.ndim == 3:
        return _C.squeeze(avg_pool2d(_C.unsqueeze(x, 0), kernel, stride, padding, ceil, count_pad, divisor), 0)
    more = [_room(*v, 1, ceil) for v in zip(x.shape[2:], kernel, stride, padding, strict=True)]
    if not any(padding) and not any(more) and divisor is None:
        return _C.avg_pool2d(x, kernel, stride, (0, 0))
    around = (padding[1], padding[1] + more[1], padding[0], padding[0] + more[0])
    means = _C.avg_pool2d(pad(x, around), kernel, stride, (0, 0))
    if divisor is not None:
        return means * (kernel[0] * kernel[1] / divisor)
    if count_pad and not any(more):
        return means
    inside = _C.full((1, 1, *x.shape[2:]), 1.0, x.dtype, x.device)
    if count_pad:
        inside = pad(inside, (padding[1],) * 2 + (padding[0],) * 2, "constant", 1.0)
        around = (0, more[1], 0, more[0])
    return means / _C.avg_pool2d(pad(inside, around), kernel, stride, (0, 0))


@op("avg_pool1d")
def avg_pool1d(x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, count_pad: bool = True) -> Tensor:
    k, p = many(kernel, 1), many(padding, 1)
    s = many(stride, 1) if stride else k
    return _C.squeeze(avg_pool2d(_C.unsqueeze(x, -2), (1, *k), (1, *s), (0, *p), ceil, count_pad), -2)


def _adaptive(x: Tensor, size: int, dim: int, maximum: bool) -> Tensor:
    n = x.shape[dim]
    if size == n:
        return x
    reduce = _C.amax if maximum else _C.mean
    if n % size == 0:
        shape = [*x.shape]
        dim %= x.ndim
        return reduce(_C.reshape(x, [*shape[:dim], size, n // size, *shape[dim + 1 :]]), [dim + 1], False)
    bounds = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
    return _C.concat([reduce(_C.slice(x, dim, a, b, 1), [dim], True) for a, b in bounds], dim)


def _adaptive_nd(n: int, maximum: bool) -> Any:
    def f(x: Tensor, size: Any) -> Tensor:
        sizes = [x.shape[d - n] if s is None else s for d, s in enumerate(many(size, n))]
        if all(s == 1 for s in sizes):
            return (_C.amax if maximum else _C.mean)(x, list(range(-n, 0)), True)
        for d in range(n):
            x = _adaptive(x, sizes[d], d - n, maximum)
        return x

    return f


for _n in (1, 2, 3):
    op(f"adaptive_avg_pool{_n}d", f"_adaptive_avg_pool{_n}d")(_adaptive_nd(_n, False))
    op(f"adaptive_max_pool{_n}d")(lambda x, size, _f=_adaptive_nd(_n, True): (_f(x, size), None))


@op("im2col")
def im2col(x: Tensor, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Tensor:
    kernel, dilation, padding, stride = (many(v, 2) for v in (kernel, dilation, padding, stride))
    x = pad(x, (padding[1], padding[1], padding[0], padding[0]))
    b, c = x.shape[:2]
    for d in (0, 1):
        x = unfold(x, 2 + d, dilation[d] * (kernel[d] - 1) + 1, stride[d])
        x = x if dilation[d] == 1 else _C.slice(x, -1, 0, x.shape[-1], dilation[d])
    x = _C.permute(x, [0, 1, 4, 5, 2, 3])
    return _C.reshape(x, [b, c * kernel[0] * kernel[1], -1])
