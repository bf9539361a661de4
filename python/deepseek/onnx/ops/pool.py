"""Windows that slide: pooling, unpooling, columns."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ... import _C
from ..table import Context, op
from ..values import Tensor, full, full_like, host, ints, ints_tensor
from .shape import cut, padded


def same_pads(size: list[int], kernel: list[int], strides: list[int], dilations: list[int], upper: bool) -> list[int]:
    """Pads that make ceil(size / stride) windows; the odd one goes to the end if `upper`."""
    before, after = [], []
    for n, k, s, d in zip(size, kernel, strides, dilations):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    return before + after


def resolve(auto_pad: str, pads: Any, size: list[int], kernel: list[int], strides: list[int], dilations: list[int]) -> list[int]:
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return same_pads(size, kernel, strides, dilations, auto_pad == "SAME_UPPER")
    return [0] * (2 * len(size)) if auto_pad == "VALID" or not pads else list(pads)


class Windows:
    """Where the windows over the trailing dimensions of a tensor stand."""

    def __init__(self, size: list[int], kernel: list[int], strides: Any, dilations: Any, pads: Any, auto_pad: str, ceil_mode: int = 0):
        rank = len(kernel)
        self.size, self.kernel = size, list(kernel)
        self.strides, self.dilations = list(strides or [1] * rank), list(dilations or [1] * rank)
        self.pads = resolve(auto_pad, pads, size, self.kernel, self.strides, self.dilations)
        self.count, self.extra = [], []
        for i, n in enumerate(size):
            room = n + self.pads[i] + self.pads[i + rank] - (self.kernel[i] - 1) * self.dilations[i] - 1
            count = (-(-room // self.strides[i]) if ceil_mode else room // self.strides[i]) + 1
            if ceil_mode and (count - 1) * self.strides[i] >= n + self.pads[i]:
                count -= 1  # a window may not begin behind the input
            self.count.append(count)
            self.extra.append(max(0, (count - 1) * self.strides[i] - room))

    def padded(self, x: Tensor, value: Any) -> Tensor:
        lead, rank = x.ndim - len(self.kernel), len(self.kernel)
        after = [p + e for p, e in zip(self.pads[rank:], self.extra)]
        return padded(x, [0] * lead + self.pads[:rank], [0] * lead + after, "constant", value)

    def taps(self, x: Tensor, value: Any = 0) -> list[Tensor]:
        """For each place in the kernel, what all windows see there: each of shape (..., *count)."""
        x = self.padded(x, value)
        lead = x.ndim - len(self.kernel)
        out = []
        for place in itertools.product(*[range(k) for k in self.kernel]):
            tap = x
            for i, p in enumerate(place):
                start = p * self.dilations[i]
                tap = cut(tap, lead + i, start, start + (self.count[i] - 1) * self.strides[i] + 1, self.strides[i])
            out.append(tap)
        return out

    @property
    def plain(self) -> bool:
        """Whether the engine's pools over two dimensions do it."""
        half = len(self.pads) // 2
        return half == 2 and self.pads[:2] == self.pads[2:] and self.dilations == [1, 1] and not any(self.extra) and (
            all(2 * p <= k for p, k in zip(self.pads, self.kernel)))  # fmt: skip


def _total(taps: list[Tensor]) -> Tensor:
    out = taps[0]
    for t in taps[1:]:
        out = out + t
    return out


