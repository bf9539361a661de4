"""Resampling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, from_numpy, full, host, ints, ints_tensor
from .shape import cut


def _coordinates(mode: str, out: int, length: float, n: int, scale: float, start: float, end: float) -> Any:
    """Where each output element stands among n input elements; `length`: the output's, before it was rounded."""
    i = np.arange(out, dtype=np.float64)
    if mode == "half_pixel":
        return (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        adjust = out / length
        return n / 2 * (1 - adjust) + (i + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if length > 1 else np.zeros_like(i)
    if mode == "align_corners":
        return i * (n - 1) / (length - 1) if length > 1 else np.zeros_like(i)
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "tf_crop_and_resize":
        if out > 1:
            return start * (n - 1) + i * (end - start) * (n - 1) / (out - 1)
        return np.full_like(i, 0.5 * (start + end) * (n - 1))
    raise _C.Error(f"[onnx.Resize] coordinate_transformation_mode {mode!r} is not known")


def _rounded(at: Any, mode: str) -> Any:
    if mode == "round_prefer_floor":
        return np.ceil(at - 0.5)
    if mode == "round_prefer_ceil":
        return np.floor(at + 0.5)
    return np.floor(at) if mode == "floor" else np.ceil(at)


def _kernel(mode: str, distance: Any, a: float) -> Any:
    d = np.abs(distance)
    if mode == "linear":
        return np.clip(1 - d, 0, None)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _taps(mode: str, at: Any, n: int, scale: float, a: float, antialias: int, exclude: int) -> tuple[Any, Any]:
    """Indices and weights (out, taps) of a linear or cubic reading."""
    stretch = min(scale, 1.0) if antialias else 1.0
    reach = (1 if mode == "linear" else 2) / stretch
    first = np.floor(at - reach).astype(np.int64) + 1
    count = int(np.ceil(2 * reach)) + (1 if antialias and scale < 1 else 0)
    index = first[:, None] + np.arange(count)
    weight = _kernel(mode, (index - at[:, None]) * stretch, a)
    if exclude:
        weight = np.where((index < 0) | (index >= n), 0.0, weight)
    if exclude or antialias:
        weight = weight / weight.sum(1, keepdims=True)
    return np.clip(index, 0, n - 1), weight


def resample(x: Tensor, dim: int, index: Any, weight: Any) -> Tensor:
    """Along dim: each output element is a weighted sum of a few input elements."""
    n = x.shape[dim]
    matrix = np.zeros((len(index), n))
    np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    last = x.ndim - 1
    moved = _C.transpose(x, dim, last) if dim != last else x
    out = _C.matmul(moved, _C.cast(_C.from_array(np.ascontiguousarray(matrix.T)), x.dtype))
    return _C.transpose(out, dim, last) if dim != last else out


def _targets(x: Tensor, dims: list[int], scales: Any, sizes: Any, policy: str) -> tuple[list[int], list[float], list[float]]:
    if sizes is not None:
        wanted = ints(sizes)
        factors = [s / x.shape[d] for s, d in zip(wanted, dims)]
        if policy == "stretch":
            return wanted, factors, [float(w) for w in wanted]
        factor = min(factors) if policy == "not_larger" else max(factors)
        exact = [factor * x.shape[d] for d in dims]
        return [int(math.floor(e + 0.5)) for e in exact], [factor] * len(dims), exact
    factors = [float(s) for s in (host(scales).reshape(-1) if hasattr(scales, "dtype") else scales)]
    exact = [f * x.shape[d] for f, d in zip(factors, dims)]
    return [int(math.floor(e + 1e-9)) for e in exact], factors, exact


def _given(x: Any) -> Any:
    return x if x is not None and (not hasattr(x, "shape") or math.prod(x.shape)) else None


@op("Resize", since=11)
def resize(x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None, *, mode: str = "nearest", antialias: int = 0, axes: Any = None,
           coordinate_transformation_mode: str = "half_pixel", cubic_coeff_a: float = -0.75, exclude_outside: int = 0,
           extrapolation_value: float = 0.0, keep_aspect_ratio_policy: str = "stretch", nearest_mode: str = "round_prefer_floor") -> Tensor:  # fmt: skip
    dims = [a % x.ndim for a in axes] if axes is not None else list(range(x.ndim))
    out, factors, exact = _targets(x, dims, _given(scales), _given(sizes), keep_aspect_ratio_policy)
    crop = coordinate_transformation_mode == "tf_crop_and_resize"
    box = host(roi).reshape(-1).astype(np.float64).tolist() if crop else [0.0] * len(dims) + [1.0] * len(dims)
    y = x if x.dtype.is_floating_point else _C.cast(x, _C.float64)
    outside = []
    for i, d in enumerate(dims):
        n, scale = x.shape[d], factors[i]
        if out[i] == n and scale == 1.0 and not crop:
            continue
        at = _coordinates(coordinate_transformation_mode, out[i], exact[i], n, scale, box[i], box[i + len(dims)])
        if mode == "nearest":
            y = _C.take(y, ints_tensor(np.clip(_rounded(at, nearest_mode), 0, n - 1)), d)
        else:
            y = resample(y, d, *_taps(mode, at, n, scale, cubic_coeff_a, antialias, exclude_outside))
        if crop:
            outside.append((d, (at < 0) | (at > n - 1)))
    for d, bad in outside:
        shape = [1] * y.ndim
        shape[d] = len(bad)
        y = _C.where(_C.from_array(bad.reshape(shape).copy()), full((), extrapolation_value, y.dtype), y)
    if y.dtype != x.dtype:
        low, high = np.iinfo(x.dtype.name).min, np.iinfo(x.dtype.name).max
        y = _C.cast(_C.minimum(_C.maximum(_C.round(y), full((), float(low), y.dtype)), full((), float(high), y.dtype)), x.dtype)
    return y


@op("Upsample", "Resize")
def upsample(x: Tensor, scale_tensor: Any = None, *, scales: Any = None, mode: str = "nearest", width_scale: float = 1.0, height_scale: float = 1.0) -> Tensor:
    given = scale_tensor if scale_tensor is not None else scales if scales is not None else [1.0, 1.0, height_scale, width_scale]
    mode = "linear" if mode in ("linear", "bilinear") else mode
    return resize(x, None, given, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


@op("AffineGrid")
def affine_grid(theta: Tensor, size: Tensor, *, align_corners: int = 0) -> Tensor:
    sizes = ints(size)
    batch, space = sizes[0], sizes[2:]
    steps = [np.linspace(-1, 1, n) if align_corners else (np.arange(n) * 2 + 1) / n - 1 for n in space]
    if align_corners:
        steps = [s if len(s) > 1 else np.zeros(1) - 1 for s in steps]
    grid = np.stack([*np.meshgrid(*steps, indexing="ij")[::-1], np.ones(space)], -1).reshape(1, -1, len(space) + 1)
    base = _C.cast(_C.from_array(np.ascontiguousarray(grid)), theta.dtype)
    return _C.reshape(_C.matmul(base, _C.transpose(theta, 1, 2)), [batch, *space, len(space)])


def _unnormalized(g: Tensor, n: int, align: int) -> Tensor:
    return (g + 1.0) * ((n - 1) / 2) if align else (g + 1.0) * (n / 2) - 0.5


def _reflected(at: Tensor, n: int, align: int) -> Tensor:
    low, span = (0.0, float(n - 1)) if align else (-0.5, float(n))
    if span == 0:
        return at * 0.0
    gap = _C.abs(at - low)
    turns = _C.floor(gap / span)
    rest = gap - turns * span
    odd = turns - _C.floor(turns / 2.0) * 2.0
    return _C.where(odd > 0.5, span - rest, rest) + low


@op("GridSample")
def grid_sample(x: Tensor, grid: Tensor, *, mode: str = "linear", padding_mode: str = "zeros", align_corners: int = 0) -> Tensor:
    """Reads x (n, c, ...) where grid (n, ..., rank) says, in any number of dimensions."""
    rank = x.ndim - 2
    sizes = list(x.shape[2:])
    at = [_unnormalized(_C.squeeze(cut(grid, rank + 1, rank - 1 - i, rank - i), rank + 1), sizes[i], align_corners) for i in range(rank)]
    cubic = mode in ("cubic", "bicubic")
    if padding_mode == "reflection" and not cubic:
        at = [_reflected(a, n, align_corners) for a, n in zip(at, sizes)]
    if padding_mode != "zeros" and not cubic:
        at = [_C.minimum(_C.maximum(a, full((), 0.0, a.dtype)), full((), float(n - 1), a.dtype)) for a, n in zip(at, sizes)]
    taps = [_axis_taps(a, mode) for a in at]
    planes = _C.reshape(x, [x.shape[0], x.shape[1], -1])
    out = None
    for choice in np.ndindex(*[len(t) for t in taps]):
        picked = [taps[i][j] for i, j in enumerate(choice)]
        part = _read(planes, picked, sizes, padding_mode, align_corners)
        out = part if out is None else out + part
    return _C.cast(out, x.dtype)


def _axis_taps(at: Tensor, mode: str) -> list[tuple[Tensor, Tensor]]:
    """(places, weights) along one axis."""
    if mode == "nearest":
        place = _C.round(at)
        return [(place, place * 0.0 + 1.0)]
    first = _C.floor(at)
    t = at - first
    if mode in ("linear", "bilinear"):
        return [(first, 1.0 - t), (first + 1.0, t)]
    a = -0.75

    def near(d: Tensor) -> Tensor:
        return ((d * (a + 2) - (a + 3)) * d * d) + 1.0

    def far(d: Tensor) -> Tensor:
        return ((d * a - 5 * a) * d + 8 * a) * d - 4 * a

    return [(first - 1.0, far(t + 1.0)), (first, near(t)), (first + 1.0, near(1.0 - t)), (first + 2.0, far(2.0 - t))]


def _read(planes: Tensor, picked: list[tuple[Tensor, Tensor]], sizes: list[int], padding: str, align: int) -> Tensor:
    index: Any = None
    share: Any = None
    for (place, weight), n in zip(picked, sizes):
        if padding == "reflection":
            place = _reflected(place, n, align)
        inside = _C.logical_and(place >= 0, place <= n - 1)
        place = _C.minimum(_C.maximum(place, full((), 0.0, place.dtype)), full((), float(n - 1), place.dtype))
        if padding == "zeros":
            weight = _C.where(inside, weight, weight * 0.0)
        whole = _C.cast(place, _C.int64)
        index = whole if index is None else index * n + whole
        share = weight if share is None else share * weight
    batch, channels = planes.shape[:2]
    flat = _C.broadcast_to(_C.reshape(index, [batch, 1, -1]), (batch, channels, math.prod(index.shape[1:])))
    read = _C.reshape(_C.gather(planes, 2, flat), [batch, channels, *index.shape[1:]])
    return read * _C.unsqueeze(share, 1)


@op("ImageDecoder")
def image_decoder(data: Tensor, *, pixel_format: str = "RGB") -> Any:
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(host(data).tobytes()))
    if pixel_format == "Grayscale":
        return from_numpy(np.array(picture.convert("L"))[..., None])
    array = np.array(picture.convert("RGB"))
    return from_numpy(np.ascontiguousarray(array[..., ::-1]) if pixel_format == "BGR" else array)
