"""Activations and the softmax family."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .._functions import floating
from .._random import draw
from ._common import Tensor, cast_precise, like


def _written(x: Tensor, y: Tensor, inplace: bool, op: str) -> Tensor:
    if inplace:
        _C.assign(x, y, op)
        return x
    return y


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    return _written(input, _C.relu(input), True, "relu_") if inplace else _C.relu(input)


def relu_(input: Tensor) -> Tensor:
    return relu(input, True)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    if min_val > max_val:
        raise _C.Error(f"[hardtanh] min_val {min_val} is greater than max_val {max_val}")
    lo, hi = like(input, min_val), like(input, max_val)
    y = _C.where(input <= lo, lo, _C.where(input >= hi, hi, input))
    return _written(input, y, inplace, "hardtanh_")


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    return hardtanh(input, 0.0, 6.0, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    return _written(input, _C.where(input > threshold, input, like(input, value)), inplace, "threshold_")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    return _written(input, _C.where(input > 0, input, input * negative_slope), inplace, "leaky_relu_")


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Weight of one number, or of one per channel (dimension 1)."""
    if weight.ndim > 1:
        raise _C.Error(f"[prelu] the weight is a number or a vector of one a channel, got {weight.shape}")
    if weight.numel() > 1:
        if input.ndim < 2 or input.shape[1] != weight.numel():
            raise _C.Error(f"[prelu] {weight.numel()} slopes do not fit the channels of {input.shape}")
        weight = _C.reshape(weight, [weight.numel()] + [1] * (input.ndim - 2))
    elif input.ndim == 0:
        weight = _C.reshape(weight, [])
    return _C.where(input > 0, input, input * weight)


def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    if lower > upper:
        raise _C.Error(f"[rrelu] the lower bound {lower} is greater than the upper {upper}")
    if training:
        slope: Any = draw("uniform", input.shape, input.dtype, input.device) * (upper - lower) + lower
    else:
        slope = (lower + upper) / 2
    return _written(input, _C.where(input >= 0, input, input * slope), inplace, "rrelu_")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    below = _C.expm1(_C.minimum(input, like(input, 0))) * alpha
    return _written(input, _C.where(input > 0, input, below), inplace, "elu_")


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return _written(input, elu(input, alpha) * scale, inplace, "selu_")


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    below = _C.expm1(_C.minimum(input, like(input, 0)) / alpha) * alpha
    return _written(input, _C.where(input > 0, input, below), inplace, "celu_")


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "none":
        return _C.gelu(input)
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2 / math.pi)
        return input * 0.5 * (_C.tanh(inner) + 1.0)
    raise _C.Error(f"[gelu] approximate {approximate!r} is neither 'none' nor 'tanh'")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    return _written(input, _C.silu(input), inplace, "silu_")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    return _written(input, input * _C.tanh(softplus(input)), inplace, "mish_")


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return _written(input, hardtanh(input / 6.0 + 0.5, 0.0, 1.0), inplace, "hardsigmoid_")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    zero = like(input, 0)
    y = _C.where(input <= -3.0, zero, _C.where(input >= 3.0, input, input * (input + 3.0) / 6.0))
    return _written(input, y, inplace, "hardswish_")


def sigmoid(input: Tensor) -> Tensor:
    return _C.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    return _C.tanh(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above the threshold."""
    x = input * beta if beta != 1 else input
    soft = _C.maximum(x, like(x, 0)) + _C.log1p(_C.exp(-abs(x)))
    return _C.where(x > threshold, input, soft / beta if beta != 1 else soft)


def logsigmoid(input: Tensor) -> Tensor:
    return _C.minimum(input, like(input, 0)) - _C.log1p(_C.exp(-abs(input)))


def softsign(input: Tensor) -> Tensor:
    return input / (abs(input) + 1.0)


def tanhshrink(input: Tensor) -> Tensor:
    return input - _C.tanh(floating(input))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    if lambd < 0:
        raise _C.Error(f"[softshrink] lambd must not be negative, got {lambd}")
    return _C.where(input > lambd, input - lambd, _C.where(input < -lambd, input + lambd, input * 0.0))


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    return _C.where(abs(input) <= lambd, input * 0.0, input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of the dimension times the sigmoid of the second."""
    n = input.shape[dim]
    if n % 2:
        raise _C.Error(f"[glu] dimension {dim} of {input.shape} must be even")
    return _C.slice(input, dim, 0, n // 2, 1) * _C.sigmoid(_C.slice(input, dim, n // 2, n, 1))


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    (x,) = cast_precise(input if dtype is None else _C.cast(input, dtype))
    if x.ndim == 0:
        return _C.reshape(_C.softmax(_C.reshape(x, [1]), 0), [])
    return _C.softmax(x, _softmax_dim(x, dim))


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    (x,) = cast_precise(input if dtype is None else _C.cast(input, dtype))
    if x.ndim == 0:
        return _C.reshape(_C.log_softmax(_C.reshape(x, [1]), 0), [])
    return _C.log_softmax(x, _softmax_dim(x, dim))


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    return softmax(-input, dim, _stacklevel, dtype)


def _softmax_dim(x: Tensor, dim: int | None) -> int:
    if dim is not None:
        return dim
    return 0 if x.ndim in (0, 1, 3) else 1


def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    dims = [dim] if isinstance(dim, int) else list(dim)
    top = _C.detach(_C.amax(x, dims, True))
    top = _C.where(abs(top) < math.inf, top, like(top, 0))
    out = _C.log(_C.sum(_C.exp(x - top), dims, keepdim))
    return out + (top if keepdim else _C.reshape(top, list(out.shape)))


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    u = draw("uniform", logits.shape, logits.dtype, logits.device)
    noise = -_C.log(-_C.log(u * (1.0 - 2e-7) + 1e-7))
    soft = _C.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    top = _C.argmax(soft, dim, True)
    shape = [1] * soft.ndim
    shape[dim] = soft.shape[dim]
    classes = _C.reshape(_C.arange(0.0, float(soft.shape[dim]), 1.0, _C.int64, soft.device), shape)
    return _C.cast(classes == top, soft.dtype) - _C.detach(soft) + soft
