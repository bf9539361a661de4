"""torch.signal.windows: windows of M samples, symmetric (sym) or one period of a periodic one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from . import _C
from ._creation import arange, full
from ._functions import TABLE, Error, Tensor, cast_to


def _window(f: Callable[..., Tensor]) -> Any:
    """Makes f(k, last, ...) of the samples k = 0 ... and the last one's number a window function of M."""

    def g(
        M: int, *args: Any, sym: bool = True, dtype: Any = None, layout: Any = None, device: str = "cpu", requires_grad: bool = False, **kwargs: Any
    ) -> Tensor:
        t = _C.to_dtype(dtype) if dtype is not None else _C.get_default_dtype()
        if not t.is_floating_point or t.itemsize < 4:
            raise Error(f"[{f.__name__}] float32 or float64 is needed, got {t}")
        if sym and kwargs.get("center") is not None:
            raise Error(f"[{f.__name__}] the center of a symmetric window is its middle, got center={kwargs['center']}")
        if M < 0:
            raise Error(f"[{f.__name__}] the number of samples must not be negative, got {M}")
        if M <= 1:
            f(arange(2, dtype=_C.float64), 1.0, *args, **kwargs)  # for what it says of its arguments
            out = full((M,), 1.0, dtype=t)
        else:
            out = cast_to(f(arange(M, dtype=_C.float64), float(M - 1 if sym else M), *args, **kwargs), t)
        return out.requires_grad_() if requires_grad else out

    g.__name__ = f.__name__
    g.__doc__ = f.__doc__
    return staticmethod(g)


def _cosines(k: Tensor, last: float, a: Iterable[float]) -> Tensor:
    weights = list(a)
    if not weights:
        raise Error("[general_cosine] at least one coefficient is needed")
    out = k * 0.0
    for i, w in enumerate(weights):
        out = out + _C.cos(k * (2 * math.pi * i / last)) * (w if i % 2 == 0 else -w)
    return out


class windows:
    """The window functions."""

    @_window
    def general_cosine(k: Tensor, last: float, a: Iterable[float]) -> Tensor:
        """A sum of cosines with the weights a, the signs alternating."""
        return _cosines(k, last, a)

    @_window
    def general_hamming(k: Tensor, last: float, alpha: float = 0.54) -> Tensor:
        return _cosines(k, last, [alpha, 1 - alpha])

    @_window
    def hamming(k: Tensor, last: float) -> Tensor:
        return _cosines(k, last, [0.54, 0.46])

    @_window
    def hann(k: Tensor, last: float) -> Tensor:
        return _cosines(k, last, [0.5, 0.5])

    @_window
    def blackman(k: Tensor, last: float) -> Tensor:
        return _cosines(k, last, [0.42, 0.5, 0.08])

    @_window
    def nuttall(k: Tensor, last: float) -> Tensor:
        return _cosines(k, last, [0.3635819, 0.4891775, 0.1365995, 0.0106411])

    @_window
    def bartlett(k: Tensor, last: float) -> Tensor:
        """A triangle that begins and ends with 0."""
        return 1 - _C.abs(k * (2 / last) - 1)

    @_window
    def cosine(k: Tensor, last: float) -> Tensor:
        return _C.sin((k + 0.5) * (math.pi / (last + 1)))

    @_window
    def gaussian(k: Tensor, last: float, std: float = 1.0) -> Tensor:
        if std <= 0:
            raise Error(f"[gaussian] std must be positive, got {std}")
        away = (k - last / 2) / (std * math.sqrt(2))
        return _C.exp(-(away * away))

    @_window
    def exponential(k: Tensor, last: float, center: float | None = None, tau: float = 1.0) -> Tensor:
        """exp(-|k - center| / tau); the center is the middle and, of a symmetric window, nothing else."""
        if tau <= 0:
            raise Error(f"[exponential] tau must be positive, got {tau}")
        return _C.exp(-_C.abs(k - (last / 2 if center is None else center)) / tau)

    @_window
    def kaiser(k: Tensor, last: float, beta: float = 12.0) -> Tensor:
        if beta < 0:
            raise Error(f"[kaiser] beta must not be negative, got {beta}")
        at = k * (2 / last) - 1
        root = _C.sqrt(TABLE["clamp"](1 - at * at, min=0.0))
        return _C.i0(root * beta) / _C.i0(full((), float(beta), dtype=_C.float64))
