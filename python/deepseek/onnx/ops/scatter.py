"""Writes by index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, from_numpy, host, ints_tensor
from .shape import flat_index

_UFUNCS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@op("ScatterElements", "Scatter")
def scatter_elements(x: Any, index: Tensor, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    axis %= x.ndim
    n = x.shape[axis]
    index = _C.cast(index, _C.int64)
    index = _C.where(index < 0, index + n, index)
    if isinstance(x, Tensor):
        if reduction == "none":
            return _C.scatter(x, axis, index, updates)
        return _C.scatter_reduce(x, axis, index, updates, _REDUCE[reduction], True)
    out, at = np.array(host(x)), list(np.indices(index.shape))
    at[axis] = host(index)
    return from_numpy(_written(out, tuple(at), host(updates), reduction))


def _written(out: Any, at: Any, updates: Any, reduction: str) -> Any:
    if reduction == "none":
        out[at] = updates
    else:
        _UFUNCS[reduction].at(out, at, updates)
    return out


@op("ScatterND")
def scatter_nd(x: Any, index: Tensor, updates: Any, *, reduction: str = "none") -> Any:
    lead = index.shape[-1]
    if isinstance(x, Tensor) and reduction in ("none", "add") and lead:
        rows, rest = math.prod(x.shape[:lead]), list(x.shape[lead:])
        at = _C.reshape(flat_index(x, index, lead), [-1])
        flat, values = _C.reshape(x, [rows, *rest]), _C.reshape(updates, [at.shape[0], *rest])
        f = _C.index_copy if reduction == "none" else _C.index_add
        return _C.reshape(f(flat, 0, at, values), list(x.shape))
    at = tuple(np.moveaxis(host(index), -1, 0))
    return from_numpy(_written(np.array(host(x)), at, host(updates), reduction))


@op("TensorScatter")
def tensor_scatter(cache: Tensor, update: Tensor, write_indices: Any = None, *, axis: int = -2, mode: str = "linear") -> Tensor:
    axis %= cache.ndim
    n, steps = cache.shape[axis], update.shape[axis]
    start = host(write_indices).reshape(-1) if write_indices is not None else np.zeros(cache.shape[0], np.int64)
    at = start[:, None] + np.arange(steps)
    if mode == "circular":
        at %= n
    shape = [1] * cache.ndim
    shape[0], shape[axis] = cache.shape[0], steps
    index = np.broadcast_to(at.reshape(shape), update.shape)
    return scatter_elements(cache, ints_tensor(np.ascontiguousarray(index)), update, axis=axis)
