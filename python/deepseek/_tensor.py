"""Methods of Tensor. The type itself, its operators and its indexing are C (python/bind)."""

from __future__ import annotations

from typing import Any

from . import _C, _anomaly
from ._creation import asarray
from ._functions import METHODS

Tensor = _C.Tensor
after_backward: list[Any] = []  # called after each backward(); none in most programs


def _ints(args: tuple[Any, ...]) -> list[int]:
    """The ints of f(1, 2) and of f((1, 2))."""
    items = args[0] if len(args) == 1 and not isinstance(args[0], int) else args
    return [int(i) for i in items]


def method(f: Any) -> Any:
    """Makes a function a method of Tensor under its own name."""
    setattr(Tensor, f.__name__, f)
    return f


@method
def __repr__(self: Tensor) -> str:
    import numpy as np

    values = np.array2string(_C.numpy(self.detach(), True), separator=", ", precision=4, threshold=1000, prefix="tensor(")
    parts = [values]
    default = self.dtype in (_C.get_default_dtype(), _C.int64, _C.bool)
    if not default or 0 in self.shape:
        parts.append(f"dtype={self.dtype}")
    if 0 in self.shape and len(self.shape) > 1:
        parts.insert(1, f"size={self.shape}")
    if self.device != "cpu":
        parts.append(f"device={self.device!r}")
    if self.requires_grad:
        op, _ = _C.graph_inputs(self)
        parts.append("requires_grad=True" if self.is_leaf else f"grad_fn=<{op}>")
    return f"tensor({', '.join(parts)})"


@method
def __format__(self: Tensor, spec: str) -> str:
    return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)


@method
def __iter__(self: Tensor) -> Any:
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return (self[i] for i in range(self.shape[0]))


@method
def __contains__(self: Tensor, value: Any) -> bool:
    return bool(_C.any(self == value))


@method
def __array__(self: Tensor, dtype: Any = None, copy: Any = None) -> Any:
    array = _C.numpy(self, False)
    return array if dtype is None else array.astype(dtype)


@method
def __dlpack__(self: Tensor, **_: Any) -> Any:
    return _C.dlpack(self)


@method
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    return (1, 0)


@method
def __deepcopy__(self: Tensor, memo: Any) -> Tensor:
    out = _C.subclass(type(self), self.detach().clone())
    if self.requires_grad:
        _C.require_grad(out, True)
    return out


@method
def __reduce_ex__(self: Tensor, protocol: int) -> Any:
    return (_rebuild, (type(self), _C.numpy(self.detach(), True).copy(), self.dtype.name, self.requires_grad))


def _rebuild(cls: type, array: Any, dtype: str, requires_grad: bool) -> Tensor:
    out = _C.subclass(cls, _C.cast(_C.from_array(array), dtype))
    if requires_grad:
        _C.require_grad(out, True)
    return out


METHODS.__array_priority__ = 1000  # ndarray + Tensor is Tensor's to do


@method
def tolist(self: Tensor) -> Any:
    return _C.numpy(self.detach(), True).tolist()


@method
def dim(self: Tensor) -> int:
    return self.ndim


@method
def numel(self: Tensor) -> int:
    n = 1
    for d in self.shape:
        n *= d
    return n


@method
def element_size(self: Tensor) -> int:
    return self.dtype.itemsize


@method
def is_floating_point(self: Tensor) -> bool:
    return self.dtype.is_floating_point


@method
def is_complex(self: Tensor) -> bool:
    return self.dtype.is_complex


@method
def clone(self: Tensor) -> Tensor:
    """A copy: writing to one leaves the other alone."""
    return _C.clone(self)


@method
def detach(self: Tensor) -> Tensor:
    """The same values outside of autograd."""
    return _C.detach(self)


@method
def contiguous(self: Tensor) -> Tensor:
    return self


@method
def is_contiguous(self: Tensor) -> bool:
    return True


@method
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    _C.require_grad(self, requires_grad)
    return self


