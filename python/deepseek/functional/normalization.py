"""Normalisations over batches, layers, groups and neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _C
from ._common import Tensor, cast_precise, power, zeros


def _per_channel(p: Tensor, x: Tensor) -> Tensor:
    return p if x.ndim == 2 else _C.reshape(p, [1, p.shape[0]] + [1] * (x.ndim - 2))


def _scaled(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """One scale and one shift per channel, worked out on the small vectors first."""
    scale = _C.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return x * _per_channel(scale, x) + _per_channel(shift, x)


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Per channel (dimension 1); training uses the batch's statistics and updates the running ones in place."""
    (x,) = cast_precise(input)
    if x.ndim < 2:
        raise _C.Error(f"[batch_norm] (batch, channels, ...) is needed, got {x.shape}")
    if not training:
        if running_mean is None or running_var is None:
            raise _C.Error("[batch_norm] without running statistics training=True is needed")
        return _scaled(x, running_mean, running_var, weight, bias, eps)
    count = x.numel() // x.shape[1] if x.shape[1] else 0
    if count <= 1:
        raise _C.Error(f"[batch_norm] training needs more than one value per channel, got input {x.shape}")
    dims = [0, *range(2, x.ndim)]
    mean = _C.mean(x, dims)
    centred = x - _per_channel(mean, x)
    var = _C.mean(centred * centred, dims)
    if running_mean is not None and running_var is not None:
        _update(running_mean, mean, momentum, 1.0)
        _update(running_var, var, momentum, count / (count - 1))
    y = centred * _per_channel(_C.rsqrt(var + eps) if weight is None else _C.rsqrt(var + eps) * weight, x)
    return y if bias is None else y + _per_channel(bias, x)


def _update(running: Tensor, now: Tensor, momentum: float, scale: float) -> None:
    _C.assign(running, running * (1.0 - momentum) + _C.detach(now) * (momentum * scale), "batch_norm")


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Per sample and channel; running statistics are averages over the batch."""
    (x,) = cast_precise(input)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise _C.Error("[instance_norm] without running statistics use_input_stats=True is needed")
        return _scaled(x, running_mean, running_var, weight, bias, eps)
    dims = list(range(2, x.ndim))
    count = x.numel() // (x.shape[0] * x.shape[1])
    if count <= 1:
        raise _C.Error(f"[instance_norm] more than one value per channel is needed, got input {x.shape}")
    mean = _C.mean(x, dims, True)
    centred = x - mean
    var = _C.mean(centred * centred, dims, True)
    if running_mean is not None and running_var is not None:
        _update(running_mean, _C.reshape(_C.mean(mean, [0]), [x.shape[1]]), momentum, 1.0)
        _update(running_var, _C.reshape(_C.mean(var, [0]), [x.shape[1]]), momentum, count / (count - 1))
    y = centred * _C.rsqrt(var + eps)
    if weight is not None:
        y = y * _per_channel(weight, x)
    return y if bias is None else y + _per_channel(bias, x)


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Over the last dimensions, which must be normalized_shape."""
    (x,) = cast_precise(input)
    shape = tuple(normalized_shape)
    n = len(shape)
    if not n or x.shape[-n:] != shape:
        raise _C.Error(f"[layer_norm] input {x.shape} does not end in normalized_shape {shape}")
    width = 1
    for d in shape:
        width *= d
    w = _C.full((width,), 1.0, x.dtype, x.device) if weight is None else _C.reshape(weight, [width]) if n > 1 else weight
    b = zeros(x, (width,)) if bias is None else _C.reshape(bias, [width]) if n > 1 else bias
    if n == 1:
        return _C.layer_norm(x, w, b, eps)
    flat = _C.layer_norm(_C.reshape(x, [*x.shape[:-n], width]), w, b, eps)
    return _C.reshape(flat, list(x.shape))


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) over the last dimensions; in float32 for narrower dtypes."""
    shape = tuple(normalized_shape)
    n = len(shape)
    if not n or input.shape[-n:] != shape:
        raise _C.Error(f"[rms_norm] input {input.shape} does not end in normalized_shape {shape}")
    if eps is None:
        eps = {8: 2.0**-52, 4: 2.0**-23}.get(input.dtype.itemsize, 2.0**-23)
    x = input if input.dtype.itemsize >= 4 else _C.cast(input, _C.float32)
    y = x * _C.rsqrt(_C.mean(x * x, list(range(-n, 0)), True) + eps)
    if y.dtype != input.dtype:
        y = _C.cast(y, input.dtype)
    return y if weight is None else y * weight


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """input (batch, channels, ...): over each group of channels of each sample."""
    (x,) = cast_precise(input)
    if x.ndim < 2 or num_groups < 1 or x.shape[1] < 1 or x.shape[1] % num_groups:
        raise _C.Error(f"[group_norm] the channels of {x.shape} do not divide into {num_groups} groups")
    if 0 in x.shape[2:]:
        raise _C.Error(f"[group_norm] extents greater than 0 are needed, got {x.shape}")
    width = x.numel() // (x.shape[0] * num_groups) if x.numel() else 0
    ones, none = _C.full((width,), 1.0, x.dtype, x.device), zeros(x, (width,))
    y = _C.reshape(_C.layer_norm(_C.reshape(x, [x.shape[0], num_groups, width]), ones, none, eps), list(x.shape))
    if weight is not None:
        y = y * _per_channel(weight, x)
    return y if bias is None else y + _per_channel(bias, x)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha * mean of the squares of `size` neighbouring channels)^beta."""
    if input.ndim < 3:
        raise _C.Error(f"[local_response_norm] a tensor of rank 3 or more is needed, got {input.shape}")
    square = input * input
    if not input.dtype.is_floating_point:
        square = _C.cast(square, _C.get_default_dtype())
    channels = input.shape[1]
    before, after = size // 2, (size - 1) // 2
    shape = list(input.shape)

    def pad(n: int) -> Tensor:
        return zeros(square, (shape[0], n, *shape[2:]))

    padded = _C.concat([t for t in (pad(before), square, pad(after)) if t.shape[1]], 1)
    total = _C.slice(padded, 1, 0, channels, 1)
    for i in range(1, size):
        total = total + _C.slice(padded, 1, i, i + channels, 1)
    return input / power(total * (alpha / size) + k, beta)
