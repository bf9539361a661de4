"""Order, and searching and counting: sort, topk, median, quantile, unique, histc and their like."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from . import _C
from ._creation import asarray
from ._functions import TABLE, Error, Tensor, as_operand, cast_to, common, from_host, kind, one_dim, op, to_host
from ._functions_index import _ranked, _values_indices

# ---- order


def _sortable(name: str, x: Tensor) -> None:
    if kind(x.dtype) == 3:
        raise Error(f"[{name}] complex numbers have no order")


@op
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """(values, indices) in order along dim; equals keep theirs, and NaN is the greatest."""
    _sortable("sort", input)
    d = one_dim("sort", dim, input.ndim)
    if input.ndim == 0:
        return _values_indices["sort"](_C.clone(input), _C.full((), 0.0, _C.int64, input.device))
    return _values_indices["sort"](*_C.sort(input, d, descending))


@op
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    return sort(input, dim, descending).indices


@op
def msort(input: Tensor) -> Tensor:
    return sort(input, 0).values


@op
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k greatest (or least) along dim, best first."""
    _sortable("topk", input)
    d = one_dim("topk", dim, input.ndim)
    if input.ndim == 0:
        return _values_indices["topk"](_C.clone(input), _C.full((), 0.0, _C.int64, input.device))
    if not 0 <= k <= input.shape[d]:
        raise Error(f"[topk] k = {k} is outside dimension {d} of extent {input.shape[d]}")
    return _values_indices["topk"](*_C.topk(input, k, d, largest))


def _kth(name: str, x: Tensor, k: Callable[[Any], Any], dim: int, keepdim: bool) -> Any:
    """The element at the sorted position k(sorted array) along dim."""
    import numpy as np

    _sortable(name, x)
    d = one_dim(name, dim, x.ndim)
    if x.ndim == 0:
        return _values_indices[name](_C.clone(x), _C.full((), 0.0, _C.int64, x.device))
    if x.shape[d] == 0:
        raise IndexError(f"[{name}] dimension {d} of {x.shape} has no elements")
    order = to_host(_C.argsort(x, d, False))
    at = np.take_along_axis(order, k(np.take_along_axis(to_host(x), order, d)), d)
    out = _ranked(name, x, d, at.astype(np.int64))
    return out if keepdim else type(out)(*(_C.squeeze(t, d) for t in out))


@op
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th least, k counted from 1."""
    import numpy as np

    d = one_dim("kthvalue", dim, input.ndim)
    if not 1 <= k <= (input.shape[d] if input.ndim else 1):
        raise Error(f"[kthvalue] k = {k} is outside dimension {d} of {input.shape}")
    return _kth("kthvalue", input, lambda s: np.full([1 if i == d else n for i, n in enumerate(s.shape)], k - 1), dim, keepdim)


def _middle(name: str, input: Tensor, dim: int | None, keepdim: bool, skip_nan: bool) -> Any:
    import numpy as np

    if dim is None:
        if input.numel() == 0:
            return _C.full((), math.nan, input.dtype, input.device)
        return _middle(name, input.reshape(-1), 0, False, skip_nan).values
    d = one_dim(name, dim, input.ndim)

    def position(s: Any) -> Any:
        nans = (s != s).sum(axis=d, keepdims=True)
        n = s.shape[d]
        good = n - nans
        middle = np.maximum(good - 1, 0) // 2
        return middle if skip_nan else np.where(nans > 0, np.minimum(good, n - 1), middle)

    return _kth(name, input, position, dim, keepdim)


@op
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element (the lower of two), NaN if there is one; with dim: (values, indices)."""
    return _middle("median", input, dim, keepdim, False)


@op
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle of what is not NaN."""
    return _middle("nanmedian", input, dim, keepdim, True)


@op
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the commonest element, the least of equally common ones."""
    import numpy as np

    def position(s: Any) -> Any:
        rows = np.moveaxis(s, d, -1).reshape(-1, s.shape[d])
        at = []
        for row in rows:
            starts = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
            counts = np.diff(np.concatenate([starts, [len(row)]]))
            best = counts.argmax()
            at.append(starts[best] + counts[best] - 1)
        return np.moveaxis(np.asarray(at, dtype=np.int64).reshape([n for i, n in enumerate(s.shape) if i != d] + [1]), -1, d)

    d = one_dim("mode", dim, input.ndim)
    return _kth("mode", input, position, dim, keepdim)


