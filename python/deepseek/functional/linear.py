"""Linear maps, embeddings and what counts with classes."""

from __future__ import annotations

from typing import Any

from .. import _C
from ._common import Tensor, autocast_dtype, cast_products, like, power


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (..., in), weight (out, in), bias (out,) -> (..., out); weight (in,) gives (...)."""
    if autocast_dtype[0] is not None:
        input, weight, bias = cast_products(input, weight, bias)
    if weight.ndim == 1:
        y = _C.squeeze(_C.linear(input, _C.unsqueeze(weight, 0), None), -1)
        return y if bias is None else y + bias
    return _C.linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input1 (..., a), input2 (..., b), weight (out, a, b) -> (..., out)."""
    input1, input2, weight, bias = cast_products(input1, input2, weight, bias)
    lead = input1.shape[:-1]
    if input2.shape[:-1] != lead or weight.ndim != 3 or weight.shape[1:] != (input1.shape[-1], input2.shape[-1]):
        raise _C.Error(f"[bilinear] weight {weight.shape} does not fit inputs {input1.shape} and {input2.shape}")
    out, a, b = weight.shape
    x1, x2 = _C.reshape(input1, [-1, a]), _C.reshape(input2, [-1, 1, b])
    w = _C.reshape(_C.permute(weight, [1, 0, 2]), [a, out * b])
    y = _C.sum(_C.reshape(_C.matmul(x1, w), [-1, out, b]) * x2, [2])
    y = _C.reshape(y, [*lead, out])
    return y if bias is None else y + bias


def _renormalised(weight: Tensor, max_norm: float, norm_type: float) -> None:
    """Rows longer than max_norm are scaled down to it, in place."""
    on = _C.set_grad_enabled(False)
    try:
        norms = power(_C.sum(power(abs(weight), norm_type), [1], True), 1 / norm_type)
        _C.assign(weight, _C.where(norms > max_norm, weight * (max_norm / (norms + 1e-7)), weight), "embedding")
    finally:
        _C.set_grad_enabled(on)


def _index(input: Tensor, op: str) -> Tensor:
    if input.dtype.is_floating_point or input.dtype == _C.bool:
        raise _C.Error(f"[{op}] integer indices are needed, got {input.dtype}: use input.long()")
    return input if input.dtype == _C.int64 else _C.cast(input, _C.int64)


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of weight (count, width) by index; the row padding_idx gets no gradient."""
    index = _index(input, "embedding")
    if max_norm is not None:
        _renormalised(weight, max_norm, norm_type)
    out = _C.embedding(index, weight)
    if padding_idx is not None and weight.requires_grad:
        row = padding_idx if padding_idx >= 0 else weight.shape[0] + padding_idx
        out = _C.where(_C.unsqueeze(index == row, -1), _C.detach(out), out)
    if scale_grad_by_freq and out.requires_grad:
        ones = _C.full((index.numel(),), 1.0, weight.dtype, weight.device)
        counts = _C.scatter_add(_C.full((weight.shape[0],), 0.0, weight.dtype, weight.device), 0, _C.flatten(index, 0), ones)
        scale = _C.unsqueeze(_C.take(counts, index, 0), -1)
        out = _C.custom([_C.detach(out)], [out], lambda g: g / scale, "embedding(scale_grad_by_freq=True)")[0]
    return out


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Sum, mean or max of the rows of each bag. input: (bags, n), or (total,) with offsets (bags,)."""
    if mode not in ("sum", "mean", "max"):
        raise _C.Error(f"[embedding_bag] mode {mode!r} is none of 'sum', 'mean', 'max'")
    if per_sample_weights is not None and mode != "sum":
        raise _C.Error(f"[embedding_bag] per_sample_weights needs mode 'sum', got {mode!r}")
    index = _index(input, "embedding_bag")
    if index.ndim == 2:
        if offsets is not None:
            raise _C.Error("[embedding_bag] offsets go with a 1-dimensional input")
        bags, n = index.shape
        lengths = [n] * bags
        flat = _C.flatten(index, 0)
        flat_weights = None if per_sample_weights is None else _C.flatten(per_sample_weights, 0)
    else:
        if offsets is None:
            raise _C.Error("[embedding_bag] a 1-dimensional input needs offsets")
        starts = [int(v) for v in offsets.tolist()]
        if not include_last_offset:
            starts.append(index.shape[0])
        lengths = [b - a for a, b in zip(starts, starts[1:])]
        flat, flat_weights = index, per_sample_weights
    return _bags(flat, weight, lengths, mode, flat_weights, padding_idx, max_norm, norm_type, scale_grad_by_freq)


