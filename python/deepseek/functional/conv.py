"""Convolutions over one, two and three dimensions, and their transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _C
from ._common import Tensor, at, autocast_dtype, cast_products, pair, spatial
from .padding import _constant, windows

_WIDE = (_C.float32, _C.float64)


def _conv2d(x: Tensor, w: Tensor, b: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """The engine's, which computes in float32 or float64: narrower dtypes are stored as themselves."""
    if x.dtype in _WIDE:
        return _C.conv2d(x, w, b, stride, padding, dilation, groups)
    wide = [t if t is None else _C.cast(t, _C.float32) for t in (x, w, b)]
    return _C.cast(_C.conv2d(*wide, stride, padding, dilation, groups), x.dtype)


def _same_padding(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[Tensor, tuple[int, ...]]:
    """padding="same": as much as keeps the extents; an odd one more at the end is put into x."""
    if any(s != 1 for s in stride):
        raise _C.Error(f"[conv] padding 'same' needs stride 1, got {tuple(stride)}")
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    first = x.ndim - len(kernel)
    for i, t in enumerate(total):
        if t % 2:
            x = _constant(x, first + i, 0, 1, 0.0)
    return x, tuple(t // 2 for t in total)


def _conv(n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    op = f"conv{n}d"
    if autocast_dtype[0] is not None:
        input, weight, bias = cast_products(input, weight, bias)
    x, single = spatial(input, n, op)
    if bias is not None and bias.dtype != weight.dtype:
        raise _C.Error(f"[{op}] weight and bias are of two dtypes, {weight.dtype} and {bias.dtype}: cast one of them")
    if weight.ndim != n + 2:
        raise _C.Error(f"[{op}] weight (out, in / groups, {'kernel' if n == 1 else f'{n} extents'}) is needed, got {weight.shape}")
    stride, dilation = pair(stride, n, op, "stride"), pair(dilation, n, op, "dilation")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise _C.Error(f"[{op}] padding {padding!r} is neither 'same' nor 'valid'")
        x, padding = _same_padding(x, weight.shape[2:], stride, dilation) if padding == "same" else (x, (0,) * n)
    else:
        padding = pair(padding, n, op, "padding")
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise _C.Error(f"[{op}] channels do not fit: input {input.shape}, weight {weight.shape}, groups {groups}")
    if n == 2:
        y = _conv2d(x, weight, bias, stride, padding, dilation, groups)
    elif n == 1:
        y = _conv2d(_C.unsqueeze(x, 2), _C.unsqueeze(weight, 2), bias, (1, stride[0]), (0, padding[0]), (1, dilation[0]), groups)
        y = _C.squeeze(y, 2)
    else:
        y = _conv3d(x, weight, bias, stride, padding, dilation, groups)
    return _C.squeeze(y, 0) if single else y


def _conv3d(
    x: Tensor, w: Tensor, b: Tensor | None, stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...], groups: int
) -> Tensor:
    """The depths a kernel sees become channels of a two-dimensional convolution."""
    x = _constant(x, 2, padding[0], padding[0], 0.0)
    batch, channels, depth, height, width = x.shape
    span = dilation[0] * (w.shape[2] - 1) + 1
    if depth < span:
        raise _C.Error(f"[conv3d] a window of {span} does not fit into depth {depth}")
    out = (depth - span) // stride[0] + 1
    seen = windows(_C.permute(x, [0, 1, 3, 4, 2]), [w.shape[2]], stride[:1], dilation[:1], [out])
    stacked = _C.concat([_C.unsqueeze(s, 2) for s in seen], 2)  # (batch, channels, kernel, height, width, out)
    flat = _C.reshape(_C.permute(stacked, [0, 5, 1, 2, 3, 4]), [batch * out, channels * w.shape[2], height, width])
    w2 = _C.reshape(w, [w.shape[0], w.shape[1] * w.shape[2], *w.shape[3:]])
    y = _conv2d(flat, w2, b, stride[1:], padding[1:], dilation[1:], groups)
    return _C.permute(_C.reshape(y, [batch, out, *y.shape[1:]]), [0, 2, 1, 3, 4])


def conv1d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """input (batch, in, length), weight (out, in / groups, kernel)."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """input (batch, in, height, width), weight (out, in / groups, kh, kw)."""
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    """input (batch, in, depth, height, width), weight (out, in / groups, kd, kh, kw)."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _spread(x: Tensor, dim: int, stride: int) -> Tensor:
    """stride - 1 zeros between the elements of a dimension."""
    if stride == 1 or x.shape[dim] <= 1:
        return x
    n = x.shape[dim]
    wide = _constant(_C.unsqueeze(x, dim + 1), dim + 1, 0, stride - 1, 0.0)
    shape = list(x.shape)
    shape[dim] = n * stride
    return at(_C.reshape(wide, shape), dim, 0, (n - 1) * stride + 1)


def _conv_transpose(
    n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Tensor:
    """A convolution of the spread input with the turned kernel."""
    op = f"conv_transpose{n}d"
    if autocast_dtype[0] is not None:
        input, weight, bias = cast_products(input, weight, bias)
    x, single = spatial(input, n, op)
    stride, padding = pair(stride, n, op, "stride"), pair(padding, n, op, "padding")
    extra, dilation = pair(output_padding, n, op, "output_padding"), pair(dilation, n, op, "dilation")
    if weight.ndim != n + 2 or x.shape[1] != weight.shape[0] or x.shape[1] % groups:
        raise _C.Error(f"[{op}] channels do not fit: input {input.shape}, weight {weight.shape}, groups {groups}")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise _C.Error(f"[{op}] output_padding {extra} must be below stride {stride} or dilation {dilation}")
    for i in range(n):
        x = _spread(x, 2 + i, stride[i])
        edge = dilation[i] * (weight.shape[2 + i] - 1) - padding[i]
        before, after = edge, edge + extra[i]
        if before < 0 or after < 0:
            x = at(x, 2 + i, max(-before, 0), x.shape[2 + i] - max(-after, 0))
        x = _constant(x, 2 + i, before, after, 0.0)
    kernel = list(weight.shape[2:])
    w = _C.reshape(weight, [groups, weight.shape[0] // groups, weight.shape[1], *kernel])
    w = _C.permute(w, [0, 2, 1, *range(3, 3 + n)])
    w = _C.flip(_C.reshape(w, [groups * weight.shape[1], weight.shape[0] // groups, *kernel]), list(range(2, 2 + n)))
    y = _conv(n, x, w, bias, 1, 0, dilation, groups)
    return _C.squeeze(y, 0) if single else y


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """input (batch, in, length), weight (in, out / groups, kernel)."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """input (batch, in, height, width), weight (in, out / groups, kh, kw)."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """input (batch, in, depth, height, width), weight (in, out / groups, kd, kh, kw)."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
