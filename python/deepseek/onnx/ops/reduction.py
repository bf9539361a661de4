"""Reductions, running results and order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, from_numpy, full, full_like, ints, is_float, number, to_numpy


def dims_of(x: Tensor, axes: Any, noop: int = 0) -> list[int] | None:
    """The dimensions to reduce; None: nothing is to be done."""
    axes = ints(axes)
    if not axes:
        return None if noop else list(range(x.ndim))
    return [a % x.ndim for a in axes]


def _reduction(name: str, f: Any, before: Any = None, after: Any = None) -> None:
    def reduce(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        dims = dims_of(x, axes, noop_with_empty_axes)
        out = before(x) if before else x
        if dims is not None and x.ndim:
            out = _C.cast(f(out, dims, bool(keepdims)), out.dtype)
        return _C.cast(after(out), x.dtype) if after else out

    op(name)(reduce)


def extreme(x: Tensor, dims: list[int], keep: bool, largest: bool) -> Tensor:
    """The maximum or minimum; of nothing, the least or greatest value of the dtype."""
    f = _C.amax if largest else _C.amin
    if any(x.shape[d] == 0 for d in dims):
        shape = [1 if d in dims else n for d, n in enumerate(x.shape) if keep or d not in dims]
        return _C.broadcast_to(full_like(x, _bound(x.dtype, not largest)), tuple(shape))
    if x.dtype == _C.bool:
        return _C.cast(f(_C.cast(x, _C.uint8), dims, keep), _C.bool)
    return f(x, dims, keep)


def _bound(dtype: Any, largest: bool) -> Any:
    if dtype.is_floating_point:
        return math.inf if largest else -math.inf
    if dtype == _C.bool:
        return largest
    info = np.iinfo(dtype.name)
    return info.max if largest else info.min


def _wide(f: Any) -> Any:
    """Integers are computed as float64."""
    return lambda x: f(x if is_float(x) else _C.cast(x, _C.float64))


def log_sum_exp(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if not is_float(x):
        x = _C.cast(x, _C.float64)
    if any(x.shape[d] == 0 for d in dims):
        return _C.log(_C.sum(x, dims, keep))
    top = _C.detach(_C.amax(x, dims, True))
    top = _C.where(_C.less(_C.abs(top), full_like(top, math.inf)), top, full_like(top, 0))
    out = _C.log(_C.sum(_C.exp(x - top), dims, True)) + top
    return out if keep else _C.reshape(out, [n for d, n in enumerate(x.shape) if d not in dims])


_reduction("ReduceSum", _C.sum)
_reduction("ReduceProd", _C.prod)
_reduction("ReduceMax", lambda x, d, k: extreme(x, d, k, True))
_reduction("ReduceMin", lambda x, d, k: extreme(x, d, k, False))
_reduction("ReduceSumSquare", _C.sum, before=lambda x: x * x)
_reduction("ReduceL1", _C.sum, before=_C.abs)
_reduction("ReduceL2", _C.sum, before=lambda x: x * x, after=_wide(_C.sqrt))
_reduction("ReduceLogSum", _C.sum, after=_wide(_C.log))


@op("ReduceMean")
def reduce_mean(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    dims = dims_of(x, axes, noop_with_empty_axes)
    if dims is None or not x.ndim:
        return x
    if is_float(x):
        return _C.mean(x, dims, bool(keepdims))
    n = math.prod(x.shape[d] for d in dims)
    return _C.cast(_C.div(_C.sum(x, dims, bool(keepdims)), full((), float(n), _C.int64)), x.dtype)


@op("ReduceLogSumExp")
def reduce_log_sum_exp(x: Tensor, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    dims = dims_of(x, axes, noop_with_empty_axes)
    if dims is None or not x.ndim:
        return x
    return _C.cast(log_sum_exp(x, dims, bool(keepdims)), x.dtype)


def _arg(name: str, f: Any) -> None:
    def arg(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        if not select_last_index:
            return f(x, axis, bool(keepdims))
        n = x.shape[axis]
        last = f(_C.flip(x, [axis % x.ndim]), axis, bool(keepdims))
        return (n - 1) - last

    op(name)(arg)


_arg("ArgMax", _C.argmax)
_arg("ArgMin", _C.argmin)


def _cumulative(name: str, f: Any, neutral: float) -> None:
    def run(x: Tensor, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
        a = int(number(axis)) % x.ndim
        out = _C.flip(x, [a]) if reverse else x
        if exclusive:
            head = _C.broadcast_to(full_like(x, neutral), tuple(1 if d == a else n for d, n in enumerate(x.shape)))
            out = _C.concat([head, _C.slice(out, a, 0, x.shape[a] - 1, 1)], a)
        out = _C.cast(f(out, a), x.dtype)
        return _C.flip(out, [a]) if reverse else out

    op(name)(run)


_cumulative("CumSum", _C.cumsum, 0)
_cumulative("CumProd", _C.cumprod, 1)


@op("TopK")
def top_k(x: Tensor, k: Any = None, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, Tensor]:
    axis %= x.ndim
    indices = _C.slice(_C.argsort(x, axis, bool(largest)), axis, 0, int(number(k)), 1)
    return _C.gather(x, axis, indices), indices


@op("Unique")
def unique(x: Any, axis: int | None = None, sorted: int = 1) -> tuple[Any, ...]:
    values = to_numpy(x)
    found = np.unique(values, True, True, True, axis=axis)
    out, first, inverse, counts = found[0], found[1], found[2].reshape(-1), found[3]
    if not sorted:
        rank = np.argsort(first, kind="stable")
        place = np.empty_like(rank)
        place[rank] = np.arange(len(rank))
        out = np.take(out, rank, axis=0 if axis is None else axis)
        first, inverse, counts = first[rank], place[inverse], counts[rank]
    return tuple(from_numpy(a) for a in (out, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)))


@op("NonZero")
def nonzero(x: Tensor) -> Tensor:
    return _C.transpose(_C.nonzero(x), 0, 1)


