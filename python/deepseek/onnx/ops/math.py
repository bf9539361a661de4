"""Arithmetic, comparison, activations."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, code_of, engine_dtype, from_numpy, full_like, host, iota, is_float, numpy_dtype, to_numpy

for _onnx, _name in {
    "Neg": "neg", "Sign": "sign", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Sin": "sin", "Cos": "cos",
    "Tanh": "tanh", "Sigmoid": "sigmoid", "Erf": "erf", "Not": "logical_not", "Abs": "abs", "Tan": "tan", "Asin": "asin",
    "Acos": "acos", "Atan": "atan", "Sinh": "sinh", "Cosh": "cosh", "Asinh": "asinh", "Acosh": "acosh", "Atanh": "atanh",
    "Relu": "relu", "Reciprocal": "reciprocal", "IsNaN": "isnan", "BitwiseNot": "bitwise_not",
}.items():  # fmt: skip
    op(_onnx)(functools.partial(lambda x, *, f, consumed_inputs=None: f(x), f=getattr(_C, _name)))

def _rounding(name: str) -> None:
    op(name)(functools.partial(lambda x, *, f: f(x) if is_float(x) else x, f=getattr(_C, name.lower())))


for _onnx in ("Floor", "Ceil", "Round"):
    _rounding(_onnx)


def legacy(a: Any, b: Any, broadcast: int = 0, axis: int | None = None, **_: Any) -> tuple[Any, Any]:
    """Before opset 7 b was lined up with a's dimensions from `axis` on."""
    if broadcast and axis is not None and b.ndim:
        axis %= a.ndim
        b = _C.reshape(b, [1] * axis + list(b.shape) + [1] * (a.ndim - axis - b.ndim))
    return a, b


for _onnx, _f in (("Add", _C.add), ("Sub", _C.sub), ("Mul", _C.mul), ("Div", _C.div)):  # integers divide towards zero
    op(_onnx)(functools.partial(lambda a, b, *, f, **old: f(*legacy(a, b, **old)), f=_f))


@op("Mod")
def mod(a: Tensor, b: Tensor, fmod: int = 0) -> Tensor:
    return _C.fmod(a, b) if fmod else _C.remainder(a, b)


@op("Pow")
def pow_(a: Tensor, b: Tensor, **_: Any) -> Tensor:
    a, b = legacy(a, b, **_)
    if is_float(a):
        return _C.pow(a, _C.cast(b, a.dtype))
    if is_float(b):
        return _C.cast(_C.pow(_C.cast(a, _C.float64), _C.cast(b, _C.float64)), a.dtype)
    return _C.pow(a, _C.cast(b, a.dtype))


def _fold(name: str, f: Any) -> None:
    def variadic(*xs: Tensor, consumed_inputs: Any = None) -> Tensor:
        return functools.reduce(f, xs)

    op(name)(variadic)


_fold("Sum", _C.add)
_fold("Max", _C.maximum)
_fold("Min", _C.minimum)


@op("Mean")
def mean(*xs: Tensor, consumed_inputs: Any = None) -> Tensor:
    return functools.reduce(_C.add, xs) * (1.0 / len(xs))


def _comparison(name: str, f: Any) -> None:
    op(name)(lambda a, b, **_: f(*legacy(a, b, **_)))


def _equal(a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):  # strings
        return from_numpy(np.asarray(a == b, dtype=bool))
    return _C.equal(a, b)


_comparison("Equal", _equal)
_comparison("Less", lambda a, b: _C.less(a, b))
_comparison("Greater", lambda a, b: _C.less(b, a))
_comparison("LessOrEqual", lambda a, b: _C.less_equal(a, b))
_comparison("GreaterOrEqual", lambda a, b: _C.less_equal(b, a))
_comparison("And", lambda a, b: _C.logical_and(a, b))
_comparison("Or", lambda a, b: _C.logical_or(a, b))
_comparison("Xor", lambda a, b: _C.not_equal(a, b))


