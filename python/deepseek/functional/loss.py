"""Losses."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._functions import floating
from ._common import Tensor, cast_precise, like, power, reduced
from .activation import logsigmoid
from .linear import pairwise_distance


def _same(op: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise _C.Error(f"[{op}] input {input.shape} and target {target.shape} differ: reshape one of them")


def _classes_last(input: Tensor) -> Tensor:
    """(batch, classes, ...) as (rows, classes)."""
    if input.ndim <= 2:
        return input if input.ndim == 2 else _C.unsqueeze(input, 0)
    last = _C.permute(input, [0, *range(2, input.ndim), 1])
    return _C.reshape(last, [-1, input.shape[1]])


def _check_classes(op: str, input: Tensor, target: Tensor) -> None:
    rows = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if target.shape != rows:
        raise _C.Error(f"[{op}] input {input.shape} needs target classes of shape {rows}, got {target.shape}")


def _in_range(op: str, target: Tensor, classes: int, ignore_index: int) -> None:
    """Says so when a target that is already known is none of the classes: the engine would count it as nothing."""
    wrong = _C.class_out_of_range(target, classes, ignore_index)
    if wrong is not None:
        raise _C.Error(f"[{op}] target {wrong} is out of range for {classes} classes")


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """input (classes,), (batch, classes) or (batch, classes, ...) of logits; target of class indices, or of
    probabilities when it has input's shape and is floating."""
    (input,) = cast_precise(input)
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _check_classes("cross_entropy", input, target)
    rows = _classes_last(input)
    flat = _C.reshape(target if target.dtype is _C.int64 else _C.cast(target, _C.int64), [rows.shape[0]])
    _in_range("cross_entropy", target, rows.shape[1], ignore_index)
    if weight is None and not label_smoothing:
        losses = _C.cross_entropy(rows, flat)  # which gives 0 for classes out of range, such as -100
        if ignore_index >= 0:
            losses = _C.where(flat == ignore_index, like(losses, 0), losses)
        if reduction == "mean":
            return _C.sum(losses) / _C.sum(_C.cast(flat != ignore_index, losses.dtype))
        return reduced(losses if reduction == "sum" else _C.reshape(losses, list(target.shape)), reduction, "cross_entropy")
    known = flat != ignore_index
    safe = _C.where(known, flat, _C.full((), 0.0, _C.int64, flat.device))
    valid = _C.cast(known, rows.dtype)
    scale = valid if weight is None else valid * _C.take(weight, safe, 0)
    hard = _C.where(known, _C.cross_entropy(rows, safe), like(rows, 0)) * scale
    if not label_smoothing:
        losses = hard
    else:
        logp = _C.log_softmax(rows, 1)
        smooth = -_C.sum(logp if weight is None else logp * weight, [1]) * valid
        losses = hard * (1 - label_smoothing) + smooth * (label_smoothing / rows.shape[1])
    if reduction == "mean":
        return _C.sum(losses) / _C.sum(scale)
    return reduced(losses if reduction != "none" else _C.reshape(losses, list(target.shape)), reduction, "cross_entropy")