@method
def backward(self: Tensor, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
    """Adds d self / d x to x.grad of every leaf x that self depends on. `gradient`: of self's shape, needed unless self
    has one element."""
    if not self.requires_grad:
        raise _C.Error("[backward] the tensor does not depend on anything that requires a gradient")
    if gradient is None and self.ndim and self.numel() != 1:
        raise _C.Error(f"[backward] a tensor of shape {self.shape} needs a gradient of that shape")
    if _anomaly._active:
        _anomaly.check_backward(self, gradient)
    keep = create_graph if retain_graph is None else retain_graph
    if isinstance(inputs, Tensor):
        inputs = [inputs]
    _C.backward(self, gradient, keep, create_graph, inputs)
    for hook in after_backward:
        hook()


@method
def retain_grad(self: Tensor) -> None:
    if not self.is_leaf:
        _C.retain_grad(self)


@method
def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False) -> Tensor:
    """to(dtype), to(device), to(device, dtype) or to(other)."""
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda", "null"):
            device = a
        elif isinstance(a, bool):
            continue
        elif a is not None:
            dtype = a
    out = self
    if dtype is not None and _C.to_dtype(dtype) != self.dtype:
        out = _C.cast(out, dtype)
    if device is not None and device != self.device:
        out = _C.to_device(out, device)
    return out.clone() if copy and out is self else out


for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool",
}.items():  # fmt: skip
    if hasattr(_C, _dtype):
        setattr(Tensor, _name, lambda self, _t=_dtype: self.to(dtype=_t))


@method
def reshape(self: Tensor, *shape: Any) -> Tensor:
    return _C.view_reshape(self, _ints(shape))


METHODS.view = lambda self, *shape: self.to(shape[0]) if len(shape) == 1 and isinstance(shape[0], _C.dtype) else _C.view_reshape(self, _ints(shape))
METHODS.permute = lambda self, *dims: _C.view_permute(self, _ints(dims))
METHODS.transpose = lambda self, dim0, dim1: _C.view_transpose(self, dim0, dim1)
METHODS.swapaxes = Tensor.transpose
METHODS.flatten = lambda self, start_dim=0, end_dim=-1: _C.view_flatten(self, start_dim, end_dim)
METHODS.squeeze = lambda self, dim=None: _C.view_squeeze(self, None if dim is None or self.ndim == 0 else [dim] if isinstance(dim, int) else list(dim))
METHODS.unsqueeze = lambda self, dim: _C.view_unsqueeze(self, dim)
METHODS.expand = lambda self, *sizes: _expand(self, _ints(sizes))
METHODS.broadcast_to = lambda self, shape: _C.broadcast_to(self, tuple(shape))
METHODS.T = property(lambda self: _C.view_permute(self, list(range(self.ndim))[::-1]))
METHODS.mT = property(lambda self: _C.view_transpose(self, -2, -1))
METHODS.data = property(lambda self: self.detach(), lambda self, value: _set_data(self, value))


def _set_data(x: Tensor, value: Tensor) -> None:
    """Another value for x, which goes on gathering a gradient if it did."""
    needs = x.requires_grad
    _C.rebind(x, value.detach())
    if needs:
        _C.require_grad(x, True)


def _expand(x: Tensor, sizes: list[int]) -> Tensor:
    lead = len(sizes) - x.ndim
    return _C.broadcast_to(x, tuple(x.shape[i - lead] if s == -1 else s for i, s in enumerate(sizes)))


def _in_place(name: str, compute: Any) -> None:
    """Tensor.name: writes what compute(self, ...) gives into self."""

    def f(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        _C.assign(self, asarray(compute(self, *args, **kwargs)), name)
        return self

    f.__name__ = name
    setattr(Tensor, name, f)


_in_place("copy_", lambda self, other, non_blocking=False: _C.broadcast_to(_C.cast(asarray(other), self.dtype), self.shape))
_in_place("fill_", lambda self, value: _C.broadcast_to(_C.cast(asarray(value), self.dtype), self.shape))
_in_place("zero_", lambda self: _C.full(self.shape, 0.0, self.dtype, self.device))