@op("IsInf")
def is_inf(x: Tensor, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    above = _C.equal(x, full_like(x, math.inf if detect_positive else math.nan))
    below = _C.equal(x, full_like(x, -math.inf if detect_negative else math.nan))
    return _C.logical_or(above, below)


@op("Where")
def where(condition: Tensor, a: Any, b: Any) -> Any:
    if isinstance(a, np.ndarray):
        return np.where(host(condition), a, b)
    return _C.where(condition, a, b)


for _onnx, _f in (("BitwiseAnd", _C.bitwise_and), ("BitwiseOr", _C.bitwise_or), ("BitwiseXor", _C.bitwise_xor)):
    op(_onnx)(functools.partial(lambda a, b, *, f: f(a, b), f=_f))


@op("BitShift")
def bit_shift(x: Tensor, by: Tensor, direction: str) -> Tensor:
    return _C.shift_left(x, by) if direction == "LEFT" else _C.shift_right(x, by)


@op("Clip")
def clip(x: Tensor, min: Any = None, max: Any = None, consumed_inputs: Any = None) -> Tensor:
    if min is not None:
        x = _C.maximum(x, min if isinstance(min, Tensor) else full_like(x, min))
    if max is not None:
        x = _C.minimum(x, max if isinstance(max, Tensor) else full_like(x, max))
    return x



@op("Cast")
def cast(x: Any, to: Any, saturate: int = 1, round_mode: str = "up") -> Any:
    to = int(to) if not isinstance(to, str) else {"FLOAT": 1, "DOUBLE": 11, "INT64": 7, "INT32": 6, "BOOL": 9}.get(to, 1)
    dtype = engine_dtype(to)
    if isinstance(x, Tensor) and dtype is not None:
        return _C.cast(x, dtype)
    from .lowbit import convert

    return from_numpy(convert(to_numpy(x), to, bool(saturate), round_mode))


@op("CastLike")
def cast_like(x: Any, like: Any, saturate: int = 1, round_mode: str = "up") -> Any:
    return cast(x, code_of(like), saturate, round_mode)


@op("BitCast")
def bit_cast(x: Any, to: int) -> Any:
    return from_numpy(to_numpy(x).view(numpy_dtype(to)))


# ---- activations


@op("LeakyRelu")
def leaky_relu(x: Tensor, alpha: float = 0.01, consumed_inputs: Any = None) -> Tensor:
    return _C.where(x < 0, x * alpha, x)


@op("PRelu")
def prelu(x: Tensor, slope: Tensor, consumed_inputs: Any = None) -> Tensor:
    if slope.ndim == 1 and x.ndim > 2 and slope.shape[0] == x.shape[1] and slope.shape[0] != x.shape[-1]:
        slope = _C.reshape(slope, [-1] + [1] * (x.ndim - 2))  # opset 6: one slope a channel
    return _C.where(x < 0, x * slope, x)


@op("ThresholdedRelu")
def thresholded_relu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return _C.where(x > alpha, x, full_like(x, 0))


@op("Elu")
def elu(x: Tensor, alpha: float = 1.0, consumed_inputs: Any = None) -> Tensor:
    return _C.where(x < 0, (_C.exp(_C.minimum(x, full_like(x, 0))) - 1.0) * alpha, x)


@op("Celu")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return elu(x / alpha, 1.0) * alpha


@op("Selu")
def selu(x: Tensor, alpha: float = 1.6732631921768188, gamma: float = 1.0507010221481323, consumed_inputs: Any = None) -> Tensor:
    return elu(x, alpha) * gamma


@op("Softplus")
def softplus(x: Tensor) -> Tensor:
    return _C.maximum(x, full_like(x, 0)) + _C.log(_C.exp(-_C.abs(x)) + 1.0)


@op("Softsign")
def softsign(x: Tensor) -> Tensor:
    return x / (_C.abs(x) + 1.0)


@op("HardSigmoid")
def hard_sigmoid(x: Tensor, alpha: float = 0.2, beta: float = 0.5, consumed_inputs: Any = None) -> Tensor:
    return clip(x * alpha + beta, 0.0, 1.0)


@op("HardSwish")
def hard_swish(x: Tensor) -> Tensor:
    return x * hard_sigmoid(x, 1 / 6, 0.5)


@op("Mish")
def mish(x: Tensor) -> Tensor:
    return x * _C.tanh(softplus(x))


@op("Swish")
def swish(x: Tensor, alpha: float = 1.0) -> Tensor:
    return x * _C.sigmoid(x * alpha)


@op("SwiGLU")
def swiglu(a: Tensor, b: Tensor, alpha: float = 1.0) -> Tensor:
    return swish(a, alpha) * b


@op("Gelu")
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "tanh":
        return x * 0.5 * (_C.tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1.0)
    return _C.gelu(x)


@op("Shrink")
def shrink(x: Tensor, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    if not is_float(x):
        return _C.cast(shrink(_C.cast(x, _C.float32), bias, lambd), x.dtype)
    return _C.where(x < -lambd, x + bias, _C.where(x > lambd, x - bias, full_like(x, 0)))


def _flattened(f: Any, x: Tensor, axis: int) -> Tensor:
    """Before opset 13: over everything from `axis` on."""
    rows = int(np.prod(x.shape[: axis % max(x.ndim, 1)], dtype=np.int64))
    return _C.reshape(f(_C.reshape(x, [rows, -1]), 1), list(x.shape))


for _onnx, _f in (("Softmax", _C.softmax), ("LogSoftmax", _C.log_softmax)):
    op(_onnx, since=1)(functools.partial(lambda x, *, f, axis=1: _flattened(f, x, axis), f=_f))
    op(_onnx, since=13)(functools.partial(lambda x, *, f, axis=-1: f(x, axis), f=_f))


def hard_max(x: Tensor, axis: int) -> Tensor:
    best = _C.argmax(x, axis, True)
    shape = [1] * x.ndim
    shape[axis] = -1
    places = _C.reshape(iota(x.shape[axis]), shape)
    return _C.cast(_C.equal(best, places), x.dtype)


op("Hardmax", since=1)(lambda x, axis=1: _flattened(hard_max, x, axis))
op("Hardmax", since=13)(lambda x, axis=-1: hard_max(x, axis))


@op("MatMul")
def matmul(a: Tensor, b: Tensor) -> Tensor:
    return _C.matmul(a, b)


@op("Gemm")
def gemm(a: Tensor, b: Tensor, c: Any = None, *, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0, broadcast: int = 0) -> Tensor:
    a = _C.transpose(a, 0, 1) if transA else a
    b = _C.transpose(b, 0, 1) if transB else b
    out = _C.matmul(a, b)
    if alpha != 1.0:
        out = _C.cast(out * alpha, out.dtype)
    if c is not None and beta != 0.0:
        out = out + (c if beta == 1.0 else _C.cast(c * beta, c.dtype))
    return out


@op("Det")
def det(x: Tensor) -> Tensor:
    from ...linalg import det as determinant

    return determinant(x)


@op("Einsum")
def einsum(*xs: Tensor, equation: str) -> Tensor:
    """By one contraction of all operands: each is lined up with every letter, and the letters left out are summed."""
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    rank = max((x.ndim - len(t.replace("...", "")) for x, t in zip(xs, terms) if "..." in t), default=0)
    dots = [chr(0x100 + i) for i in range(rank)]

    def letters(term: str, ndim: int | None = None) -> list[str]:
        head, dot, tail = term.partition("...")
        keep = rank if ndim is None else ndim - len(head) - len(tail)
        return [*head, *(dots[rank - keep :] if dot else []), *tail]

    named = [letters(t, x.ndim) for t, x in zip(terms, xs)]
    if "->" in equation:
        out = letters(right)
    else:
        flat = [c for n in named for c in n if c not in dots]
        out = dots + sorted(c for c in set(flat) if flat.count(c) == 1)
    return contract(list(zip(xs, named)), out)


def _diagonal(x: Tensor, names: list[str]) -> tuple[Tensor, list[str]]:
    """Repeated letters of one operand become one."""
    for name in list(dict.fromkeys(names)):
        while names.count(name) > 1:
            i = names.index(name)
            j = names.index(name, i + 1)
            n = x.shape[i]
            order = [d for d in range(x.ndim) if d not in (i, j)] + [i, j]
            rest = [x.shape[d] for d in order[:-2]]
            flat = _C.reshape(_C.permute(x, order), rest + [n * n])
            x = _C.slice(flat, len(rest), 0, n * n, n + 1)
            names = [names[d] for d in order[:-2]] + [name]
    return x, names


def contract(operands: list[tuple[Tensor, list[str]]], out: list[str]) -> Tensor:
    operands = [_diagonal(x, n) for x, n in operands]
    while len(operands) > 1:
        (a, an), (b, bn) = operands[0], operands[1]
        needed = set(out).union(*[set(n) for _, n in operands[2:]])
        operands = [_pair(a, an, b, bn, needed), *operands[2:]]
    x, names = operands[0]
    gone = [i for i, n in enumerate(names) if n not in out]
    if gone:
        x, names = _C.cast(_C.sum(x, gone, False), x.dtype), [n for n in names if n in out]
    return _C.permute(x, [names.index(n) for n in out]) if out != names else x


def _pair(a: Tensor, an: list[str], b: Tensor, bn: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    """Two operands as one batched product of matrices."""
    a, an = _without(a, an, set(bn) | needed)
    b, bn = _without(b, bn, set(an) | needed)
    batch = [n for n in an if n in bn and n in needed]
    inner = [n for n in an if n in bn and n not in needed]
    rows, columns = [n for n in an if n not in bn], [n for n in bn if n not in an]
    size: dict[str, int] = {}
    for x, names in ((a, an), (b, bn)):
        for d, n in zip(x.shape, names):
            size[n] = max(size.get(n, 1), d)

    def arranged(x: Tensor, names: list[str], order: list[str], groups: list[list[str]]) -> Tensor:
        x = _C.permute(x, [names.index(n) for n in order])
        x = _C.broadcast_to(x, tuple(size[n] for n in order))
        return _C.reshape(x, [size[n] for n in batch] + [math.prod(size[n] for n in g) for g in groups])

    left = arranged(a, an, batch + rows + inner, [rows, inner])
    right = arranged(b, bn, batch + inner + columns, [inner, columns])
    out = batch + rows + columns
    return _C.reshape(_C.matmul(left, right), [size[n] for n in out]), out


def _without(x: Tensor, names: list[str], keep: set[str]) -> tuple[Tensor, list[str]]:
    gone = [i for i, n in enumerate(names) if n not in keep]
    if not gone:
        return x, names
    return _C.cast(_C.sum(x, gone, False), x.dtype), [n for n in names if n in keep]

