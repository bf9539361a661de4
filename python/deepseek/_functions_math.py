"""Functions of elements: arithmetic, comparison, logic, bits and the elementary functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import _C
from ._functions import METHODS, TABLE, Error, Tensor, as_operand, common, floating, kind, on_host, op, operands

pi = math.pi


def _named(name: str, f: Callable[..., Any], **options: Any) -> Any:
    f.__name__ = f.__qualname__ = name
    return op(f, **options)


def _unary(name: str, *names: str) -> None:
    """A function of floating numbers: integers are cast to the default dtype."""
    c: Any = getattr(_C, name)

    def f(input: Any) -> Tensor:
        try:
            return c(input)
        except (TypeError, Error):
            x = floating(input)
            if x is not input:
                return c(x)
            if kind(x.dtype) == 3 and name in _COMPLEX:
                return _complex_function(name, x)
            raise

    _named(name, f, names=names, in_place=True)


# What the engine has for real numbers only: NumPy's functions of complex ones, with their slopes.
_COMPLEX: dict[str, Callable[[Tensor], Tensor]] = {
    "log1p": lambda z: 1 / (1 + z), "expm1": lambda z: _C.exp(z), "exp2": lambda z: _C.exp(z * math.log(2)) * math.log(2),
    "log2": lambda z: 1 / (z * math.log(2)), "log10": lambda z: 1 / (z * math.log(10)),
    "tan": lambda z: 1 / (_C.cos(z) * _C.cos(z)), "sinh": lambda z: TABLE["cosh"](z), "cosh": lambda z: TABLE["sinh"](z),
    "tanh": lambda z: 1 / (TABLE["cosh"](z) * TABLE["cosh"](z)), "asin": lambda z: 1 / _C.sqrt(1 - z * z),
    "acos": lambda z: -1 / _C.sqrt(1 - z * z), "atan": lambda z: 1 / (1 + z * z), "asinh": lambda z: 1 / _C.sqrt(1 + z * z),
    "acosh": lambda z: 1 / (_C.sqrt(z - 1) * _C.sqrt(z + 1)), "atanh": lambda z: 1 / (1 - z * z),
}  # fmt: skip


def _complex_function(name: str, z: Tensor) -> Tensor:
    import numpy as np

    numpy_name = name if hasattr(np, name) else name.replace("a", "arc", 1)
    with np.errstate(all="ignore"):
        return on_host(getattr(np, numpy_name), [z], lambda g: (g * _C.conj(_COMPLEX[name](z)),))


for _n in ("exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "erf", "erfc", "erfinv", "exp2",
           "expm1", "log1p", "log2", "log10", "lgamma", "digamma", "i0"):  # fmt: skip
    _unary(_n)
for _n in ("sin", "cos", "tan"):
    for _h in ("", "h"):
        if f"a{_n}{_h}" in dir(_C):
            _unary(f"a{_n}{_h}", f"arc{_n}{_h}")
_unary("sigmoid", "expit")


@op(in_place=True)
def reciprocal(input: Tensor) -> Tensor:
    """1 / input; integers are cast to the default dtype."""
    return _C.reciprocal(floating(input))


@op(in_place=True, names=("absolute",))
def abs(input: Tensor) -> Tensor:
    return input if input.dtype == _C.bool else _C.abs(input)


@op(in_place=True, names=("negative",))
def neg(input: Tensor) -> Tensor:
    if input.dtype == _C.bool:
        raise Error("[neg] bool has no negative: use logical_not")
    return _C.neg(input)


@op
def positive(input: Tensor) -> Tensor:
    if input.dtype == _C.bool:
        raise Error("[positive] a number is needed, got bool")
    return input


@op(in_place=True)
def sign(input: Tensor) -> Tensor:
    return input if input.dtype == _C.bool else _C.sign(input)


@op(in_place=True)
def square(input: Tensor) -> Tensor:
    return input & input if input.dtype == _C.bool else input * input


def _rounded(name: str, c: Callable[[Tensor], Tensor]) -> None:
    def f(input: Tensor) -> Tensor:
        k = kind(input.dtype)
        if k == 3 or (k == 0 and name != "trunc"):
            raise Error(f"[{name}] a real number is needed, got {input.dtype}")
        return input if k < 2 else c(input)

    _named(name, f, in_place=True, names=("fix",) if name == "trunc" else ())


_rounded("floor", _C.floor)
_rounded("ceil", _C.ceil)
_rounded("trunc", _C.trunc)


@op(in_place=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest whole number, or to `decimals` places; halves go to the even one."""
    if kind(input.dtype) == 3:
        return TABLE["complex"](*(round(part(input), decimals=decimals) for part in (_C.real, _C.imag)))
    if kind(input.dtype) < 2:
        if input.dtype == _C.bool:
            raise Error("[round] a number is needed, got bool")
        return input
    if decimals == 0:
        return _C.round(input)
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    return _C.round(input * scale) / scale if decimals > 0 else _C.round(input / scale) * scale


@op(in_place=True)
def frac(input: Tensor) -> Tensor:
    return input - TABLE["trunc"](input)


