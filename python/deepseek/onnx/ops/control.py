"""Subgraphs, sequences and optionals."""

from __future__ import annotations

from typing import Any

from ... import _C
from ..table import Context, op
from ..values import Tensor, full, ints, ints_tensor, number
from .shape import concat, cut, pieces, reshape, unsqueeze


@op("If")
def if_(condition: Tensor, *, then_branch: Any, else_branch: Any, ctx: Context) -> tuple[Any, ...]:
    branch = then_branch if bool(number(condition)) else else_branch
    return tuple(branch([], ctx.scope))


def stacked(values: list[Any], axis: int = 0) -> Any:
    return concat(*[unsqueeze(v, [axis]) for v in values], axis=axis)


@op("Loop")
def loop(trips: Any, condition: Any, *state: Any, body: Any, ctx: Context) -> tuple[Any, ...]:
    limit = None if trips is None else int(number(trips))
    go = True if condition is None else bool(number(condition))
    values, i = list(state), 0
    gathered: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(values))]
    while go and (limit is None or i < limit):
        out = body([ints_tensor(i), full((), float(go), _C.bool), *values], ctx.scope)
        go, values = bool(number(out[0])), list(out[1 : 1 + len(values)])
        for kept, v in zip(gathered, out[1 + len(values) :]):
            kept.append(v)
        i += 1
    return (*values, *[stacked(g) if g else full((0,), 0.0, _C.float32) for g in gathered])


def _axes(given: Any, count: int) -> list[int]:
    return list(given) if given else [0] * count


def _scan(inputs: list[Any], scanned: int, body: Any, ctx: Context, in_axes: Any, in_back: Any, out_axes: Any, out_back: Any) -> tuple[Any, ...]:
    state, sequences = list(inputs[: len(inputs) - scanned]), inputs[len(inputs) - scanned :]
    axes, back = _axes(in_axes, scanned), _axes(in_back, scanned)
    steps = sequences[0].shape[axes[0]]
    count = len(body.outputs) - len(state)
    gathered: list[list[Any]] = [[] for _ in range(count)]
    for i in range(steps):
        at = []
        for x, axis, reverse in zip(sequences, axes, back):
            j = steps - 1 - i if reverse else i
            axis %= x.ndim
            at.append(reshape(cut(x, axis, j, j + 1), [n for d, n in enumerate(x.shape) if d != axis], allowzero=1))
        out = body([*state, *at], ctx.scope)
        state = list(out[: len(state)])
        for kept, v in zip(gathered, out[len(state) :]):
            kept.append(v)
    made = []
    for values, axis, reverse in zip(gathered, _axes(out_axes, count), _axes(out_back, count)):
        axis = axis + values[0].ndim + 1 if axis < 0 else axis
        made.append(stacked(values[::-1] if reverse else values, axis))
    return (*state, *made)


@op("Scan", since=8)
def scan_8(lengths: Any, *inputs: Any, body: Any, num_scan_inputs: int, directions: Any = None, ctx: Context) -> tuple[Any, ...]:
    """The first version: everything has a batch dimension in front."""
    batch = inputs[0].shape[0]
    rows = []
    for b in range(batch):
        one = [reshape(cut(x, 0, b, b + 1), list(x.shape[1:]), allowzero=1) for x in inputs]
        if lengths is not None:
            n = ints(lengths)[b]
            one = one[: len(one) - num_scan_inputs] + [cut(x, 0, 0, n) for x in one[len(one) - num_scan_inputs :]]
        rows.append(_scan(one, num_scan_inputs, body, ctx, None, directions, None, None))
    return tuple(stacked(list(column)) for column in zip(*rows))


@op("Scan", since=9)
def scan(*inputs: Any, body: Any, num_scan_inputs: int, scan_input_axes: Any = None, scan_input_directions: Any = None,
         scan_output_axes: Any = None, scan_output_directions: Any = None, ctx: Context) -> tuple[Any, ...]:  # fmt: skip
    return _scan(list(inputs), num_scan_inputs, body, ctx, scan_input_axes, scan_input_directions, scan_output_axes, scan_output_directions)


# ---- sequences are lists


@op("SequenceEmpty")
def sequence_empty(*, dtype: int = 1) -> list[Any]:
    return []


@op("SequenceConstruct")
def sequence_construct(*xs: Any) -> list[Any]:
    return list(xs)


@op("SequenceAt")
def sequence_at(xs: list[Any], position: Tensor) -> Any:
    return xs[int(number(position))]


@op("SequenceInsert")
def sequence_insert(xs: list[Any], x: Any, position: Any = None) -> list[Any]:
    at = len(xs) if position is None else int(number(position))
    at = at + len(xs) if at < 0 else at
    return [*xs[:at], x, *xs[at:]]


@op("SequenceErase")
def sequence_erase(xs: list[Any], position: Any = None) -> list[Any]:
    at = (-1 if position is None else int(number(position))) % len(xs)
    return [*xs[:at], *xs[at + 1 :]]


@op("SequenceLength")
def sequence_length(xs: list[Any]) -> Tensor:
    return ints_tensor(len(xs))


@op("ConcatFromSequence")
def concat_from_sequence(xs: list[Any], *, axis: int, new_axis: int = 0) -> Any:
    if new_axis:
        return stacked(xs, axis + xs[0].ndim + 1 if axis < 0 else axis)
    return concat(*xs, axis=axis)


@op("SplitToSequence")
def split_to_sequence(x: Any, split: Any = None, *, axis: int = 0, keepdims: int = 1) -> list[Any]:
    axis %= x.ndim
    n = x.shape[axis]
    if split is None:
        parts = pieces(x, axis, [1] * n)
        return parts if keepdims else [reshape(p, [m for d, m in enumerate(x.shape) if d != axis], allowzero=1) for p in parts]
    sizes = ints(split)
    if split.ndim == 0:
        sizes = [min(sizes[0], n - at) for at in range(0, n, sizes[0])]
    return pieces(x, axis, sizes)


@op("SequenceMap")
def sequence_map(xs: list[Any], *more: Any, body: Any, ctx: Context) -> tuple[list[Any], ...]:
    columns: list[list[Any]] = [[] for _ in body.outputs]
    for i, x in enumerate(xs):
        out = body([x, *[m[i] if isinstance(m, list) else m for m in more]], ctx.scope)
        for column, v in zip(columns, out):
            column.append(v)
    return tuple(columns)


# ---- an optional is its element, or None


@op("Optional")
def optional(x: Any = None, *, type: Any = None) -> Any:
    return x


@op("OptionalHasElement")
def optional_has_element(x: Any = None) -> Tensor:
    return full((), float(x is not None), _C.bool)


@op("OptionalGetElement")
def optional_get_element(x: Any) -> Any:
    if x is None:
        raise _C.Error("[onnx.OptionalGetElement] the optional is empty")
    return x


