"""Convolutions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, full
from .pool import Windows
from .shape import cut, padded


def by_taps(x: Tensor, weight: Tensor, w: Windows, groups: int) -> Tensor:
    """A convolution over any number of dimensions: a product of matrices over the stacked taps."""
    batch, channels, outputs = x.shape[0], x.shape[1], weight.shape[0]
    taps = w.taps(x)
    lined = [_C.reshape(t, [batch, groups, channels // groups, 1, -1]) for t in taps]
    columns = _C.reshape(_C.concat(lined, 3), [batch, groups, channels // groups * len(taps), -1])
    rows = _C.reshape(weight, [1, groups, outputs // groups, -1])
    return _C.reshape(_C.matmul(rows, columns), [batch, outputs, *w.count])


@op("Conv")
def conv(x: Tensor, weight: Tensor, bias: Any = None, *, kernel_shape: Any = None, strides: Any = None, pads: Any = None, dilations: Any = None,
         group: int = 1, auto_pad: str = "NOTSET") -> Tensor:  # fmt: skip
    rank = x.ndim - 2
    if x.dtype.is_floating_point and x.dtype.itemsize == 2:  # summed as float32
        wide = [None if t is None else _C.cast(t, _C.float32) for t in (x, weight, bias)]
        return _C.cast(conv(*wide, strides=strides, pads=pads, dilations=dilations, group=group, auto_pad=auto_pad), x.dtype)
    if rank == 1:
        out = conv(_C.unsqueeze(x, 2), _C.unsqueeze(weight, 2), bias, strides=[1, *(strides or [1])], dilations=[1, *(dilations or [1])],
                   pads=[0, pads[0], 0, pads[1]] if pads else None, group=group, auto_pad=auto_pad)  # fmt: skip
        return _C.squeeze(out, 2)
    w = Windows(list(x.shape[2:]), list(weight.shape[2:]), strides, dilations, pads, auto_pad)
    if rank == 2 and x.dtype.is_floating_point:
        edge = (w.pads[0], w.pads[1])
        if w.pads[:2] != w.pads[2:]:
            x, edge = w.padded(x, 0), (0, 0)
        return _C.conv2d(x, weight, bias, tuple(w.strides), edge, tuple(w.dilations), group)
    return with_bias(by_taps(x, weight, w, group), bias)


def with_bias(x: Tensor, bias: Any) -> Tensor:
    return x if bias is None else x + _C.reshape(bias, [-1] + [1] * (x.ndim - 2))


def spread(x: Tensor, dim: int, step: int) -> Tensor:
    """step - 1 zeros between neighbours along dim."""
    if step == 1:
        return x
    n = x.shape[dim]
    lined = _C.unsqueeze(x, dim + 1)
    after = [step - 1 if d == dim + 1 else 0 for d in range(lined.ndim)]
    wide = padded(lined, [0] * lined.ndim, after)
    sizes = list(x.shape)
    sizes[dim] = n * step
    return cut(_C.reshape(wide, sizes), dim, 0, (n - 1) * step + 1)


@op("ConvTranspose")
def conv_transpose(x: Tensor, weight: Tensor, bias: Any = None, *, kernel_shape: Any = None, strides: Any = None, pads: Any = None,
                   dilations: Any = None, group: int = 1, auto_pad: str = "NOTSET", output_padding: Any = None,
                   output_shape: Any = None) -> Tensor:  # fmt: skip
    """As the convolution it is the gradient of: the input spread by the strides, with the kernel turned around."""
    rank = x.ndim - 2
    kernel = list(weight.shape[2:])
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    extra = output_padding or [0] * rank
    edge = list(pads) if pads and auto_pad == "NOTSET" else [0] * (2 * rank)
    full = [(x.shape[i + 2] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + extra[i] for i in range(rank)]
    if output_shape or auto_pad.startswith("SAME"):
        wanted = list(output_shape[-rank:]) if output_shape else [n * s for n, s in zip(x.shape[2:], strides)]
        for i in range(rank):
            total = full[i] - wanted[i]
            small, large = total // 2, total - total // 2
            edge[i], edge[i + rank] = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
    for i in range(rank):
        x = spread(x, i + 2, strides[i])
    reach = [(k - 1) * d for k, d in zip(kernel, dilations)]
    x = padded(x, [0, 0] + [r - e for r, e in zip(reach, edge[:rank])], [0, 0] + [r - e + o for r, e, o in zip(reach, edge[rank:], extra)])
    inputs, outputs = weight.shape[0], weight.shape[1]
    turned = _C.flip(weight, list(range(2, rank + 2)))
    turned = _C.transpose(_C.reshape(turned, [group, inputs // group, outputs, *kernel]), 1, 2)
    turned = _C.reshape(turned, [group * outputs, inputs // group, *kernel])
    return conv(x, turned, bias, dilations=dilations, group=group)


@op("CausalConvWithState")
def causal_conv(x: Tensor, weight: Tensor, bias: Any = None, past: Any = None, *, activation: str = "none") -> tuple[Tensor, Tensor]:
    k = weight.shape[2]
    if past is None:
        past = full((x.shape[0], x.shape[1], k - 1), 0.0, x.dtype)
    whole = _C.concat([past, x], 2) if k > 1 else x
    out = conv(whole, weight, bias, group=x.shape[1])
    state = cut(whole, 2, whole.shape[2] - (k - 1), whole.shape[2])
    if activation in ("silu", "swish"):
        out = _C.silu(out)
    return out, state


@op("DeformConv")
def deform_conv(x: Tensor, weight: Tensor, offset: Tensor, bias: Any = None, mask: Any = None, *, kernel_shape: Any = None, strides: Any = None,
                pads: Any = None, dilations: Any = None, group: int = 1, offset_group: int = 1) -> Tensor:  # fmt: skip
    """Each tap is read between pixels, where its offset says; 2-d."""
    batch, channels, height, width = x.shape
    w = Windows([height, width], list(weight.shape[2:]), strides, dilations, pads, "NOTSET")
    kh, kw = w.kernel
    oh, ow = w.count
    rows = np.arange(oh)[None, None, :, None] * w.strides[0] - w.pads[0] + np.arange(kh)[:, None, None, None] * w.dilations[0]
    columns = np.arange(ow)[None, None, None, :] * w.strides[1] - w.pads[1] + np.arange(kw)[None, :, None, None] * w.dilations[1]
    shape = [batch, offset_group, kh * kw, 2, oh, ow]
    moved = _C.reshape(offset, shape)

    def at(axis: int, base: Any) -> Tensor:
        grid = _C.cast(_C.from_array(np.broadcast_to(base, (kh, kw, oh, ow)).reshape(1, 1, kh * kw, oh, ow).astype(np.float64)), x.dtype)
        return _C.squeeze(cut(moved, 3, axis, axis + 1), 3) + grid

    planes = _C.reshape(x, [batch, offset_group, channels // offset_group, height * width])
    read = bilinear(planes, at(0, rows), at(1, columns), height, width)  # (batch, offset groups, channels, taps, oh, ow)
    if mask is not None:
        read = read * _C.reshape(mask, [batch, offset_group, 1, kh * kw, oh, ow])
    columns_ = _C.reshape(read, [batch, group, channels // group * kh * kw, oh * ow])
    out = _C.matmul(_C.reshape(weight, [1, group, weight.shape[0] // group, -1]), columns_)
    return with_bias(_C.reshape(out, [batch, weight.shape[0], oh, ow]), bias)


def bilinear(planes: Tensor, y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
    """planes (b, g, c, height * width) read at y, x (b, g, ...): zero outside. Gives (b, g, c, ...)."""
    y0, x0 = _C.floor(y), _C.floor(x)
    out: Any = None
    for dy in (0, 1):
        for dx in (0, 1):
            yi, xi = y0 + float(dy), x0 + float(dx)
            share = (1.0 - _C.abs(y - yi)) * (1.0 - _C.abs(x - xi))
            inside = _C.logical_and(_C.logical_and(yi >= 0, yi <= height - 1), _C.logical_and(xi >= 0, xi <= width - 1))
            index = _C.cast(_C.where(inside, yi * float(width) + xi, yi * 0.0), _C.int64)
            share = _C.where(inside, share, share * 0.0)
            b, g, c = planes.shape[:3]
            flat = _C.broadcast_to(_C.reshape(index, [b, g, 1, -1]), (b, g, c, math.prod(index.shape[2:])))
            part = _C.reshape(_C.gather(planes, 3, flat), [b, g, c, *index.shape[2:]]) * _C.unsqueeze(share, 2)
            out = part if out is None else out + part
    return out


