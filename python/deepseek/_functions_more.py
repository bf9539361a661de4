"""Functions of elements made from others: clamping, interpolation, comparison with a tolerance, logarithms of sums."""

from __future__ import annotations

import math
from typing import Any

from . import _C
from ._functions import (
    METHODS,
    TABLE,
    Error,
    Tensor,
    as_operand,
    cast_to,
    common,
    floating,
    kind,
    op,
    operands,
    result_type,
    results,
)
from ._functions_math import abs, maximum, minimum

_where = _C.where


@op(in_place=True, names=("clip",))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """min(max(input, min), max); where an end is None, there is none."""
    if min is None and max is None:
        raise Error("[clamp] at least one of min and max is needed")
    if kind(input.dtype) == 3:
        raise Error("[clamp] complex numbers have no order")
    x = input
    for bound, below in ((min, True), (max, False)):
        if bound is None:
            continue
        x, b = common(operands(x, bound))
        if isinstance(bound, Tensor) and bound.requires_grad or b.dtype == _C.bool:
            x = maximum(x, b) if below else minimum(x, b)
        else:
            outside = x < b if below else b < x
            if isinstance(bound, Tensor) or bound != bound:
                outside = outside | (b != b)
            x = _where(outside, b, x)
    return x


@op(in_place=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    return clamp(input, min=min)


@op(in_place=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    return clamp(input, max=max)


@op
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; of the condition alone, where it holds: nonzero(as_tuple=True)."""
    if input is None and other is None:
        return TABLE["nonzero"](condition, as_tuple=True)
    a, b = common(operands(input, other))
    return _where(condition if condition.dtype == _C.bool else condition != 0, a, b)


METHODS.where = lambda self, condition, other: where(condition, self, other)


@op(in_place=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    if input.dtype != end.dtype:
        raise Error(f"[lerp] one dtype is needed, got {input.dtype} and {end.dtype}")
    return input + as_operand(weight, input) * (end - input)


@op(in_place=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return TABLE["add"](input, tensor1 * tensor2, alpha=value)


@op(in_place=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    if kind(result_type(tensor1, tensor2)) < 2:
        raise Error("[addcdiv] integers are not divided here: cast them to a floating dtype")
    return TABLE["add"](input, tensor1 / tensor2, alpha=value)


@op
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol |other|."""
    if rtol < 0 or atol < 0:
        raise Error(f"[isclose] rtol and atol must not be negative, got {rtol} and {atol}")
    if input.dtype != other.dtype:
        raise Error(f"[isclose] one dtype is needed, got {input.dtype} and {other.dtype}")
    close = input == other
    if kind(input.dtype) == 0:
        return close
    if equal_nan:
        close = close | ((input != input) & (other != other))
    if rtol == 0 and atol == 0:
        return close
    a, b = (input, other) if kind(input.dtype) >= 2 else (_C.cast(input, _C.float64), _C.cast(other, _C.float64))
    error = abs(a - b)
    return close | (TABLE["isfinite"](error) & (error <= atol + abs(rtol * b)))


@op
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    return bool(_C.all(isclose(input, other, rtol, atol, equal_nan)))


@op
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are the same."""
    return input.shape == other.shape and bool(_C.all(input == other))


@op(in_place=True)
def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN replaced by nan (0), the infinities by posinf and neginf (the greatest and least finite numbers)."""
    if kind(input.dtype) < 2:
        return input
    if kind(input.dtype) == 3:
        parts = (nan_to_num(TABLE[part](input), nan, posinf, neginf) for part in ("real", "imag"))
        return TABLE["complex"](*parts)
    limits = TABLE["finfo"](input.dtype)
    x = _where(input != input, as_operand(float(nan or 0), input), input)
    x = _where(input == math.inf, as_operand(float(limits.max if posinf is None else posinf), input), x)
    return _where(input == -math.inf, as_operand(float(limits.min if neginf is None else neginf), input), x)


@op(in_place=True)
def hypot(input: Tensor, other: Tensor) -> Tensor:
    a, b = common((floating(input), floating(other)))
    return _C.hypot(a, b)


@op(in_place=True, names=("arctan2",))
def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), within [-pi, pi]."""
    a, b = operands(input, other)
    a, b = common((floating(a), floating(b)))
    return _C.atan2(a, b)


@op(in_place=True)
def copysign(input: Any, other: Any) -> Tensor:
    """The magnitude of input with the sign of other."""
    a, b = operands(input, other)
    a, b = common((floating(a), floating(b)))
    return _C.copysign(a, b)


@op
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)), without overflow."""
    a, b = common((floating(input), floating(other)))
    return _C.logaddexp(a, b)


@op
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2**input + 2**other), without overflow."""
    log2 = math.log(2)
    return logaddexp(floating(input) * log2, floating(other) * log2) / log2


@op(in_place=True)
def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), and 0 where input is 0 and other is not NaN."""
    a, b = operands(input, other)
    a, b = common((floating(a), floating(b)))
    return _C.xlogy(a, b)


