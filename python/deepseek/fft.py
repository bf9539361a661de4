"""Discrete Fourier transforms: torch.fft's and the array API's functions. All are one transform of complex numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import _C
from ._creation import arange
from ._functions import TABLE, Error, Tensor, cast_to, dims_of, from_host, kind, on_host, one_dim

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip


def _sums(x: Tensor, dims: list[int], sign: int) -> Tensor:
    """Sums of x times exp(sign * 2 pi i j k / n) along dims, without a factor. Its adjoint is the other sign's."""
    import numpy as np

    def compute(a: Any) -> Any:
        out = np.fft.fftn(a, axes=dims) if sign < 0 else np.fft.ifftn(a, axes=dims) * math.prod(a.shape[d] for d in dims)
        return out.astype(a.dtype)

    return on_host(compute, [x], lambda g: (_sums(g, dims, -sign),))


def _wide(name: str, x: Tensor, real: bool = False) -> Tensor:
    """x as complex numbers (real: as floating ones)."""
    if real and kind(x.dtype) == 3:
        raise Error(f"[{name}] a real tensor is needed, got {x.dtype}")
    if kind(x.dtype) < 2:
        x = _C.cast(x, _C.get_default_dtype())
    if kind(x.dtype) == 3 or real:
        return x
    return _C.cast(x, getattr(_C, "complex128" if x.dtype == _C.float64 else "complex64"))


def _places(name: str, x: Tensor, n: Any, dim: Any) -> tuple[list[int], list[int]]:
    """(dims, extents to transform) of the arguments s and dim."""
    if x.ndim == 0:
        raise IndexError(f"[{name}] a 0-d tensor has no dimension to transform")
    if dim is None:
        dims = list(range(x.ndim)) if n is None else list(range(x.ndim - len(n), x.ndim))
    else:
        dims = dims_of(name, dim, x.ndim)
    sizes = [x.shape[d] for d in dims] if n is None else [x.shape[d] if s == -1 else s for s, d in zip(n, dims)]
    if n is not None and len(n) != len(dims):
        raise Error(f"[{name}] {len(n)} extents do not fit {len(dims)} dims")
    return dims, sizes


def _fitted(name: str, x: Tensor, dims: list[int], sizes: list[int]) -> Tensor:
    """x cut, or filled up with zeros, to the extents."""
    for d, n in zip(dims, sizes):
        if n < 1:
            raise Error(f"[{name}] an extent of {n} cannot be transformed")
        have = x.shape[d]
        if have > n:
            x = _C.slice(x, d, 0, n, 1)
        elif have < n:
            x = _C.concat([x, _C.full((*x.shape[:d], n - have, *x.shape[d + 1 :]), 0.0, x.dtype, x.device)], d)
    return x


def _scale(name: str, norm: str | None, sizes: list[int], forward: bool) -> float:
    n = math.prod(sizes)
    if norm == "ortho":
        return 1 / math.sqrt(n)
    if norm not in (None, "backward", "forward"):
        raise Error(f'[{name}] norm must be "forward", "backward" or "ortho", got {norm!r}')
    return 1 / n if (norm == "forward") == forward else 1.0


def _scaled(x: Tensor, s: float) -> Tensor:
    return x if s == 1.0 else x * s


def _c2c(name: str, x: Tensor, n: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    dims, sizes = _places(name, x, n, dim)
    x = _fitted(name, _wide(name, x), dims, sizes)
    return _scaled(_sums(x, dims, -1 if forward else 1), _scale(name, norm, sizes, forward)) if dims else x


def _r2c(name: str, x: Tensor, n: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    """Half of the spectrum of real numbers; the last dim is the halved one."""
    dims, sizes = _places(name, x, n, dim)
    if not dims:
        raise Error(f"[{name}] at least one dimension is needed")
    x = _fitted(name, _wide(name, x, real=True), dims, sizes)
    full = _sums(_wide(name, x), dims, -1 if forward else 1)
    return _scaled(_C.slice(full, dims[-1], 0, sizes[-1] // 2 + 1, 1), _scale(name, norm, sizes, forward))


def _c2r(name: str, x: Tensor, n: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    """Real numbers from half of their spectrum; the last dim is the halved one."""
    dims, sizes = _places(name, x, n, dim)
    if not dims:
        raise Error(f"[{name}] at least one dimension is needed")
    if n is None or n[-1] == -1:
        sizes[-1] = 2 * (x.shape[dims[-1]] - 1)
    last, size = dims[-1], sizes[-1]
    if size < 1:
        raise Error(f"[{name}] an extent of {size} cannot be transformed")
    x = _fitted(name, _wide(name, x), dims, [*sizes[:-1], size // 2 + 1])
    sign = -1 if forward else 1
    if len(dims) > 1:
        x = _sums(x, dims[:-1], sign)
    mirrored = _C.flip(_C.slice(x, last, 1, (size + 1) // 2, 1), [last])
    full = _C.concat([x, TABLE["conj"](mirrored)], last)
    return _scaled(_C.real(_sums(full, [last], sign)), _scale(name, norm, sizes, forward))


def _functions(kind_: Callable[..., Tensor], name: str, forward: bool) -> list[Any]:
    """name, name2 and namen."""

    def one(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, axis: int | None = None, out: Any = None) -> Tensor:
        d = dim if axis is None else axis
        return kind_(name, input, None if n is None else [n], one_dim(name, d, input.ndim) if input.ndim else d, norm, forward)

    def many(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, axes: Any = None, out: Any = None) -> Tensor:
        return kind_(name + "n", input, s, dim if axes is None else axes, norm, forward)

    def two(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Tensor:
        return kind_(name + "2", input, s, dim, norm, forward)

    for f, suffix in ((one, ""), (two, "2"), (many, "n")):
        f.__name__ = f.__qualname__ = name + suffix
    return [one, two, many]


fft, fft2, fftn = _functions(_c2c, "fft", True)
ifft, ifft2, ifftn = _functions(_c2c, "ifft", False)
rfft, rfft2, rfftn = _functions(_r2c, "rfft", True)
ihfft, ihfft2, ihfftn = _functions(_r2c, "ihfft", False)
irfft, irfft2, irfftn = _functions(_c2r, "irfft", False)
hfft, hfft2, hfftn = _functions(_c2r, "hfft", True)


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """The frequencies of fft's results, for samples d apart."""
    import numpy as np

    return cast_to(from_host(np.fft.fftfreq(n, d)), dtype or _C.get_default_dtype())


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """The frequencies of rfft's results, for samples d apart."""
    return cast_to(arange(n // 2 + 1, dtype=_C.float64) / (n * d), dtype or _C.get_default_dtype())


def fftshift(input: Tensor, dim: Any = None, *, axes: Any = None) -> Tensor:
    """The zero frequency in the middle."""
    dims = dims_of("fftshift", dim if axes is None else axes, input.ndim)
    return TABLE["roll"](input, [input.shape[d] // 2 for d in dims], dims) if dims else input


def ifftshift(input: Tensor, dim: Any = None, *, axes: Any = None) -> Tensor:
    """fftshift undone."""
    dims = dims_of("ifftshift", dim if axes is None else axes, input.ndim)
    return TABLE["roll"](input, [-(input.shape[d] // 2) for d in dims], dims) if dims else input
