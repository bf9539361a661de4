"""Tensors that modules register by themselves."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from .._creation import asarray


class Parameter(Tensor):
    """A tensor that a module trains: assigning one to a module's attribute registers it."""

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        value = _C.full((0,), 0.0, _C.get_default_dtype(), "cpu") if data is None else asarray(data)
        out = _C.subclass(cls, _C.detach(value))
        if requires_grad:
            _C.require_grad(out, True)
        return out

    def __repr__(self) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self)


class Buffer(Tensor):
    """A tensor that a module keeps but does not train: assigning one to an attribute registers it."""

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        value = _C.full((0,), 0.0, _C.get_default_dtype(), "cpu") if data is None else asarray(data)
        out = _C.subclass(cls, _C.detach(value))
        out.persistent = persistent
        return out