@op
def quantile(input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The value below which the part q in [0, 1] lies; NaN where there is one. q may be a vector: a first dimension."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@op
def nanquantile(input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """quantile of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


def _quantile(name: str, input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise Error(f"[{name}] interpolation must be linear, lower, higher, midpoint or nearest, got {interpolation!r}")
    if kind(input.dtype) != 2 or input.dtype.itemsize < 4:
        raise Error(f"[{name}] float32 or float64 is needed, got {input.dtype}")
    if isinstance(q, Tensor) and q.dtype != input.dtype:
        raise Error(f"[{name}] q must be {input.dtype} as the input, got {q.dtype}")
    qs = asarray(q, input.dtype)
    if qs.ndim > 1 or input.numel() == 0:
        raise Error(f"[{name}] a number or a vector q and a tensor that is not empty are needed, got {qs.shape}, {input.shape}")
    if not bool(((qs >= 0) & (qs <= 1)).all()):
        raise Error(f"[{name}] q must be within [0, 1], got {q}")
    x, d = (input.reshape(-1), 0) if dim is None or input.ndim == 0 else (input, one_dim(name, dim, input.ndim))
    s = sort(_C.transpose(x, d, x.ndim - 1), -1).values
    n = s.shape[-1]
    count = _C.sum(s == s, [s.ndim - 1], True) if skip_nan else _C.full((*s.shape[:-1], 1), float(n), _C.int64, s.device)
    at = _C.reshape(qs, [-1]) * cast_to(TABLE["clamp"](count - 1, min=0), s.dtype)
    low = _C.floor(at)
    if interpolation == "nearest":
        low = _C.round(at)
    elif interpolation == "higher":
        low = _C.ceil(at)
    below = _C.gather(s, s.ndim - 1, _C.cast(_C.detach(low), _C.int64))
    out = below
    if interpolation in ("linear", "midpoint"):
        above = _C.gather(s, s.ndim - 1, _C.cast(_C.detach(_C.ceil(at)), _C.int64))
        out = below + (above - below) * (at - _C.detach(low) if interpolation == "linear" else as_operand(0.5, s))
    if not skip_nan:
        out = _C.where(_C.any(s != s, [s.ndim - 1], True), as_operand(math.nan, out), out)
    else:
        out = _C.where(count == 0, as_operand(math.nan, out), out)
    # (..., q): q first, and the reduced dimension where it was
    out = _C.permute(out, [out.ndim - 1, *range(out.ndim - 1)])
    shape = [1] * input.ndim if dim is None else [*input.shape]
    if dim is not None and input.ndim:
        rest = [k for k in range(x.ndim) if k != d]
        if d != x.ndim - 1:  # the transpose put the last dimension where d was
            place = [*range(x.ndim - 1)]
            rest_now = [x.ndim - 1 if k == d else k for k in place]
            out = _C.permute(out, [0, *(1 + rest_now.index(k) for k in rest)])
        shape[d] = 1
    out = _C.reshape(out, [qs.numel(), *(shape if keepdim else [n for k, n in enumerate(input.shape) if dim is not None and k != d])])
    return _C.squeeze(out, 0) if qs.ndim == 0 else out


# ---- searching and counting


@op
def searchsorted(sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Tensor | None = None) -> Tensor:
    """Where each value would go into the ascending last dimension; right: behind equals."""
    import numpy as np

    if side not in (None, "left", "right") or (side == "left" and right):
        raise Error(f"[searchsorted] side {side!r} and right {right} contradict")
    values = as_operand(input, sorted_sequence)
    s, v = to_host(sorted_sequence), to_host(values)
    if sorter is not None:
        s = np.take_along_axis(s, to_host(sorter), -1)
    if s.ndim > 1 and s.shape[:-1] != v.shape[:-1]:
        raise Error(f"[searchsorted] the leading dimensions of {sorted_sequence.shape} and {values.shape} differ")
    where: Any = "right" if right or side == "right" else "left"
    if s.ndim == 1:
        at = np.searchsorted(s, v, where)
    else:
        rows = zip(s.reshape(-1, s.shape[-1]), v.reshape(-1, v.shape[-1]))
        at = np.stack([np.searchsorted(a, b, where) for a, b in rows]).reshape(v.shape) if v.size else np.zeros(v.shape)
    return from_host(np.asarray(at, dtype=np.int32 if out_int32 else np.int64))


@op(method=False)
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The index of the bucket between boundaries that each value falls into."""
    if boundaries.ndim != 1:
        raise Error(f"[bucketize] a vector of boundaries is needed, got {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@op
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number 0, 1, ... stands in a vector, or the sums of its weights."""
    if input.ndim != 1 or kind(input.dtype) != 1 or minlength < 0:
        raise Error(f"[bincount] a vector of integers and minlength >= 0 are needed, got {input.dtype} {input.shape}, {minlength}")
    if weights is not None and weights.shape != input.shape:
        raise Error(f"[bincount] as many weights as numbers are needed, got {weights.shape} for {input.shape}")
    if input.numel() and int(_C.amin(input)) < 0:
        raise Error("[bincount] the numbers must not be negative")
    n = builtins.max(int(_C.amax(input)) + 1 if input.numel() else 0, minlength)
    if weights is None:
        weights = _C.full(input.shape, 1.0, _C.int64, input.device)
    elif weights.dtype not in (_C.float32, _C.float64):
        weights = _C.cast(weights, _C.float64)
    zeros = _C.full((n,), 0.0, weights.dtype, input.device)
    return _C.scatter_add(zeros, 0, _C.cast(input, _C.int64), weights) if input.numel() else zeros


@op
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts in `bins` equal ranges over [min, max]; where both are 0, over the elements' own range."""
    import numpy as np

    if bins <= 0:
        raise Error(f"[histc] a positive number of bins is needed, got {bins}")
    a = to_host(input).reshape(-1)
    if min == max and a.size:
        min, max = float(a.min()), float(a.max())
    if min == max:
        min, max = min - 1, max + 1
    if min > max or not (math.isfinite(min) and math.isfinite(max)):
        raise Error(f"[histc] a range is needed, got [{min}, {max}]")
    return from_host(np.histogram(a, bins, (min, max))[0].astype(a.dtype))


@op
def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The different elements (or slices along dim), ascending; with where they went and how many they were."""
    import numpy as np

    values, inverse, counts = np.unique(to_host(input), return_inverse=True, return_counts=True, axis=dim)
    parts = [from_host(values)]
    if return_inverse:
        parts.append(from_host(np.asarray(inverse, dtype=np.int64).reshape(input.shape if dim is None else [-1])))
    if return_counts:
        parts.append(from_host(counts.astype(np.int64)))
    return tuple(parts) if len(parts) > 1 else parts[0]


@op
def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """Without the elements (or slices along dim) that equal the one before."""
    import numpy as np

    a = to_host(input)
    rows = a.reshape(-1, 1) if dim is None else np.moveaxis(a, dim, 0).reshape(a.shape[dim], -1)
    new = np.ones(len(rows), bool)
    if len(rows) > 1:
        new[1:] = (rows[1:] != rows[:-1]).any(1)
    at = np.flatnonzero(new)
    parts = [from_host(a.reshape(-1)[at] if dim is None else np.take(a, at, dim))]
    if return_inverse:
        inverse = np.cumsum(new) - 1
        parts.append(from_host(inverse.astype(np.int64).reshape(a.shape if dim is None else [-1])))
    if return_counts:
        parts.append(from_host(np.diff(np.append(at, len(rows))).astype(np.int64)))
    return tuple(parts) if len(parts) > 1 else parts[0]


@op(method=False)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which elements are among the test elements."""
    import numpy as np

    a, b = common((as_operand(elements), as_operand(test_elements)))
    return from_host(np.asarray(np.isin(to_host(a), to_host(b), invert=invert)))


