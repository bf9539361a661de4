"""Images: rearranging, resizing and sampling."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from .. import _C
from ._common import Tensor, at, pair
from .padding import _constant
from .pooling import _adaptive_avg_pool, along


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c r^2, h, w) -> (..., c, h r, w r)."""
    r = upscale_factor
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise _C.Error(f"[pixel_shuffle] {c} channels do not divide by {r} squared")
    n = len(lead)
    x = _C.reshape(input, [*lead, c // (r * r), r, r, h, w])
    x = _C.permute(x, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return _C.reshape(x, [*lead, c // (r * r), h * r, w * r])


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., c, h r, w r) -> (..., c r^2, h, w)."""
    r = downscale_factor
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise _C.Error(f"[pixel_unshuffle] height {h} and width {w} do not divide by {r}")
    n = len(lead)
    x = _C.reshape(input, [*lead, c, h // r, r, w // r, r])
    x = _C.permute(x, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return _C.reshape(x, [*lead, c * r * r, h // r, w // r])


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    b, c, *rest = input.shape
    if c % groups:
        raise _C.Error(f"[channel_shuffle] {c} channels do not divide into {groups} groups")
    x = _C.transpose(_C.reshape(input, [b, groups, c // groups, *rest]), 1, 2)
    return _C.reshape(x, [b, c, *rest])


def _columns(size: Sequence[int], kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Any, list[int], list[int]]:
    """Where in the padded image each element of unfold's (kernel places, windows) lies."""
    import numpy as np

    padded = [n + 2 * p for n, p in zip(size, padding)]
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, d, s in zip(padded, kernel, dilation, stride)]
    if min(out) < 1:
        raise _C.Error(f"[unfold] a window of {tuple(kernel)} does not fit into {tuple(size)} with padding {tuple(padding)}")
    y = (np.arange(kernel[0]) * dilation[0])[:, None, None, None] + (np.arange(out[0]) * stride[0])[None, None, :, None]
    x = (np.arange(kernel[1]) * dilation[1])[None, :, None, None] + (np.arange(out[1]) * stride[1])[None, None, None, :]
    flat = (y * padded[1] + x).reshape(kernel[0] * kernel[1], out[0] * out[1])
    return np.ascontiguousarray(flat.astype(np.int64)), padded, out


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """(batch, c, h, w) -> (batch, c * kernel places, windows)."""
    x = input if input.ndim == 4 else _C.unsqueeze(input, 0)
    k, d, p, s = (pair(v, 2, "unfold", "argument") for v in (kernel_size, dilation, padding, stride))
    index, _, _ = _columns(x.shape[2:], k, d, p, s)
    x = _constant(_constant(x, 2, p[0], p[0], 0.0), 3, p[1], p[1], 0.0)
    y = _C.take(_C.reshape(x, [*x.shape[:2], x.shape[2] * x.shape[3]]), _C.from_array(index), 2)
    y = _C.reshape(y, [x.shape[0], x.shape[1] * index.shape[0], index.shape[1]])
    return y if input.ndim == 4 else _C.squeeze(y, 0)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of unfold added up again: (batch, c * kernel places, windows) -> (batch, c, *output_size)."""
    x = input if input.ndim == 3 else _C.unsqueeze(input, 0)
    size = pair(output_size, 2, "fold", "output_size")
    k, d, p, s = (pair(v, 2, "fold", "argument") for v in (kernel_size, dilation, padding, stride))
    index, padded, _ = _columns(size, k, d, p, s)
    if x.shape[2] != index.shape[1] or x.shape[1] % index.shape[0]:
        raise _C.Error(f"[fold] input {input.shape} does not hold {index.shape[1]} windows of {index.shape[0]} places")
    rows = x.shape[0] * x.shape[1] // index.shape[0]
    zeros = _C.full((rows, padded[0] * padded[1]), 0.0, x.dtype, x.device)
    spots = _C.broadcast_to(_C.from_array(index.reshape(1, -1)), (rows, index.size))
    y = _C.scatter_add(zeros, 1, spots, _C.reshape(x, [rows, index.size]))
    y = _C.reshape(y, [x.shape[0], x.shape[1] // index.shape[0], *padded])
    y = at(at(y, 2, p[0], p[0] + size[0]), 3, p[1], p[1] + size[1])
    return y if input.ndim == 3 else _C.squeeze(y, 0)


# ---- interpolate


def _cubic(t: Any, a: float) -> Any:
    """Keys' kernel."""
    import numpy as np

    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def _positions(n: int, out: int, align_corners: bool, scale: float | None) -> Any:
    import numpy as np

    i = np.arange(out, dtype=np.float64)
    if align_corners:
        return i * ((n - 1) / (out - 1)) if out > 1 else i * 0.0
    ratio = 1 / scale if scale else n / out
    return (i + 0.5) * ratio - 0.5


def _resize_matrix(n: int, out: int, kind: str, align_corners: bool, scale: float | None) -> Any:
    """(n, out): how much of each input element is in each output element."""
    import numpy as np

    matrix = np.zeros((n, out))
    columns = np.arange(out)
    x = _positions(n, out, align_corners, scale)
    if kind == "linear":
        x = np.maximum(x, 0)
        low = np.minimum(np.floor(x).astype(int), n - 1)
        share = np.clip(x - low, 0, 1)
        np.add.at(matrix, (low, columns), 1 - share)
        np.add.at(matrix, (np.minimum(low + 1, n - 1), columns), share)
    else:
        low = np.floor(x).astype(int)
        for k in range(-1, 3):
            np.add.at(matrix, (np.clip(low + k, 0, n - 1), columns), _cubic(x - low - k, -0.75))
    return matrix


def _antialias_matrix(n: int, out: int, kind: str, align_corners: bool, scale: float | None) -> Any:
    """As above, with a kernel as wide as the step between outputs."""
    import numpy as np

    ratio = ((n - 1) / (out - 1) if out > 1 else 0.0) if align_corners else (1 / scale if scale else n / out)
    wide = max(ratio, 1.0)
    matrix = np.zeros((n, out))
    reach = (1.0 if kind == "linear" else 2.0) * wide
    for o in range(out):
        centre = ratio * (o + 0.5)
        start = max(int(centre - reach + 0.5), 0)
        stop = min(int(centre + reach + 0.5), n)
        t = (np.arange(start, stop) - centre + 0.5) / wide
        w = np.maximum(1 - np.abs(t), 0) if kind == "linear" else _cubic(t, -0.5)
        matrix[start:stop, o] = w / w.sum()
    return matrix


def _nearest(x: Tensor, dim: int, out: int, exact: bool, scale: float | None) -> Tensor:
    import numpy as np

    n = x.shape[dim]
    if out == n and scale is None:
        return x
    ratio = np.float32(1 / scale if scale else n / out)
    i = np.arange(out, dtype=np.float32)
    index = np.floor((i + np.float32(0.5)) * ratio) if exact else np.floor(i * ratio)
    return _C.take(x, _C.from_array(np.minimum(index, n - 1).astype(np.int64)), dim)


_KINDS = {"linear": (1, "linear"), "bilinear": (2, "linear"), "trilinear": (3, "linear"), "bicubic": (2, "cubic")}


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """(batch, channels, extents...) resized to `size`, or by scale_factor."""
    n = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise _C.Error("[interpolate] one of size and scale_factor is needed")
    scales: list[float | None] = [None] * n
    if size is not None:
        out = list(pair(size, n, "interpolate", "size"))
    else:
        factors = [float(scale_factor)] * n if isinstance(scale_factor, (int, float)) else [float(f) for f in scale_factor]
        if len(factors) != n:
            raise _C.Error(f"[interpolate] scale_factor {scale_factor} does not have {n} numbers for {input.shape}")
        out = [math.floor(e * f) for e, f in zip(input.shape[2:], factors)]
        if not recompute_scale_factor:
            scales = list(factors)
    if mode in ("nearest", "nearest-exact"):
        x = input
        for i in range(n):
            x = _nearest(x, 2 + i, out[i], mode == "nearest-exact", scales[i])
        return x
    if mode == "area":
        return _adaptive_avg_pool(n, input, out)
    if mode not in _KINDS or _KINDS[mode][0] != n:
        raise _C.Error(f"[interpolate] mode {mode!r} does not fit a tensor of rank {input.ndim}")
    return _resized(input, out, _KINDS[mode][1], bool(align_corners), scales, antialias)


def _resized(x: Tensor, out: list[int], kind: str, align_corners: bool, scales: list[float | None], antialias: bool) -> Tensor:
    make = _antialias_matrix if antialias else _resize_matrix
    for i, o in enumerate(out):
        if o == x.shape[2 + i] and scales[i] in (None, 1.0):
            continue
        matrix = make(x.shape[2 + i], o, kind, align_corners, scales[i])
        x = along(x, 2 + i, _C.cast(_C.from_array(matrix), x.dtype))
    return x


upsample = interpolate


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    return interpolate(input, size, scale_factor, "bilinear", True)


# ---- grids


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """theta (batch, 2, 3) or (batch, 3, 4) -> sampling places (batch, *extents, 2 or 3) for images of `size`."""
    import numpy as np

    extents = [int(s) for s in size][2:]
    axes = []
    for n in extents:
        line = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        axes.append(line if align_corners else line * ((n - 1) / n))
    mesh = np.meshgrid(*axes, indexing="ij")[::-1]
    base = np.stack([*mesh, np.ones(extents)], -1).reshape(-1, len(extents) + 1)
    grid = _C.matmul(_C.cast(_C.from_array(base), theta.dtype), _C.transpose(theta, 1, 2))
    return _C.reshape(grid, [theta.shape[0], *extents, len(extents)])


def _reflect(x: Tensor, low: float, high: float) -> Tensor:
    """Back and forth between low and high."""
    if high <= low:
        return x * 0.0
    span = high - low
    y = abs(x - low)
    flips = _C.floor(_C.detach(y) / span)
    extra = y - flips * span
    odd = flips - _C.floor(flips / 2.0) * 2.0
    return _C.where(odd == 0, extra + low, high - extra)


def _clamp(x: Tensor, low: float, high: float) -> Tensor:
    lo, hi = _C.full((), low, x.dtype, x.device), _C.full((), high, x.dtype, x.device)
    return _C.where(x <= lo, lo, _C.where(x >= hi, hi, x))


def _unnormalised(g: Tensor, n: int, align_corners: bool) -> Tensor:
    return (g + 1.0) * ((n - 1) / 2) if align_corners else ((g + 1.0) * float(n) - 1.0) * 0.5


def _inside(x: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    if padding_mode == "border":
        return _clamp(x, 0, n - 1)
    if padding_mode == "reflection":
        x = _reflect(x, 0, n - 1) if align_corners else _reflect(x, -0.5, n - 0.5)
        return _clamp(x, 0, n - 1)
    return x


def _at_places(flat: Tensor, places: list[Tensor], extents: Sequence[int]) -> Tensor:
    """Elements (batch, channels, places) at whole places (batch, places); 0 outside."""
    index: Any = None
    valid: Any = None
    for p, n in zip(places, extents):
        ok = _C.logical_and(p >= 0, p <= n - 1)
        i = _C.cast(_clamp(p, 0, n - 1), _C.int64)
        index = i if index is None else index * n + i
        valid = ok if valid is None else _C.logical_and(valid, ok)
    b, c, _ = flat.shape
    shape = (b, c, index.shape[1])
    picked = _C.gather(flat, 2, _C.broadcast_to(_C.unsqueeze(index, 1), shape))
    return picked * _C.cast(_C.unsqueeze(valid, 1), flat.dtype)


def _cubic_weights(t: Tensor) -> list[Tensor]:
    a = -0.75

    def near(u: Tensor) -> Tensor:
        return (u * (a + 2) - (a + 3)) * u * u + 1.0

    def far(u: Tensor) -> Tensor:
        return ((u - 5.0) * u + 8.0) * u * a - 4 * a

    return [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None) -> Tensor:
    """input (batch, c, h, w), grid (batch, ho, wo, 2) of (x, y) in [-1, 1] -> (batch, c, ho, wo); likewise in 3-d."""
    n = input.ndim - 2
    if n not in (2, 3) or grid.ndim != n + 2 or grid.shape[-1] != n or grid.shape[0] != input.shape[0]:
        raise _C.Error(f"[grid_sample] grid {grid.shape} does not fit input {input.shape}")
    if mode not in ("bilinear", "nearest", "bicubic") or padding_mode not in ("zeros", "border", "reflection"):
        raise _C.Error(f"[grid_sample] mode {mode!r} with padding_mode {padding_mode!r} is not known")
    corners = bool(align_corners)
    batch, extents, out = input.shape[0], input.shape[2:], grid.shape[1:-1]
    flat = _C.reshape(input, [batch, input.shape[1], -1])
    points = _C.reshape(grid, [batch, -1, n])
    where = [_unnormalised(_C.reshape(at(points, 2, n - 1 - d, n - d), [batch, -1]), extents[d], corners) for d in range(n)]
    if mode == "bicubic":
        total = _bicubic(flat, where, extents, padding_mode, corners)
    else:
        where = [_inside(w, e, padding_mode, corners) for w, e in zip(where, extents)]
        if mode == "nearest":
            total = _at_places(flat, [_C.round(w) for w in where], extents)
        else:
            low = [_C.floor(_C.detach(w)) for w in where]
            share = [w - f for w, f in zip(where, low)]
            total = None
            for corner in itertools.product((0, 1), repeat=n):
                weight = None
                for bit, s in zip(corner, share):
                    w = s if bit else 1.0 - s
                    weight = w if weight is None else weight * w
                part = _at_places(flat, [f + float(b) for f, b in zip(low, corner)], extents) * _C.unsqueeze(weight, 1)
                total = part if total is None else total + part
    return _C.reshape(total, [batch, input.shape[1], *out])


def _bicubic(flat: Tensor, where: list[Tensor], extents: Sequence[int], padding_mode: str, corners: bool) -> Tensor:
    low = [_C.floor(_C.detach(w)) for w in where]
    weights = [_cubic_weights(w - f) for w, f in zip(where, low)]
    total: Any = None
    for taps in itertools.product(range(4), repeat=len(where)):
        places = [_inside(f + float(i - 1), n, padding_mode, corners) for f, i, n in zip(low, taps, extents)]
        share = functools.reduce(lambda a, b: a * b, (w[i] for w, i in zip(weights, taps)))
        part = _at_places(flat, [_C.round(p) for p in places], extents) * _C.unsqueeze(share, 1)
        total = part if total is None else total + part
    return total
