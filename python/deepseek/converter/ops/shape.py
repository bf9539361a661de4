"""Views and movement: views write through to what they are of, as PyTorch's do."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from . import TABLE, op, same

Tensor = _C.Tensor
same("movedim swapaxes tile flip rot90 meshgrid block_diag cartesian_prod pixel_shuffle pixel_unshuffle channel_shuffle")

op("view.default", "reshape", "_unsafe_view", "_reshape_alias", "view_copy", "unsafe_view")(
    lambda x, shape, *_: _C.view_reshape(x, list(shape)))  # fmt: skip
op("view_as", "reshape_as")(lambda x, other: _C.view_reshape(x, list(other.shape)))
op("permute", "permute_copy")(lambda x, dims: _C.view_permute(x, list(dims)))
op("transpose", "swapaxes", "swapdims")(_C.view_transpose)
op("t", "numpy_T")(lambda x: _C.view_permute(x, list(range(x.ndim))[::-1]))
op("mT", "adjoint")(lambda x: _C.view_transpose(x, -2, -1))
op("flatten")(lambda x, start=0, end=-1: _C.view_flatten(x, start, end))
op("unsqueeze")(_C.view_unsqueeze)
op("broadcast_to")(lambda x, shape: TABLE["expand"](x, shape))
op("expand_as")(lambda x, other: _C.broadcast_to(x, other.shape))
op("contiguous", "alias", "detach_", "lift_fresh", "view_copy", "_conj", "resolve_conj", "resolve_neg", "lift",
   "wait_tensor", "set_data", "lift_fresh_copy", "requires_grad_", "_to_cpu")(lambda x, *a, **k: x)  # fmt: skip
op("clone")(lambda x, **k: _C.clone(x))
op("detach")(_C.detach)


@op("unflatten")
def unflatten(x: Tensor, dim: int, sizes: Any) -> Tensor:
    dim %= x.ndim
    return _C.view_reshape(x, [*x.shape[:dim], *sizes, *x.shape[dim + 1 :]])


@op("squeeze")
def squeeze(x: Tensor, dim: Any = None) -> Tensor:
    return _C.view_squeeze(x, None if dim is None else [dim] if isinstance(dim, int) else list(dim))


@op("expand")
def expand(x: Tensor, sizes: Any, implicit: bool = False) -> Tensor:
    lead = len(sizes) - x.ndim
    shape = tuple(x.shape[i - lead] if s == -1 else s for i, s in enumerate(sizes))
    return x if shape == x.shape else _C.broadcast_to(x, shape)


def _index(x: Tensor, dim: int, key: Any) -> Tensor:
    return x[(slice(None),) * (dim % x.ndim) + (key,)]


@op("slice", "slice_copy")
def slice_(x: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    size = x.shape[dim]
    start = 0 if start is None else start
    end = size if end is None or end >= size else end
    if start == 0 and end == size and step == 1:
        return x
    return _index(x, dim, slice(start, end, step))


op("select", "select_copy")(_index)
op("narrow")(lambda x, dim, start, length: _index(x, dim, slice(start, start + length)))


@op("cat", "concat", "concatenate", "_cat")
def cat(xs: list[Tensor], dim: int = 0) -> Tensor:
    kept = [x for x in xs if not (x.ndim == 1 and x.shape[0] == 0)] or xs[:1]
    return _C.concat(kept, dim) if len(kept) > 1 else kept[0]


@op("stack", "_stack")
def stack(xs: list[Tensor], dim: int = 0) -> Tensor:
    return _C.concat([_C.unsqueeze(x, dim) for x in xs], dim % (xs[0].ndim + 1))


op("hstack")(lambda xs: cat(xs, 0 if xs[0].ndim == 1 else 1))
op("vstack")(lambda xs: cat([x if x.ndim > 1 else _C.unsqueeze(x, 0) for x in xs], 0))
op("unbind")(lambda x, dim=0: [_index(x, dim, i) for i in range(x.shape[dim])])


@op("split", "split_with_sizes", "split_copy", "unsafe_split")
def split(x: Tensor, size: Any, dim: int = 0) -> list[Tensor]:
    n = x.shape[dim]
    sizes = [min(size, n - i) for i in range(0, n, size)] if isinstance(size, int) else size
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [_index(x, dim, slice(e - s, e)) for s, e in zip(sizes, ends, strict=True)]


op("chunk", "unsafe_chunk")(lambda x, chunks, dim=0: split(x, math.ceil(x.shape[dim] / chunks), dim))


@op("tensor_split")
def tensor_split(x: Tensor, parts: Any, dim: int = 0) -> list[Tensor]:
    n = x.shape[dim]
    if isinstance(parts, int):
        return split(x, [n // parts + (i < n % parts) for i in range(parts)], dim)
    ends = [0, *parts, n]
    return split(x, [b - a for a, b in zip(ends, ends[1:], strict=False)], dim)


@op("repeat")
def repeat(x: Tensor, repeats: Any) -> Tensor:
    shape = [1] * (len(repeats) - x.ndim) + list(x.shape)
    mixed = [d for r, n in zip(repeats, shape, strict=True) for d in (r, n)]
    lifted = _C.reshape(x, [d for n in shape for d in (1, n)])
    return _C.reshape(_C.broadcast_to(lifted, tuple(mixed)), [r * n for r, n in zip(repeats, shape, strict=True)])


op("tile")(lambda x, dims: repeat(x, [1] * (x.ndim - len(dims)) + list(dims)))


@op("repeat_interleave.self_int")
def repeat_interleave(x: Tensor, repeats: int, dim: Any = None, output_size: Any = None) -> Tensor:
    if dim is None:
        x, dim = _C.reshape(x, [-1]), 0
    dim %= x.ndim
    shape = list(x.shape)
    wide = _C.broadcast_to(_C.unsqueeze(x, dim + 1), (*shape[: dim + 1], repeats, *shape[dim + 1 :]))
    return _C.reshape(wide, [*shape[:dim], shape[dim] * repeats, *shape[dim + 1 :]])


@op("roll")
def roll(x: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    shifts, dims = ([v] if isinstance(v, int) else list(v) for v in (shifts, dims))
    if not dims:
        return _C.reshape(roll(_C.reshape(x, [-1]), shifts, [0]), list(x.shape))
    for shift, dim in zip(shifts, dims, strict=True):
        n = x.shape[dim]
        k = shift % n if n else 0
        if k:
            x = _C.concat([_C.slice(x, dim, n - k, n, 1), _C.slice(x, dim, 0, n - k, 1)], dim)
    return x


op("flip")(lambda x, dims: _C.flip(x, list(dims)))


@op("movedim", "moveaxis")
def movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    source, destination = ([v] if isinstance(v, int) else list(v) for v in (source, destination))
    to = {d % x.ndim: s % x.ndim for s, d in zip(source, destination, strict=True)}
    rest = iter([d for d in range(x.ndim) if d not in to.values()])
    return _C.view_permute(x, [to[i] if i in to else next(rest) for i in range(x.ndim)])


@op("meshgrid")
def meshgrid(xs: list[Tensor], indexing: str = "ij") -> list[Tensor]:
    if indexing == "xy" and len(xs) > 1:
        return [_C.view_transpose(g, 0, 1) for g in meshgrid([xs[1], xs[0], *xs[2:]])][1::-1] + [
            _C.view_transpose(g, 0, 1) for g in meshgrid([xs[1], xs[0], *xs[2:]])[2:]]  # fmt: skip
    shape = tuple(x.shape[0] for x in xs)
    lift = [[-1 if i == j else 1 for j in range(len(xs))] for i in range(len(xs))]
    return [_C.broadcast_to(_C.reshape(x, s), shape) for x, s in zip(xs, lift, strict=True)]


@op("pixel_shuffle")
def pixel_shuffle(x: Tensor, r: int) -> Tensor:
    *lead, c, h, w = x.shape
    n = len(lead)
    x = _C.reshape(x, [*lead, c // (r * r), r, r, h, w])
    x = _C.permute(x, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return _C.reshape(x, [*lead, c // (r * r), h * r, w * r])


@op("pixel_unshuffle")
def pixel_unshuffle(x: Tensor, r: int) -> Tensor:
    *lead, c, h, w = x.shape
    n = len(lead)
    x = _C.reshape(x, [*lead, c, h // r, r, w // r, r])
    x = _C.permute(x, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return _C.reshape(x, [*lead, c * r * r, h // r, w // r])


@op("channel_shuffle")
def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    b, c, *rest = x.shape
    x = _C.reshape(x, [b, groups, c // groups, *rest])
    return _C.reshape(_C.transpose(x, 1, 2), [b, c, *rest])


def _pad_constant(x: Tensor, pads: list[tuple[int, int]], value: float) -> Tensor:
    """pads: (before, after) from the last dimension on; negative ones cut."""
    for i, (a, b) in enumerate(pads):
        dim = x.ndim - 1 - i
        n = x.shape[dim]
        if a < 0 or b < 0:
            x = _C.slice(x, dim, max(-a, 0), n - max(-b, 0), 1)
        shape = list(x.shape)
        parts = [x]
        for extra, at in ((a, 0), (b, len(parts))):
            if extra > 0:
                shape[dim] = extra
                fill = _C.full(tuple(shape), float(value), x.dtype, x.device)
                parts.insert(0 if at == 0 else len(parts), fill)
        x = _C.concat(parts, dim) if len(parts) > 1 else x
    return x


def _pad_edges(x: Tensor, pads: list[tuple[int, int]], mode: str) -> Tensor:
    for i, (a, b) in enumerate(pads):
        dim, n = x.ndim - 1 - i, x.shape[x.ndim - 1 - i]
        at = range(-a, n + b)
        if mode == "reflect":
            order = [abs(j) if j < n else 2 * (n - 1) - j for j in at]
        elif mode == "circular":
            order = [j % n for j in at]
        else:
            order = [min(max(j, 0), n - 1) for j in at]
        if a or b:
            x = _C.take(x, _C.from_array(_int64(order)), dim)
    return x


def _int64(values: list[int]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=np.int64)


@op("pad", "constant_pad_nd")
def pad(x: Tensor, padding: Any, mode: Any = "constant", value: Any = None) -> Tensor:
    if not isinstance(mode, str):
        mode, value = "constant", mode
    pads = [(padding[i], padding[i + 1]) for i in range(0, len(padding), 2)]
    return _pad_constant(x, pads, value or 0.0) if mode == "constant" else _pad_edges(x, pads, mode)


for _mode, _names in {"reflect": "reflection", "replicate": "replication", "circular": "_circular"}.items():
    op(*(f"{_names}_pad{d}d" for d in (1, 2, 3)))(lambda x, padding, _m=_mode: pad(x, padding, _m))


@op("unfold")
def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows along dim, as a new last dimension."""
    dim %= x.ndim
    count = (x.shape[dim] - size) // step + 1
    at = _C.from_array(_int64([i * step + j for i in range(count) for j in range(size)]))
    windows = _C.take(x, at, dim)
    windows = _C.reshape(windows, [*x.shape[:dim], count, size, *x.shape[dim + 1 :]])
    order = [*range(dim + 1), *range(dim + 2, windows.ndim), dim + 1]
    return _C.permute(windows, order)


@op("diagonal")
def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    dim1, dim2 = dim1 % x.ndim, dim2 % x.ndim
    x = _C.permute(x, [d for d in range(x.ndim) if d not in (dim1, dim2)] + [dim1, dim2])
    rows, columns = x.shape[-2:]
    n = min(rows - max(-offset, 0), columns - max(offset, 0))
    at = [(i + max(-offset, 0)) * columns + i + max(offset, 0) for i in range(n)]
    return _C.take(_C.reshape(x, [*x.shape[:-2], rows * columns]), _C.from_array(_int64(at)), -1)


op("size", "sym_size")(lambda x, dim=None: x.shape if dim is None else x.shape[dim])
op("numel", "sym_numel")(lambda x: x.numel())
