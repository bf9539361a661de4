"""Reading, writing, ordering and searching by index, and running results along a dimension."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from . import _C
from ._creation import asarray
from ._functions import (
    TABLE,
    Error,
    Tensor,
    as_operand,
    broadcast_shapes,
    cast_to,
    floating,
    from_host,
    kind,
    one_dim,
    op,
    results,
)

_values_indices: dict[str, Any] = {n: results(n, "values indices") for n in ("sort", "topk", "kthvalue", "median", "nanmedian", "mode", "cummax", "cummin")}


def _whole_index(name: str, index: Any) -> Tensor:
    index = asarray(index)
    if kind(index.dtype) != 1:
        raise Error(f"[{name}] an integer index is needed, got {index.dtype}")
    return cast_to(index, _C.int64)


# ---- reading


@op
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of dimension dim that a vector of indices names."""
    index = _whole_index("index_select", index)
    if index.ndim > 1:
        raise Error(f"[index_select] a vector of indices is needed, got {index.shape}")
    d = one_dim("index_select", dim, input.ndim)
    if input.ndim == 0:
        return _C.reshape(_C.take(input.reshape(1), index.reshape(-1), 0), [])
    return _C.take(input, index.reshape(-1), d)


@op
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flat tensor, in the index's shape."""
    flat = _C.reshape(input, [-1])
    index = _whole_index("take", index)
    if input.numel() == 0 and index.numel():
        raise IndexError("[take] an empty tensor has no elements to take")
    return _C.take(flat, _C.where(index < 0, index + flat.shape[0], index), 0)


@op
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on."""
    d, at = one_dim("gather", dim, input.ndim), _whole_index("gather", index)
    if index.dtype not in (_C.int64, _C.int32) and at.numel():
        raise Error(f"[gather] an int64 index is needed, got {index.dtype}")
    if at.numel() == 0:
        return _C.full(at.shape, 0.0, input.dtype, input.device)
    if input.ndim == 0 or at.ndim == 0:
        return _C.reshape(_C.gather(input.reshape(-1), 0, at.reshape(-1)), list(at.shape))
    x = input
    if at.ndim != x.ndim or builtins.any(at.shape[k] > x.shape[k] for k in range(x.ndim) if k != d and at.numel()):
        raise Error(f"[gather] an index of shape {at.shape} does not fit {x.shape} beside dimension {d}")
    for k in range(x.ndim):
        if k != d and at.shape[k] != x.shape[k]:
            x = _C.slice(x, k, 0, at.shape[k], 1)
    return _C.gather(x, d, at)


@op(names=("take_along_axis",))
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """gather, where input and indices broadcast beside dim; of the flat tensors if dim is None."""
    at = _whole_index("take_along_dim", indices)
    if dim is None:
        return _C.gather(_C.reshape(input, [-1]), 0, _C.reshape(at, [-1]))
    if input.ndim != at.ndim:
        raise Error(f"[take_along_dim] one rank is needed, got {input.shape} and {at.shape}")
    d = one_dim("take_along_dim", dim, input.ndim)
    beside = broadcast_shapes(*((*s[:d], 1, *s[d + 1 :]) for s in (input.shape, at.shape)))
    x, at = (_C.broadcast_to(y, (*beside[:d], y.shape[d], *beside[d + 1 :])) for y in (input, at))
    return _C.gather(x, d, _C.where(at < 0, at + x.shape[d], at))


@op
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """A vector of the elements where the mask holds."""
    if mask.dtype != _C.bool:
        raise Error(f"[masked_select] a bool mask is needed, got {mask.dtype}")
    shape = broadcast_shapes(input.shape, mask.shape)
    return _C.broadcast_to(input, shape)[_C.broadcast_to(mask, shape)] if shape else input.reshape(1)[mask.reshape(1)]


@op
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where elements are not 0: int64 (count, rank), or a vector for each dimension."""
    if as_tuple:
        at = _C.nonzero(input.reshape(1) if input.ndim == 0 else input)
        return tuple(_C.squeeze(_C.slice(at, 1, i, i + 1, 1), 1) for i in range(at.shape[1]))
    return _C.nonzero(input)


