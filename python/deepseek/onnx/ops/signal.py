"""Random numbers, windows, Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, engine_dtype, from_numpy, full, host, number
from .shape import cut


def _draw(f: Any, shape: list[int], dtype: Any, seed: Any) -> Tensor:
    """From a seed's own stream, or the default generator's."""
    if seed is not None:
        return f(tuple(shape), int(seed) & (2**64 - 1), 0, dtype, "cpu")
    from ..._random import rand, randn

    return _C.cast((rand if f is _C.random_uniform else randn)(shape), dtype)


def uniform(shape: list[int], low: float, high: float, dtype: Any, seed: Any) -> Tensor:
    wide = dtype if dtype in (_C.float32, _C.float64) else _C.float32
    return _C.cast(_draw(_C.random_uniform, shape, wide, seed) * (high - low) + low, dtype)


def normal(shape: list[int], mean: float, scale: float, dtype: Any, seed: Any) -> Tensor:
    wide = dtype if dtype in (_C.float32, _C.float64) else _C.float32
    return _C.cast(_draw(_C.random_normal, shape, wide, seed) * scale + mean, dtype)


@op("RandomUniform")
def random_uniform(*, shape: list[int], low: float = 0.0, high: float = 1.0, dtype: int = 1, seed: Any = None) -> Tensor:
    return uniform(shape, low, high, engine_dtype(dtype), seed)


@op("RandomUniformLike")
def random_uniform_like(x: Tensor, *, low: float = 0.0, high: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return uniform(list(x.shape), low, high, engine_dtype(dtype) if dtype else x.dtype, seed)


@op("RandomNormal")
def random_normal(*, shape: list[int], mean: float = 0.0, scale: float = 1.0, dtype: int = 1, seed: Any = None) -> Tensor:
    return normal(shape, mean, scale, engine_dtype(dtype), seed)


@op("RandomNormalLike")
def random_normal_like(x: Tensor, *, mean: float = 0.0, scale: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return normal(list(x.shape), mean, scale, engine_dtype(dtype) if dtype else x.dtype, seed)


@op("Bernoulli")
def bernoulli(x: Tensor, *, dtype: Any = None, seed: Any = None) -> Tensor:
    drawn = uniform(list(x.shape), 0.0, 1.0, x.dtype, seed)
    return _C.cast(_C.less(drawn, x), engine_dtype(dtype) if dtype else x.dtype)


@op("Multinomial")
def multinomial(x: Tensor, *, sample_size: int = 1, dtype: int = 6, seed: Any = None) -> Tensor:
    """Rows of unnormalised log-probabilities; the classes drawn, by the greatest of perturbed logits."""
    drawn = uniform([x.shape[0], sample_size, x.shape[1]], 1e-12, 1.0, _C.float32, seed)
    noise = -_C.log(-_C.log(drawn) + 1e-30)
    return _C.cast(_C.argmax(noise + _C.unsqueeze(_C.cast(x, _C.float32), 1), 2, False), engine_dtype(dtype))


def _window(name: str, terms: list[float]) -> None:
    def window(size: Tensor, *, output_datatype: int = 1, periodic: int = 1) -> Tensor:
        n = int(number(size))
        angle = np.arange(n) * (2 * math.pi / max(n if periodic else n - 1, 1))
        return _C.cast(from_numpy(sum(t * np.cos(k * angle) for k, t in enumerate(terms))), engine_dtype(output_datatype))

    op(name)(window)


_window("HannWindow", [0.5, -0.5])
_window("HammingWindow", [25 / 46, -21 / 46])
_window("BlackmanWindow", [0.42, -0.5, 0.08])


@op("MelWeightMatrix")
def mel_weight_matrix(bins: Tensor, length: Tensor, rate: Tensor, low: Tensor, high: Tensor, *, output_datatype: int = 1) -> Tensor:
    count, n, per_second = int(number(bins)), int(number(length)), number(rate)

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    points = np.linspace(0, count + 1, count + 2) * ((mel(number(high)) - mel(number(low))) / (count + 2)) + mel(number(low))
    edges = np.floor(700 * (10 ** (points / 2595) - 1) * (n + 1) / per_second).astype(np.int64)
    out = np.zeros((n // 2 + 1, count), np.float64)
    for i in range(count):
        first, middle, last = edges[i : i + 3]
        if first == middle:
            out[middle, i] = 1
        for j in range(first, middle + 1 if first != middle else first):
            out[j, i] = (j - first) / (middle - first)
        for j in range(middle, last):
            out[j, i] = (last - j) / (last - middle)
    return _C.cast(from_numpy(out), engine_dtype(output_datatype))


def _turns(n: int, kept: int, inverse: bool, dtype: Any) -> tuple[Tensor, Tensor]:
    """cos and sin of the transform, (input, kept frequencies)."""
    angle = 2 * math.pi / n * np.outer(np.arange(n), np.arange(kept)) * (1 if inverse else -1)
    scale = 1 / n if inverse else 1
    return tuple(_C.cast(_C.from_array(f(angle) * scale), dtype) for f in (np.cos, np.sin))  # type: ignore[return-value]


def fourier(x: Tensor, axis: int, length: int | None, inverse: bool, onesided: bool) -> Tensor:
    """x (..., 1 or 2), whose last dimension is (real, imaginary), along axis: by the matrix of the transform."""
    axis %= x.ndim
    n = x.shape[axis] if length is None else length
    if n < x.shape[axis]:
        x = cut(x, axis, 0, n)
    elif n > x.shape[axis]:
        gap = _C.broadcast_to(full((), 0.0, x.dtype), tuple(n - x.shape[axis] if d == axis else m for d, m in enumerate(x.shape)))
        x = _C.concat([x, gap], axis)
    full_inverse = inverse and onesided
    if full_inverse:
        raise_length = length if length is not None else 2 * (x.shape[axis] - 1)
        return _real_inverse(x, axis, raise_length)
    kept = n // 2 + 1 if onesided else n
    cos, sin = _turns(n, kept, inverse, x.dtype)
    last = x.ndim - 1
    moved = _C.transpose(x, axis, last - 1) if axis != last - 1 else x
    real = _C.squeeze(cut(moved, last, 0, 1), last)
    re, im = _C.matmul(real, cos), _C.matmul(real, sin)
    if x.shape[last] == 2:
        imaginary = _C.squeeze(cut(moved, last, 1, 2), last)
        re, im = re - _C.matmul(imaginary, sin), im + _C.matmul(imaginary, cos)
    out = _C.concat([_C.unsqueeze(re, last), _C.unsqueeze(im, last)], last)
    return _C.transpose(out, axis, last - 1) if axis != last - 1 else out


def _real_inverse(x: Tensor, axis: int, n: int) -> Tensor:
    values = host(x)
    spectrum = values[..., 0] + (1j * values[..., 1] if values.shape[-1] == 2 else 0)
    out = np.fft.irfft(spectrum, n, axis=axis)[..., None]
    return from_numpy(out.astype(values.dtype))


@op("DFT", since=17)
def dft_17(x: Tensor, length: Any = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0) -> Tensor:
    return fourier(x, axis, None if length is None else int(number(length)), bool(inverse), bool(onesided))


@op("DFT", since=20)
def dft(x: Tensor, length: Any = None, axis: Any = None, *, inverse: int = 0, onesided: int = 0) -> Tensor:
    at = int(number(axis, -2))
    return fourier(x, at, None if length is None else int(number(length)), bool(inverse), bool(onesided))


@op("STFT")
def stft(x: Tensor, step: Tensor, window: Any = None, length: Any = None, *, onesided: int = 1) -> Tensor:
    """x (batch, samples, 1 or 2) to (batch, frames, frequencies, 2)."""
    n = int(number(length)) if length is not None else window.shape[0]
    hop = int(number(step))
    frames = (x.shape[1] - n) // hop + 1
    index = np.arange(frames)[:, None] * hop + np.arange(n)
    cuts = _C.take(x, _C.from_array(index.astype(np.int64)), 1)  # (batch, frames, n, parts)
    if window is not None:
        cuts = cuts * _C.reshape(window, [1, 1, -1, 1])
    return fourier(cuts, 2, None, False, bool(onesided))
