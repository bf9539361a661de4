"""Padding, and the windows that pools and unfold see."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _C
from ._common import Tensor, at


def _constant(x: Tensor, dim: int, before: int, after: int, value: float) -> Tensor:
    parts = [x]
    shape = list(x.shape)
    for n, first in ((before, True), (after, False)):
        if n > 0:
            shape[dim] = n
            block = _C.full(tuple(shape), float(value), x.dtype, x.device)
            parts = [block, *parts] if first else [*parts, block]
    return _C.concat(parts, dim) if len(parts) > 1 else x


def _indexed(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    import numpy as np

    n = x.shape[dim]
    if n == 0 or n + before + after < 0:
        raise _C.Error(f"[pad] mode {mode!r} has nothing to repeat in dimension {dim} of {x.shape}")
    i = np.arange(-before, n + after)
    if mode == "replicate":
        i = i.clip(0, n - 1)
    elif mode == "circular":
        if max(before, after) > n:
            raise _C.Error(f"[pad] circular padding ({before}, {after}) is wider than dimension {dim} of {x.shape}")
        i %= n
    else:
        if max(before, after) >= n:
            raise _C.Error(f"[pad] reflect padding ({before}, {after}) must be below dimension {dim} of {x.shape}")
        i = np.abs(i)
        i = np.where(i >= n, 2 * (n - 1) - i, i)
    return _C.take(x, _C.from_array(i.astype(np.int64)), dim)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """pad: (before, after) of the last dimension, then of the one before it, ...; negative numbers cut."""
    pads = [int(p) for p in pad]
    if len(pads) % 2 or len(pads) > 2 * input.ndim:
        raise _C.Error(f"[pad] {tuple(pads)} are not pairs for the dimensions of {input.shape}")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise _C.Error(f"[pad] mode {mode!r} is none of 'constant', 'reflect', 'replicate', 'circular'")
    x = input
    for k in range(len(pads) // 2):
        before, after = pads[2 * k], pads[2 * k + 1]
        dim = input.ndim - 1 - k
        if mode in ("constant", "circular") and (before < 0 or after < 0):
            n = x.shape[dim]
            start, stop = max(-before, 0), n - max(-after, 0)
            if stop < start:
                raise _C.Error(f"[pad] ({before}, {after}) cuts more than dimension {dim} of {input.shape} has")
            x = at(x, dim, start, stop)
            before, after = max(before, 0), max(after, 0)
        if before or after:
            x = _constant(x, dim, before, after, value or 0.0) if mode == "constant" else _indexed(x, dim, before, after, mode)
    return x


def windows(x: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], out: Sequence[int]) -> list[Tensor]:
    """For each place of the kernel, row-major, what it sees: tensors of x's leading dimensions and `out`."""
    parts = [x]
    first = x.ndim - len(kernel)
    for d, (k, s, w, n) in enumerate(zip(kernel, stride, dilation, out)):
        parts = [at(p, first + d, i * w, i * w + (n - 1) * s + 1, s) for p in parts for i in range(k)]
    return parts
