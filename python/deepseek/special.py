"""torch.special's functions."""

from __future__ import annotations

import math

from . import _C
from ._functions import TABLE, Tensor, as_operand, floating

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e",
    "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
    "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

digamma, erf, erfc, erfinv, exp2, expit, expm1, i0 = (TABLE[n] for n in ("digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "i0"))
log1p, log_softmax, logit, logsumexp, multigammaln = (TABLE[n] for n in ("log1p", "log_softmax", "logit", "logsumexp", "multigammaln"))
polygamma, round, sinc, softmax, xlog1py, xlogy = (TABLE[n] for n in ("polygamma", "round", "sinc", "softmax", "xlog1py", "xlogy"))
psi, gammaln = TABLE["digamma"], TABLE["lgamma"]


def i0e(input: Tensor) -> Tensor:
    return _C.i0e(floating(input))


def i1(input: Tensor) -> Tensor:
    return _C.i1(floating(input))


def i1e(input: Tensor) -> Tensor:
    return _C.i1e(floating(input))


def entr(input: Tensor) -> Tensor:
    """-x log x, 0 at 0, -inf below."""
    x = floating(input)
    return _C.where(x < 0, as_operand(-math.inf, x), -_C.xlogy(x, x))


def ndtr(input: Tensor) -> Tensor:
    """The part of the normal distribution below x."""
    x = floating(input)
    return _C.erfc(x * -math.sqrt(0.5)) * 0.5


def ndtri(input: Tensor) -> Tensor:
    """The inverse of ndtr."""
    x = floating(input)
    return _C.erfinv(x * 2 - 1) * math.sqrt(2)


def log_ndtr(input: Tensor) -> Tensor:
    """log(ndtr(x)), also far below 0."""
    x = floating(input)
    low = x < -1
    t = x * -math.sqrt(0.5)
    safe = _C.where(low, as_operand(0.0, x), t)
    return _C.where(low, _C.log(erfcx(_C.where(low, t, as_operand(1.0, x))) * 0.5) - t * t, TABLE["log1p"](-_C.erfc(-safe) * 0.5))


def erfcx(input: Tensor) -> Tensor:
    """exp(x^2) erfc(x): by Laplace's continued fraction where erfc would vanish."""
    x = floating(input)
    far = x > 5
    y = _C.where(far, x, as_operand(6.0, x))
    f = y
    for k in range(40, 0, -1):
        f = y + (k / 2) / f
    near = _C.where(far, as_operand(0.0, x), x)
    return _C.where(far, 1 / (f * math.sqrt(math.pi)), _C.exp(near * near) * _C.erfc(near))

