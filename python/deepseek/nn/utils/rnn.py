"""Sequences of different lengths in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ... import _C
from ..._C import Tensor


class PackedSequence:
    """The steps of sequences, time by time: data (sum of lengths, ...), how many sequences each time has, and the order
    that sorts them by length."""

    def __init__(self, data: Tensor, batch_sizes: Tensor, sorted_indices: Tensor | None = None, unsorted_indices: Tensor | None = None) -> None:
        self.data, self.batch_sizes = data, batch_sizes
        self.sorted_indices, self.unsorted_indices = sorted_indices, unsorted_indices
        self._sizes = [int(n) for n in batch_sizes.tolist()]

    @property
    def lengths(self) -> list[int]:
        """Of the sorted sequences, longest first."""
        return [sum(n > i for n in self._sizes) for i in range(self._sizes[0])]

    def padded(self, value: float = 0.0) -> Tensor:
        """(length, batch, ...), sorted by length."""
        index, valid = self._places()
        x = _C.take(self.data, _C.from_array(index), 0)
        mask = _C.reshape(_C.from_array(valid), [*index.shape] + [1] * (x.ndim - 2))
        return _C.where(mask, x, _C.full((), value, x.dtype, x.device))

    def with_data(self, padded: Tensor) -> PackedSequence:
        """The same sequences with other steps, given as (length, batch, ...)."""
        flat = _C.reshape(padded, [padded.shape[0] * padded.shape[1], *padded.shape[2:]])
        return PackedSequence(_packed(flat, self._sizes), self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def _places(self) -> Any:
        import numpy as np

        sizes = np.asarray(self._sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        column = np.arange(sizes[0])
        valid = column[None, :] < sizes[:, None]
        return np.where(valid, starts[:, None] + column[None, :], 0).astype(np.int64), valid

    def sort(self, x: Tensor) -> Tensor:
        return x if self.sorted_indices is None else _C.take(x, self.sorted_indices, 1)

    def unsort(self, x: Tensor) -> Tensor:
        return x if self.unsorted_indices is None else _C.take(x, self.unsorted_indices, 1)


def _packed(flat: Tensor, sizes: list[int]) -> Tensor:
    """Of (length * batch, ...), row after row, the first n of each time."""
    import numpy as np

    batch = sizes[0]
    index = np.concatenate([np.arange(n) + t * batch for t, n in enumerate(sizes)]).astype(np.int64)
    return _C.take(flat, _C.from_array(index), 0)


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """input (length, batch, ...), or (batch, length, ...) if batch_first."""
    import numpy as np

    n = np.asarray(lengths.tolist() if hasattr(lengths, "tolist") else list(lengths))
    x = _C.transpose(input, 0, 1) if batch_first else input
    if len(n) != x.shape[1] or n.min(initial=1) <= 0 or n.max(initial=0) > x.shape[0]:
        raise _C.Error(f"[pack_padded_sequence] lengths {n.tolist()} do not fit {x.shape[1]} sequences of {x.shape[0]} steps")
    order = np.argsort(-n, kind="stable")
    if enforce_sorted and (order != np.arange(len(n))).any():
        raise _C.Error(f"[pack_padded_sequence] lengths {n.tolist()} do not fall: pass enforce_sorted=False")
    sorted_indices = unsorted_indices = None
    if not enforce_sorted:
        sorted_indices = _C.from_array(order.astype(np.int64))
        unsorted_indices = _C.from_array(np.argsort(order).astype(np.int64))
        x = _C.take(x, sorted_indices, 1)
    sizes = [int((n > t).sum()) for t in range(int(n.max()))]
    flat = _C.reshape(x, [x.shape[0] * x.shape[1], *x.shape[2:]])
    return PackedSequence(_packed(flat, sizes), _C.from_array(np.asarray(sizes, dtype=np.int64)), sorted_indices, unsorted_indices)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The padded tensor and the lengths, in the order they had before packing."""
    import numpy as np

    x = sequence.unsort(sequence.padded(padding_value))
    lengths = _C.from_array(np.asarray(sequence.lengths, dtype=np.int64))
    if sequence.unsorted_indices is not None:
        lengths = _C.take(lengths, sequence.unsorted_indices, 0)
    if total_length is not None and total_length > x.shape[0]:
        rest = _C.full((total_length - x.shape[0], *x.shape[1:]), padding_value, x.dtype, x.device)
        x = _C.concat([x, rest], 0)
    return (_C.transpose(x, 0, 1) if batch_first else x), lengths


def pad_sequence(sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0) -> Tensor:
    """Tensors (length, ...) of different lengths as one (longest, batch, ...)."""
    longest = max(s.shape[0] for s in sequences)
    rows = []
    for s in sequences:
        rest = _C.full((longest - s.shape[0], *s.shape[1:]), padding_value, s.dtype, s.device)
        rows.append(_C.unsqueeze(_C.concat([s, rest], 0) if rest.shape[0] else s, 0))
    x = _C.concat(rows, 0)
    return x if batch_first else _C.transpose(x, 0, 1)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    return pack_padded_sequence(pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted)


def unpad_sequence(padded: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    x = padded if batch_first else _C.transpose(padded, 0, 1)
    ns: Iterable[int] = lengths.tolist() if hasattr(lengths, "tolist") else lengths
    return [_C.reshape(_C.slice(_C.slice(x, 0, i, i + 1, 1), 1, 0, n, 1), [n, *x.shape[2:]]) for i, n in enumerate(ns)]
