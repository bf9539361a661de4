"""Normalisations and losses."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from ..table import Context, op
from ..values import Tensor, engine_dtype, full, full_like
from .pool import Windows
from .shape import padded


def per_channel(x: Tensor, like: Tensor) -> Tensor:
    return _C.reshape(x, [1, -1] + [1] * (like.ndim - 2))


@op("BatchNormalization")
def batch_norm(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, epsilon: float = 1e-5, momentum: float = 0.9,
               training_mode: int = 0, spatial: int = 1, is_test: int = 1, consumed_inputs: Any = None) -> Any:  # fmt: skip
    if not training_mode:
        return _normalized(x, scale, bias, mean, var, epsilon)
    dims = [d for d in range(x.ndim) if d != 1]
    now_mean, now_var = _C.mean(x, dims, False), _C.var(x, dims, False, 0.0)
    kept = [_C.cast(old * momentum + new * (1 - momentum), old.dtype) for old, new in ((mean, now_mean), (var, now_var))]
    return _normalized(x, scale, bias, now_mean, now_var, epsilon), kept[0], kept[1]


def _normalized(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, epsilon: float) -> Tensor:
    factor = scale * _C.rsqrt(var + epsilon)
    return _C.cast((x - per_channel(mean, x)) * per_channel(factor, x) + per_channel(bias, x), x.dtype)


@op("InstanceNormalization")
def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5, consumed_inputs: Any = None) -> Tensor:
    return standardized(x, list(range(2, x.ndim)), epsilon) * per_channel(scale, x) + per_channel(bias, x)


def standardized(x: Tensor, dims: list[int], epsilon: float) -> Tensor:
    mean = _C.mean(x, dims, True)
    gap = x - mean
    return gap * _C.rsqrt(_C.mean(gap * gap, dims, True) + epsilon)


@op("LayerNormalization")
def layer_norm(x: Tensor, scale: Tensor, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> tuple[Tensor, ...]:
    dims = list(range(axis % x.ndim, x.ndim))
    wide = _C.cast(x, engine_dtype(stash_type)) if x.dtype != _C.float64 else x
    mean = _C.mean(wide, dims, True)
    gap = wide - mean
    inverse = _C.rsqrt(_C.mean(gap * gap, dims, True) + epsilon)
    out = _C.cast(gap * inverse, x.dtype) * scale
    return (out if bias is None else out + bias), mean, inverse


@op("RMSNormalization")
def rms_norm(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Tensor:
    dims = list(range(axis % x.ndim, x.ndim))
    wide = _C.cast(x, engine_dtype(stash_type)) if x.dtype != _C.float64 else x
    return _C.cast(wide * _C.rsqrt(_C.mean(wide * wide, dims, True) + epsilon), x.dtype) * scale


def _group_norm(x: Tensor, groups: int, epsilon: float) -> Tensor:
    lined = _C.reshape(x, [x.shape[0], groups, -1])
    return standardized(lined, [2], epsilon)


@op("GroupNormalization", since=18)
def group_norm_18(x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5) -> Tensor:
    """One scale a group."""
    lined = _group_norm(x, num_groups, epsilon)
    return _C.reshape(lined * _C.reshape(scale, [1, -1, 1]) + _C.reshape(bias, [1, -1, 1]), list(x.shape))


@op("GroupNormalization", since=21)
def group_norm(x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1) -> Tensor:
    lined = _C.reshape(_group_norm(x, num_groups, epsilon), list(x.shape))
    return lined * per_channel(scale, x) + per_channel(bias, x)


@op("LRN")
def lrn(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    square = padded(x * x, [0, (size - 1) // 2] + [0] * (x.ndim - 2), [0, size // 2] + [0] * (x.ndim - 2))
    moved = _C.transpose(square, 1, x.ndim - 1)
    taps = Windows([moved.shape[-1]], [size], None, None, None, "VALID").taps(moved)
    total = taps[0]
    for t in taps[1:]:
        total = total + t
    total = _C.transpose(total, 1, x.ndim - 1)
    return x / _C.pow(total * (alpha / size) + bias, full_like(x, beta))


@op("LpNormalization")
def lp_norm(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    total = _C.sum(_C.abs(x), [axis % x.ndim], True) if p == 1 else _C.sqrt(_C.sum(x * x, [axis % x.ndim], True))
    return _C.where(_C.equal(total, full_like(total, 0)), full_like(x, 0), x / total)


@op("MeanVarianceNormalization")
def mean_variance_norm(x: Tensor, *, axes: Any = (0, 2, 3)) -> Tensor:
    dims = [a % x.ndim for a in axes]
    gap = x - _C.mean(x, dims, True)
    return gap / (_C.sqrt(_C.mean(gap * gap, dims, True)) + 1e-9)


def _picked(log_probability: Tensor, target: Tensor, weight: Any, reduction: str, ignore_index: int | None) -> Tensor:
    """Minus the log-probability at each target, weighted; over dimension 1."""
    at = _C.cast(target, _C.int64)
    ignored = _C.equal(at, full((), float(ignore_index), _C.int64)) if ignore_index is not None else None
    if ignored is not None:
        at = _C.where(ignored, full((), 0.0, _C.int64), at)
    loss = -_C.squeeze(_C.gather(log_probability, 1, _C.unsqueeze(at, 1)), 1)
    share = _C.take(weight, at, 0) if weight is not None else None
    if ignored is not None:
        ones = share if share is not None else _C.broadcast_to(full_like(loss, 1), tuple(loss.shape))
        share = _C.where(ignored, full_like(loss, 0), ones)
    if share is not None:
        loss = loss * share
    if reduction == "none":
        return loss
    total = _C.sum(loss, [], False)
    if reduction == "sum":
        return total
    return total / (_C.sum(share, [], False) if share is not None else float(math.prod(loss.shape)))


@op("NegativeLogLikelihoodLoss")
def nll_loss(x: Tensor, target: Tensor, weight: Any = None, *, reduction: str = "mean", ignore_index: int | None = None) -> Tensor:
    return _picked(x, target, weight, reduction, ignore_index)


@op("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy(x: Tensor, target: Tensor, weight: Any = None, *, reduction: str = "mean", ignore_index: int | None = None,
                          ctx: Context) -> Any:  # fmt: skip
    log_probability = _C.log_softmax(x, 1)
    loss = _picked(log_probability, target, weight, reduction, ignore_index)
    return (loss, log_probability) if len(ctx.outputs) > 1 else loss
