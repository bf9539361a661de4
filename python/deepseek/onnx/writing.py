"""A graph under construction, and how each primitive of the engine is written in ONNX's ops."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import onnx
from onnx import helper

from .. import _C
from .._recorded import Dim, Scaled
from .values import CODES


@dataclass
class Step:
    """A primitive to be written: attributes and shapes hold Dims where they may vary."""

    op: str
    inputs: list[str]
    in_types: list[tuple[Any, list[Dim]]]
    out_types: list[tuple[Any, list[Dim]]]
    attributes: dict[str, Any]
    wanted: list[bool]  # which outputs somebody reads


class Writer:
    """Nodes and initializers; names are handed out here."""

    def __init__(self, opset: int, sizes: dict[str, tuple[str, int]]):
        self.opset, self.sizes = opset, sizes  # a symbol: (input's name, dimension)
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.kept: dict[Any, str] = {}
        self.count = 0

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what}_{self.count}"

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        made = [self.name(op) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), made, name=made[0], **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, array: Any, name: str | None = None) -> str:
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes()) if name is None and array.size <= 64 else None
        if key in self.kept:
            return self.kept[key]
        name = name or self.name("constant")
        self.initializers.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        if key is not None:
            self.kept[key] = name
        return name

    def scalar(self, value: Any, dtype: Any) -> str:
        if isinstance(value, Scaled):
            out = self.constant(np.array(1.0))
            for symbol, r in value.ratios:
                size = self.node("Squeeze", self.cast(self.size(symbol), _C.float64))
                for op, factor, shift in (("Mul", r.factor * r.a, r.factor * r.b), ("Div", r.c, r.d)):
                    if not factor and shift == 1:
                        continue
                    part = self.constant(np.array(shift))
                    if factor:
                        part = self.node("Add", self.node("Mul", size, self.constant(np.array(factor))), part)
                    out = self.node(op, out, part)
            return self.cast(out, dtype)
        if dtype == _C.bfloat16:
            return self.cast(self.constant(np.float32(value)), dtype)
        return self.constant(np.array(value, dtype=dtype.name))

    def cast(self, x: str, dtype: Any) -> str:
        return self.node("Cast", x, to=CODES[dtype.name])

    def size(self, symbol: str) -> str:
        """The symbol's size as int64 (1,)."""
        if symbol not in self.kept:
            source, dim = self.sizes[symbol]
            self.kept[symbol] = self.node("Shape", source, start=dim, end=dim + 1)
        return self.kept[symbol]

    def shape(self, dims: list[Dim]) -> str:
        """int64 (rank,)."""
        if not all(d.exact for d in dims):
            raise _C.Error("[onnx.export] a size does not grow evenly with the dynamic dimensions: it cannot be dynamic")
        out = self.constant(np.array([d.constant for d in dims], np.int64))
        for symbol in sorted({s for d in dims for s, _ in d.factors}):
            factors = np.array([dict(d.factors).get(symbol, 0) for d in dims], np.int64)
            part = self.size(symbol)
            if (factors != 1).any():
                part = self.node("Mul", part, self.constant(factors))
            out = self.node("Add", out, part)
        return out

    def reshape(self, x: str, dims: list[Dim]) -> str:
        free = [i for i, d in enumerate(dims) if not d.fixed]
        if len(free) > 1 or any(d.fixed and d.constant == 0 for d in dims):
            return self.node("Reshape", x, self.shape(dims), **({"allowzero": 1} if any(d.constant == 0 for d in dims) else {}))
        return self.node("Reshape", x, self.constant(np.array([d.constant if d.fixed else -1 for d in dims], np.int64)))

    def fill(self, value: str, dims: list[Dim]) -> str:
        return self.node("Expand", value, self.shape(dims)) if dims else value


WRITERS: dict[str, Callable[[Writer, Step], Any]] = {}


def writes(*names: str) -> Callable[[Any], Any]:
    def register(f: Any) -> Any:
        for n in names:
            WRITERS[n] = f
        return f

    return register


