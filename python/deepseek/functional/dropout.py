"""Dropouts: zero with probability p, else scaled by 1 / (1 - p)."""

from __future__ import annotations

import math

from .. import _C
from .._random import default_generator, draw
from ._common import Tensor, like


def _written(x: Tensor, y: Tensor, inplace: bool) -> Tensor:
    if inplace:
        _C.assign(x, y, "dropout_")
        return x
    return y


def _check(p: float, op: str) -> None:
    if not 0 <= p <= 1:
        raise _C.Error(f"[{op}] probability {p} is not in [0, 1]")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    _check(p, "dropout")
    if not training or p == 0:
        return input
    if p == 1:
        return _written(input, input * 0.0, inplace)
    return _written(input, _C.dropout(input, p, *default_generator.take(input.numel())), inplace)


def _channels(input: Tensor, p: float, training: bool, inplace: bool, kept: int, op: str) -> Tensor:
    """Whole channels at a time: one draw for each of the first `kept` dimensions."""
    _check(p, op)
    if not training or p == 0:
        return input
    shape = input.shape[:kept] + (1,) * (input.ndim - kept)
    keep = draw("uniform", shape, _C.float32, input.device) >= p
    scale = 1 / (1 - p) if p < 1 else 0.0
    return _written(input, input * (_C.cast(keep, input.dtype) * scale), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return _channels(input, p, training, inplace, input.ndim - 1, "dropout1d")


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return _channels(input, p, training, inplace, min(2, input.ndim), "dropout2d")


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return _channels(input, p, training, inplace, input.ndim - 3, "dropout3d")


_ALPHA = -1.7580993408473766  # what selu saturates at


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...], op: str) -> Tensor:
    """Dropped values become selu's floor, and mean and variance are kept."""
    _check(p, op)
    if not training or p == 0:
        return input
    if p == 1:
        return _written(input, input * 0.0, inplace)
    keep = draw("uniform", shape, _C.float32, input.device) >= p
    a = 1 / math.sqrt((1 - p) * (1 + p * _ALPHA**2))
    return _written(input, _C.where(keep, input, like(input, _ALPHA)) * a - a * _ALPHA * p, inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    return _alpha(input, p, training, inplace, input.shape, "alpha_dropout")


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    shape = input.shape[:2] + (1,) * (input.ndim - 2)
    return _alpha(input, p, training, inplace, shape, "feature_alpha_dropout")