def _soft_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float) -> Tensor:
    _same("cross_entropy", input, target)
    dim = 1 if input.ndim > 1 else 0
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[dim]
    logp = _C.log_softmax(input, dim)
    if weight is not None:
        logp = logp * _C.reshape(weight, [1] * dim + [-1] + [1] * (input.ndim - dim - 1))
    losses = -_C.sum(logp * target, [dim])
    if reduction == "mean":
        return _C.sum(losses) / max(input.numel() // input.shape[dim], 1)
    return reduced(losses, reduction, "cross_entropy")


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """input: log-probabilities, shaped as in cross_entropy."""
    (input,) = cast_precise(input)
    _check_classes("nll_loss", input, target)
    rows = _classes_last(input)
    flat = _C.reshape(_C.cast(target, _C.int64), [rows.shape[0]])
    _in_range("nll_loss", target, rows.shape[1], ignore_index)
    known = flat != ignore_index
    safe = _C.where(known, flat, _C.full((), 0.0, _C.int64, flat.device))
    scale = _C.cast(known, rows.dtype)
    if weight is not None:
        scale = scale * _C.take(weight, safe, 0)
    picked = _C.reshape(_C.gather(rows, 1, _C.unsqueeze(safe, 1)), [rows.shape[0]])
    losses = _C.where(known, -picked, like(rows, 0)) * scale
    if reduction == "mean":
        return _C.sum(losses) / _C.sum(scale)
    return reduced(losses if reduction != "none" else _C.reshape(losses, list(target.shape)), reduction, "nll_loss")


def mse_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    input, target = cast_precise(input, target)
    d = input - target
    return reduced(d * d if weight is None else d * d * weight, reduction, "mse_loss")


def l1_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    input, target = cast_precise(input, target)
    d = abs(input - target)
    return reduced(d if weight is None else d * weight, reduction, "l1_loss")


def smooth_l1_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    if beta < 0:
        raise _C.Error(f"[smooth_l1_loss] beta {beta} must not be negative")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    input, target = cast_precise(input, target)
    d = abs(input - target)
    return reduced(_C.where(d < beta, d * d * (0.5 / beta), d - 0.5 * beta), reduction, "smooth_l1_loss")


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    if delta <= 0:
        raise _C.Error(f"[huber_loss] delta {delta} must be above 0")
    input, target = cast_precise(input, target)
    d = abs(input - target)
    losses = _C.where(d <= delta, d * d * 0.5, (d - 0.5 * delta) * delta)
    return reduced(losses if weight is None else losses * weight, reduction, "huber_loss")


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """input: probabilities. Logarithms are cut off at -100."""
    _same("binary_cross_entropy", input, target)
    input, target = cast_precise(input, target)
    floor = like(input, -100)
    tiny = like(input, 1e-45 if input.dtype == _C.float32 else 1e-320)
    logp = _C.maximum(_C.log(_C.maximum(input, tiny)), floor)
    logq = _C.maximum(_C.log(_C.maximum(1.0 - input, tiny)), floor)
    losses = -(target * logp + (1.0 - target) * logq)
    return reduced(losses if weight is None else losses * weight, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    _same("binary_cross_entropy_with_logits", input, target)
    input, target = cast_precise(input, target)
    if pos_weight is None:
        losses = (1.0 - target) * input - logsigmoid(input)
    else:
        losses = (1.0 - target) * input - ((pos_weight - 1.0) * target + 1.0) * logsigmoid(input)
    return reduced(losses if weight is None else losses * weight, reduction, "binary_cross_entropy_with_logits")


def kl_div(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """input: log-probabilities; target: probabilities, or their logarithms."""
    input, target = cast_precise(input, target)
    if log_target:
        losses = _C.exp(target) * (target - input)
    else:
        positive = target > 0
        losses = _C.where(positive, target * _C.log(_C.where(positive, target, like(target, 1))), like(target, 0)) - target * input
    if reduction == "batchmean":
        return _C.sum(losses) / losses.shape[0]
    return reduced(losses, reduction, "kl_div")


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: Any = None, eps: float = 1e-8,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    input, target = floating(input), floating(target)
    losses = _C.exp(input) - target * input if log_input else input - target * _C.log(input + eps)
    if full:
        above = target > 1
        safe = _C.where(above, target, like(target, 2))
        stirling = safe * _C.log(safe) - safe + 0.5 * _C.log(safe * (2 * math.pi))
        losses = losses + _C.where(above, stirling, like(target, 0))
    return reduced(losses, reduction, "poisson_nll_loss")


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    v = like(input, var) if isinstance(var, (int, float)) else var
    if v.shape == input.shape[:-1] and v.ndim:
        v = _C.unsqueeze(v, -1)
    clamped = v + _C.detach(_C.maximum(v, like(v, eps)) - v)
    d = input - target
    losses = 0.5 * (_C.log(clamped) + d * d / clamped)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction, "gaussian_nll_loss")


def _hinge(x: Tensor) -> Tensor:
    return _C.relu(x)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    zero = like(input, 0)
    losses = _C.where(target == -1, zero, input) + _C.where(target == 1, zero, _hinge(margin - input))
    return reduced(losses, reduction, "hinge_embedding_loss")


def soft_margin_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    _same("soft_margin_loss", input, target)
    return reduced(-logsigmoid(input * target), reduction, "soft_margin_loss")


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    return reduced(_hinge(-target * (input1 - input2) + margin), reduction, "margin_ranking_loss")


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    eps = 1e-12
    dot = _C.sum(input1 * input2, [-1])
    n1, n2 = _C.sum(input1 * input1, [-1]) + eps, _C.sum(input2 * input2, [-1]) + eps
    cos = dot / _C.sqrt(n1 * n2)
    zero = like(cos, 0)
    losses = _C.where(target == 1, 1.0 - cos, zero) + _C.where(target == -1, _hinge(cos - margin), zero)
    return reduced(losses, reduction, "cosine_embedding_loss")


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    losses = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(_C.mean(losses, [-1]), reduction, "multilabel_soft_margin_loss")


def multilabel_margin_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    """target (batch, classes): class indices up to the first -1."""
    rows = input if input.ndim == 2 else _C.reshape(input, [1, -1])
    labels = target if target.ndim == 2 else _C.reshape(target, [1, -1])
    n, classes = rows.shape
    ended = _C.cast(labels < 0, _C.int64)
    order = _C.arange(0.0, float(classes), 1.0, _C.int64, input.device)
    first = _C.where(_C.any(labels < 0, [1], True), _C.argmax(ended, 1, True), _C.full((), float(classes), _C.int64, input.device))
    valid = order < first
    safe = _C.where(valid, labels, _C.full((), 0.0, _C.int64, input.device))
    mask = _C.cast(valid, rows.dtype)
    hit = _C.scatter_add(_C.full(rows.shape, 0.0, rows.dtype, rows.device), 1, safe, mask) > 0
    picked = _C.gather(rows, 1, safe)
    pairs = _hinge(1.0 - (_C.unsqueeze(picked, 2) - _C.unsqueeze(rows, 1)))
    counts = _C.unsqueeze(mask, 2) * _C.unsqueeze(1.0 - _C.cast(hit, rows.dtype), 1)
    losses = _C.sum(pairs * counts, [1, 2]) / classes
    return reduced(losses if input.ndim == 2 else _C.reshape(losses, []), reduction, "multilabel_margin_loss")


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    rows = input if input.ndim == 2 else _C.reshape(input, [1, -1])
    index = _C.reshape(_C.cast(target, _C.int64), [-1, 1])
    classes = rows.shape[1]
    losses = power(_hinge(margin - _C.gather(rows, 1, index) + rows), p)
    if weight is not None:
        losses = losses * _C.take(weight, index, 0)
    order = _C.arange(0.0, float(classes), 1.0, _C.int64, input.device)
    losses = _C.sum(_C.where(order == index, like(rows, 0), losses), [1]) / classes
    return reduced(losses if input.ndim == 2 else _C.reshape(losses, []), reduction, "multi_margin_loss")


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Any = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    if margin <= 0:
        raise _C.Error(f"[triplet_margin_loss] the margin must be greater than 0, got {margin}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _C.minimum(far, distance(positive, negative))
    return reduced(_hinge(near - far + margin), reduction, "triplet_margin_loss")


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """log_probs (time, batch, classes) or (time, classes); targets (batch, longest) or one after the other."""
    import numpy as np

    single = log_probs.ndim == 2
    logp = _C.unsqueeze(log_probs, 1) if single else log_probs
    if logp.requires_grad:  # as PyTorch has it: the gradient is that of a loss which normalises by softmax itself
        known = _C.detach(logp)
        logp = _C.custom([known], [logp], lambda g: g - _C.exp(known) * _C.sum(g, [-1], True), "ctc_loss")[0]
    steps, batch, _ = logp.shape
    lengths_in = np.asarray(_ints(input_lengths)).reshape(batch)
    lengths = np.asarray(_ints(target_lengths)).reshape(batch)
    labels = np.asarray(targets.numpy() if isinstance(targets, Tensor) else targets).astype(np.int64)
    longest = int(lengths.max(initial=0))
    extended = np.full((batch, 2 * longest + 1), blank, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    for i in range(batch):
        row = labels.reshape(batch, -1)[i, : lengths[i]] if labels.ndim == 2 or single else labels[starts[i] : starts[i] + lengths[i]]
        extended[i, 1 : 2 * lengths[i] : 2] = row
    skips = np.zeros_like(extended, dtype=bool)
    skips[:, 2:] = (extended[:, 2:] != blank) & (extended[:, 2:] != extended[:, :-2])
    return _ctc(logp, extended, skips, lengths_in, lengths, steps, reduction, zero_infinity, single)


def _ints(values: Any) -> list[int]:
    out = values.tolist() if hasattr(values, "tolist") else values
    return [int(v) for v in out] if isinstance(out, (list, tuple)) else [int(out)]


def _ctc(
    logp: Tensor, extended: Any, skips: Any, lengths_in: Any, lengths: Any, steps: int, reduction: str, zero_infinity: bool, single: bool
) -> Tensor:
    """The forward recursion over the extended labels, in logarithms; -1e30 stands for log 0 so that gradients stay finite."""
    import numpy as np

    batch, width = extended.shape
    never = -1e30
    low = like(logp, never)
    index = _C.from_array(np.ascontiguousarray(np.broadcast_to(extended, (steps, batch, width))))
    emit = _C.gather(logp, 2, index)
    first = np.zeros((batch, width), dtype=bool)
    first[:, 0] = True
    first[:, 1] = lengths > 0 if width > 1 else True
    may_skip = _C.from_array(skips)
    alpha = _C.where(_C.from_array(first), _C.reshape(_C.slice(emit, 0, 0, 1, 1), [batch, width]), low)
    one, two = _C.broadcast_to(low, (batch, 1)), _C.broadcast_to(low, (batch, 2))
    for t in range(1, steps):
        step1 = _C.concat([one, _C.slice(alpha, 1, 0, width - 1, 1)], 1)
        step2 = _C.where(may_skip, _C.slice(_C.concat([two, alpha], 1), 1, 0, width, 1), low)
        top = _C.detach(_C.maximum(alpha, _C.maximum(step1, step2)))
        total = top + _C.log(_C.exp(alpha - top) + _C.exp(step1 - top) + _C.exp(step2 - top))
        new = _C.maximum(total + _C.reshape(_C.slice(emit, 0, t, t + 1, 1), [batch, width]), low)
        alive = _C.from_array(np.ascontiguousarray(np.broadcast_to((t < lengths_in)[:, None], (batch, width))))
        alpha = _C.where(alive, new, alpha)
    last = _C.from_array(np.stack([2 * lengths, np.maximum(2 * lengths - 1, 0)], 1))
    ends = _C.gather(alpha, 1, last)
    ends = _C.where(_C.from_array(np.stack([lengths >= 0, lengths > 0], 1)), ends, low)
    top = _C.detach(_C.amax(ends, [1], True))
    losses = -(_C.log(_C.sum(_C.exp(ends - top), [1])) + _C.reshape(top, [batch]))
    impossible = losses > 1e29
    losses = _C.where(impossible, like(losses, 0.0 if zero_infinity else math.inf), losses)
    if reduction == "mean":
        return _C.mean(losses / _C.cast(_C.from_array(np.maximum(lengths, 1)), losses.dtype))
    return reduced(_C.reshape(losses, []) if single and reduction == "none" else losses, reduction, "ctc_loss")
