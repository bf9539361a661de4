"""Complex numbers and their parts; of real tensors too."""

from __future__ import annotations

import math
from typing import Any

from . import _C
from ._functions import METHODS, Error, Tensor, as_operand, broadcast_shapes, cast_to, floating, kind, op

_make: Any = getattr(_C, "complex", None)


@op
def real(input: Tensor) -> Tensor:
    """The real part; writing to it writes to the complex tensor."""
    if kind(input.dtype) != 3:
        return input
    return _C.view(input, _C.real, lambda base, value: _make(cast_to(value, _C.real(base).dtype), _C.imag(base)))


@op
def imag(input: Tensor) -> Tensor:
    """The imaginary part; writing to it writes to the complex tensor."""
    if kind(input.dtype) != 3:
        raise Error(f"[imag] a complex tensor is needed, got {input.dtype}")
    return _C.view(input, _C.imag, lambda base, value: _make(_C.real(base), cast_to(value, _C.real(base).dtype)))


def _set_part(name: str) -> Any:
    f = {"real": real, "imag": imag}[name]
    return property(f, lambda self, value: _C.assign(f(self), _C.broadcast_to(as_operand(value, f(self)), self.shape), name))


METHODS.real, METHODS.imag = _set_part("real"), _set_part("imag")


@op(in_place=True, names=("conj_physical",))
def conj(input: Tensor) -> Tensor:
    return _C.conj(input) if kind(input.dtype) == 3 else input


@op
def resolve_conj(input: Tensor) -> Tensor:
    return input


@op
def resolve_neg(input: Tensor) -> Tensor:
    return input


@op
def angle(input: Tensor) -> Tensor:
    """The argument of complex numbers; pi for negative real ones, else 0."""
    x = floating(input)
    if kind(x.dtype) == 3:
        return _C.angle(x)
    return _C.where(x != x, x, _C.where(x < 0, as_operand(math.pi, x), x * 0.0))


@op(method=False)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """Complex numbers of their parts."""
    if real.dtype != imag.dtype or kind(real.dtype) != 2:
        raise Error(f"[complex] two real tensors of one floating dtype are needed, got {real.dtype} and {imag.dtype}")
    shape = broadcast_shapes(real.shape, imag.shape)
    return _make(_C.broadcast_to(real, shape), _C.broadcast_to(imag, shape))


@op(method=False)
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers of a magnitude and an argument."""
    return complex(abs * _C.cos(angle), abs * _C.sin(angle))


@op(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """(...) complex as (..., 2) real."""
    if kind(input.dtype) != 3:
        raise Error(f"[view_as_real] a complex tensor is needed, got {input.dtype}")

    def take(base: Tensor) -> Tensor:
        parts = [_C.unsqueeze(f(base), base.ndim) for f in (_C.real, _C.imag)]
        return _C.concat(parts, base.ndim)

    return _C.view(input, take, lambda base, value: _of_pairs(value))


def _of_pairs(x: Tensor) -> Tensor:
    parts = (_C.squeeze(_C.slice(x, x.ndim - 1, i, i + 1, 1), x.ndim - 1) for i in (0, 1))
    return _make(*parts)


@op(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """(..., 2) real as (...) complex."""
    if input.ndim == 0 or input.shape[-1] != 2 or kind(input.dtype) != 2:
        raise Error(f"[view_as_complex] a floating tensor of shape (..., 2) is needed, got {input.dtype} {input.shape}")
    return _of_pairs(input)


@op
def isreal(input: Tensor) -> Tensor:
    return _C.imag(input) == 0 if kind(input.dtype) == 3 else _C.full(input.shape, 1.0, _C.bool, input.device)


@op(method=False)
def is_conj(input: Tensor) -> bool:
    return False
