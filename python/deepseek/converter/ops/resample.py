"""Interpolation and sampling as ATen spells them: an op for each mode and rank."""

from __future__ import annotations

from typing import Any

from ... import functional as F
from ..._C import Tensor
from . import op


def _factors(given: tuple[Any, ...], factors: Any) -> Any:
    """The scales of an overload, one list (.vec) or one number each; None where only the size counts."""
    flat = factors if factors is not None else given[0] if given and isinstance(given[0], (list, tuple)) else given
    return list(flat) if flat and all(f is not None for f in flat) else None


def _sized(mode: str, antialias: bool = False) -> Any:
    def resize(x: Tensor, size: Any, align: bool, *scales: Any, scale_factors: Any = None, **_: Any) -> Tensor:
        factors = _factors(scales, scale_factors)
        return F.interpolate(x, None if factors else size, factors, mode, align, antialias=antialias)

    return resize


def _nearest(mode: str) -> Any:
    def resize(x: Tensor, size: Any, *scales: Any, scale_factors: Any = None, **_: Any) -> Tensor:
        factors = _factors(scales, scale_factors)
        return F.interpolate(x, None if factors else size, factors, mode)

    return resize


for _n in (1, 2, 3):
    op(f"upsample_nearest{_n}d")(_nearest("nearest"))
    op(f"_upsample_nearest_exact{_n}d")(_nearest("nearest-exact"))
op("upsample_linear1d")(_sized("linear"))
op("upsample_bilinear2d")(_sized("bilinear"))
op("upsample_trilinear3d")(_sized("trilinear"))
op("upsample_bicubic2d")(_sized("bicubic"))
op("_upsample_bilinear2d_aa")(_sized("bilinear", antialias=True))
op("_upsample_bicubic2d_aa")(_sized("bicubic", antialias=True))


@op("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(x: Tensor, grid: Tensor, mode: int, padding: int, align: bool) -> Tensor:
    return F.grid_sample(x, grid, ("bilinear", "nearest", "bicubic")[mode], ("zeros", "border", "reflection")[padding], align)


op("affine_grid_generator")(F.affine_grid)
