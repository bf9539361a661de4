"""Shapes: joining, splitting, moving dimensions, repeating. What only looks elsewhere at the elements is a view."""

from __future__ import annotations

import builtins
import itertools
import math
from typing import Any

from . import _C
from ._functions import (
    METHODS,
    TABLE,
    Error,
    Tensor,
    as_operand,
    broadcast_shapes,
    common,
    dims_of,
    kind,
    methods,
    one_dim,
    op,
)
from ._tensor import _ints


def _tensors(name: str, tensors: Any) -> list[Tensor]:
    ts = list(tensors)
    if not ts:
        raise Error(f"[{name}] at least one tensor is needed")
    return common(ts)


# ---- joining


@op(method=False, names=("concat", "concatenate"))
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors one after the other along dim; dtypes are promoted."""
    ts = _tensors("cat", tensors)
    some = [t for t in ts if t.shape != (0,)] or ts[:1]
    rank = some[0].ndim
    if rank == 0:
        raise Error("[cat] a 0-d tensor has no dimension to join along: use stack")
    d = one_dim("cat", dim, rank)
    for i, t in enumerate(some):
        if t.ndim != rank or builtins.any(t.shape[k] != some[0].shape[k] for k in range(rank) if k != d):
            raise Error(f"[cat] tensor {i} of shape {t.shape} does not fit {some[0].shape} along dimension {d}")
    return _C.concat(some, d)


@op(method=False)
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension."""
    ts = _tensors("stack", tensors)
    for i, t in enumerate(ts):
        if t.shape != ts[0].shape:
            raise Error(f"[stack] one shape is needed: tensor {i} is {t.shape}, the first one {ts[0].shape}")
    d = one_dim("stack", dim, ts[0].ndim + 1)
    return _C.concat([_C.unsqueeze(t, d) for t in ts], d)


@op
def atleast_1d(*tensors: Any) -> Any:
    return _each(tensors, lambda t: t if t.ndim else t.reshape(1))


@op
def atleast_2d(*tensors: Any) -> Any:
    return _each(tensors, lambda t: t if t.ndim > 1 else t.reshape(1, -1))


@op
def atleast_3d(*tensors: Any) -> Any:
    return _each(tensors, lambda t: t if t.ndim > 2 else t.reshape(1, -1, 1) if t.ndim < 2 else t.unsqueeze(-1))


def _each(tensors: Any, f: Any) -> Any:
    if len(tensors) == 1:
        return f(tensors[0]) if isinstance(tensors[0], Tensor) else tuple(f(t) for t in tensors[0])
    return tuple(f(t) for t in tensors)


@op(method=False)
def hstack(tensors: Any) -> Tensor:
    """Joined along the second dimension (vectors: the first)."""
    ts = [atleast_1d(t) for t in _tensors("hstack", tensors)]
    return cat(ts, 0 if ts[0].ndim == 1 else 1)