@op
def argwhere(input: Tensor) -> Tensor:
    return nonzero(input)


# ---- writing


@op(in_place=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """value where the mask holds."""
    if mask.dtype != _C.bool:
        raise Error(f"[masked_fill] a bool mask is needed, got {mask.dtype}")
    v = as_operand(value, input)
    if v.ndim:
        raise Error(f"[masked_fill] a number is needed as the value, got a tensor of shape {v.shape}")
    if kind(v.dtype) > kind(input.dtype):
        raise Error(f"[masked_fill] a {v.dtype} value cannot be kept in a {input.dtype} tensor")
    return _C.where(mask, cast_to(v, input.dtype), input)


@op(in_place=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of source, in order, where the mask holds."""
    if mask.dtype != _C.bool or source.dtype != input.dtype:
        raise Error(f"[masked_scatter] a bool mask and one dtype are needed, got {mask.dtype}, {input.dtype} and {source.dtype}")
    shape = broadcast_shapes(input.shape, mask.shape)
    x, m = _C.broadcast_to(input, shape), _C.broadcast_to(mask, shape)
    at = cumsum(_C.cast(_C.reshape(m, [-1]), _C.int64), 0) - 1
    if source.numel() == 0:
        return x
    if int(_C.amax(at)) >= source.numel() if at.numel() else False:
        raise Error(f"[masked_scatter] {source.numel()} elements are fewer than the mask needs")
    taken = _C.take(_C.reshape(source, [-1]), TABLE["clamp"](at, 0, source.numel() - 1), 0)
    return _C.where(m, _C.reshape(taken, list(shape)), x)


def _source(name: str, x: Tensor, at: Tensor, src: Any) -> Tensor:
    if not isinstance(src, Tensor):
        return _C.broadcast_to(cast_to(as_operand(src, x), x.dtype), at.shape)
    if src.dtype != x.dtype:
        raise Error(f"[{name}] one dtype is needed, got {x.dtype} and {src.dtype}")
    return src


def _scatter(name: str, c: Callable[..., Tensor], input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    d, at = one_dim(name, dim, input.ndim), _whole_index(name, index)
    src = _source(name, input, at, src)
    if at.numel() == 0:
        return _C.clone(input)
    if input.ndim == 0 or at.ndim == 0 or src.ndim == 0:
        return _C.reshape(_scatter(name, c, input.reshape(-1), 0, at.reshape(-1), src.reshape(-1)), list(input.shape))
    if at.ndim != input.ndim or src.ndim != at.ndim:
        raise Error(f"[{name}] one rank is needed, got {input.shape}, an index of {at.shape} and a source of {src.shape}")
    if builtins.any(at.shape[k] > src.shape[k] or (k != d and at.shape[k] > input.shape[k]) for k in range(at.ndim)):
        raise Error(f"[{name}] an index of shape {at.shape} does not fit {input.shape} and a source of {src.shape}")
    for k in range(at.ndim):
        if at.shape[k] != src.shape[k]:
            src = _C.slice(src, k, 0, at.shape[k], 1)
    rest = [k for k in range(at.ndim) if k != d and at.shape[k] != input.shape[k]]
    if not rest:
        return c(input, d, at, src)
    box = tuple(slice(0, at.shape[k]) if k in rest else slice(None) for k in range(at.ndim))
    out = _C.clone(input)
    out[box] = c(input[box], d, at, src)
    return out


@op(in_place=True)
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """input with element index[i][j] of column j set to src[i][j], and so on; reduce "add" or "multiply" combines."""
    src = value if src is None else src
    if reduce is not None:
        return scatter_reduce(input, dim, index, _source("scatter", input, index, src), {"add": "sum", "multiply": "prod"}[reduce])
    return _scatter("scatter", _C.scatter, input, dim, index, src)


@op(in_place=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    return _scatter("scatter_add", _C.scatter_add, input, dim, index, src)


@op(in_place=True)
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """Elements that go to one place are combined by "sum", "prod", "mean", "amax" or "amin"."""
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise Error(f"[scatter_reduce] reduce must be sum, prod, mean, amax or amin, got {reduce!r}")
    if reduce == "sum" and include_self:
        return scatter_add(input, dim, index, src)
    return _scatter("scatter_reduce", lambda x, d, at, s: _C.scatter_reduce(x, d, at, s, reduce, include_self), input, dim, index, src)


def _slices(name: str, input: Tensor, dim: int, index: Any, source: Tensor) -> tuple[Tensor, int, Tensor, Tensor]:
    d, at = one_dim(name, dim, input.ndim), _whole_index(name, index)
    if at.ndim > 1:
        raise Error(f"[{name}] a vector of indices is needed, got {at.shape}")
    if source.dtype != input.dtype:
        raise Error(f"[{name}] one dtype is needed, got {input.dtype} and {source.dtype}")
    at = at.reshape(-1)
    x, s = (y.reshape(1) if y.ndim == 0 else y for y in (input, source))
    if s.ndim != x.ndim or s.shape[d] != at.shape[0] or builtins.any(s.shape[k] != x.shape[k] for k in range(x.ndim) if k != d):
        raise Error(f"[{name}] a source of shape {source.shape} does not fit {at.shape[0]} slices of {input.shape} along {d}")
    return x, d, at, s


def _spread_index(at: Tensor, d: int, like: Tensor) -> Tensor:
    return _C.broadcast_to(_C.reshape(at, [-1 if k == d else 1 for k in range(like.ndim)]), like.shape)


@op(in_place=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """input with alpha * slice i of source added to its slice index[i]."""
    x, d, at, s = _slices("index_add", input, dim, index, source)
    out = _C.index_add(x, d, at, s if alpha == 1 else s * alpha) if s.numel() else x
    return _C.reshape(out, list(input.shape))


@op(in_place=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with its slice index[i] replaced by slice i of source."""
    x, d, at, s = _slices("index_copy", input, dim, index, source)
    return _C.reshape(_C.index_copy(x, d, at, s) if s.numel() else x, list(input.shape))


@op(in_place=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """input with the slices that the index names filled with value."""
    v = as_operand(value, input)
    if v.ndim:
        raise Error(f"[index_fill] a number is needed as the value, got a tensor of shape {v.shape}")
    d, at = one_dim("index_fill", dim, input.ndim), _whole_index("index_fill", index).reshape(-1)
    x = input.reshape(1) if input.ndim == 0 else input
    if x.shape[d] == 0 or at.numel() == 0:
        return _C.clone(input)
    hit = _C.index_copy(_C.full((x.shape[d],), 0.0, _C.bool, x.device), 0, at, _C.full(at.shape, 1.0, _C.bool, x.device))
    hit = _C.reshape(hit, [-1 if k == d else 1 for k in range(x.ndim)])
    return _C.reshape(_C.where(hit, cast_to(v, x.dtype), x), list(input.shape))


@op(in_place=True)
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """index_add with another way to combine: "prod", "mean", "amax" or "amin"."""
    x, d, at, s = _slices("index_reduce", input, dim, index, source)
    return scatter_reduce(x, d, _spread_index(at, d, s), s, reduce, include_self=include_self).reshape(input.shape)


@op(in_place=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """input with input[indices] = values, or += with accumulate (also where an index comes twice)."""
    key = tuple(slice(None) if i is None else i for i in indices)
    if accumulate:
        flat = _C.arange(0.0, float(input.numel()), 1.0, _C.int64, input.device).reshape(input.shape)[key]
        v = _C.reshape(_C.broadcast_to(cast_to(values, input.dtype), flat.shape), [-1])
        return _C.reshape(_C.scatter_add(_C.reshape(input, [-1]), 0, _C.reshape(flat, [-1]), v), list(input.shape))
    flat = _C.arange(0.0, float(input.numel()), 1.0, _C.int64, input.device).reshape(input.shape)[key]
    v = _C.reshape(_C.broadcast_to(cast_to(values, input.dtype), flat.shape), [-1])
    return _C.reshape(scatter(_C.reshape(input, [-1]), 0, _C.reshape(flat, [-1]), v), list(input.shape))


@op(in_place=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """The flat tensor's elements at index set to (or added to) source's."""
    at = _whole_index("put", index)
    if source.dtype != input.dtype or source.numel() != at.numel():
        raise Error(f"[put] {at.numel()} {input.dtype} elements are needed, got {source.numel()} of {source.dtype}")
    at = _C.reshape(_C.where(at < 0, at + input.numel(), at), [-1])
    f = scatter_add if accumulate else scatter
    return _C.reshape(f(_C.reshape(input, [-1]), 0, at, _C.reshape(source, [-1])), list(input.shape))


def _replaced(input: Tensor, part: Callable[[Tensor], Tensor], src: Tensor, name: str) -> Tensor:
    out = _C.clone(input)
    view = part(out)
    if view.shape != src.shape:
        raise Error(f"[{name}] the part is {view.shape}, the source {src.shape}")
    _C.assign(view, src, name)
    return out


@op
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """input with its slice `index` of dimension dim replaced."""
    return _replaced(input, lambda x: TABLE["select"](x, dim, index), src, "select_scatter")


@op
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    d = one_dim("slice_scatter", dim, input.ndim)
    return _replaced(input, lambda x: x[(slice(None),) * d + (slice(start, end, step),)], src, "slice_scatter")


@op
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    return _replaced(input, lambda x: TABLE["diagonal"](x, offset, dim1, dim2), src, "diagonal_scatter")


# ---- running results


def _running(name: str, whole: bool) -> Any:
    c = getattr(_C, name)

    def f(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        x = cast_to(input, dtype)
        if whole and kind(x.dtype) < 2 and dtype is None:
            x = cast_to(x, _C.int64)
        elif not whole:
            x = floating(x)
        d = one_dim(name, dim, x.ndim)
        if x.ndim == 0 or x.numel() == 0:
            return _C.clone(x)
        return cast_to(c(x, d), x.dtype)

    f.__name__ = f.__qualname__ = name
    return op(f, in_place=True)


cumsum, cumprod, logcumsumexp = _running("cumsum", True), _running("cumprod", True), _running("logcumsumexp", False)


def _ranked(name: str, x: Tensor, d: int, at: Any) -> Any:
    """(values, indices) of int64 positions along d."""
    i = at if isinstance(at, Tensor) else from_host(at)
    return _values_indices[name](_C.gather(x, d, i), i)


def _running_extreme(name: str) -> None:
    c = getattr(_C, name)

    def f(input: Tensor, dim: int) -> Any:
        d = one_dim(name, dim, input.ndim)
        if input.ndim == 0 or input.numel() == 0:
            return _values_indices[name](_C.clone(input), _C.full(input.shape, 0.0, _C.int64, input.device))
        return _values_indices[name](*c(input, d))

    f.__name__ = f.__qualname__ = name
    op(f)


_running_extreme("cummax")
_running_extreme("cummin")


@op
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """Differences of neighbours along dim, n times over."""
    d = one_dim("diff", dim, input.ndim)
    if input.ndim == 0:
        raise Error("[diff] at least one dimension is needed")
    if n == 0:
        return _C.clone(input)
    if n < 0:
        raise Error(f"[diff] n must not be negative, got {n}")
    parts = [p for p in (prepend, input, append) if p is not None]
    x = TABLE["cat"](parts, d) if len(parts) > 1 else input
    for _ in range(n):
        m = x.shape[d]
        if m == 0:
            break
        a, b = _C.slice(x, d, 1, m, 1), _C.slice(x, d, 0, m - 1, 1)
        x = TABLE["logical_xor"](a, b) if x.dtype == _C.bool else a - b
    return x
