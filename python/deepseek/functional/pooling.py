"""Pools: the engine's two-dimensional ones where they fit, else compositions of the windows' slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import _C
from ._common import Tensor, at, like, pair, power, spatial
from .padding import _constant, windows


def _extent(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool, op: str) -> int:
    span = d * (k - 1) + 1
    room = n + 2 * p - span
    if s < 1 or k < 1 or d < 1 or p < 0:
        raise _C.Error(f"[{op}] kernel {k}, stride {s}, padding {p}, dilation {d} are not allowed")
    if 2 * p > span:
        raise _C.Error(f"[{op}] padding {p} is more than half of the kernel {k}")
    out = (-(-room // s) if ceil_mode else room // s) + 1
    if ceil_mode and (out - 1) * s >= n + p:  # the last window must begin inside of the input or its left padding
        out -= 1
    if out < 1:
        raise _C.Error(f"[{op}] a window of {span} does not fit into {n} with padding {p}")
    return out


def _padded(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], out: Sequence[int], value: float) -> Tensor:
    first = x.ndim - len(kernel)
    for i in range(len(kernel)):
        need = (out[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1
        x = _constant(x, first + i, padding[i], max(need - x.shape[first + i] - padding[i], 0), value)
    return x


def _lowest(x: Tensor) -> float:
    return float("-inf") if x.dtype.is_floating_point else -(2.0 ** (8 * x.dtype.itemsize - 1))


def _max_windows(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> tuple[Tensor, Tensor]:
    """The maxima and where in the flattened extents of x they are; the first of equals, and NaN before all."""
    import numpy as np

    n = len(kernel)
    extents = x.shape[-n:]
    places = np.arange(int(np.prod(extents)), dtype=np.int64).reshape(extents)
    seen = windows(_padded(x, kernel, stride, padding, dilation, out, _lowest(x)), kernel, stride, dilation, out)
    position = _padded(_C.from_array(places), kernel, stride, padding, dilation, out, -1.0)
    spots = windows(position, kernel, stride, dilation, out)
    best, spot = seen[0], _C.broadcast_to(spots[0], seen[0].shape)
    for value, place in zip(seen[1:], spots[1:]):
        better = _C.logical_or(_C.logical_or(value > best, value != value), spot < 0)
        spot = _C.where(better, place, spot)
        best = _C.where(better, value, best)
    return best, spot


def _max_pool(
    n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    op = f"max_pool{n}d"
    x, single = spatial(input, n, op)
    if x.shape[1] == 0:
        raise _C.Error(f"[{op}] channels are needed, got {input.shape}")
    k = pair(kernel_size, n, op, "kernel_size")
    s = k if stride is None or stride in ([], ()) else pair(stride, n, op, "stride")
    p, d = pair(padding, n, op, "padding"), pair(dilation, n, op, "dilation")
    out = [_extent(x.shape[2 + i], k[i], s[i], p[i], d[i], ceil_mode, op) for i in range(n)]
    plain = all(i == 1 for i in d) and out == [_extent(x.shape[2 + i], k[i], s[i], p[i], 1, False, op) for i in range(n)]
    spot = None
    if not return_indices and plain and x.dtype in (_C.float32, _C.float64):
        y = _pooled(_C.max_pool2d, x, k, s, p)
    else:
        y, spot = _max_windows(x, k, s, p, d, out)
    if single:
        y, spot = _C.squeeze(y, 0), None if spot is None else _C.squeeze(spot, 0)
    return (y, spot) if return_indices else y


def _pooled(pool: Any, x: Tensor, k: Sequence[int], s: Sequence[int], p: Sequence[int]) -> Tensor:
    """One or three dimensions by way of the engine's two: these pools do one dimension after the other."""
    if len(k) == 2:
        return pool(x, k, s, p)
    if len(k) == 1:
        return _C.squeeze(pool(_C.unsqueeze(x, 2), (1, k[0]), (1, s[0]), (0, p[0])), 2)
    b, c, depth, h, w = x.shape
    y = pool(_C.reshape(x, [b, c * depth, h, w]), k[1:], s[1:], p[1:])
    h, w = y.shape[2:]
    y = pool(_C.reshape(y, [b, c, depth, h * w]), (k[0], 1), (s[0], 1), (p[0], 0))
    return _C.reshape(y, [b, c, y.shape[2], h, w])