@op(method=False, names=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """Joined along the first dimension; vectors are rows."""
    return cat([atleast_2d(t) for t in _tensors("vstack", tensors)], 0)


@op(method=False)
def dstack(tensors: Any) -> Tensor:
    return cat([atleast_3d(t) for t in _tensors("dstack", tensors)], 2)


@op(method=False)
def column_stack(tensors: Any) -> Tensor:
    """Joined along the second dimension; vectors are columns."""
    return cat([t.reshape(-1, 1) if t.ndim < 2 else t for t in _tensors("column_stack", tensors)], 1)


@op(method=False)
def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal, zeros elsewhere."""
    ts = [atleast_2d(t) for t in _tensors("block_diag", tensors)]
    width, rows, at = builtins.sum(t.shape[1] for t in ts), [], 0
    for t in ts:
        if t.ndim != 2:
            raise Error(f"[block_diag] at most two dimensions, got {t.shape}")
        n, m = t.shape
        left, right = ((n, k) for k in (at, width - at - m))
        rows.append(_C.concat([_C.full(left, 0.0, t.dtype, t.device), t, _C.full(right, 0.0, t.dtype, t.device)], 1))
        at += m
    return _C.concat(rows, 0)


# ---- parts, which write through


@op
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """input[..., index, ...] at dimension dim: a view."""
    d = one_dim("select", dim, input.ndim)
    if input.ndim == 0:
        raise IndexError("[select] a 0-d tensor has no dimension to select from")
    return input[(slice(None),) * d + (index,)]


@op
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` slices of dimension dim from `start` on: a view."""
    d = one_dim("narrow", dim, input.ndim)
    if isinstance(start, Tensor) and (start.ndim or kind(start.dtype) != 1 or start.dtype == _C.bool):
        raise Error(f"[narrow] start must be an integer or a 0-d tensor of one, got {start.dtype}{start.shape}")
    n, start = input.shape[d], int(start)
    if length < 0 or not -n <= start <= n or (start + n if start < 0 else start) + length > n:
        raise Error(f"[narrow] start {start} and length {length} are outside dimension {d} of extent {n}")
    start = start + n if start < 0 else start
    return _part(input, d, start, start + length)


def _part(x: Tensor, dim: int, start: int, stop: int) -> Tensor:
    return x[(slice(None),) * dim + (slice(start, stop),)]


@op
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    d = one_dim("unbind", dim, input.ndim)
    if input.ndim == 0:
        raise IndexError("[unbind] a 0-d tensor has no dimension to take apart")
    return tuple(select(input, d, i) for i in range(input.shape[d]))


@op
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of `split_size` slices each (the last one fewer), or of as many as the list says."""
    d = one_dim("split", dim, input.ndim)
    if input.ndim == 0:
        raise Error("[split] a 0-d tensor cannot be split")
    n = input.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise Error(f"[split] the size of a part must be positive, got {size}")
        sizes = [builtins.min(size, n - at) for at in range(0, n, size)] if n else [0]
    else:
        sizes = list(split_size_or_sections)
        if builtins.sum(sizes) != n or builtins.any(s < 0 for s in sizes):
            raise Error(f"[split] the sizes {sizes} do not add up to the extent {n} of dimension {d}")
    ends = list(itertools.accumulate(sizes))
    return tuple(_part(input, d, end - size, end) for size, end in zip(sizes, ends))


@op
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    return split(input, list(split_sizes), dim)


@op
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of one size (the last one smaller)."""
    if chunks <= 0:
        raise Error(f"[chunk] a positive number of chunks is needed, got {chunks}")
    d = one_dim("chunk", dim, input.ndim)
    if input.ndim == 0:
        raise Error("[chunk] a 0-d tensor cannot be split")
    n = input.shape[d]
    return split(input, [0] * chunks, d) if n == 0 else split(input, -(-n // chunks), d)


@op
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`sections` views of sizes that differ by at most one, or those between the indices."""
    d = one_dim("tensor_split", dim, input.ndim)
    if input.ndim == 0:
        raise Error("[tensor_split] a 0-d tensor cannot be split")
    n = input.shape[d]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k <= 0:
            raise Error(f"[tensor_split] a positive number of sections is needed, got {k}")
        return split(input, [n // k + (i < n % k) for i in range(k)], d)
    ends = [0, *(builtins.max(builtins.min(i + n if i < 0 else i, n), 0) for i in indices_or_sections), n]
    return tuple(_part(input, d, a, builtins.max(a, b)) for a, b in zip(ends, ends[1:]))


def _split_at(name: str, dim: int, least: int) -> None:
    def f(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise Error(f"[{name}] at least {least} dimensions are needed, got {input.shape}")
        d = 0 if name == "hsplit" and input.ndim == 1 else dim
        if isinstance(indices_or_sections, int) and (indices_or_sections == 0 or input.shape[d] % indices_or_sections):
            raise Error(f"[{name}] the extent {input.shape[d]} is no multiple of {indices_or_sections}")
        return tensor_split(input, indices_or_sections, d)

    f.__name__ = f.__qualname__ = name
    op(f)


_split_at("hsplit", 1, 1)
_split_at("vsplit", 0, 2)
_split_at("dsplit", 2, 3)


@op
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices in dim1 and dim2, as the last dimension: a view."""
    a, b = one_dim("diagonal", dim1, input.ndim), one_dim("diagonal", dim2, input.ndim)
    if a == b or input.ndim < 2:
        raise Error(f"[diagonal] two dimensions are needed, got {dim1} and {dim2} of {input.shape}")
    rest = [d for d in range(input.ndim) if d not in (a, b)]
    n, m = input.shape[a], input.shape[b]
    length = builtins.max(builtins.min(n + builtins.min(offset, 0), m - builtins.max(offset, 0)), 0)
    start = offset if offset >= 0 else -offset * m
    flat = _C.view_reshape(_C.view_permute(input, [*rest, a, b]), [*(input.shape[d] for d in rest), n * m])
    return flat[..., start : start + length * (m + 1) : m + 1][..., :length]


@op
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with that diagonal, or the diagonal of a matrix."""
    if input.ndim not in (1, 2):
        raise Error(f"[diag] a vector or a matrix is needed, got {input.shape}")
    return diag_embed(input, diagonal) if input.ndim == 1 else TABLE["diagonal"](input, diagonal)


@op
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in dim1 and dim2 whose diagonals are the last dimension."""
    rank = input.ndim + 1
    a, b = one_dim("diag_embed", dim1, rank), one_dim("diag_embed", dim2, rank)
    if a == b:
        raise Error(f"[diag_embed] two dimensions are needed, got {dim1} twice")
    k = input.shape[-1]
    n = k + builtins.abs(offset)
    i = _C.arange(0.0, float(n), 1.0, _C.int64, input.device)
    row, column = _C.unsqueeze(i, 1), i
    at = row if offset >= 0 else column
    spread = _C.take(input, TABLE["clamp"](i, 0, builtins.max(k - 1, 0)), input.ndim - 1) if k else None
    mask = row + offset == column
    zero = as_operand(0, input)
    if spread is None:
        out = _C.full((*input.shape[:-1], n, n), 0.0, input.dtype, input.device)
    else:
        out = _C.where(mask, _C.unsqueeze(spread, -1 if at is row else -2), zero)
    order = [d for d in range(rank) if d not in (a, b)]
    place = {a: rank - 2, b: rank - 1, **{d: i for i, d in enumerate(order)}}
    return _C.permute(out, [place[d] for d in range(rank)])


@op
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    return diag_embed(input.reshape(-1), offset)


# ---- triangles


def _triangle(input: Tensor, keep: Any) -> Tensor:
    if input.ndim < 2:
        raise Error(f"[tril] matrices are needed, got a tensor of shape {input.shape}")
    n, m = input.shape[-2:]
    row = _C.unsqueeze(_C.arange(0.0, float(n), 1.0, _C.int64, input.device), 1)
    return _C.where(keep(row, _C.arange(0.0, float(m), 1.0, _C.int64, input.device)), input, as_operand(0, input) if input.dtype != _C.bool else as_operand(False, input))


@op(in_place=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle: what is above the diagonal is 0."""
    return _triangle(input, lambda row, column: column <= row + diagonal)


@op(in_place=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle: what is below the diagonal is 0."""
    return _triangle(input, lambda row, column: column >= row + diagonal)


def _triangle_indices(row: int, col: int, offset: int, dtype: Any, lower: bool) -> Tensor:
    import numpy as np

    at = np.tril_indices(row, offset, col) if lower else np.triu_indices(row, offset, col)
    return _C.cast(_C.from_array(np.stack(at).astype(np.int64)), dtype or _C.int64)


@op(method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None) -> Tensor:
    return _triangle_indices(row, col, offset, dtype, True)


@op(method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None) -> Tensor:
    return _triangle_indices(row, col, offset, dtype, False)


# ---- moving and repeating


@op(names=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions `source` moved to the places `destination`; the others keep their order. A view."""
    src, dst = dims_of("movedim", source, input.ndim), dims_of("movedim", destination, input.ndim)
    if len(src) != len(dst):
        raise Error(f"[movedim] {len(src)} dimensions cannot go to {len(dst)} places")
    place = dict(zip(dst, src))
    rest = iter(d for d in range(input.ndim) if d not in src)
    return _C.view_permute(input, [place[d] if d in place else next(rest) for d in range(input.ndim)])


@op
def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    given = dims if dims is not None else _ints(axes) if axes else None
    ds = dims_of("flip", given, input.ndim)
    return _C.flip(input, ds) if ds else _C.clone(input)


@op
def fliplr(input: Tensor) -> Tensor:
    if input.ndim < 2:
        raise Error(f"[fliplr] at least 2 dimensions are needed, got {input.shape}")
    return _C.flip(input, [1])


@op
def flipud(input: Tensor) -> Tensor:
    if input.ndim < 1:
        raise Error("[flipud] at least 1 dimension is needed")
    return _C.flip(input, [0])


@op
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved by `shifts` places along dims (the flat tensor if None), those at the end to the front."""
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise Error(f"[roll] {len(shifts)} shifts need as many dims")
        return _C.reshape(_rolled(_C.reshape(input, [-1]), shifts[0], 0), list(input.shape))
    if input.ndim == 0:
        raise IndexError(f"[roll] a 0-d tensor has no dimension {dims}")
    ds = [one_dim("roll", d, input.ndim) for d in ((dims,) if isinstance(dims, int) else dims)]
    if len(ds) != len(shifts):
        raise Error(f"[roll] {len(shifts)} shifts do not fit {len(ds)} dims")
    for s, d in zip(shifts, ds):
        input = _rolled(input, s, d)
    return input


def _rolled(x: Tensor, shift: int, d: int) -> Tensor:
    n = x.shape[d] if x.ndim else 0
    if n == 0 or shift % n == 0:
        return x
    k = n - shift % n
    return _C.concat([_C.slice(x, d, k, n, 1), _C.slice(x, d, 0, k, 1)], d)


@op
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned by k quarters from the first of dims towards the second."""
    if len(dims) != 2:
        raise Error(f"[rot90] two dims are needed, got {tuple(dims)}")
    a, b = (one_dim("rot90", d, input.ndim) for d in dims)
    if a == b:
        raise Error(f"[rot90] two different dims are needed, got {tuple(dims)}")
    k %= 4
    if k == 0:
        return _C.clone(input)
    if k == 2:
        return _C.flip(input, [a, b])
    return _C.transpose(_C.flip(input, [b]), a, b) if k == 1 else _C.flip(_C.transpose(input, a, b), [b])


@op(function=False)
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Copies side by side, repeats[d] of them along dimension d."""
    times = _ints(repeats)
    lead = len(times) - input.ndim
    if lead < 0:
        raise Error(f"[repeat] {len(times)} numbers are fewer than the {input.ndim} dimensions of the tensor")
    if builtins.any(r < 0 for r in times):
        raise Error(f"[repeat] the repeats must not be negative, got {tuple(times)}")
    shape = [1] * lead + list(input.shape)
    x = _C.reshape(input, shape)
    for d, r in enumerate(times):  # one dimension at a time: no more than one dimension above the result's
        if r != 1:
            spread = [*x.shape[:d], r, *x.shape[d:]]
            x = _C.reshape(_C.broadcast_to(_C.unsqueeze(x, d), tuple(spread)), [*x.shape[:d], r * x.shape[d], *x.shape[d + 1 :]])
    return _C.clone(x)


@op
def tile(input: Tensor, *dims: Any) -> Tensor:
    """repeat, where missing leading repeats are 1."""
    times = _ints(dims) if dims else []
    return repeat(input, [1] * (input.ndim - len(times)) + times)


@op
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each slice repeated beside itself; of repeats alone: the indices that do so."""
    import numpy as np

    if repeats is None:
        counts = input.tolist()
        return _C.clone(_C.from_array(np.repeat(np.arange(len(counts), dtype=np.int64), counts)))
    if dim is None:
        input, dim = _C.reshape(input, [-1]), 0
    d = one_dim("repeat_interleave", dim, input.ndim)
    if isinstance(repeats, int) or (isinstance(repeats, Tensor) and repeats.numel() == 1):
        times = int(repeats) if not isinstance(repeats, Tensor) else int(repeats.reshape(-1)[0])
        if times < 0:
            raise Error(f"[repeat_interleave] repeats must not be negative, got {times}")
        s = list(input.shape)
        spread = _C.broadcast_to(_C.unsqueeze(input, d + 1), (*s[: d + 1], times, *s[d + 1 :]))
        return _C.reshape(spread, [*s[:d], s[d] * times, *s[d + 1 :]])
    counts = repeats.tolist() if isinstance(repeats, Tensor) else list(repeats)
    if len(counts) != input.shape[d] or builtins.any(c < 0 for c in counts):
        raise Error(f"[repeat_interleave] {input.shape[d]} counts that are not negative are needed, got {counts}")
    return _C.take(input, _C.clone(_C.from_array(np.repeat(np.arange(len(counts), dtype=np.int64), counts))), d)


@op(method=False)
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: one tensor an axis, all of the grid's shape."""
    ts = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise Error(f'[meshgrid] indexing must be "ij" or "xy", got {indexing!r}')
    if not ts or builtins.any(t.ndim > 1 for t in ts) or builtins.any(t.dtype != ts[0].dtype for t in ts):
        raise Error("[meshgrid] vectors of one dtype are needed")
    swap = indexing == "xy" and len(ts) > 1
    if swap:
        ts[0], ts[1] = ts[1], ts[0]
    sizes = tuple(t.numel() for t in ts)
    grids = [_C.broadcast_to(_C.reshape(t, [1] * i + [-1] + [1] * (len(ts) - 1 - i)), sizes) for i, t in enumerate(ts)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@op(method=False)
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """Every choice of one element each, as rows (of one tensor: itself)."""
    if len(tensors) == 1:
        return tensors[0]
    return stack([_C.reshape(g, [-1]) for g in meshgrid(*tensors)], 1)


@op(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of r elements, as rows."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.numel()), r))
    import numpy as np

    if not rows or r == 0:
        return _C.full((len(rows) if r else 0, r) if r else (0,), 0.0, input.dtype, input.device)
    return _C.take(input, _C.clone(_C.from_array(np.asarray(rows, dtype=np.int64))), 0)


@op(method=False)
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return tuple(_C.broadcast_to(t, shape) for t in tensors)


@op
def unflatten(input: Tensor, dim: int, *sizes: Any) -> Tensor:
    """Dimension dim taken apart into `sizes`: a view."""
    d, parts = one_dim("unflatten", dim, input.ndim), _ints(sizes)
    known = math.prod(s for s in parts if s != -1)
    n = input.shape[d]
    if not parts or parts.count(-1) > 1 or (n != known if -1 not in parts else known == 0 or n % known):
        raise Error(f"[unflatten] {tuple(parts)} is no shape for the extent {n} of dimension {d}")
    parts = [n // known if s == -1 else s for s in parts]
    return _C.view_reshape(input, [*input.shape[:d], *parts, *input.shape[d + 1 :]])


@op
def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    if input.ndim > 2:
        raise Error(f"[t] at most two dimensions, got {input.shape}: use transpose")
    return _C.view_transpose(input, 0, 1) if input.ndim == 2 else input


def _adjoint(self: Tensor) -> Tensor:
    return TABLE["conj"](self.mT) if self.is_complex() else self.mT


@op
def adjoint(input: Tensor) -> Tensor:
    """Matrices transposed and conjugated."""
    return _adjoint(input)


METHODS.mH = property(_adjoint)
METHODS.H = property(lambda self: _adjoint(self) if self.ndim == 2 else self)


@op
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` every `step` along dimension, as a last dimension."""
    d = one_dim("unfold", dimension, input.ndim)
    x = input if input.ndim else input.reshape(1)
    n = x.shape[d]
    if size > n or size < 0 or step <= 0:
        raise Error(f"[unfold] windows of {size} every {step} do not fit the extent {n} of dimension {d}")
    count = (n - size) // step + 1
    at = _C.unsqueeze(_C.arange(0.0, float(count), 1.0, _C.int64, x.device) * step, 1) + _C.arange(0.0, float(size), 1.0, _C.int64, x.device)
    out = _C.take(x, at, d)
    if input.ndim == 0:
        return out.reshape(size)
    return _C.permute(out, [*range(d + 1), *range(d + 2, x.ndim + 1), d + 1])


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    return self.expand(other.shape)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    return self.view(other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    return self.reshape(other.shape)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    return self.to(other.dtype)


methods(expand_as, view_as, reshape_as, type_as)


@op
def ravel(input: Tensor) -> Tensor:
    return _C.view_reshape(input, [-1])


@op(function=False)
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Summed over the dimensions that broadcasting from `size` would stretch."""
    target = _ints(size)
    lead = input.ndim - len(target)
    if lead < 0 or builtins.any(s not in (1, n) for s, n in zip(target, input.shape[builtins.max(lead, 0) :])):
        raise Error(f"[sum_to_size] {tuple(target)} does not broadcast to {input.shape}")
    dims = [i for i, n in enumerate(input.shape) if i < lead or (target[i - lead] == 1 != n)]
    return _C.reshape(_C.sum(input, dims, True), target) if dims else input


# What is a method of Tensor already is a function too.
for _n in ("reshape", "permute", "transpose", "swapaxes", "flatten", "squeeze", "unsqueeze", "clone", "detach",
           "is_floating_point", "is_complex", "numel"):  # fmt: skip
    TABLE[_n] = (lambda f: lambda input, *args, **kwargs: f(input, *args, **kwargs))(getattr(Tensor, _n))
    TABLE[_n].__name__ = _n
TABLE["swapdims"], METHODS.swapdims = TABLE["swapaxes"], Tensor.swapaxes
TABLE["broadcast_to"] = lambda input, size: input.expand(size)
for _n in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims"):

    def _reshaping(self: Tensor, *args: Any, _f: Any = TABLE[_n], **kwargs: Any) -> Tensor:
        _C.rebind(self, _C.clone(_f(self, *args, **kwargs)))
        return self

    setattr(Tensor, _n + "_", _reshaping)
