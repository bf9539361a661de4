"""Constants, shapes, joining and cutting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import _C
from ..table import Context, op
from ..values import Tensor, from_numpy, full, full_like, host, ints, ints_tensor, iota, number
from .math import cast


def filled(shape: list[int], value: Any) -> Any:
    """A one-element value, everywhere."""
    if isinstance(value, np.ndarray):
        return np.broadcast_to(value.reshape([1] * len(shape)), shape).copy()
    return _C.broadcast_to(_C.reshape(value, [1] * len(shape)), tuple(shape))


@op("Constant")
def constant(*, value: Any = None, sparse_value: Any = None, value_float: Any = None, value_floats: Any = None, value_int: Any = None,
             value_ints: Any = None, value_string: Any = None, value_strings: Any = None) -> Any:  # fmt: skip
    if value is not None or sparse_value is not None:
        return value if value is not None else sparse_value
    for number_, dtype in ((value_float, np.float32), (value_floats, np.float32), (value_int, np.int64), (value_ints, np.int64)):
        if number_ is not None:
            return from_numpy(np.array(number_, dtype=dtype))
    return np.array(value_string if value_string is not None else value_strings, dtype=object)


@op("ConstantOfShape")
def constant_of_shape(shape: Tensor, *, value: Any = None) -> Any:
    return filled(ints(shape) or [], value if value is not None else full((1,), 0.0, _C.float32))


@op("Identity")
def identity(x: Any) -> Any:
    return list(x) if isinstance(x, list) else x


@op("Shape")
def shape(x: Any, *, start: int = 0, end: int | None = None) -> Tensor:
    return ints_tensor(list(x.shape)[start:end])


@op("Size")
def size(x: Any) -> Tensor:
    return ints_tensor(math.prod(x.shape))


@op("Reshape")
def reshape(x: Any, shape: Any = None, *, allowzero: int = 0, consumed_inputs: Any = None) -> Any:
    sizes = ints(shape) or []
    if not allowzero:
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    if -1 in sizes and 0 in sizes:
        sizes[sizes.index(-1)] = 0
    elif -1 in sizes and math.prod(x.shape) == 0:
        sizes[sizes.index(-1)] = 0
    return x.reshape(sizes) if isinstance(x, np.ndarray) else _C.reshape(x, sizes)


@op("Flatten")
def flatten(x: Any, *, axis: int = 1) -> Any:
    axis = axis + x.ndim if axis < 0 else axis
    return reshape(x, [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])], allowzero=1)


@op("Squeeze")
def squeeze(x: Any, axes: Any = None) -> Any:
    dims = [d for d, n in enumerate(x.shape) if n == 1] if axes is None else [a % x.ndim for a in ints(axes)]
    for d in dims:
        if x.shape[d] != 1:
            raise _C.Error(f"[onnx.Squeeze] dimension {d} has size {x.shape[d]}, not 1")
    return reshape(x, [n for d, n in enumerate(x.shape) if d not in dims], allowzero=1)


@op("Unsqueeze")
def unsqueeze(x: Any, axes: Any = None) -> Any:
    places = ints(axes)
    rank = x.ndim + len(places)
    dims = sorted(a % rank for a in places)
    sizes = list(x.shape)
    for d in dims:
        sizes.insert(d, 1)
    return reshape(x, sizes, allowzero=1)


@op("Transpose")
def transpose(x: Any, *, perm: Any = None) -> Any:
    order = list(perm) if perm is not None else list(range(x.ndim))[::-1]
    return x.transpose(order) if isinstance(x, np.ndarray) else _C.permute(x, order)


@op("Concat")
def concat(*xs: Any, axis: int = 1) -> Any:
    if any(isinstance(x, np.ndarray) for x in xs):
        return np.concatenate([host(x) for x in xs], axis)
    return _C.concat(list(xs), axis)


def pieces(x: Any, axis: int, sizes: list[int]) -> list[Any]:
    out, at = [], 0
    for n in sizes:
        out.append(cut(x, axis, at, at + n))
        at += n
    return out


def cut(x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    if isinstance(x, np.ndarray):
        return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop, step),)]
    return _C.slice(x, axis % x.ndim, start, stop, step)


@op("Split")
def split(x: Any, split: Any = None, *, axis: int = 0, num_outputs: int | None = None, ctx: Context) -> tuple[Any, ...]:
    n = x.shape[axis]
    sizes = ints(split)
    if not sizes:
        count = num_outputs or len(ctx.outputs)
        each = -(-n // count)
        sizes = [max(0, min(each, n - i * each)) for i in range(count)]
    return tuple(pieces(x, axis, sizes))


@op("Slice")
def slice_(x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Any:
    starts, ends = ints(starts), ints(ends)
    dims = ints(axes) if axes is not None else list(range(len(starts)))
    steps = ints(steps) or [1] * len(starts)
    for start, stop, dim, step in zip(starts, ends, dims, steps):
        dim %= x.ndim
        n = x.shape[dim]
        if step > 0:
            first, last, _ = slice(start, stop, step).indices(n)
            x = cut(x, dim, first, max(first, last), step)
        else:
            first = min(start, n - 1) if start >= 0 else start + n
            last = max(stop + n, -1) if stop < 0 else min(stop, n - 1)
            flipped = np.flip(x, dim) if isinstance(x, np.ndarray) else _C.flip(x, [dim])
            lo = n - 1 - first
            x = cut(flipped, dim, max(lo, 0), max(n - 1 - last, max(lo, 0)), -step)
    return x


@op("Expand")
def expand(x: Any, shape: Tensor) -> Any:
    sizes = np.broadcast_shapes(tuple(x.shape), tuple(ints(shape)))
    return np.broadcast_to(x, sizes).copy() if isinstance(x, np.ndarray) else _C.broadcast_to(x, sizes)


@op("Tile", since=6)
def tile(x: Any, repeats: Any) -> Any:
    counts = ints(repeats)
    if isinstance(x, np.ndarray):
        return np.tile(x, counts)
    lined = _C.reshape(x, [k for n in x.shape for k in (1, n)])
    wide = _C.broadcast_to(lined, tuple(k for c, n in zip(counts, x.shape) for k in (c, n)))
    return _C.reshape(wide, [c * n for c, n in zip(counts, x.shape)])


@op("Gather")
def gather(x: Any, index: Any, *, axis: int = 0) -> Any:
    if isinstance(x, np.ndarray):
        return np.take(x, host(index), axis)
    n = x.shape[axis]
    index = _C.cast(index, _C.int64)
    return _C.take(x, _C.where(index < 0, index + n, index), axis)


@op("GatherElements")
def gather_elements(x: Any, index: Any, *, axis: int = 0) -> Any:
    if isinstance(x, np.ndarray):
        return np.take_along_axis(x, host(index), axis)
    n = x.shape[axis]
    index = _C.cast(index, _C.int64)
    return _C.gather(x, axis % x.ndim, _C.where(index < 0, index + n, index))


def flat_index(x: Any, index: Tensor, lead: int) -> Tensor:
    """Rows of indices into `lead` dimensions, as indices into these dimensions flattened."""
    out: Any = None
    index = _C.cast(index, _C.int64)
    for i in range(lead):
        part = _C.squeeze(_C.slice(index, index.ndim - 1, i, i + 1, 1), index.ndim - 1)
        part = _C.where(part < 0, part + x.shape[i], part)
        out = part if out is None else out * x.shape[i] + part
    return out


@op("GatherND")
def gather_nd(x: Any, index: Tensor, *, batch_dims: int = 0) -> Any:
    if isinstance(x, np.ndarray):
        return from_numpy(x[tuple(np.moveaxis(host(index), -1, 0))])
    lead = index.shape[-1]
    if batch_dims:
        batch = list(x.shape[:batch_dims])
        flat = _C.reshape(x, [math.prod(batch), *x.shape[batch_dims:]])
        rows = _C.reshape(index, [math.prod(batch), *index.shape[batch_dims:]])
        number_ = _C.reshape(iota(math.prod(batch)), [-1] + [1] * (rows.ndim - 1))
        number_ = _C.broadcast_to(number_, (*rows.shape[:-1], 1))
        out = gather_nd(flat, _C.concat([number_, rows], rows.ndim - 1))
        return _C.reshape(out, batch + list(out.shape[1:]))
    flat = _C.reshape(x, [math.prod(x.shape[:lead]), *x.shape[lead:]])
    return _C.take(flat, flat_index(x, index, lead), 0)


@op("Compress")
def compress(x: Any, condition: Tensor, *, axis: int | None = None) -> Any:
    where = ints_tensor(np.nonzero(host(condition))[0])
    return gather(reshape(x, [-1]), where) if axis is None else gather(x, where, axis=axis)


@op("Range")
def range_(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    first, stop, step = number(start), number(limit), number(delta)
    count = max(0, math.ceil((stop - first) / step))
    steps = iota(count)
    return _C.cast(_C.cast(steps, start.dtype) * delta + start, start.dtype)


@op("EyeLike")
def eye_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Any:
    rows, columns = (iota(n) for n in x.shape)
    out = _C.equal(_C.reshape(rows + k, [-1, 1]), columns)
    return cast(out, dtype) if dtype is not None else _C.cast(out, x.dtype)


@op("Trilu")
def trilu(x: Tensor, k: Any = None, *, upper: int = 1) -> Tensor:
    rows, columns = (iota(n) for n in x.shape[-2:])
    edge = _C.reshape(rows + int(number(k, 0)), [-1, 1])
    keep = _C.less_equal(edge, columns) if upper else _C.less_equal(columns, edge)
    return _C.where(keep, x, full_like(x, 0))


@op("OneHot")
def one_hot(index: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1) -> Tensor:
    n = int(number(depth))
    axis = axis % (index.ndim + 1)
    at = _C.cast(index, _C.int64)
    at = _C.unsqueeze(_C.where(at < 0, at + n, at), axis)
    places = _C.reshape(iota(n), [n if d == axis else 1 for d in range(at.ndim)])
    off, on = _C.slice(values, 0, 0, 1, 1), _C.slice(values, 0, 1, 2, 1)
    return _C.where(_C.equal(at, places), _C.squeeze(on, 0), _C.squeeze(off, 0))


@op("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        x = _C.permute(_C.reshape(x, [n, b, b, c // (b * b), h, w]), [0, 3, 4, 1, 5, 2])
    else:
        x = _C.permute(_C.reshape(x, [n, c // (b * b), b, b, h, w]), [0, 1, 4, 2, 5, 3])
    return _C.reshape(x, [n, c // (b * b), h * b, w * b])


@op("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    x = _C.reshape(x, [n, c, h // b, b, w // b, b])
    x = _C.permute(x, [0, 3, 5, 1, 2, 4] if mode == "DCR" else [0, 1, 3, 5, 2, 4])
    return _C.reshape(x, [n, c * b * b, h // b, w // b])


def padded(x: Tensor, before: list[int], after: list[int], mode: str = "constant", value: Any = None) -> Tensor:
    """Pads each dimension; negative amounts cut."""
    for d, (lo, hi) in enumerate(zip(before, after)):
        if lo < 0 or hi < 0:
            x = cut(x, d, max(-lo, 0), x.shape[d] - max(-hi, 0))
        lo, hi = max(lo, 0), max(hi, 0)
        if lo or hi:
            x = _pad_dim(x, d, lo, hi, mode, value)
    return x


def _pad_dim(x: Tensor, d: int, lo: int, hi: int, mode: str, value: Any) -> Tensor:
    n = x.shape[d]
    if mode == "constant":
        fill = _C.cast(value, x.dtype) if isinstance(value, Tensor) else full_like(x, value or 0)
        parts = [_C.broadcast_to(_C.reshape(fill, [1] * x.ndim), tuple(k if i == d else m for i, m in enumerate(x.shape))) for k in (lo, hi)]
        return _C.concat([p for p, k in ((parts[0], lo), (x, 1), (parts[1], hi)) if k], d)
    at = np.arange(-lo, n + hi)
    if mode == "edge":
        at = np.clip(at, 0, n - 1)
    elif mode == "wrap":
        at = at % n
    else:
        at = np.abs((at + (n - 1)) % max(2 * (n - 1), 1) - (n - 1)) if n > 1 else at * 0
    return _C.take(x, ints_tensor(at), d)


@op("Pad")
def pad(x: Tensor, pads: Any = None, constant_value: Any = None, axes: Any = None, *, mode: str = "constant", value: float = 0.0, paddings: Any = None) -> Tensor:
    amounts = ints(pads) or ints(paddings) or []
    dims = [a % x.ndim for a in ints(axes)] if axes is not None else list(range(len(amounts) // 2))
    before, after = [0] * x.ndim, [0] * x.ndim
    for i, d in enumerate(dims):
        before[d], after[d] = amounts[i], amounts[i + len(dims)]
    return padded(x, before, after, mode, constant_value if constant_value is not None else value)


@op("CenterCropPad")
def center_crop_pad(x: Tensor, shape: Tensor, *, axes: Any = None) -> Tensor:
    sizes = ints(shape)
    before, after = [0] * x.ndim, [0] * x.ndim
    for d, n in zip([a % x.ndim for a in axes] if axes is not None else range(x.ndim), sizes):
        gap = n - x.shape[d]
        before[d] = gap // 2 if gap >= 0 else -(-gap // 2)
        after[d] = gap - before[d]
    return padded(x, before, after)


@op("ReverseSequence")
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    n = x.shape[time_axis]
    steps = np.arange(n)[:, None]
    count = host(lengths).reshape(1, -1)
    at = np.where(steps < count, count - 1 - steps, steps)  # (time, batch)
    index = at if time_axis < batch_axis else at.T
    shape = [1] * x.ndim
    shape[time_axis], shape[batch_axis] = n, x.shape[batch_axis]
    index = _C.broadcast_to(ints_tensor(index.reshape(shape)), tuple(x.shape))
    return _C.gather(x, time_axis, index)


@op("Dropout", since=1)
def dropout_old(x: Tensor, *, ratio: float = 0.5, is_test: int = 1, consumed_inputs: Any = None) -> tuple[Tensor, Tensor]:
    return x, _C.broadcast_to(full((), 1.0, x.dtype), tuple(x.shape))


@op("Dropout", since=10)
def dropout(x: Tensor, ratio: Any = None, training: Any = None, *, seed: int | None = None) -> tuple[Tensor, Tensor]:
    p = float(number(ratio, 0.5))
    if training is None or not number(training) or p == 0.0:
        return x, full(tuple(x.shape), 1.0, _C.bool)
    from .signal import uniform

    keep = _C.less_equal(full((), p, _C.float32), uniform(list(x.shape), 0.0, 1.0, _C.float32, seed))
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return _C.where(keep, x * scale, full_like(x, 0)), keep


