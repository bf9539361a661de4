"""Which dtype autocast asks of matrix products. Set by amp.py; read by whatever multiplies matrices."""

from __future__ import annotations

from typing import Any

from . import _C
from ._C import Tensor

autocast_dtype: list[Any] = [None]


def cast_products(*xs: Tensor | None) -> tuple[Any, ...]:
    """The inputs of a matrix product or convolution as autocast wants them."""
    t = autocast_dtype[0]
    if t is None:
        return xs
    return tuple(x if x is None or not x.dtype.is_floating_point or x.dtype == t else _C.cast(x, t) for x in xs)


def cast_precise(*xs: Tensor | None) -> tuple[Any, ...]:
    """The inputs of a reduction or a loss: float32 under autocast."""
    t = autocast_dtype[0]
    if t is None:
        return xs
    return tuple(_C.cast(x, _C.float32) if x is not None and x.dtype == t else x for x in xs)
