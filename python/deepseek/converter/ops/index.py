"""Reading and writing by index."""

from __future__ import annotations

from typing import Any

from ... import _C
from . import op, same
from .elementwise import number

Tensor = _C.Tensor
same("scatter scatter_reduce nonzero index_reduce take_along_dim masked_select masked_scatter")

op("embedding")(lambda weight, index, *_: _C.embedding(index, weight))
op("gather")(lambda x, dim, index, **k: _C.gather(x, dim, index))
op("scatter_add")(_C.scatter_add)
op("index_select")(lambda x, dim, index: _C.take(x, index, dim))
op("take")(lambda x, index: _C.take(_C.reshape(x, [-1]), index, 0))


def _key(indices: list[Any]) -> tuple[Any, ...]:
    return tuple(slice(None) if i is None else i for i in indices)


@op("index", "_unsafe_index")
def index(x: Tensor, indices: list[Any]) -> Tensor:
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    if len(given) == 1 and given[0][1].dtype != _C.bool:
        d, i = given[0]
        return _C.take(x, i, d)
    return x[_key(indices)]


def _copied(x: Tensor) -> Tensor:
    return _C.clone(x)


@op("index_put", "_unsafe_index_put")
def index_put(x: Tensor, indices: list[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    out = _copied(x)
    key = _key(indices)
    out[key] = out[key] + values if accumulate else values
    return out


@op("index_put_")
def index_put_(x: Tensor, indices: list[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    _C.assign(x, index_put(x, indices, values, accumulate), "index_put_")
    return x


@op("slice_scatter")
def slice_scatter(x: Tensor, source: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    out = _copied(x)
    out[(slice(None),) * (dim % x.ndim) + (slice(start, end, step),)] = source
    return out


@op("select_scatter")
def select_scatter(x: Tensor, source: Tensor, dim: int, at: int) -> Tensor:
    out = _copied(x)
    out[(slice(None),) * (dim % x.ndim) + (at,)] = source
    return out


@op("index_copy")
def index_copy(x: Tensor, dim: int, at: Tensor, source: Tensor) -> Tensor:
    out = _copied(x)
    out[(slice(None),) * (dim % x.ndim) + (at,)] = source
    return out


@op("index_add")
def index_add(x: Tensor, dim: int, at: Tensor, source: Tensor, alpha: Any = 1) -> Tensor:
    shape = [1] * source.ndim
    shape[dim] = -1
    wide = _C.broadcast_to(_C.reshape(at, shape), source.shape)
    return _C.scatter_add(x, dim, wide, source if alpha == 1 else source * alpha)


op("index_fill")(lambda x, dim, at, value: index_copy(x, dim, at, number(x, value)))


@op("one_hot")
def one_hot(x: Tensor, classes: int = -1) -> Tensor:
    if classes < 0:
        classes = int(_C.amax(x).item()) + 1
    at = _C.arange(0.0, float(classes), 1.0, _C.int64, "cpu")
    return _C.cast(_C.equal(_C.unsqueeze(x, -1), at), _C.int64)