def _same_inputs(op: str, w: Writer, s: Step) -> Any:
    return w.node(op, *s.inputs)


for _name, _op in {
    "neg": "Neg", "abs": "Abs", "sign": "Sign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tanh": "Tanh",
    "sigmoid": "Sigmoid", "relu": "Relu", "erf": "Erf", "logical_not": "Not", "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div",
    "pow": "Pow", "maximum": "Max", "minimum": "Min", "less": "Less", "less_equal": "LessOrEqual", "equal": "Equal",
    "logical_and": "And", "logical_or": "Or", "where": "Where", "matmul": "MatMul", "contiguous": "Identity",
}.items():  # fmt: skip
    WRITERS[_name] = functools.partial(_same_inputs, _op)


@writes("floor", "ceil", "round")
def _rounding(w: Writer, s: Step) -> str:
    return w.node(s.op.capitalize(), *s.inputs) if s.in_types[0][0].is_floating_point else s.inputs[0]


@writes("rsqrt")
def _rsqrt(w: Writer, s: Step) -> str:
    return w.node("Reciprocal", w.node("Sqrt", s.inputs[0]))


@writes("not_equal")
def _not_equal(w: Writer, s: Step) -> str:
    return w.node("Not", w.node("Equal", *s.inputs))


@writes("cast")
def _cast(w: Writer, s: Step) -> str:
    return w.cast(s.inputs[0], s.out_types[0][0])


@writes("reshape")
def _reshape(w: Writer, s: Step) -> str:
    return w.reshape(s.inputs[0], s.out_types[0][1])


@writes("permute")
def _permute(w: Writer, s: Step) -> str:
    return w.node("Transpose", s.inputs[0], perm=[d.constant for d in s.attributes["dims"]])


@writes("broadcast_to")
def _broadcast(w: Writer, s: Step) -> str:
    return w.fill(s.inputs[0], s.out_types[0][1])


@writes("slice")
def _slice(w: Writer, s: Step) -> str:
    a = s.attributes
    start, count, step = a["start"], a["count"], a["step"].constant
    if step > 0 and start.fixed and a["to_end"]:
        at = [w.constant(np.array([v], np.int64)) for v in (start.constant, 2**62, a["dim"].constant, step)]
        return w.node("Slice", s.inputs[0], *at)
    stop = Dim(start.constant + count.constant * step, tuple(sorted(_sum(dict(start.factors), dict(count.factors), step).items())))
    if step < 0 and stop.fixed and stop.constant < 0:
        stop = Dim(-(2**62))
    at = [w.shape([d]) for d in (start, stop, a["dim"], Dim(step))]
    return w.node("Slice", s.inputs[0], *at)


def _sum(a: dict[str, int], b: dict[str, int], factor: int) -> dict[str, int]:
    return {k: v for k in {*a, *b} if (v := a.get(k, 0) + factor * b.get(k, 0))}


@writes("concat")
def _concat(w: Writer, s: Step) -> str:
    return w.node("Concat", *s.inputs, axis=s.attributes["dim"].constant)


@writes("full")
def _full(w: Writer, s: Step) -> str:
    dtype, dims = s.out_types[0]
    return w.fill(w.scalar(s.attributes["value"], dtype), dims)


@writes("arange")
def _arange(w: Writer, s: Step) -> str:
    dtype, dims = s.out_types[0]
    steps = w.node("Range", w.constant(np.int64(0)), w.node("Squeeze", w.shape(dims)), w.constant(np.int64(1)))
    wide = _C.int64 if not dtype.is_floating_point else dtype
    steps = w.cast(steps, wide) if wide != _C.int64 else steps
    out = w.node("Add", w.node("Mul", steps, w.scalar(s.attributes["step"], wide)), w.scalar(s.attributes["start"], wide))
    return out if dtype == wide else w.cast(out, dtype)


