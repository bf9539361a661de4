"""Interpolation and sampling at coordinates."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from . import op

Tensor = _C.Tensor


def _sources(n: int, size: int, align: bool, scale: Any) -> list[float]:
    if align:
        return [i * (n - 1) / (size - 1) if size > 1 else 0.0 for i in range(size)]
    ratio = 1 / scale if scale else n / size
    return [(i + 0.5) * ratio - 0.5 for i in range(size)]


def _cubic(t: float, a: float) -> float:
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def _weights(n: int, size: int, mode: str, align: bool, scale: Any, antialias: bool) -> Any:
    """The (size, n) matrix that resamples one dimension."""
    import numpy as np

    w = np.zeros((size, n))
    ratio = max(n / size if not scale else 1 / scale, 1.0) if antialias else 1.0
    reach = (2 if mode == "cubic" else 1) * ratio
    for i, at in enumerate(_sources(n, size, align, scale)):
        if mode == "linear" and not antialias:
            at = max(at, 0.0)
        first, last = math.floor(at - reach) + 1, math.ceil(at + reach)
        for j in range(first, last + 1):
            t = (j - at) / ratio
            v = _cubic(t, -0.5 if antialias else -0.75) if mode == "cubic" else max(0.0, 1 - abs(t))
            if antialias and not 0 <= j < n:
                continue
            w[i, min(max(j, 0), n - 1)] += v
        if antialias:
            w[i] /= w[i].sum()
    return w


def _linear_map(x: Tensor, w: Any, dim: int) -> Tensor:
    matrix = _C.cast(_C.from_array(w.T.copy()), x.dtype)
    return _C.transpose(_C.matmul(_C.transpose(x, dim, -1), matrix), dim, -1)


def _nearest(x: Tensor, size: int, dim: int, scale: Any, exact: bool) -> Tensor:
    import numpy as np

    n = x.shape[dim]
    if size == n:
        return x
    ratio = np.float32(1 / scale if scale else n / size)
    at = np.minimum(np.floor((np.arange(size, dtype=np.float32) + (0.5 if exact else 0)) * ratio), n - 1)
    return _C.take(x, _C.from_array(at.astype(np.int64)), dim)


def _sizes(x: Tensor, size: Any, factors: Any) -> list[int]:
    n = x.ndim - 2
    return list(size) if size is not None else [math.floor(x.shape[2 + d] * factors[d]) for d in range(n)]


def _scales(n: int, rest: Any) -> list[Any]:
    """The scales of an overload: one list (.vec), or one number each."""
    given = list(rest[0]) if len(rest) == 1 and isinstance(rest[0], (list, tuple)) else list(rest)
    return [given[d] if d < len(given) else None for d in range(n)]


def _smooth(mode: str, antialias: bool) -> Any:
    def f(x: Tensor, size: Any, align: bool, *rest: Any, scale_factors: Any = None, **_: Any) -> Tensor:
        scales = _scales(x.ndim - 2, [scale_factors] if scale_factors is not None else rest)
        for d, n in enumerate(_sizes(x, size, scales)):
            if n != x.shape[2 + d]:
                scale = None if align else scales[d]
                x = _linear_map(x, _weights(x.shape[2 + d], n, mode, align, scale, antialias), 2 + d)
        return x

    return f


def _near(exact: bool) -> Any:
    def f(x: Tensor, size: Any, *rest: Any, scale_factors: Any = None, **_: Any) -> Tensor:
        scales = _scales(x.ndim - 2, [scale_factors] if scale_factors is not None else rest)
        for d, n in enumerate(_sizes(x, size, scales)):
            x = _nearest(x, n, 2 + d, scales[d], exact)
        return x

    return f


for _n in (1, 2, 3):
    op(f"upsample_nearest{_n}d")(_near(False))
    op(f"_upsample_nearest_exact{_n}d")(_near(True))
op("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")(_smooth("linear", False))
op("_upsample_bilinear2d_aa")(_smooth("linear", True))
op("upsample_bicubic2d")(_smooth("cubic", False))
op("_upsample_bicubic2d_aa")(_smooth("cubic", True))


def _unnormalise(g: Tensor, n: int, align: bool) -> Tensor:
    return (g + 1.0) * ((n - 1) / 2) if align else ((g + 1.0) * n - 1.0) / 2.0


def _fold_back(at: Tensor, low: float, high: float) -> Tensor:
    span = high - low
    if span <= 0:
        return at * 0.0
    away = _C.abs(at - low)
    turns = _C.floor(away / span)
    left = away - turns * span
    odd = turns - 2.0 * _C.floor(turns / 2.0)
    return _C.where(odd > 0.5, span - left, left) + low


def _place(at: Tensor, n: int, padding: int, align: bool) -> Tensor:
    if padding == 2:
        at = _fold_back(at, 0.0, float(n - 1)) if align else _fold_back(at, -0.5, n - 0.5)
    if padding:
        at = _C.minimum(_C.maximum(at, _C.full((), 0.0, at.dtype, "cpu")), _C.full((), float(n - 1), at.dtype, "cpu"))
    return at


def _texel(x: Tensor, ix: Tensor, iy: Tensor) -> Tensor:
    """x (b, c, h, w) at whole coordinates (b, p); zero outside."""
    b, c, h, w = x.shape
    inside = _C.logical_and(_C.logical_and(ix >= 0, ix <= w - 1), _C.logical_and(iy >= 0, iy <= h - 1))
    flat = _C.cast(_C.where(inside, iy * w + ix, iy * 0.0), _C.int64)
    at = _C.broadcast_to(_C.unsqueeze(flat, 1), (b, c, flat.shape[1]))
    values = _C.gather(_C.reshape(x, [b, c, h * w]), 2, at)
    return values * _C.cast(_C.unsqueeze(inside, 1), x.dtype)


@op("grid_sampler", "grid_sampler_2d", "cudnn_grid_sampler")
def grid_sampler(x: Tensor, grid: Tensor, mode: int = 0, padding: int = 0, align: bool = False) -> Tensor:
    b, c, h, w = x.shape
    rows, columns = grid.shape[1:3]
    points = _C.reshape(grid, [b, rows * columns, 2])
    gx, gy = (_C.squeeze(_C.slice(points, 2, i, i + 1, 1), 2) for i in (0, 1))
    ix, iy = _place(_unnormalise(gx, w, align), w, padding, align), _place(_unnormalise(gy, h, align), h, padding, align)
    if mode == 1:
        out = _texel(x, _C.round(ix), _C.round(iy))
    elif mode == 0:
        x0, y0 = _C.detach(_C.floor(ix)), _C.detach(_C.floor(iy))
        fx, fy = ix - x0, iy - y0
        corners = (((1.0 - fx) * (1.0 - fy), 0, 0), (fx * (1.0 - fy), 1, 0), ((1.0 - fx) * fy, 0, 1), (fx * fy, 1, 1))
        out = sum(_texel(x, x0 + float(i), y0 + float(j)) * _C.unsqueeze(k, 1) for k, i, j in corners)
    else:
        raise _C.Error("[grid_sampler] bicubic sampling is not known; use bilinear or nearest")
    return _C.reshape(out, [b, c, rows, columns])
