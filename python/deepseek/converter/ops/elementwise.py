"""Arithmetic, comparisons, activations."""

from __future__ import annotations

import math
import operator
from typing import Any

from ... import _C
from . import TABLE, op, same

Tensor = _C.Tensor
_INVERSE_SQRT_PI = 2 / math.sqrt(math.pi)

same("""
    abs neg exp log sqrt rsqrt sin cos tanh erf floor ceil round sign sigmoid relu logical_not
    tan asin acos atan sinh cosh asinh acosh atanh atan2 log1p expm1 log2 log10 exp2 trunc frac erfc erfinv isinf
    isfinite isnan reciprocal square lgamma digamma fmod remainder floor_divide hypot logaddexp logical_xor
    bitwise_not bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift nan_to_num real imag
    complex polar view_as_real view_as_complex angle conj xlogy fmax fmin lerp
    hardtanh hardswish hardsigmoid elu selu celu gelu silu mish softplus softsign leaky_relu prelu glu relu6
    logsigmoid hardshrink softshrink tanhshrink threshold rrelu
""")


def number(x: Tensor, value: Any) -> Tensor:
    """A number beside x, of x's dtype (a fraction beside integers: the default dtype)."""
    if isinstance(value, Tensor):
        return value
    whole = isinstance(value, int) or x.dtype.is_floating_point
    return _C.full((), float(value), x.dtype if whole else _C.get_default_dtype(), x.device)


def _scaled(other: Any, alpha: Any) -> Any:
    return other if alpha == 1 else other * alpha


op("add", "add_relu")(lambda x, y, alpha=1: x + _scaled(y, alpha))
op("sub", "subtract")(lambda x, y, alpha=1: x - _scaled(y, alpha))
op("rsub")(lambda x, y, alpha=1: y - _scaled(x, alpha))
op("mul", "multiply")(operator.mul)
op("true_divide")(operator.truediv)
op("eq")(operator.eq)
op("ne", "not_equal")(operator.ne)
op("lt", "less")(operator.lt)
op("le", "less_equal")(operator.le)
op("gt", "greater")(operator.gt)
op("ge", "greater_equal")(operator.ge)
op("negative")(operator.neg)
op("maximum")(_C.maximum)
op("minimum")(_C.minimum)


def _bool(x: Any) -> Any:
    return x if not isinstance(x, Tensor) or x.dtype == _C.bool else x != 0


op("logical_and")(lambda x, y: _C.logical_and(_bool(x), _bool(y)))
op("logical_or")(lambda x, y: _C.logical_or(_bool(x), _bool(y)))
op("logical_not")(lambda x: _C.logical_not(_bool(x)))


