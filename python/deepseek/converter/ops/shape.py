"""Views, which write through to what they are of as PyTorch's do, casts and creation."""

from __future__ import annotations

from typing import Any

import deepseek

from ... import _C
from ... import functional as F
from ..._C import Tensor
from . import TABLE, op

op("view", "view.default", "reshape", "_unsafe_view", "_reshape_alias", "view_copy", "unsafe_view")(
    lambda x, shape, *_: _C.view_reshape(x, list(shape)))  # fmt: skip
op("permute", "permute_copy")(lambda x, dims: _C.view_permute(x, list(dims)))
op("numpy_T")(lambda x: x.T)
op("mT")(lambda x: x.mT)
op("flatten")(lambda x, start=0, end=-1: _C.view_flatten(x, start, end))
op("size", "sym_size")(lambda x, dim=None: x.shape if dim is None else x.shape[dim])
op("numel", "sym_numel")(lambda x: x.numel())


@op("expand", "broadcast_to")
def expand(x: Tensor, sizes: Any, implicit: bool = False) -> Tensor:
    lead = len(sizes) - x.ndim
    shape = tuple(x.shape[i - lead] if s == -1 else s for i, s in enumerate(sizes))
    return x if shape == x.shape else _C.broadcast_to(x, shape)


@op("slice", "slice_copy")
def slice_(x: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    size = x.shape[dim]
    if not start and (end is None or end >= size) and step == 1:
        return x
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, end, step),)]


@op("index", "_unsafe_index")
def index(x: Tensor, indices: list[Any]) -> Tensor:
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    if len(given) == 1 and given[0][1].dtype != _C.bool:
        return _C.take(x, given[0][1], given[0][0])
    return x[tuple(slice(None) if i is None else i for i in indices)]


@op("as_strided")
def as_strided(x: Tensor, size: Any, stride: Any, offset: Any = None) -> Tensor:
    """By index, over the elements in order: x is taken to be contiguous."""
    at = _C.full((1,) * len(size), float(offset or 0), _C.int64, x.device)
    for d, (n, s) in enumerate(zip(size, stride)):
        steps = _C.reshape(_C.arange(0.0, float(n), 1.0, _C.int64, x.device) * s, [-1 if i == d else 1 for i in range(len(size))])
        at = at + steps
    return _C.take(_C.reshape(x, [-1]), at, 0)


op("constant_pad_nd")(lambda x, pad, value=0: F.pad(x, pad, value=value))
for _mode, _name in {"reflect": "reflection_pad", "replicate": "replication_pad", "circular": "_pad_circular"}.items():
    for _n in ("1d", "2d", "3d") if _mode != "circular" else ("",):
        op(_name + _n)(lambda x, pad, _m=_mode: F.pad(x, pad, _m))


@op("to", "_to_copy")
def to(x: Tensor, *args: Any, dtype: Any = None, **_: Any) -> Tensor:
    for a in args:
        dtype = a.dtype if isinstance(a, Tensor) else a if isinstance(a, _C.dtype) else dtype
    return x if dtype is None or dtype == x.dtype else _C.cast(x, dtype)


for _name, _dtype in {"float": "float32", "double": "float64", "long": "int64", "int": "int32", "bool": "bool"}.items():
    TABLE[_name] = lambda x, _d=_dtype: to(x, getattr(_C, _d))


def _full(shape: Any, value: Any, dtype: Any) -> Tensor:
    return deepseek.full(tuple(shape), value, dtype=dtype)


op("full")(lambda shape, value, dtype=None, **_: _full(shape, value, dtype))
op("zeros", "empty", "empty_strided")(lambda shape, *_, dtype=None, **__: _full(shape, 0.0, dtype or _C.get_default_dtype()))
op("ones")(lambda shape, dtype=None, **_: _full(shape, 1.0, dtype or _C.get_default_dtype()))
op("new_zeros", "new_empty", "new_empty_strided")(lambda x, shape, *_, dtype=None, **__: _full(shape, 0.0, dtype or x.dtype))
op("new_ones")(lambda x, shape, dtype=None, **_: _full(shape, 1.0, dtype or x.dtype))
op("new_full")(lambda x, shape, value, dtype=None, **_: _full(shape, value, dtype or x.dtype))
op("scalar_tensor")(lambda value, dtype=None, **_: _full((), value, dtype))
op("full_like")(lambda x, value, dtype=None, **_: _full(x.shape, value, dtype or x.dtype))
op("zero")(lambda x: _full(x.shape, 0.0, x.dtype))
op("fill", "copy")(lambda x, value, *_: _C.broadcast_to(_C.cast(value, x.dtype), x.shape) if isinstance(value, Tensor) else _full(x.shape, value, x.dtype))
op("eye")(lambda n, m=None, dtype=None, **_: deepseek.eye(n, m, dtype=dtype or _C.get_default_dtype()))
op("linspace")(lambda start, end, steps, dtype=None, **_: deepseek.linspace(start, end, steps, dtype=dtype))
op("arange", "arange.default")(lambda end, dtype=None, **_: deepseek.arange(0, end, dtype=dtype))
op("arange.start", "arange.start_step")(lambda start, end, step=1, dtype=None, **_: deepseek.arange(start, end, step, dtype=dtype))
op("randint")(lambda high, shape, **_: deepseek.randint(0, high, tuple(shape)))
op("randint.low")(lambda low, high, shape, **_: deepseek.randint(low, high, tuple(shape)))
op("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size", "sym_constrain_range",
   "_check")(lambda *_, **__: None)  # fmt: skip
