"""Values of a graph: Tensors, lists of them (sequences), None (an empty optional), and NumPy arrays for the element
types that the engine has no tensor of (strings, 8-bit floats, 4- and 2-bit integers)."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from .. import _C

Tensor = _C.Tensor

# ONNX's TensorProto.DataType, by NumPy's (or ml_dtypes') names.
NAMES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
CODES = {name: code for code, name in NAMES.items()} | {"object": 8}


def numpy_dtype(code: int) -> np.dtype:
    """The NumPy dtype of an ONNX element type; ml_dtypes' where NumPy has none."""
    name = NAMES[code]
    if name == "str":
        return np.dtype(object)
    if code in (16, *range(17, 27)):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


def engine_dtype(code: int) -> Any:
    """The engine's dtype of an ONNX element type, or None."""
    return getattr(_C, NAMES[code], None) if code != 8 else None


def from_numpy(array: Any) -> Any:
    """A Tensor of an array's elements where the engine has their type, else the array."""
    array = np.asarray(array)
    name = array.dtype.name
    if array.dtype.kind in "OUS":
        return array.astype(object)
    if name == "bfloat16":
        return _C.cast(_C.from_array(array.astype(np.float32)), _C.bfloat16)
    if not hasattr(_C, name):
        return array
    return _C.from_array(np.array(array, order="C", copy=True))


def to_numpy(value: Any) -> Any:
    """Back: an array, a list of them, or None."""
    if isinstance(value, Tensor):
        array = _C.numpy(value.detach(), True)
        return array.astype(numpy_dtype(16)) if value.dtype == _C.bfloat16 else array
    if isinstance(value, (list, tuple)):
        return [to_numpy(v) for v in value]
    return value


def wrap(value: Any) -> Any:
    """What a caller gives as an input, as a value."""
    if isinstance(value, Tensor) or value is None:
        return value
    if isinstance(value, (list, tuple)) and (not value or hasattr(value[0], "shape") or isinstance(value[0], list)):
        return [wrap(v) for v in value]
    if isinstance(value, (int, float, bool, complex, list, tuple)):
        from .. import asarray

        return asarray(value)
    return from_numpy(value)


def code_of(value: Any) -> int:
    """The ONNX element type of a tensor value."""
    return CODES[value.dtype.name]


def host(value: Any) -> Any:
    """A NumPy array of the elements (bfloat16 as float32)."""
    return _C.numpy(value.detach(), True) if isinstance(value, Tensor) else np.asarray(value)


@overload
def ints(value: None) -> None: ...
@overload
def ints(value: Any) -> list[int]: ...
def ints(value: Any) -> list[int] | None:
    """The integers of a shape, axes, ...: an attribute's list or an input's elements."""
    if value is None:
        return None
    if isinstance(value, int):
        return [value]
    if isinstance(value, (list, tuple)):
        return [int(v) for v in value]
    return [int(v) for v in host(value).reshape(-1).tolist()]


def number(value: Any, default: Any = None) -> Any:
    """The Python number of an attribute or a one-element tensor."""
    if value is None:
        return default
    return host(value).reshape(-1)[0].item() if hasattr(value, "dtype") else value


def ints_tensor(values: Any) -> Tensor:
    return _C.from_array(np.array(values, dtype=np.int64))


def is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.is_floating_point


def full_like(x: Tensor, value: Any) -> Tensor:
    """A scalar of x's dtype."""
    return _C.full((), float(value), x.dtype, x.device)


def full(shape: tuple[int, ...], value: float, dtype: Any) -> Tensor:
    return _C.full(tuple(shape), float(value), dtype, "cpu")


def iota(n: int) -> Tensor:
    """0, 1, ..., n - 1 as int64."""
    return _C.arange(0.0, float(n), 1.0, _C.int64, "cpu")
