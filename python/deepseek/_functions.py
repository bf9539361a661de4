"""The table of functions: one definition makes a function, a method of Tensor and its in-place form."""

from __future__ import annotations

import builtins
from collections import namedtuple
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any, TypeVar

from . import _C
from ._creation import asarray, full

Tensor = _C.Tensor
Error = _C.Error
F = TypeVar("F", bound=Callable[..., Any])
METHODS: Any = Tensor  # what methods are hung onto: the stub, made of these, has each already

TABLE: dict[str, Any] = {}  # functions by name, and linalg

_RENAMED = {"axis": "dim", "keepdims": "keepdim", "self": "input", "x": "input", "x1": "input", "x2": "other", "ddof": "correction"}


def op(f: F | None = None, *, names: tuple[str, ...] = (), method: bool = True, in_place: bool = False, function: bool = True) -> Any:
    """Registers f under its name and `names`: as a function, a method and, where asked, a method name_ that writes.

    Every function also takes the array API's keywords (axis, keepdims) and `out`.
    """
    if f is None:
        return lambda g: op(g, names=names, method=method, in_place=in_place, function=function)
    code = f.__code__  # type: ignore[attr-defined]
    known = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @wraps(f)
    def g(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return f(*args)
        if "out" in kwargs and "out" not in known:
            return _into(kwargs.pop("out"), g(*args, **kwargs))
        for name in tuple(kwargs):
            if name not in known:
                if name in _RENAMED and _RENAMED[name] in known:
                    kwargs[_RENAMED[name]] = kwargs.pop(name)
                elif name in ("device", "memory_format", "layout", "non_blocking"):
                    del kwargs[name]
        return f(*args, **kwargs)

    for name in (f.__name__, *names):
        if function:
            TABLE[name] = g
        if method:
            setattr(Tensor, name, g)
        if in_place:
            setattr(Tensor, name + "_", _writing(name + "_", g))
    return g


def _writing(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    def h(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = f(self, *args, **kwargs)
        if not _C.casts_in_place(result.dtype, self.dtype):
            raise Error(f"[{name}] a result of {result.dtype} cannot be kept in a {self.dtype} tensor")
        _C.assign(self, result, name)
        return self

    h.__name__ = name
    return h


def _into(out: Any, result: Any) -> Any:
    """Writes a result, or a tuple of them, into `out`."""
    if out is None:
        return result
    if isinstance(out, Tensor):
        if out.shape == result.shape:
            _C.assign(out, result, "out")
        else:
            _C.rebind(out, _C.cast(result, out.dtype))
        return out
    return type(result)(*(_into(o, r) for o, r in zip(out, result))) if hasattr(result, "_fields") else tuple(
        _into(o, r) for o, r in zip(out, result)
    )


@cache
def results(name: str, fields: str) -> Any:
    """The named tuple that a function of several results gives."""
    return namedtuple(name, fields)  # type: ignore[misc]


def methods(*fs: Callable[..., Any]) -> None:
    """Makes functions methods of Tensor, outside of the table."""
    for f in fs:
        setattr(Tensor, f.__name__, f)


# ---- dtypes

_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
_FLOATS = ("float16", "bfloat16", "float32", "float64")


_KIND: dict[int, int] = {}  # by a dtype's id: there is one object a dtype, and it never goes


def kind(t: Any) -> int:
    """0 bool, 1 integer, 2 floating, 3 complex."""
    k = _KIND.get(id(t))
    if k is None:
        k = 2 if t.is_floating_point else 3 if t.is_complex else 0 if t == _C.bool else 1
        if isinstance(t, _C.dtype):
            _KIND[id(t)] = k
    return k


def promote_types(type1: Any, type2: Any) -> Any:
    """The smallest dtype that holds both: as the array API has it, and across kinds as PyTorch has it."""
    return _C.promote_types(type1, type2)


def result_type(*values: Any) -> Any:
    """The dtype that an op on these tensors, dtypes and numbers gives."""
    tensors = [v.dtype if isinstance(v, Tensor) else v for v in values if not isinstance(v, (builtins.bool, int, float, complex))]
    numbers = [v for v in values if isinstance(v, (builtins.bool, int, float, complex))]
    out = None
    for t in tensors:
        out = _C.to_dtype(t) if out is None else promote_types(out, t)
    for v in numbers:
        out = beside_type(v, out)
    return out


def beside_type(value: Any, t: Any) -> Any:
    """The dtype of a Python number beside a tensor of dtype t (None: beside nothing)."""
    if isinstance(value, builtins.bool):
        return _C.bool if t is None else t
    if isinstance(value, int):
        return _C.int64 if t is None or t == _C.bool else t
    if isinstance(value, float):
        return _C.get_default_dtype() if t is None or kind(t) < 2 else t
    if t is not None and kind(t) == 3:
        return t
    return getattr(_C, "complex128" if t == _C.float64 else "complex64")


def as_operand(value: Any, beside: Any = None) -> Tensor:
    """A tensor as it is; a number as a 0-d tensor of the dtype that promotion beside a tensor gives it."""
    if isinstance(value, Tensor):
        return value
    if type(value) is float or (type(value) is int and -(2**53) < value < 2**53):
        if beside is None:
            return _C.full((), value, beside_type(value, None), "cpu")
        return _C.full((), value, beside_type(value, beside.dtype), beside.device)
    if isinstance(value, (builtins.bool, int, float)):
        t = beside_type(value, None if beside is None else beside.dtype)
        return full((), value, dtype=t, device="cpu" if beside is None else beside.device)
    if isinstance(value, complex):
        return _C.cast(asarray(value), beside_type(value, None if beside is None else beside.dtype))
    return asarray(value)


def operands(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    if isinstance(a, Tensor):
        return a, b if isinstance(b, Tensor) else as_operand(b, a)
    if isinstance(b, Tensor):
        return as_operand(a, b), b
    if isinstance(a, (int, float, complex)) and isinstance(b, (int, float, complex)):
        raise TypeError(f"one of two operands must be a tensor, got the numbers {a} and {b}")
    return as_operand(a), as_operand(b)


def floating(x: Any) -> Tensor:
    """x, integers and bools cast to the default dtype."""
    x = as_operand(x)
    return x if kind(x.dtype) >= 2 else _C.cast(x, _C.get_default_dtype())


def common(xs: Iterable[Any]) -> list[Tensor]:
    """Tensors cast to the dtype they promote to."""
    ts = [as_operand(x) for x in xs]
    t = ts[0].dtype
    for x in ts:
        if x.dtype is not t:
            break
    else:
        return ts
    t = result_type(*ts)
    return [x if x.dtype == t else _C.cast(x, t) for x in ts]


def cast_to(x: Tensor, dtype: Any) -> Tensor:
    return x if dtype is None or x.dtype is dtype or x.dtype == _C.to_dtype(dtype) else _C.cast(x, dtype)


# ---- dimensions


def one_dim(name: str, dim: int, rank: int) -> int:
    """dim counted from the front."""
    d = dim.__index__()
    if 0 <= d < rank:
        return d
    if not -builtins.max(rank, 1) <= d < builtins.max(rank, 1):
        raise IndexError(f"[{name}] dimension {d} is out of range for tensors of rank {rank}")
    return d + rank if d < 0 else d


def dims_of(name: str, dim: Any, rank: int) -> list[int]:
    """dim, given as None, an int or a sequence, as dimensions counted from the front; None is every one."""
    if dim is None:
        return list(range(rank))
    dims = [one_dim(name, d, rank) for d in ((dim,) if hasattr(dim, "__index__") else dim)]
    if len(set(dims)) != len(dims):
        raise Error(f"[{name}] a dimension is named twice in {tuple(dim)}")
    return [d for d in dims if rank]


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to."""
    out: list[int] = []
    for s in shapes:
        s = [s] if isinstance(s, int) else list(s)
        out = [1] * (len(s) - len(out)) + out
        for i in range(1, len(s) + 1):
            if s[-i] != 1 and out[-i] not in (1, s[-i]):
                raise Error(f"[broadcast] shapes {', '.join(str(tuple(x)) for x in shapes)} do not broadcast")
            out[-i] = s[-i] if out[-i] == 1 else out[-i]
    return tuple(out)


# ---- what NumPy computes


def to_host(x: Tensor) -> Any:
    """A NumPy copy of x's values."""
    return _C.numpy(_C.clone(_C.detach(x)), True)


def from_host(array: Any) -> Tensor:
    import numpy as np

    return _C.clone(_C.from_array(np.ascontiguousarray(array) if array.ndim else array.copy()))


def on_host(f: Callable[..., Any], inputs: list[Tensor], vjp: Callable[..., Any] | None = None) -> Any:
    """f of the inputs as NumPy arrays: an array or a tuple of them.

    vjp(grads of the outputs...) gives a gradient an input; it may only look at inputs, so that nothing holds itself.
    """
    made = f(*(to_host(x) for x in inputs))
    outs = [from_host(a) for a in (made if isinstance(made, tuple) else (made,))]
    if vjp is not None and _C.is_grad_enabled() and builtins.any(x.requires_grad for x in inputs):
        outs = _C.custom(outs, list(inputs), vjp)
    return tuple(outs) if isinstance(made, tuple) else outs[0]


TABLE["promote_types"], TABLE["result_type"], TABLE["broadcast_shapes"] = promote_types, result_type, broadcast_shapes
