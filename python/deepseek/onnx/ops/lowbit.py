"""Conversions to and from element types that the engine has no tensor of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..values import numpy_dtype

_SATURATING = {17, 18, 19, 20}  # the 8-bit floats that `saturate` is about
_BITS = {21: 4, 22: 4, 25: 2, 26: 2}


def convert(x: Any, to: int, saturate: bool = True, round_mode: str = "up") -> Any:
    """A NumPy array (strings are objects) as another ONNX element type."""
    target = numpy_dtype(to)
    if to == 8:
        return _strings(x)
    if x.dtype == object:
        if to == 9:
            return np.array([bool(int(v)) for v in x.reshape(-1)]).reshape(x.shape)
        return np.array([float(v) for v in x.reshape(-1)], dtype=np.float64).reshape(x.shape).astype(target)
    if x.dtype.name.startswith(("float8", "float4", "int4", "uint4", "int2", "uint2", "bfloat16")):
        x = x.astype(np.float32)
    if to == 24:
        return _powers_of_two(x, saturate, round_mode)
    if to in _SATURATING:
        return _float8(x.astype(np.float32), to, saturate)
    if to in _BITS:
        return _small_integers(x, to)
    if to == 23:
        return np.clip(x.astype(np.float32), -6.0, 6.0).astype(target)
    return x.astype(target)


def _strings(x: Any) -> Any:
    if x.dtype == object:
        return x
    if x.dtype.kind != "f" and x.dtype.name != "bfloat16":
        return np.array([str(v) for v in x.reshape(-1).tolist()], dtype=object).reshape(x.shape)
    return np.array([_float_text(v) for v in x.reshape(-1)], dtype=object).reshape(x.shape)


def _float_text(v: Any) -> str:
    if np.isnan(v):
        return "NaN"
    if np.isinf(v):
        return "INF" if v > 0 else "-INF"
    return str(v)


def _float8(x: Any, to: int, saturate: bool) -> Any:
    """Beyond the largest: that, or what the type has for it (infinity or NaN)."""
    import ml_dtypes

    target = numpy_dtype(to)
    out = x.astype(target)
    info = ml_dtypes.finfo(target)
    largest = float(info.max)
    wide = out.astype(np.float32)
    over = ~np.isfinite(wide) & ~np.isnan(x)
    if saturate:
        capped = np.where(np.signbit(x), -largest, largest).astype(np.float32).astype(target)
        return np.where(over.astype(bool), capped, out)
    return out


def _small_integers(x: Any, to: int) -> Any:
    """The low bits of the whole number."""
    bits = _BITS[to]
    signed = to in (22, 26)
    whole = np.trunc(x.astype(np.float64)) if x.dtype.kind == "f" else x
    low = whole.astype(np.int64) & ((1 << bits) - 1)
    if signed:
        low = np.where(low >= 1 << (bits - 1), low - (1 << bits), low)
    return low.astype(np.int8 if signed else np.uint8).astype(numpy_dtype(to))


def _powers_of_two(x: Any, saturate: bool, round_mode: str) -> Any:
    """float8_e8m0: an exponent alone, by the rounding asked for."""
    x = x.astype(np.float32)
    bits = x.view(np.uint32)
    exponent = ((bits >> 23) & 0xFF).astype(np.int64)
    mantissa = bits & 0x7FFFFF
    if round_mode == "up":
        more = mantissa > 0
    elif round_mode == "nearest":
        more = mantissa >= 0x400000
    else:
        more = np.zeros_like(mantissa, bool)
    top = 254 if saturate else 255
    out = np.minimum(exponent + more, top)
    out = np.where(np.isnan(x), 255, out)
    return out.astype(np.uint8).view(numpy_dtype(24))
