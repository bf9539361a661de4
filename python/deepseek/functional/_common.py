"""What the functions of this package share: numbers beside tensors, reductions of losses, autocast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _C
from .._autocast import autocast_dtype, cast_precise, cast_products  # noqa: F401
from .._C import Tensor


def like(x: Tensor, value: float) -> Tensor:
    """A scalar of x's dtype and device."""
    return _C.full((), float(value), x.dtype, x.device)


def power(x: Tensor, p: float) -> Tensor:
    if p == 2:
        return x * x
    if p == 0.5:
        return _C.sqrt(x)
    return _C.pow(x, like(x, p))


def zeros(x: Tensor, shape: Sequence[int]) -> Tensor:
    return _C.full(tuple(shape), 0.0, x.dtype, x.device)


def pair(value: Any, n: int, op: str, what: str) -> tuple[int, ...]:
    """`value`, a number or n numbers (or one in a tuple), as n numbers."""
    if isinstance(value, int):
        return (value,) * n
    out = tuple(int(v) for v in value)
    if len(out) == 1:
        return out * n
    if len(out) != n:
        raise _C.Error(f"[{op}] {what} {tuple(value)} has {len(out)} numbers, {n} are needed")
    return out


def at(x: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    """x[start:stop:step] along one dimension, outside of what Python's views track."""
    return _C.slice(x, dim, start, stop, step)


def reduced(loss: Tensor, reduction: str, op: str) -> Tensor:
    if reduction == "mean":
        return _C.mean(loss)
    if reduction == "sum":
        return _C.sum(loss)
    if reduction == "none":
        return loss
    raise _C.Error(f"[{op}] reduction {reduction!r} is none of 'none', 'mean', 'sum'")


def spatial(x: Tensor, n: int, op: str) -> tuple[Tensor, bool]:
    """x as (batch, channels, *n extents), and whether the batch was added."""
    if x.ndim == n + 2:
        return x, False
    if x.ndim == n + 1:
        return _C.unsqueeze(x, 0), True
    raise _C.Error(f"[{op}] a tensor of rank {n + 1} or {n + 2} is needed, got shape {x.shape}")
