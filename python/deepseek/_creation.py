"""Tensors from Python's and NumPy's values, and from nothing."""

from __future__ import annotations

from typing import Any

from . import _C
from ._random import _made, _shape

Tensor = _C.Tensor


def _has_floats(data: Any) -> bool:
    """Whether nested lists hold Python floats only: they take the default dtype, as NumPy's float64 would not."""
    if isinstance(data, (list, tuple)):
        return any(_has_floats(d) for d in data)
    return isinstance(data, (float, complex)) and type(data).__module__ == "builtins"


def _from_python(data: Any, dtype: Any = None) -> Tensor:
    import numpy as np

    array = np.asarray(data)
    if array.dtype == object:
        raise TypeError(f"[tensor] a number, a nested list of numbers of one shape, or an array is needed, got {type(data).__name__}")
    out = _C.from_array(array)
    if dtype is not None or isinstance(data, (np.ndarray, np.generic)):
        return out
    if out.dtype == _C.float64 and (_has_floats(data) or array.size == 0):
        return _C.cast(out, _C.get_default_dtype())
    if out.dtype.name == "complex128" and _C.get_default_dtype() == _C.float32:
        return _C.cast(out, _C.complex64)
    return out


def asarray(data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor of `data`: itself if it is one, over the same memory for NumPy arrays and DLPack producers, else a copy.

    copy=True always copies; copy=False raises ValueError where sharing is impossible.
    """
    if isinstance(data, Tensor):
        out = data
    elif hasattr(data, "__array_interface__") or hasattr(data, "__dlpack__"):
        out = _C.from_array(data)
    elif copy is False:
        raise ValueError(f"[asarray] {type(data).__name__} has no memory to share: copy=False cannot be kept")
    else:
        out, copy = _from_python(data, dtype), copy and False
    if dtype is not None and out.dtype != _C.to_dtype(dtype):
        if copy is False:
            raise ValueError(f"[asarray] {out.dtype} to {_C.to_dtype(dtype)} needs a copy: copy=False cannot be kept")
        return _C.cast(out, dtype)
    if device is not None and device != out.device:
        return _C.to_device(out, device)
    return out.clone() if copy else out


def tensor(data: Any, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A copy of `data`. Python floats become the default dtype, integers int64; arrays keep their dtype."""
    out = data.detach() if isinstance(data, Tensor) else asarray(data, dtype)
    if dtype is not None:
        out = _C.cast(out, dtype)
    out = _C.to_device(out, device) if device != out.device else out.clone()
    return _made(out, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    return asarray(data, dtype, device)


def from_numpy(array: Any) -> Tensor:
    """Over the array's own memory: each sees what the other writes."""
    return _C.from_array(array)


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """Over the memory of anything with __dlpack__."""
    return asarray(x.detach() if isinstance(x, Tensor) else _C.from_array(x), device=device, copy=copy)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    shape = (size,) if isinstance(size, int) else tuple(size)
    if isinstance(fill_value, Tensor) or isinstance(fill_value, complex):
        value = asarray(fill_value, dtype)
        return _made(_C.broadcast_to(value, shape), requires_grad)
    if dtype is None:
        dtype = _C.bool if isinstance(fill_value, bool) else _C.int64 if isinstance(fill_value, int) else _C.get_default_dtype()
    t = _C.to_dtype(dtype)
    if isinstance(fill_value, int) and abs(fill_value) >= 2**53 and not t.is_floating_point:
        import numpy as np

        return _C.broadcast_to(_C.from_array(np.asarray(fill_value, dtype=t.name)), shape)
    return _made(_C.full(shape, float(fill_value), t, device), requires_grad)


def zeros(*size: Any, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    return full(_shape(size), 0, dtype=dtype or _C.get_default_dtype(), device=device, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    return full(_shape(size), 1, dtype=dtype or _C.get_default_dtype(), device=device, requires_grad=requires_grad)


empty = zeros


def zeros_like(x: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    return full(x.shape, 0, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def ones_like(x: Tensor, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    return full(x.shape, 1, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


empty_like = zeros_like


def full_like(x: Tensor, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def arange(start: Any = None, stop: Any = None, step: Any = 1, *, end: Any = None, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """start, start + step, ... below stop; integers give int64."""
    stop = end if stop is None else stop
    start, stop = (0, start) if stop is None else (0 if start is None else start, stop)
    start, stop, step = (v.item() if isinstance(v, Tensor) else v for v in (start, stop, step))
    if not all(abs(v) < float("inf") for v in (start, stop, step)):
        raise _C.Error(f"[arange] finite numbers are needed, got {start}, {stop}, {step}")
    if step == 0 or (stop - start) * step < 0:
        raise _C.Error(f"[arange] steps of {step} do not lead from {start} to {stop}")
    whole = all(isinstance(v, int) for v in (start, stop, step))
    t = _C.to_dtype(dtype) if dtype is not None else (_C.int64 if whole else _C.get_default_dtype())
    if not whole and not t.is_floating_point:  # as many as the numbers say, of whole steps
        count = _C.arange(float(start), float(stop), float(step), _C.float64, device).shape[0]
        return _C.cast(_C.arange(0.0, float(count), 1.0, _C.int64, device) * int(step) + int(start), t)
    return _made(_C.arange(float(start), float(stop), float(step), t, device), requires_grad)


def linspace(start: Any, stop: Any, num: int, *, dtype: Any = None, device: str = "cpu", endpoint: bool = True, requires_grad: bool = False) -> Tensor:
    """`num` evenly spaced numbers from start to stop, which is the last one if `endpoint`."""
    t = _C.to_dtype(dtype) if dtype is not None else _C.get_default_dtype()
    start, stop = (v.item() if isinstance(v, Tensor) else v for v in (start, stop))
    if not hasattr(num, "__index__"):
        raise TypeError(f"[linspace] a whole number of steps is needed, got {num!r}")
    if num < 0:
        raise _C.Error(f"[linspace] the number of steps must not be negative, got {num}")
    if not (t.is_floating_point or t.is_complex):
        start, stop = int(start), int(stop)
    gaps = num - 1 if endpoint else num
    i = _C.arange(0.0, float(num), 1.0, _C.float64, device)
    out = i * ((stop - start) / gaps if gaps > 0 else 0.0) + start
    if endpoint and num > 1:
        out = _C.where(i == float(num - 1), full((), float(stop), dtype=_C.float64), out)
    return _made(_C.cast(out, t), requires_grad)


def eye(n: int, m: int | None = None, *, k: int = 0, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Ones on the k-th diagonal of an (n, m) matrix."""
    m = n if m is None else m
    if n < 0 or m < 0:
        raise _C.Error(f"[eye] extents must not be negative, got {n} and {m}")
    rows, columns = arange(n, device=device), arange(m, device=device)
    t = _C.to_dtype(dtype) if dtype is not None else _C.get_default_dtype()
    return _made(_C.cast(rows.unsqueeze(1) + k == columns, t), requires_grad)


def _index_tensor(data: Any) -> Tensor:
    import numpy as np

    array = np.asarray(data)
    return _C.from_array(array.astype(np.int64) if array.size == 0 else array)