@writes("reduce")
def _reduce(w: Writer, s: Step) -> str:
    axes = list(range(s.attributes["first"].constant, s.attributes["last"].constant))
    how, (dtype, _), out = s.attributes["how"], s.in_types[0], s.out_types[0][0]
    x = s.inputs[0]
    if how in ("any", "all") or dtype == _C.bool:
        x, out_name = w.cast(x, _C.int32 if how in ("any", "all", "max", "min") else _C.int64), "Max" if how in ("any", "max") else "Min"
        if how in ("sum", "prod"):
            out_name = how.capitalize()
        return w.cast(_reduced(w, x, out_name, axes), out)
    if out != dtype:
        x = w.cast(x, out)
    return _reduced(w, x, how.capitalize(), axes)


def _reduced(w: Writer, x: str, name: str, axes: list[int]) -> str:
    if name == "Sum" or w.opset >= 18:
        return w.node(f"Reduce{name}", x, w.constant(np.array(axes, np.int64)), keepdims=0)
    return w.node(f"Reduce{name}", x, axes=axes, keepdims=0)


@writes("arg_reduce")
def _arg_reduce(w: Writer, s: Step) -> str:
    keep = int(len(s.in_types[0][1]) == len(s.out_types[0][1]))
    return w.node("ArgMax" if s.attributes["how"] == "argmax" else "ArgMin", s.inputs[0], axis=s.attributes["dim"].constant, keepdims=keep)


def _plain(dims: list[Dim]) -> list[int]:
    return [d.constant for d in dims]


@writes("conv2d")
def _conv(w: Writer, s: Step) -> str:
    a = s.attributes
    edge = _plain(a["padding"])
    return w.node("Conv", *s.inputs, strides=_plain(a["stride"]), pads=edge + edge, dilations=_plain(a["dilation"]), group=a["groups"].constant)


@writes("max_pool2d", "avg_pool2d")
def _pool(w: Writer, s: Step) -> str:
    a = s.attributes
    edge = _plain(a["padding"])
    extra = {"count_include_pad": 1} if s.op == "avg_pool2d" else {}
    kind = "AveragePool" if s.op == "avg_pool2d" else "MaxPool"
    return w.node(kind, s.inputs[0], kernel_shape=_plain(a["kernel"]), strides=_plain(a["stride"]), pads=edge + edge, **extra)


@writes("softmax", "log_softmax")
def _softmax(w: Writer, s: Step) -> str:
    return w.node("Softmax" if s.op == "softmax" else "LogSoftmax", s.inputs[0], axis=-1)


@writes("layer_norm")
def _layer_norm(w: Writer, s: Step) -> Any:
    if any(s.wanted[1:]):
        raise NotImplementedError
    return w.node("LayerNormalization", *s.inputs, axis=-1, epsilon=s.attributes["eps"])


@writes("cross_entropy")
def _cross_entropy(w: Writer, s: Step) -> str:
    return w.node("SoftmaxCrossEntropyLoss", *s.inputs, reduction="none")


@writes("take")
def _take(w: Writer, s: Step) -> str:
    return w.node("Gather", *s.inputs, axis=s.attributes["dim"].constant)


@writes("gather")
def _gather(w: Writer, s: Step) -> str:
    return w.node("GatherElements", *s.inputs, axis=s.attributes["dim"].constant)


def _lined_index(w: Writer, index: str, rank: int, dim: int, dims: list[Dim], lined: bool) -> str:
    """An index of whole slices, repeated for every element of them."""
    if lined:
        return index
    return w.fill(w.node("Reshape", index, w.constant(np.array([-1 if d == dim else 1 for d in range(rank)], np.int64))), dims)


@writes("put_add", "scatter_add")
def _scatter_add(w: Writer, s: Step) -> str:
    dtype, dims = s.out_types[0]
    dim = s.attributes["dim"].constant
    index = _lined_index(w, s.inputs[1], len(dims), dim, s.in_types[0][1], s.op == "scatter_add")
    return w.node("ScatterElements", w.fill(w.scalar(0, dtype), dims), index, s.inputs[0], axis=dim, reduction="add")


