"""Quantised arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import CODES, NAMES, Tensor, code_of, engine_dtype, from_numpy, full_like, to_numpy
from .lowbit import convert
from .nn import conv

_RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767), "uint4": (0, 15), "int4": (-8, 7),
           "uint2": (0, 3), "int2": (-2, 1)}  # fmt: skip


def as_float(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of floats, from whatever holds the elements."""
    dtype = dtype or _C.float32
    if isinstance(x, np.ndarray):
        x = from_numpy(x.astype(np.float32))
    return _C.cast(x, dtype)


def spread(p: Tensor, x: Any, axis: int, block: int) -> Tensor:
    """A scale or zero point, lined up with x: one for all, one an index along axis, or one a block of them."""
    if p.ndim == 0 or (p.ndim == 1 and p.shape[0] == 1 and not block):
        return _C.reshape(p, [1] * x.ndim)
    axis %= x.ndim
    if p.ndim == 1 and not block:
        return _C.reshape(p, [-1 if d == axis else 1 for d in range(x.ndim)])
    index = np.minimum(np.arange(x.shape[axis]) // block, p.shape[axis] - 1)
    return _C.take(p, _C.from_array(index.astype(np.int64)), axis)


@op("QuantizeLinear")
def quantize(x: Tensor, scale: Tensor, zero_point: Any = None, *, axis: int = 1, block_size: int = 0, output_dtype: int = 0, saturate: int = 1,
             precision: int = 0) -> Any:  # fmt: skip
    to = code_of(zero_point) if zero_point is not None else output_dtype or 2
    wide = engine_dtype(precision) if precision else _C.float32
    y = _C.cast(x, wide) / spread(_C.cast(scale, wide), x, axis, block_size)
    if NAMES[to] not in _RANGES:
        if zero_point is not None:
            y = y + spread(as_float(zero_point), x, axis, block_size)
        return from_numpy(convert(to_numpy(y), to, bool(saturate)))
    low, high = _RANGES[NAMES[to]]
    y = _C.round(y)
    if zero_point is not None:
        y = y + spread(as_float(zero_point), x, axis, block_size)
    return as_integers(y, low, high, to)


def as_integers(y: Tensor, low: int, high: int, to: int) -> Any:
    y = _C.minimum(_C.maximum(y, full_like(y, low)), full_like(y, high))
    dtype = engine_dtype(to)
    return _C.cast(y, dtype) if dtype is not None else from_numpy(convert(to_numpy(y), to))


@op("DequantizeLinear")
def dequantize(x: Any, scale: Tensor, zero_point: Any = None, *, axis: int = 1, block_size: int = 0, output_dtype: int = 0) -> Tensor:
    y = as_float(x)
    if zero_point is not None:
        y = y - spread(as_float(zero_point), y, axis, block_size)
    y = y * spread(_C.cast(scale, _C.float32), y, axis, block_size)
    return _C.cast(y, engine_dtype(output_dtype) if output_dtype else scale.dtype)


@op("DynamicQuantizeLinear")
def dynamic_quantize(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    zero = full_like(x, 0)
    low, high = _C.minimum(_C.amin(x, [], False), zero), _C.maximum(_C.amax(x, [], False), zero)
    scale = (high - low) / 255.0
    point = _C.round(_C.minimum(_C.maximum(-low / scale, zero), full_like(x, 255)))
    y = _C.round(x / scale) + point
    return as_integers(y, 0, 255, 2), scale, _C.cast(point, _C.uint8)


def _shifted(x: Any, zero_point: Any, rows: bool) -> Tensor:
    """x - zero point, as float64: sums of products of bytes are exact there."""
    y = as_float(x, _C.float64)
    if zero_point is None:
        return y
    z = as_float(zero_point, _C.float64)
    if z.ndim == 1 and z.shape[0] > 1:
        z = _C.reshape(z, [-1, 1]) if rows else z
    elif z.ndim == 1:
        z = _C.reshape(z, [])
    return y - z


@op("MatMulInteger")
def matmul_integer(a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Tensor:
    return _C.cast(_C.matmul(_shifted(a, a_zero, True), _shifted(b, b_zero, False)), _C.int32)


@op("QLinearMatMul")
def qlinear_matmul(a: Any, a_scale: Tensor, a_zero: Any, b: Any, b_scale: Tensor, b_zero: Any, y_scale: Tensor, y_zero: Any) -> Any:
    def lined(s: Tensor, rows: bool) -> Tensor:
        s = _C.cast(s, _C.float64)
        if s.ndim == 1 and s.shape[0] == 1:
            return _C.reshape(s, [])
        return _C.reshape(s, [-1, 1]) if rows and s.ndim == 1 else s

    total = _C.matmul(_shifted(a, a_zero, True), _shifted(b, b_zero, False))
    factor = lined(a_scale, True) * lined(b_scale, False) / lined(y_scale, True)
    return _requantized(total * factor, y_zero)


def _requantized(y: Tensor, zero: Any) -> Any:
    name = zero.dtype.name
    y = _C.round(y) + as_float(zero, _C.float64)
    return as_integers(y, *_RANGES[name], CODES[name])


@op("ConvInteger")
def conv_integer(x: Any, w: Any, x_zero: Any = None, w_zero: Any = None, **attributes: Any) -> Tensor:
    return _C.cast(conv(_shifted(x, x_zero, False), _per_filter(w, w_zero), None, **attributes), _C.int32)


def _per_filter(w: Any, zero: Any) -> Tensor:
    y = as_float(w, _C.float64)
    if zero is None:
        return y
    z = as_float(zero, _C.float64)
    return y - (_C.reshape(z, [-1] + [1] * (y.ndim - 1)) if z.ndim and z.shape[0] > 1 else _C.reshape(z, []))


@op("QLinearConv")
def qlinear_conv(x: Any, x_scale: Tensor, x_zero: Any, w: Any, w_scale: Tensor, w_zero: Any, y_scale: Tensor, y_zero: Any, bias: Any = None,
                 **attributes: Any) -> Any:  # fmt: skip
    b = as_float(bias, _C.float64) if bias is not None else None
    total = conv(_shifted(x, x_zero, False), _per_filter(w, w_zero), b, **attributes)
    factor = _C.cast(x_scale, _C.float64) * _C.cast(w_scale, _C.float64) / _C.cast(y_scale, _C.float64)
    if factor.ndim and factor.shape[0] > 1:
        factor = _C.reshape(factor, [1, -1] + [1] * (total.ndim - 2))
    else:
        factor = _C.reshape(factor, [])
    return _requantized(total * factor, y_zero)