def _bags(
    flat: Tensor, weight: Tensor, lengths: list[int], mode: str, sample_weights: Tensor | None, padding_idx: int | None,
    max_norm: float | None, norm_type: float, scale_grad_by_freq: bool,
) -> Tensor:  # fmt: skip
    import numpy as np

    longest, bags = max(lengths, default=0), len(lengths)
    n = np.asarray(lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(n)[:-1]]).astype(np.int64)
    within = np.arange(longest)[None, :] < n[:, None]
    where = np.where(within, starts[:, None] + np.arange(longest)[None, :], 0)
    index = _C.take(flat, _C.from_array(where), 0) if flat.shape[0] and longest else _C.full((bags, longest), 0.0, _C.int64, flat.device)
    valid = _C.from_array(within)
    if padding_idx is not None:
        row = padding_idx if padding_idx >= 0 else weight.shape[0] + padding_idx
        valid = _C.logical_and(valid, index != row)
    rows = embedding(index, weight, None, max_norm, norm_type, scale_grad_by_freq)
    mask = _C.unsqueeze(valid, -1)
    if mode == "max":
        top = _C.amax(_C.where(mask, rows, like(rows, float("-inf"))), [1])
        return _C.where(_C.any(mask, [1]), top, like(rows, 0))
    if sample_weights is not None:
        rows = rows * _C.unsqueeze(_C.take(sample_weights, _C.from_array(where), 0), -1)
    total = _C.sum(_C.where(mask, rows, like(rows, 0)), [1])
    if mode == "sum":
        return total
    return total / _C.maximum(_C.sum(_C.cast(mask, rows.dtype), [1]), like(rows, 1))


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (...) -> int64 (..., num_classes)."""
    index = _index(input, "one_hot")
    if num_classes == -1:
        num_classes = int(_C.item(_C.amax(index))) + 1
    elif index.numel():
        top, low = int(_C.item(_C.amax(index))), int(_C.item(_C.amin(index)))
        if top >= num_classes or low < 0:
            raise _C.Error(f"[one_hot] class {top if top >= num_classes else low} is out of range for {num_classes} classes")
    classes = _C.arange(0.0, float(num_classes), 1.0, _C.int64, input.device)
    return _C.cast(_C.unsqueeze(index, -1) == classes, _C.int64)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    if x1.ndim == 0 and x2.ndim == 0:
        x1, x2 = _C.reshape(x1, [1]), _C.reshape(x2, [1])
    product = x1 * x2
    dot = _C.sum(product, [dim])
    x1, x2 = _C.broadcast_to(x1, product.shape), _C.broadcast_to(x2, product.shape)
    floor = like(x1, eps)
    n1 = _C.maximum(_norm(x1, dim), floor)
    n2 = _C.maximum(_norm(x2, dim), floor)
    return dot / (n1 * n2)


def _norm(x: Tensor, dim: int, p: float = 2.0, keepdim: bool = False) -> Tensor:
    """The p-norm, whose gradient at 0 is 0."""
    if p == 0:
        return _C.sum(_C.cast(x != 0, x.dtype), [dim], keepdim)
    if p == 1:
        return _C.sum(abs(x), [dim], keepdim)
    if p == float("inf"):
        return _C.amax(abs(x), [dim], keepdim)
    total = _C.sum(power(abs(x), p), [dim], keepdim)
    zero = total == 0
    safe = _C.where(zero, like(total, 1), total)
    return _C.where(zero, like(total, 0), power(safe, 1 / p))


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Tensor:
    if input.ndim == 0:
        return _C.reshape(normalize(_C.reshape(input, [1]), p, 0, eps), [])
    return input / _C.maximum(_norm(input, dim, p, True), like(input, eps))


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    return _norm(x1 - x2 + eps, -1, p, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances between each two of n rows: (n, width) -> (n (n - 1) / 2,)."""
    import numpy as np

    if input.ndim != 2:
        raise _C.Error(f"[pdist] a matrix is needed, got {input.shape}")
    first, second = (_C.from_array(i.astype(np.int64)) for i in np.triu_indices(input.shape[0], 1))
    return _norm(_C.take(input, first, 0) - _C.take(input, second, 0), 1, p)
