"""Normalisation layers, PReLU."""

from __future__ import annotations

from typing import Any

from .. import _C
from .. import functional as F
from .._C import Tensor
from . import init
from .linear import new_parameter
from .module import Module
from .parameter import Parameter


class _Norm(Module):
    """Running statistics and an affine map per channel."""

    ranks: tuple[int, ...] = ()
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_parameter(name, init.constant_(new_parameter(num_features, dtype=dtype, device=device), value) if affine else None)
        t = _C.get_default_dtype() if dtype is None else dtype
        for name, start in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, _C.full((num_features,), start, t, device or "cpu") if track_running_stats else None)
        self.register_buffer("num_batches_tracked", _C.full((), 0.0, _C.int64, device or "cpu") if track_running_stats else None)

    def reset_running_stats(self) -> None:
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def _check(self, input: Tensor) -> None:
        if input.ndim not in self.ranks:
            raise _C.Error(f"[{type(self).__name__}] a tensor of rank {' or '.join(map(str, self.ranks))} is needed, got {input.shape}")
        channel = 1 if input.ndim > 1 else 0
        if input.shape[channel] != self.num_features:
            raise _C.Error(f"[{type(self).__name__}] {self.num_features} channels are needed, got {input.shape}")

    def _factor(self) -> Any:
        """How much the batch counts: momentum, or one in the number of batches seen."""
        if not (self.training and self.track_running_stats):
            return 0.0 if self.momentum is None else self.momentum
        seen = self.num_batches_tracked
        init._write(seen, seen + 1, "batch_norm")
        return 1.0 / _C.cast(seen, self.running_mean.dtype) if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        factor = self._factor()
        batch = self.training or self.running_mean is None
        keep = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, batch, factor, self.eps)


class BatchNorm1d(_BatchNorm):
    """(batch, channels) or (batch, channels, length)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """(batch, channels, height, width)."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """(batch, channels, depth, height, width)."""

    ranks = (5,)


class SyncBatchNorm(_BatchNorm):
    """BatchNorm of any rank. One process sees its own batch only."""

    ranks = (2, 3, 4, 5)


class _InstanceNorm(_Norm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False, track_running_stats: bool = False,
        device: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        single = input.ndim == self.ranks[0]
        x = _C.unsqueeze(input, 0) if single else input
        if x.ndim != self.ranks[1]:
            raise _C.Error(f"[{type(self).__name__}] a tensor of rank {self.ranks[0]} or {self.ranks[1]} is needed, got {input.shape}")
        own = self.training or not self.track_running_stats
        y = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum or 0.0, self.eps)
        return _C.squeeze(y, 0) if single else y


class InstanceNorm1d(_InstanceNorm):
    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    ranks = (4, 5)


class LayerNorm(Module):
    """Over the last dimensions."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True, device: str | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = new_parameter(*self.normalized_shape, dtype=dtype, device=device) if elementwise_affine else None
        self.register_parameter("weight", None if weight is None else init.ones_(weight))
        self.register_parameter("bias", new_parameter(*self.normalized_shape, dtype=dtype, device=device) if elementwise_affine and bias else None)

    def reset_parameters(self) -> None:
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions."""

    weight: Parameter | None

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = new_parameter(*self.normalized_shape, dtype=dtype, device=device) if elementwise_affine else None
        self.register_parameter("weight", None if weight is None else init.ones_(weight))

    def reset_parameters(self) -> None:
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """(batch, channels, ...) over each of num_groups groups of channels."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise _C.Error(f"[GroupNorm] {num_channels} channels do not divide into {num_groups} groups")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_parameter(name, init.constant_(new_parameter(num_channels, dtype=dtype, device=device), value) if affine else None)

    def reset_parameters(self) -> None:
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class PReLU(Module):
    """Below zero a slope that is trained: one, or one per channel."""

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(_C.full((num_parameters,), init, _C.get_default_dtype() if dtype is None else dtype, device or "cpu"))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