@writes("index_update")
def _index_update(w: Writer, s: Step) -> str:
    dim, how = s.attributes["dim"].constant, s.attributes["how"]
    if how in ("max", "min") and w.opset < 18:
        raise NotImplementedError
    values = s.in_types[2][1]
    index = _lined_index(w, s.inputs[1], len(values), dim, values, len(s.in_types[1][1]) == len(values) and len(values) != 1)
    extra = {} if how == "assign" else {"reduction": how}
    return w.node("ScatterElements", s.inputs[0], index, s.inputs[2], axis=dim, **extra)


@writes("scan")
def _scan(w: Writer, s: Step) -> str:
    dim = s.attributes["dim"].constant
    if s.attributes["how"] != "sum":
        raise NotImplementedError
    x = s.inputs[0] if s.in_types[0][0] == s.out_types[0][0] else w.cast(s.inputs[0], s.out_types[0][0])
    return w.node("CumSum", x, w.constant(np.int64(dim)))


@writes("sort")
def _sort(w: Writer, s: Step) -> list[str]:
    dim = s.attributes["dim"].constant
    return w.node("TopK", s.inputs[0], w.shape([s.in_types[0][1][dim]]), outputs=2, axis=dim, largest=s.attributes["descending"].constant)


@writes("custom")
def _custom(w: Writer, s: Step) -> list[str]:
    return list(s.inputs[: len(s.out_types)])


@writes("random_uniform", "random_normal")
def _random(w: Writer, s: Step) -> str:
    dtype, dims = s.out_types[0]
    like = w.fill(w.scalar(0, dtype), dims)
    return w.node("RandomUniformLike" if s.op == "random_uniform" else "RandomNormalLike", like)


_DIRECT = {"tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh", "acosh": "Acosh",
           "atanh": "Atanh"}  # fmt: skip


@writes("special_unary")
def _special(w: Writer, s: Step) -> str:
    f, x, dtype = s.attributes["function"], s.inputs[0], s.in_types[0][0]
    one = w.scalar(1, dtype)
    if f in _DIRECT:
        return w.node(_DIRECT[f], x)
    if f == "log1p":
        return w.node("Log", w.node("Add", x, one))
    if f == "expm1":
        return w.node("Sub", w.node("Exp", x), one)
    if f == "exp2":
        return w.node("Exp", w.node("Mul", x, w.scalar(math.log(2), dtype)))
    if f in ("log2", "log10"):
        return w.node("Mul", w.node("Log", x), w.scalar(1 / math.log(2 if f == "log2" else 10), dtype))
    if f == "erfc":
        return w.node("Sub", one, w.node("Erf", x))
    raise NotImplementedError


@writes("special_binary")
def _special_binary(w: Writer, s: Step) -> str:
    f, (a, b) = s.attributes["function"], s.inputs
    if f == "fmod":
        return w.node("Mod", a, b, fmod=1)
    if f == "hypot":
        return w.node("Sqrt", w.node("Add", w.node("Mul", a, a), w.node("Mul", b, b)))
    if f == "logaddexp":
        gap = w.node("Neg", w.node("Abs", w.node("Sub", a, b)))
        return w.node("Add", w.node("Max", a, b), w.node("Softplus", gap))
    raise NotImplementedError


@writes("bitwise")
def _bitwise(w: Writer, s: Step) -> str:
    f = s.attributes["function"]
    logic = {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor"}
    if f in logic and s.in_types[0][0] == _C.bool:
        return w.node(logic[f], *s.inputs)
    if f in logic and w.opset >= 18:
        return w.node("Bitwise" + logic[f], *s.inputs)
    if f in ("shift_left", "shift_right") and s.in_types[0][0].name.startswith("u"):
        return w.node("BitShift", *s.inputs, direction="LEFT" if f == "shift_left" else "RIGHT")
    raise NotImplementedError
