"""The Python array API standard, 2024.12: the namespace that __array_namespace__() of a tensor gives.

Names that PyTorch has with another meaning (sort, max, nonzero, std, ...) have the standard's meaning here; the rest are
the package's own functions.
"""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from typing import Any

from . import _C, _creation, fft  # noqa: F401
from . import _array_api_linalg as linalg  # noqa: F401
from ._creation import (  # noqa: F401
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from ._functions import (  # noqa: F401
    METHODS,
    TABLE,
    Error,
    Tensor,
    cast_to,
    common,
    dims_of,
    kind,
    one_dim,
    operands,
    promote_types,
    result_type,
)

__array_api_version__ = "2024.12"
e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None

_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64", "complex128")  # fmt: skip
for _n in _DTYPES:
    globals()[_n] = getattr(_C, _n)

for _theirs, _ours in {
    **{n: n for n in (
        "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift",
        "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "conj", "copysign", "cos", "cosh", "divide", "exp",
        "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot", "imag", "isfinite", "isinf", "isnan",
        "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logical_and", "logical_not", "logical_or",
        "logical_xor", "matmul", "maximum", "minimum", "multiply", "negative", "nextafter", "not_equal", "positive",
        "pow", "reciprocal", "remainder", "round", "signbit", "sin", "sinh", "square", "sqrt", "subtract", "tan",
        "tanh", "trunc", "finfo", "iinfo", "tile", "stack", "moveaxis", "broadcast_shapes",
    )},
    "bitwise_invert": "bitwise_not", "equal": "eq", "concat": "cat", "take_along_axis": "take_along_dim",
}.items():  # fmt: skip
    globals()[_theirs] = TABLE[_ours]

matrix_transpose, tensordot, vecdot = linalg.matrix_transpose, linalg.tensordot, linalg.vecdot
_real, _table_diff = TABLE["real"], TABLE["diff"]


def real(x: Tensor, /) -> Tensor:
    return _real(x)


# ---- creation and dtypes


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: str | None = None) -> Tensor:
    """start, start + step, ... before stop; nothing where the step leads away from it."""
    start, stop = (0, start) if stop is None else (start, stop)
    if (stop - start) * step < 0:
        whole = builtins.all(isinstance(v, int) for v in (start, stop, step))
        return zeros(0, dtype=dtype or (_C.int64 if whole else _C.get_default_dtype()), device=device or "cpu")
    return _creation.arange(start, stop, step, dtype=dtype, device=device or "cpu")


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    return list(TABLE["meshgrid"](*arrays, indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    return TABLE["tril"](x, k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    return TABLE["triu"](x, k)


def astype(x: Tensor, dtype: Any, /, *, copy: builtins.bool = True, device: str | None = None) -> Tensor:
    if device is not None:
        x = x.to(device)
    if kind(x.dtype) == 3 and kind(_C.to_dtype(dtype)) < 3 and kind(_C.to_dtype(dtype)) > 0:
        raise TypeError(f"[astype] complex numbers are not cast to {_C.to_dtype(dtype).name}: take real() or imag()")
    if x.dtype == _C.to_dtype(dtype):
        return x.clone() if copy else x
    return _C.cast(x, dtype)


def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Whether promotion of the two gives `to`."""
    a, b = from_.dtype if isinstance(from_, Tensor) else _C.to_dtype(from_), _C.to_dtype(to)
    if kind(a) != kind(b) and (kind(a), kind(b)) != (2, 3):
        return a == b
    try:
        return promote_types(a, to) == _C.to_dtype(to)
    except Error:
        return False


_KINDS = {"bool": (0,), "real floating": (2,), "complex floating": (3,), "integral": (1,), "numeric": (1, 2, 3)}


def isdtype(dtype: Any, kind_: Any = None, /, **kwargs: Any) -> builtins.bool:
    """Whether a dtype is one, or of a kind: "bool", "signed integer", "numeric", ..., or of any in a tuple."""
    wanted = kwargs.get("kind", kind_)
    if isinstance(wanted, tuple):
        return builtins.any(isdtype(dtype, k) for k in wanted)
    if isinstance(wanted, str):
        if wanted in ("signed integer", "unsigned integer"):
            return kind(dtype) == 1 and dtype.name.startswith("u") == (wanted == "unsigned integer")
        if wanted not in _KINDS:
            raise ValueError(f"[isdtype] no kind is called {wanted!r}")
        return kind(dtype) in _KINDS[wanted]
    return dtype == _C.to_dtype(wanted)


class _Info:
    """What __array_namespace_info__() tells."""

    def capabilities(self) -> dict[str, Any]:
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 8}

    def default_device(self) -> str:
        return "cpu"

    def devices(self) -> list[str]:
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        f = _C.get_default_dtype()
        return {"real floating": f, "complex floating": _C.complex128 if f == _C.float64 else _C.complex64, "integral": _C.int64, "indexing": _C.int64}

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        every = {n: getattr(_C, n) for n in _DTYPES}
        return every if kind is None else {n: t for n, t in every.items() if isdtype(t, kind)}


def __array_namespace_info__() -> _Info:
    return _Info()


# ---- elements


def sign(x: Tensor, /) -> Tensor:
    return _C.where(x != x, x, TABLE["sgn"](x)) if kind(x.dtype) == 2 else TABLE["sgn"](x)


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    if min is None and max is None:
        return x.clone()
    return cast_to(TABLE["clamp"](x, min, max), x.dtype)


# ---- shapes


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    return list(TABLE["broadcast_tensors"](*arrays))


def broadcast_to(x: Tensor, /, shape: Any) -> Tensor:
    return _C.broadcast_to(x, tuple(shape))


def expand_dims(x: Tensor, /, *, axis: int = 0) -> Tensor:
    return x.unsqueeze(axis)


def flip(x: Tensor, /, *, axis: Any = None) -> Tensor:
    dims = dims_of("flip", axis, x.ndim)
    return _C.flip(x, dims) if dims else x.clone()


def permute_dims(x: Tensor, /, axes: Any) -> Tensor:
    return x.permute(*axes) if len(axes) else x


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    return TABLE["repeat_interleave"](x, repeats, axis)


def reshape(x: Tensor, /, shape: Any, *, copy: builtins.bool | None = None) -> Tensor:
    return (x.clone() if copy else x).reshape(tuple(shape))


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    if axis is not None and isinstance(shift, int) and not isinstance(axis, int):
        shift = (shift,) * len(axis)
    return TABLE["roll"](x, shift, axis)


def squeeze(x: Tensor, /, axis: Any) -> Tensor:
    for d in dims_of("squeeze", axis, x.ndim):
        if x.shape[d] != 1:
            raise ValueError(f"[squeeze] dimension {d} of {x.shape} is no 1")
    return x.squeeze(axis if isinstance(axis, int) else tuple(axis))


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    return TABLE["unbind"](x, axis)


# ---- searching, sorting, sets


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    if axis is None and x.ndim != 1:
        raise ValueError(f"[take] an axis is needed for the {x.ndim} dimensions of the array")
    d = one_dim("take", 0 if axis is None else axis, x.ndim)
    at = cast_to(indices, _C.int64)
    return _C.take(x, _C.where(at < 0, at + x.shape[d], at), d)


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    return TABLE["argmax"](x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    return TABLE["argmin"](x, axis, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return sum(x != 0 if x.dtype != _C.bool else x, axis=axis, keepdims=keepdims)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    if x.ndim == 0:
        raise ValueError("[nonzero] a 0-d array has no positions")
    return TABLE["nonzero"](x, as_tuple=True)


def searchsorted(x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    return TABLE["searchsorted"](x1, x2, side=side, sorter=sorter)


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    a, b = common(operands(x1, x2))
    return _C.where(condition, a, b)


def sort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    return TABLE["sort"](x, axis, descending).values


def argsort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    return TABLE["sort"](x, axis, descending).indices


def isin(x1: Any, x2: Any, /, *, invert: builtins.bool = False) -> Tensor:
    return TABLE["isin"](x1, x2, invert=invert)


unique_all_result = namedtuple("unique_all_result", "values indices inverse_indices counts")
unique_counts_result = namedtuple("unique_counts_result", "values counts")
unique_inverse_result = namedtuple("unique_inverse_result", "values inverse_indices")


def unique_all(x: Tensor, /) -> unique_all_result:
    """Each different element once, ascending (every NaN is different), where it stands first, and so on."""
    if kind(x.dtype) == 3:
        return _unique_complex(x)
    if kind(x.dtype) == 0:
        u = unique_all(_C.cast(x, _C.uint8))
        return u._replace(values=_C.cast(u.values, _C.bool))
    values, inverse, counts, first = _C.unique(x)
    return unique_all_result(values, first, _C.reshape(inverse, list(x.shape)), counts)


def _unique_complex(x: Tensor) -> unique_all_result:
    import numpy as np

    from ._functions import from_host, to_host

    a = to_host(x)
    values, first, inverse, counts = np.unique(a, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    return unique_all_result(from_host(values), *(from_host(np.asarray(p, np.int64)) for p in (first, np.reshape(inverse, a.shape), counts)))


def unique_counts(x: Tensor, /) -> unique_counts_result:
    u = unique_all(x)
    return unique_counts_result(u.values, u.counts)


def unique_inverse(x: Tensor, /) -> unique_inverse_result:
    u = unique_all(x)
    return unique_inverse_result(u.values, u.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    return unique_all(x).values


# ---- statistics: axis () is no reduction, sums of integers keep their sign's kind


def _sum_dtype(x: Tensor, dtype: Any) -> Any:
    if dtype is not None:
        return _C.to_dtype(dtype)
    if kind(x.dtype) >= 2:
        return x.dtype
    return _C.uint64 if x.dtype.name.startswith("u") else _C.int64


def _over(name: str, x: Tensor, axis: Any, keepdims: builtins.bool, **options: Any) -> Tensor:
    if axis is not None and not hasattr(axis, "__index__") and len(axis) == 0:
        # Nothing is reduced: a dimension of one element is.
        return TABLE[name](x.unsqueeze(0), 0, **options)
    return TABLE[name](x, axis, keepdim=keepdims, **options)


def sum(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Tensor:
    t = _sum_dtype(x, dtype)
    return cast_to(_over("sum", cast_to(x, t), axis, keepdims), t)


def prod(x: Tensor, /, *, axis: Any = None, dtype: Any = None, keepdims: builtins.bool = False) -> Tensor:
    t = _sum_dtype(x, dtype)
    return cast_to(_over("prod", cast_to(x, t), axis, keepdims), t)


def max(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return _over("amax", x, axis, keepdims)


def min(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return _over("amin", x, axis, keepdims)


def mean(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return _over("mean", x, axis, keepdims)


def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    return _over("var", x, axis, keepdims, correction=correction)


def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    return _over("std", x, axis, keepdims, correction=correction)


def all(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return _over("all", x, axis, keepdims)


def any(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    return _over("any", x, axis, keepdims)


def _cumulative(name: str, x: Tensor, axis: int | None, dtype: Any, include_initial: builtins.bool, first: int) -> Tensor:
    if axis is None and x.ndim != 1:
        raise ValueError(f"[{name}] an axis is needed for the {x.ndim} dimensions of the array")
    d, t = one_dim(name, 0 if axis is None else axis, x.ndim), _sum_dtype(x, dtype)
    out = cast_to(TABLE[name](cast_to(x, t), d), t)
    if not include_initial:
        return out
    start = full((*x.shape[:d], 1, *x.shape[d + 1 :]), first, dtype=t)
    return _C.concat([start, out], d)


def cumulative_sum(x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False) -> Tensor:
    return _cumulative("cumsum", x, axis, dtype, include_initial, 0)


def cumulative_prod(x: Tensor, /, *, axis: int | None = None, dtype: Any = None, include_initial: builtins.bool = False) -> Tensor:
    return _cumulative("cumprod", x, axis, dtype, include_initial, 1)


def diff(x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    return _table_diff(x, n, axis, prepend, append)


def _namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"[__array_namespace__] version {api_version!r} is not known: 2024.12 is")
    import deepseek._array_api as namespace

    return namespace


class _Size(int):
    """The number of elements, as the standard has x.size; called as x.size(dim), PyTorch's extents."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


def _size(self: Tensor) -> _Size:
    size = _Size(math.prod(self.shape))
    size.shape = self.shape
    return size


METHODS.__array_namespace__ = _namespace
METHODS.size = property(_size)
METHODS.to_device = lambda self, device, /, *, stream=None: self.to(device)
