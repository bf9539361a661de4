"""Initialisers: they write into their tensor, outside of autograd, and give it back."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from .. import _C
from .._C import Tensor
from .._random import Generator, draw

T = TypeVar("T", bound=Tensor)


def _write(tensor: T, value: Tensor, op: str) -> T:
    on = _C.set_grad_enabled(False)
    try:
        _C.assign(tensor, _C.broadcast_to(value, tensor.shape), op)
    finally:
        _C.set_grad_enabled(on)
    return tensor


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> T:
    return _write(tensor, draw("uniform", tensor.shape, tensor.dtype, tensor.device, generator) * (b - a) + a, "uniform_")


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> T:
    return _write(tensor, draw("normal", tensor.shape, tensor.dtype, tensor.device, generator) * std + mean, "normal_")


def trunc_normal_(tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None) -> T:
    """Normal numbers of which those outside of [a, b] are drawn again, by the inverse of the distribution function."""
    import numpy as np

    low = 0.5 * (1 + math.erf((a - mean) / std / math.sqrt(2)))
    high = 0.5 * (1 + math.erf((b - mean) / std / math.sqrt(2)))
    u = np.asarray(_C.numpy(draw("uniform", tensor.shape, _C.float64, "cpu", generator), True)) * (high - low) + low
    values = _inverse_normal(u) * std + mean
    return _write(tensor, _C.cast(_C.from_array(np.clip(values, a, b)), tensor.dtype), "trunc_normal_")


def _inverse_normal(u: Any) -> Any:
    """The quantile function, by a start that is roughly right and Newton's steps on erf."""
    import numpy as np

    p = np.clip(u, 1e-12, 1 - 1e-12)
    t = np.sqrt(-2 * np.log(np.minimum(p, 1 - p)))
    x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    x = np.where(p < 0.5, -x, x)
    for _ in range(2):
        cdf = np.asarray(_C.numpy(_C.erf(_C.from_array(x / math.sqrt(2))), True)) * 0.5 + 0.5
        x = x - (cdf - p) * math.sqrt(2 * math.pi) * np.exp(x * x / 2)
    return x


def constant_(tensor: T, val: float) -> T:
    return _write(tensor, _C.full(tensor.shape, float(val), tensor.dtype, tensor.device), "constant_")


def ones_(tensor: T) -> T:
    return constant_(tensor, 1.0)


def zeros_(tensor: T) -> T:
    return constant_(tensor, 0.0)


def eye_(tensor: T) -> T:
    from .._creation import eye

    if tensor.ndim != 2:
        raise _C.Error(f"[eye_] a matrix is needed, got {tensor.shape}")
    return _write(tensor, eye(*tensor.shape, dtype=tensor.dtype), "eye_")


def dirac_(tensor: T, groups: int = 1) -> T:
    """Convolutions that leave as many channels as they can as they are."""
    import numpy as np

    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        raise _C.Error(f"[dirac_] a convolution's weight whose outputs divide into {groups} groups is needed, got {tensor.shape}")
    values = np.zeros(tensor.shape)
    out = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for g in range(groups):
        for i in range(min(out, tensor.shape[1])):
            values[(g * out + i, i, *centre)] = 1
    return _write(tensor, _C.cast(_C.from_array(values), tensor.dtype), "dirac_")


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    shape = tensor.shape
    if len(shape) < 2:
        raise _C.Error(f"[init] fan in and fan out need two dimensions or more, got {shape}")
    field = 1
    for n in shape[2:]:
        field *= n
    return shape[1] * field, shape[0] * field


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 0.75
    raise _C.Error(f"[calculate_gain] nonlinearity {nonlinearity!r} is not known")


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise _C.Error(f"[kaiming] mode {mode!r} is neither 'fan_in' nor 'fan_out'")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None) -> T:
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: T, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None) -> T:
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: T, gain: float = 1.0, generator: Generator | None = None) -> T:
    import numpy as np

    if tensor.ndim < 2:
        raise _C.Error(f"[orthogonal_] two dimensions or more are needed, got {tensor.shape}")
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    noise = np.array(_C.numpy(draw("normal", (max(rows, columns), min(rows, columns)), _C.float64, "cpu", generator), True))
    q, r = np.linalg.qr(noise)
    q = q * np.sign(np.diag(r))
    q = (q if rows >= columns else q.T).reshape(tensor.shape) * gain
    return _write(tensor, _C.cast(_C.from_array(np.ascontiguousarray(q)), tensor.dtype), "orthogonal_")


def sparse_(tensor: T, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> T:
    """Normal numbers, of which in each column a share `sparsity` is zero."""
    import numpy as np

    if tensor.ndim != 2:
        raise _C.Error(f"[sparse_] a matrix is needed, got {tensor.shape}")
    rows, columns = tensor.shape
    order = np.argsort(np.asarray(_C.numpy(draw("uniform", (rows, columns), _C.float64, "cpu", generator), True)), axis=0)
    keep = order >= math.ceil(sparsity * rows)
    normal_(tensor, 0.0, std, generator)
    return _write(tensor, tensor.detach() * _C.cast(_C.from_array(keep), tensor.dtype), "sparse_")