@op
def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log1p(other), and 0 where input is 0 and other is not NaN."""
    a, b = operands(input, other)
    a, b = common((floating(a), floating(b)))
    nothing = (a == 0) & (b == b)
    return _where(nothing, as_operand(0.0, a), a * TABLE["log1p"](_where(nothing, as_operand(0.0, b), b)))


@op(in_place=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2**other."""
    return floating(input) * _C.pow(as_operand(2.0), floating(other))


@op(in_place=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, values at 0, 1 above."""
    a, b = common((input, values))
    return _where(a == 0, b, cast_to(a > 0, a.dtype))


@op(in_place=True)
def deg2rad(input: Tensor) -> Tensor:
    return floating(input) * (math.pi / 180)


@op(in_place=True)
def rad2deg(input: Tensor) -> Tensor:
    return floating(input) * (180 / math.pi)


@op(in_place=True)
def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""
    return _C.sinc(floating(input))


@op(in_place=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), of x kept within [eps, 1 - eps]."""
    x = floating(input)
    if eps is not None:
        low, high = as_operand(eps, x), as_operand(1 - eps, x)
        x = _where(x < low, low, _where(x > high, high, x))
    return _C.log(x / (1 - x))


@op
def gcd(input: Tensor, other: Tensor) -> Tensor:
    import numpy as np

    from ._functions import on_host

    return on_host(np.gcd, common((input, other)))


@op
def lcm(input: Tensor, other: Tensor) -> Tensor:
    import numpy as np

    from ._functions import on_host

    return on_host(np.lcm, common((input, other)))


@op
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of that dtype from input towards other."""
    a, b = TABLE["broadcast_tensors"](*common((input, other)))
    out = _C.nextafter(_C.detach(a), _C.detach(b))
    return _C.custom([out], [a], lambda g: g)[0] if a.requires_grad and _C.is_grad_enabled() else out


@op
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent) with input = mantissa * 2**exponent and the mantissa in [0.5, 1)."""

    import numpy as np

    from ._functions import on_host

    mantissa, exponent = on_host(np.frexp, [_C.detach(input)])
    if input.requires_grad:
        mantissa = input * _C.detach(_C.pow(as_operand(2.0, input), -_C.cast(exponent, input.dtype)))
    return results("frexp", "mantissa exponent")(mantissa, exponent)


@op(in_place=True)
def relu(input: Tensor) -> Tensor:
    return _C.relu(input) if kind(input.dtype) >= 2 else clamp(input, min=0)


@op
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    return _along(_C.softmax, floating(cast_to(input, dtype)), dim)


@op
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    return _along(_C.log_softmax, floating(cast_to(input, dtype)), dim)


def _along(c: Any, x: Tensor, dim: int) -> Tensor:
    """c along dim; a 0-d tensor is a vector of one."""
    return c(x, dim) if x.ndim else _C.reshape(c(_C.reshape(x, [1]), dim), [])


@op(in_place=True)
def sgn(input: Tensor) -> Tensor:
    """sign; of complex numbers x / |x|."""
    if kind(input.dtype) != 3:
        return TABLE["sign"](input)
    size = abs(input)
    return _where(size == 0, as_operand(0.0, input), input / _where(size == 0, as_operand(1.0, size), size))