@op("AveragePool")
def average_pool(x: Tensor, *, kernel_shape: list[int], strides: Any = None, pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
                 ceil_mode: int = 0, count_include_pad: int = 0) -> Tensor:  # fmt: skip
    w = Windows(list(x.shape[2:]), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    total = _total(w.taps(x))
    ones = np.ones(x.shape[2:])
    rank = len(w.kernel)
    area = np.pad(ones, list(zip(w.pads[:rank], w.pads[rank:])), constant_values=1.0 if count_include_pad else 0.0)
    counts = Windows(list(area.shape), kernel_shape, w.strides, w.dilations, None, "VALID")
    counts.count, counts.extra = w.count, w.extra
    n = _total(counts.taps(_C.from_array(area)))
    return total / _C.cast(_C.maximum(n, full_like(n, 1)), x.dtype)


@op("MaxPool")
def max_pool(x: Tensor, *, kernel_shape: list[int], strides: Any = None, pads: Any = None, dilations: Any = None, auto_pad: str = "NOTSET",
             ceil_mode: int = 0, storage_order: int = 0, ctx: Context) -> Any:  # fmt: skip
    w = Windows(list(x.shape[2:]), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    wants_indices = len(ctx.outputs) > 1 and ctx.outputs[1]
    if w.plain and not wants_indices and x.dtype.is_floating_point:
        return _C.max_pool2d(x, tuple(w.kernel), tuple(w.strides), tuple(w.pads[:2]))
    lowest = -math.inf if x.dtype.is_floating_point else int(np.iinfo(x.dtype.name).min)
    taps = w.taps(x, lowest)
    best = taps[0]
    for t in taps[1:]:
        best = _C.maximum(best, t)
    return (best, _indices(w, taps, best, x, storage_order)) if wants_indices else best


def _indices(w: Windows, taps: list[Tensor], best: Tensor, x: Tensor, storage_order: int) -> Tensor:
    """Where each maximum stands in the flat input; the first of equals."""
    places = np.arange(math.prod(w.size), dtype=np.int64).reshape(w.size)
    if storage_order:
        places = np.arange(math.prod(w.size), dtype=np.int64).reshape(w.size[::-1]).transpose()
    at = w.taps(ints_tensor(places), 0)
    found = at[-1]
    for tap, place in zip(taps[-2::-1], at[-2::-1]):
        found = _C.where(_C.equal(tap, best), place, found)
    planes = math.prod(x.shape[:2])
    base = ints_tensor(np.arange(planes).reshape([*x.shape[:2]] + [1] * len(w.size)) * math.prod(w.size))
    return found + base


@op("LpPool")
def lp_pool(x: Tensor, *, kernel_shape: list[int], p: float = 2, strides: Any = None, pads: Any = None, dilations: Any = None,
            auto_pad: str = "NOTSET", ceil_mode: int = 0) -> Tensor:  # fmt: skip
    w = Windows(list(x.shape[2:]), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    power = full_like(x, p)
    return _C.pow(_total([_C.pow(_C.abs(t), power) for t in w.taps(x)]), full_like(x, 1.0 / p))


@op("GlobalAveragePool")
def global_average_pool(x: Tensor) -> Tensor:
    return _C.mean(x, list(range(2, x.ndim)), True)


@op("GlobalMaxPool")
def global_max_pool(x: Tensor) -> Tensor:
    return _C.amax(x, list(range(2, x.ndim)), True)


@op("GlobalLpPool")
def global_lp_pool(x: Tensor, *, p: float = 2) -> Tensor:
    power = full_like(x, p)
    return _C.pow(_C.sum(_C.pow(_C.abs(x), power), list(range(2, x.ndim)), True), full_like(x, 1.0 / p))


@op("MaxUnpool")
def max_unpool(x: Tensor, index: Tensor, output_shape: Any = None, *, kernel_shape: list[int], strides: Any = None, pads: Any = None) -> Tensor:
    rank = len(kernel_shape)
    steps, edge = strides or [1] * rank, pads or [0] * (2 * rank)
    small = [(n - 1) * s + k - edge[i] - edge[i + rank] for i, (n, s, k) in enumerate(zip(x.shape[2:], steps, kernel_shape))]
    small = [*x.shape[:2], *small]
    flat = _C.scatter_add(full((math.prod(small),), 0.0, x.dtype), 0, _C.reshape(_C.cast(index, _C.int64), [-1]), _C.reshape(x, [-1]))
    out = _C.reshape(flat, small)
    if output_shape is not None:
        out = padded(out, [0] * out.ndim, [wanted - n for wanted, n in zip(ints(output_shape), small)])
    return out


@op("Col2Im")
def col2im(x: Tensor, image_shape: Tensor, block_shape: Tensor, *, dilations: Any = None, pads: Any = None, strides: Any = None) -> Tensor:
    """(batch, channels * block, windows) to (batch, channels, *image): what windows share adds up."""
    size, kernel = ints(image_shape), ints(block_shape)
    w = Windows(size, kernel, strides, dilations, pads, "NOTSET")
    places = w.taps(ints_tensor(np.arange(math.prod(size)).reshape(size)), -1)
    at = np.stack([host(p).reshape(-1) for p in places])  # (block, windows), -1 in the padding
    batch, channels = x.shape[0], x.shape[1] // math.prod(kernel)
    area = math.prod(size)
    index = np.where(at < 0, area, at).reshape(1, -1)
    values = _C.reshape(x, [batch * channels, -1])
    index_tensor = _C.broadcast_to(ints_tensor(index), tuple(values.shape))
    flat = _C.scatter_add(full((batch * channels, area + 1), 0.0, x.dtype), 1, index_tensor, values)
    return _C.reshape(cut(flat, 1, 0, area), [batch, channels, *size])