def _asked(name: str) -> None:
    c = getattr(_C, name)

    def f(input: Tensor) -> Tensor:
        if kind(input.dtype) != 3:
            return c(input)
        re, im = c(_C.real(input)), c(_C.imag(input))
        return _C.logical_and(re, im) if name == "isfinite" else _C.logical_or(re, im)

    _named(name, f)


for _n in ("isnan", "isinf", "isfinite"):
    _asked(_n)


@op
def isposinf(input: Tensor) -> Tensor:
    return input == math.inf


@op
def isneginf(input: Tensor) -> Tensor:
    return input == -math.inf


@op
def signbit(input: Tensor) -> Tensor:
    return input ^ input if input.dtype == _C.bool else _C.signbit(input)


# ---- two operands


@op(in_place=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other."""
    a, b = operands(input, other)
    if alpha != 1:
        if isinstance(alpha, float) and kind(_promoted(a, b)) < 2:
            raise Error(f"[add] alpha {alpha} is no integer, the operands are {a.dtype} and {b.dtype}")
        b = b * alpha
    return _C.logical_or(a, b) if a.dtype == _C.bool == b.dtype else _C.add(a, b)


def _promoted(a: Tensor, b: Tensor) -> Any:
    return TABLE["promote_types"](a.dtype, b.dtype)


@op(in_place=True, names=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    a, b = operands(input, other)
    if a.dtype == _C.bool == b.dtype:
        raise Error("[sub] bool cannot be subtracted: use logical_xor")
    if isinstance(alpha, float) and alpha != int(alpha) and kind(_promoted(a, b)) < 2:
        raise Error(f"[sub] alpha {alpha} is no integer, the operands are {a.dtype} and {b.dtype}")
    return _C.sub(a, b if alpha == 1 else b * alpha)


@op
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    return sub(other, input, alpha=alpha)


@op(in_place=True, names=("multiply",))
def mul(input: Any, other: Any) -> Tensor:
    a, b = operands(input, other)
    return _C.logical_and(a, b) if a.dtype == _C.bool == b.dtype else _C.mul(a, b)


@op(in_place=True, names=("divide",))
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    a, b = operands(input, other)
    if rounding_mode is None:
        return _C.true_divide(a, b)
    if rounding_mode == "floor":
        return floor_divide(a, b)
    if rounding_mode != "trunc":
        raise Error(f'[div] rounding_mode must be None, "floor" or "trunc", got {rounding_mode!r}')
    a, b = common((a, b))
    if kind(a.dtype) < 2:
        q = floor_divide(a, b)
        return _C.where(((q < 0) & (q * b != a)), q + 1, q)
    return TABLE["trunc"](a / b)


@op(in_place=True)
def true_divide(input: Any, other: Any) -> Tensor:
    return div(input, other)


@op(in_place=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down, as Python's //."""
    a, b = common(operands(input, other))
    if kind(a.dtype) in (0, 3):
        raise Error(f"[floor_divide] real numbers are needed, got {a.dtype}")
    return _C.floor_divide(a, b)


@op(in_place=True)
def remainder(input: Any, other: Any) -> Tensor:
    """What floor division leaves, of the sign of the divisor, as Python's %."""
    a, b = common(operands(input, other))
    if kind(a.dtype) in (0, 3):
        raise Error(f"[remainder] real numbers are needed, got {a.dtype}")
    return _C.remainder(a, b)


@op(in_place=True)
def fmod(input: Any, other: Any) -> Tensor:
    """What division towards zero leaves, of the sign of the dividend, as C's fmod."""
    a, b = common(operands(input, other))
    if kind(a.dtype) in (0, 3):
        raise Error(f"[fmod] real numbers are needed, got {a.dtype}")
    return _C.fmod(a, b)


@op(in_place=True)
def pow(input: Any, exponent: Any) -> Tensor:
    a, b = operands(input, exponent)
    if isinstance(exponent, int) and exponent < 0 and kind(a.dtype) < 2:
        raise Error(f"[pow] integers to a negative power, {exponent}, are not integers")
    if isinstance(exponent, (int, float)) and exponent == 2 and kind(a.dtype) >= 2:
        return a * a
    if kind(_promoted(a, b)) < 2:
        return _integer_power(*common((a, b)))
    return _C.pow(a, b)


def _integer_power(a: Tensor, b: Tensor) -> Tensor:
    import numpy as np

    a, b = (_C.cast(x, _C.int64) if x.dtype == _C.bool else x for x in (a, b))
    with np.errstate(all="ignore"):
        return on_host(lambda x, y: np.where(y < 0, (np.abs(x) == 1) * np.where(y % 2 == 0, np.abs(x), x), x ** np.maximum(y, 0)), [a, b])


@op(in_place=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """pow in float64."""
    a, b = operands(input, exponent)
    t = TABLE["promote_types"](_promoted(a, b), _C.float64)
    return _C.pow(_C.cast(a, t), _C.cast(b, t))


def _compared(name: str, c: Callable[[Tensor, Tensor], Tensor], *names: str, ordered: bool = True) -> None:
    def f(input: Any, other: Any) -> Tensor:
        a, b = operands(input, other)
        if ordered and 3 in (kind(a.dtype), kind(b.dtype)):
            raise Error(f"[{name}] complex numbers have no order")
        return c(a, b)

    _named(name, f, names=names)
    for n in (name, *names):
        setattr(Tensor, n + "_", lambda self, other, _n=n: (_C.assign(self, f(self, other), _n + "_"), self)[1])


_compared("eq", _C.equal, ordered=False)
_compared("ne", _C.not_equal, "not_equal", ordered=False)
_compared("lt", _C.less, "less")
_compared("le", _C.less_equal, "less_equal")
_compared("gt", lambda a, b: _C.less(b, a), "greater")
_compared("ge", lambda a, b: _C.less_equal(b, a), "greater_equal")


def _extreme(name: str, c: Callable[[Tensor, Tensor], Tensor]) -> None:
    def f(input: Any, other: Any) -> Tensor:
        a, b = common(operands(input, other))
        if a.dtype == _C.bool:
            return _C.logical_or(a, b) if name in ("maximum", "fmax") else _C.logical_and(a, b)
        if kind(a.dtype) == 3:
            raise Error(f"[{name}] complex numbers have no order")
        return c(a, b)

    _named(name, f)


_extreme("maximum", _C.maximum)
_extreme("minimum", _C.minimum)
maximum, minimum = TABLE["maximum"], TABLE["minimum"]


_extreme("fmax", _C.fmax)
_extreme("fmin", _C.fmin)


# ---- logic and bits


def truth(x: Any) -> Tensor:
    x = as_operand(x)
    return x if x.dtype == _C.bool else x != 0


@op
def logical_not(input: Any) -> Tensor:
    return _C.logical_not(truth(input))


@op
def logical_and(input: Any, other: Any) -> Tensor:
    return _C.logical_and(truth(input), truth(other))


@op
def logical_or(input: Any, other: Any) -> Tensor:
    return _C.logical_or(truth(input), truth(other))


@op
def logical_xor(input: Any, other: Any) -> Tensor:
    return _C.not_equal(truth(input), truth(other))


for _n in ("logical_not", "logical_and", "logical_or", "logical_xor"):
    setattr(Tensor, _n + "_", lambda self, *o, _f=TABLE[_n], _n=_n: (_C.assign(self, _f(self, *o), _n + "_"), self)[1])


def _bits(name: str, c: Any, of_bool: Callable[..., Tensor] | None = None) -> None:
    def f(input: Any, other: Any) -> Tensor:
        a, b = common(operands(input, other))
        if a.dtype == _C.bool and of_bool is not None:
            return of_bool(a, b)
        if kind(a.dtype) != 1:
            raise Error(f"[{name}] integers are needed, got {a.dtype}")
        return c(a, b)

    _named(name, f, in_place=True)


_bits("bitwise_and", _C.bitwise_and, _C.logical_and)
_bits("bitwise_or", _C.bitwise_or, _C.logical_or)
_bits("bitwise_xor", _C.bitwise_xor, _C.not_equal)
_bits("bitwise_left_shift", _C.shift_left)
_bits("bitwise_right_shift", _C.shift_right)


@op(in_place=True, names=("bitwise_invert",))
def bitwise_not(input: Tensor) -> Tensor:
    if input.dtype == _C.bool:
        return _C.logical_not(input)
    if kind(input.dtype) != 1:
        raise Error(f"[bitwise_not] integers are needed, got {input.dtype}")
    return _C.bitwise_not(input)


def _operator(name: str, f: Callable[..., Tensor]) -> None:
    """The operator __name__, reflected and in place; what is no operand is left to the other side."""

    def forward(self: Tensor, other: Any) -> Any:
        return f(self, other) if _is_operand(other) else NotImplemented

    def reflected(self: Tensor, other: Any) -> Any:
        return f(other, self) if _is_operand(other) else NotImplemented

    def in_place(self: Tensor, other: Any) -> Any:
        if not _is_operand(other):
            return NotImplemented
        result = f(self, other)
        if kind(result.dtype) > kind(self.dtype):
            raise Error(f"[{name}] a result of {result.dtype} cannot be kept in a {self.dtype} tensor")
        _C.assign(self, result, name)
        return self

    for prefix, g in (("", forward), ("r", reflected), ("i", in_place)):
        setattr(Tensor, f"__{prefix}{name}__", g)


def _is_operand(x: Any) -> bool:
    return isinstance(x, (Tensor, int, float, complex)) or hasattr(x, "__array_interface__")


for _n, _f in {
    "floordiv": floor_divide, "mod": remainder, "pow": pow, "and": TABLE["bitwise_and"], "or": TABLE["bitwise_or"],
    "xor": TABLE["bitwise_xor"], "lshift": TABLE["bitwise_left_shift"], "rshift": TABLE["bitwise_right_shift"],
}.items():  # fmt: skip
    _operator(_n, _f)
METHODS.__invert__ = bitwise_not
METHODS.__divmod__ = lambda self, other: (floor_divide(self, other), remainder(self, other))
METHODS.__rdivmod__ = lambda self, other: (floor_divide(other, self), remainder(other, self))