def max_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """(batch, channels, height, width); return_indices: also where in height x width each maximum is."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> Any:
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _divisors(extents: Sequence[int], k: Sequence[int], s: Sequence[int], p: Sequence[int], out: Sequence[int], include_pad: bool) -> Any:
    """How many elements each window averages: padding counts or not, what ceil_mode adds never does."""
    import numpy as np

    total: Any = np.ones(())
    for i, n in enumerate(extents):
        start = np.arange(out[i]) * s[i] - p[i]
        stop = np.minimum(start + k[i], n + p[i])
        if not include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, n)
        total = total[..., None] * (stop - start)
    return total


def _avg_pool(
    n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None
) -> Tensor:
    op = f"avg_pool{n}d"
    x, single = spatial(input, n, op)
    k = pair(kernel_size, n, op, "kernel_size")
    s = k if stride is None or stride in ([], ()) else pair(stride, n, op, "stride")
    p = pair(padding, n, op, "padding")
    out = [_extent(x.shape[2 + i], k[i], s[i], p[i], 1, ceil_mode, op) for i in range(n)]
    plain = out == [_extent(x.shape[2 + i], k[i], s[i], p[i], 1, False, op) for i in range(n)]
    if plain and divisor_override is None and x.dtype in (_C.float32, _C.float64) and (count_include_pad or not any(p)):
        y = _pooled(_C.avg_pool2d, x, k, s, p)
    else:
        parts = windows(_padded(x, k, s, p, (1,) * n, out, 0.0), k, s, (1,) * n, out)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        if divisor_override is not None:
            if divisor_override == 0:
                raise _C.Error(f"[{op}] divisor_override must not be 0")
            y = total / divisor_override
        else:
            y = total / _C.cast(_C.from_array(_divisors(x.shape[2:], k, s, p, out, count_include_pad)), x.dtype)
        if not x.dtype.is_floating_point:
            y = _C.cast(y, x.dtype)  # towards zero
    return _C.squeeze(y, 0) if single else y


def avg_pool1d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Tensor:
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(n: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    k = pair(kernel_size, n, f"lp_pool{n}d", "kernel_size")
    count = 1
    for i in k:
        count *= i
    mean = _avg_pool(n, power(input, norm_type), k, stride, 0, ceil_mode, True, None)
    return power(_C.sign(mean) * _C.relu(abs(mean)) * float(count), 1.0 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _target(n: int, x: Tensor, output_size: Any, op: str) -> list[int]:
    size = [output_size] * n if isinstance(output_size, int) or output_size is None else list(output_size)
    if len(size) != n:
        raise _C.Error(f"[{op}] output_size {output_size} does not have {n} numbers")
    return [x.shape[2 + i] if v is None else int(v) for i, v in enumerate(size)]


def _bounds(n: int, out: int) -> list[tuple[int, int]]:
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def _adaptive_avg_pool(n: int, input: Tensor, output_size: Any) -> Tensor:
    op = f"adaptive_avg_pool{n}d"
    x, single = spatial(input, n, op)
    out = _target(n, x, output_size, op)
    if all(o == 1 for o in out):
        y = _C.mean(x, list(range(2, 2 + n)), True)
    elif all(o and e % o == 0 for o, e in zip(out, x.shape[2:])):
        k = [e // o for o, e in zip(out, x.shape[2:])]
        y = _avg_pool(n, x, k, k, 0, False, True, None)
    else:
        y = x
        for i, o in enumerate(out):
            y = _averaged(y, 2 + i, o)
    return _C.squeeze(y, 0) if single else y


def _averaged(x: Tensor, dim: int, out: int) -> Tensor:
    """A dimension times the (in, out) matrix of its averages."""
    import numpy as np

    n = x.shape[dim]
    matrix = np.zeros((n, out))
    for i, (a, b) in enumerate(_bounds(n, out)):
        matrix[a:b, i] = 1 / (b - a)
    return along(x, dim, _C.cast(_C.from_array(matrix), x.dtype))


def along(x: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """x with its dimension of n replaced by its product with an (n, m) matrix."""
    if dim == x.ndim - 1:
        return _C.matmul(x, matrix)
    return _C.transpose(_C.matmul(_C.transpose(x, dim, x.ndim - 1), matrix), dim, x.ndim - 1)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    op = f"adaptive_max_pool{n}d"
    x, single = spatial(input, n, op)
    out = _target(n, x, output_size, op)
    spot = None
    if all(o and e % o == 0 for o, e in zip(out, x.shape[2:])):
        k = [e // o for o, e in zip(out, x.shape[2:])]
        y = _max_pool(n, x, k, k, 0, 1, False, return_indices)
        y, spot = y if return_indices else (y, None)
    elif return_indices:
        y, spot = _ragged_max(x, out)
    else:
        y = x
        for i, o in enumerate(out):
            y = _C.concat([_C.amax(at(y, 2 + i, a, b), [2 + i], True) for a, b in _bounds(y.shape[2 + i], o)], 2 + i)
    if single:
        y, spot = _C.squeeze(y, 0), None if spot is None else _C.squeeze(spot, 0)
    return (y, spot) if return_indices else y


def _ragged_max(x: Tensor, out: list[int]) -> tuple[Tensor, Tensor]:
    """Windows of unequal extents, one by one: the flat positions each sees, and the largest of them."""
    import itertools

    import numpy as np

    extents = x.shape[2:]
    flat = _C.reshape(x, [*x.shape[:2], -1])
    places = np.arange(flat.shape[2]).reshape(extents)
    values, spots = [], []
    for window in itertools.product(*(_bounds(e, o) for e, o in zip(extents, out))):
        index = _C.from_array(places[tuple(slice(a, b) for a, b in window)].reshape(-1).astype(np.int64))
        seen = _C.take(flat, index, 2)
        best = _C.argmax(seen, 2, True)
        values.append(_C.gather(seen, 2, best))
        spots.append(_C.take(index, best, 0))
    shape = [*x.shape[:2], *out]
    return _C.reshape(_C.concat(values, 2), shape), _C.reshape(_C.concat(spots, 2), shape)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    return _adaptive_max_pool(3, input, output_size, return_indices)


def _max_unpool(n: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Tensor:
    op = f"max_unpool{n}d"
    x, single = spatial(input, n, op)
    spots = _C.unsqueeze(indices, 0) if single else indices
    k = pair(kernel_size, n, op, "kernel_size")
    s = k if stride is None else pair(stride, n, op, "stride")
    p = pair(padding, n, op, "padding")
    if any(step < 1 for step in s):
        raise _C.Error(f"[{op}] strides must be positive, got {s}")
    if output_size is None:
        size = [(x.shape[2 + i] - 1) * s[i] - 2 * p[i] + k[i] for i in range(n)]
    else:
        size = [int(v) for v in output_size][-n:]
    cells = 1
    for v in size:
        cells *= v
    b, c = x.shape[:2]
    zeros = _C.full((b, c, cells), 0.0, x.dtype, x.device)
    flat, where = _C.reshape(x, [b, c, -1]), _C.reshape(spots, [b, c, -1])
    hits = _C.scatter_add(zeros, 2, where, _C.full(flat.shape, 1.0, x.dtype, x.device))
    y = _C.scatter_add(zeros, 2, where, flat) / _C.maximum(hits, like(x, 1))  # windows that share a maximum agree on it
    if flat.requires_grad:
        y = _C.custom([_C.detach(y)], [flat], lambda g: _C.gather(g, 2, where), "max_unpool")[0]
    y = _C.reshape(y, [b, c, *size])
    return _C.squeeze(y, 0) if single else y


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