def _bitwise(name: str, logical: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        if x.dtype == _C.bool:
            return logical(x, number(x, y))
        return getattr(_C, name)(x, number(x, y))

    op(name, f"__{name.removeprefix('bitwise_')}__")(f)


_bitwise("bitwise_and", _C.logical_and)
_bitwise("bitwise_or", _C.logical_or)
_bitwise("bitwise_xor", _C.not_equal)


@op("bitwise_not")
def _bitwise_not(x: Tensor) -> Tensor:
    return _C.logical_not(x) if x.dtype == _C.bool else -x - 1


@op("floor_divide")
def floor_divide(x: Any, y: Any) -> Any:
    if not isinstance(x, Tensor):
        return x // y
    if hasattr(_C, "floor_divide"):
        return _C.floor_divide(x, number(x, y))
    return _C.cast(_C.floor(x / y), x.dtype)


@op("remainder")
def _remainder(x: Any, y: Any) -> Any:
    if not isinstance(x, Tensor):
        return x % y
    return _C.remainder(x, number(x, y)) if hasattr(_C, "remainder") else x - floor_divide(x, y) * y


@op("div", "divide")
def div(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return floor_divide(x, y)
    q = x / y
    if rounding_mode == "trunc":
        q = _C.where(q < 0, _C.ceil(q), _C.floor(q))
        return _C.cast(q, x.dtype) if not x.dtype.is_floating_point else q
    return q


@op("pow")
def power(x: Any, y: Any) -> Tensor:
    if not isinstance(x, Tensor):
        return _C.pow(number(y, x), y)
    if y == 2 if not isinstance(y, Tensor) else False:
        return x * x
    return _C.pow(x, number(x, y))


@op("clamp", "clip", "hardtanh")
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    if min is not None:
        x = _C.maximum(x, number(x, min))
    return x if max is None else _C.minimum(x, number(x, max))


TABLE["hardtanh"] = lambda x, low=-1, high=1: clamp(x, low, high)
op("clamp_min")(lambda x, low: clamp(x, low))
op("clamp_max")(lambda x, high: clamp(x, None, high))
op("relu6")(lambda x: clamp(x, 0.0, 6.0))
op("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")(
    lambda c, x, y: _C.where(c, *_pair(x, y)))  # fmt: skip
op("masked_fill")(lambda x, mask, value: _C.where(mask, _C.cast(number(x, value), x.dtype), x))


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    if isinstance(x, Tensor):
        return x, number(x, y)
    if isinstance(y, Tensor):
        return number(y, x), y
    t = _C.get_default_dtype()
    return _C.full((), float(x), t, "cpu"), _C.full((), float(y), t, "cpu")


op("square")(lambda x: x * x)
op("reciprocal")(lambda x: 1.0 / x)
op("logaddexp")(lambda x, y: _C.maximum(x, y) + _C.log(1.0 + _C.exp(-_C.abs(x - y))))
op("lerp")(lambda x, end, weight: x + weight * (end - x))
op("addcmul")(lambda x, a, b, value=1: x + a * b * value)
op("addcdiv")(lambda x, a, b, value=1: x + a / b * value)
op("isnan")(lambda x: x != x)


@op("gelu")
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "none":
        return _C.gelu(x)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1.0 + _C.tanh(inner))


op("silu", "swish")(_C.silu)
op("hardsigmoid")(lambda x: clamp(x + 3.0, 0.0, 6.0) / 6.0)
op("hardswish")(lambda x: x * clamp(x + 3.0, 0.0, 6.0) / 6.0)
op("leaky_relu")(lambda x, slope=0.01: _C.where(x > 0, x, x * slope))


@op("elu")
def elu(x: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    negative = alpha * (_C.exp(_C.minimum(x, number(x, 0)) * input_scale) - 1.0)
    return _C.where(x > 0, x, negative) * scale


op("celu")(lambda x, alpha=1.0: elu(x, alpha, 1, 1 / alpha))
op("selu")(lambda x: elu(x, 1.6732632423543772, 1.0507009873554805))


@op("softplus")
def softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    z = x * beta
    soft = (_C.relu(z) + _C.log(1.0 + _C.exp(-_C.abs(z)))) / beta
    return _C.where(z > threshold, x, soft)


op("mish")(lambda x: x * _C.tanh(softplus(x)))
op("softsign")(lambda x: x / (1.0 + _C.abs(x)))
op("log_sigmoid", "logsigmoid")(lambda x: -softplus(-x))
op("hardshrink")(lambda x, lam=0.5: _C.where(_C.abs(x) > lam, x, x * 0.0))
op("threshold")(lambda x, limit, value: _C.where(x > limit, x, number(x, value)))
op("softshrink")(lambda x, lam=0.5: x - clamp(x, -lam, lam))


@op("prelu", "_prelu_kernel")
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    if x.ndim > 1 and weight.ndim == 1 and weight.shape[0] > 1:
        weight = _C.reshape(weight, [-1] + [1] * (x.ndim - 2))
    return _C.where(x > 0, x, x * weight)


@op("glu")
def glu(x: Tensor, dim: int = -1) -> Tensor:
    half = x.shape[dim] // 2
    return _C.slice(x, dim, 0, half, 1) * _C.sigmoid(_C.slice(x, dim, half, 2 * half, 1))


for _f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
           operator.neg, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, operator.and_,
           operator.or_, operator.not_, operator.getitem):  # fmt: skip
    TABLE[f"operator.{_f.__name__}"] = _f
TABLE["math.floor"], TABLE["math.ceil"], TABLE["math.trunc"] = math.floor, math.ceil, math.trunc
TABLE["sym_float"], TABLE["sym_int"], TABLE["sym_min"], TABLE["sym_max"] = float, int, min, max
TABLE["sym_not"], TABLE["sym_sqrt"] = operator.not_, math.sqrt
