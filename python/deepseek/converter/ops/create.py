"""Tensors from nothing, casts, random numbers."""

from __future__ import annotations

from typing import Any

import deepseek

from ... import _C
from ..._random import bernoulli, rand, rand_like, randint, randn, randn_like, randperm
from . import TABLE, op

Tensor = _C.Tensor


def _full(shape: Any, value: Any, dtype: Any = None) -> Tensor:
    return deepseek.full(tuple(shape), value, dtype=dtype)


op("full")(lambda shape, value, dtype=None, **k: _full(shape, value, dtype))
op("zeros", "empty", "new_empty.size")(lambda shape, dtype=None, **k: _full(shape, 0.0, dtype or _C.get_default_dtype()))
op("ones")(lambda shape, dtype=None, **k: _full(shape, 1.0, dtype or _C.get_default_dtype()))
op("full_like")(lambda x, value, dtype=None, **k: _full(x.shape, value, dtype or x.dtype))
op("zeros_like", "empty_like")(lambda x, dtype=None, **k: _full(x.shape, 0.0, dtype or x.dtype))
op("ones_like")(lambda x, dtype=None, **k: _full(x.shape, 1.0, dtype or x.dtype))
op("new_zeros", "new_empty")(lambda x, shape, dtype=None, **k: _full(shape, 0.0, dtype or x.dtype))
op("new_ones")(lambda x, shape, dtype=None, **k: _full(shape, 1.0, dtype or x.dtype))
op("new_full")(lambda x, shape, value, dtype=None, **k: _full(shape, value, dtype or x.dtype))
op("empty_strided", "new_empty_strided")(lambda shape, stride, dtype=None, **k: _full(shape, 0.0, dtype))
op("scalar_tensor")(lambda value, dtype=None, **k: _full((), value, dtype))
op("fill")(lambda x, value: _filled(x, value))
op("zero")(lambda x: _filled(x, 0))
op("copy")(lambda x, source, *_: _C.broadcast_to(_C.cast(source, x.dtype), x.shape))
op("eye")(lambda n, m=None, dtype=None, **k: deepseek.eye(n, m, dtype=dtype or _C.get_default_dtype()))
op("linspace")(lambda start, end, steps, dtype=None, **k: deepseek.linspace(start, end, steps, dtype=dtype))
op("randn")(lambda shape, dtype=None, **k: randn(*shape, dtype=dtype))
op("rand")(lambda shape, dtype=None, **k: rand(*shape, dtype=dtype))
op("randn_like", "normal_functional")(lambda x, dtype=None, **k: randn_like(x, dtype=dtype or x.dtype))
op("rand_like", "uniform")(lambda x, *a, dtype=None, **k: rand_like(x, dtype=dtype or x.dtype))
op("randperm")(lambda n, **k: randperm(n))
op("randint")(lambda high, shape, **k: randint(0, high, tuple(shape)))
op("randint.low")(lambda low, high, shape, **k: randint(low, high, tuple(shape)))
op("bernoulli.p", "bernoulli_.float")(lambda x, p=0.5, **k: bernoulli(_full(x.shape, p, x.dtype)))
op("bernoulli")(lambda x, **k: bernoulli(x))


def _filled(x: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return _C.broadcast_to(_C.cast(value, x.dtype), x.shape)
    return _full(x.shape, value, x.dtype)


@op("bernoulli_.float")
def _bernoulli_in_place(x: Tensor, p: float = 0.5, **_: Any) -> Tensor:
    _C.assign(x, bernoulli(_full(x.shape, p, x.dtype)), "bernoulli_")
    return x


def _arange(start: Any, end: Any, step: Any = 1, dtype: Any = None, **_: Any) -> Tensor:
    return deepseek.arange(start, end, step, dtype=dtype)


op("arange", "arange.default")(lambda end, dtype=None, **k: _arange(0, end, 1, dtype))
op("arange.start", "arange.start_step")(_arange)


@op("to", "_to_copy", "type_as", "to.dtype", "to.device", "to.other", "to.dtype_layout")
def to(x: Tensor, *args: Any, dtype: Any = None, **_: Any) -> Tensor:
    for a in args:
        dtype = a.dtype if isinstance(a, Tensor) else a if isinstance(a, _C.dtype) else dtype
    return x if dtype is None or dtype == x.dtype else _C.cast(x, dtype)


for _name, _dtype in {"float": "float32", "double": "float64", "long": "int64", "int": "int32", "bool": "bool"}.items():
    TABLE[_name] = lambda x, _d=_dtype: to(x, getattr(_C, _d))
op("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size", "sym_constrain_range",
   "_assert_async.msg", "_check")(lambda *a, **k: None)  # fmt: skip
op("item", "_local_scalar_dense")(lambda x: x.item())
