"""Convolutional layers."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .. import functional as F
from .._C import Tensor
from ..functional._common import pair
from . import init
from .linear import new_parameter
from .module import Module
from .parameter import Parameter

_PAD_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    dims = 0
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, groups: int, bias: bool,
        padding_mode: str, output_padding: Any, device: str | None, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        op, n = type(self).__name__, self.dims
        if in_channels % groups or out_channels % groups:
            raise _C.Error(f"[{op}] {in_channels} and {out_channels} channels do not divide into {groups} groups")
        if padding_mode not in _PAD_MODES or (self.transposed and padding_mode != "zeros"):
            raise _C.Error(f"[{op}] padding_mode {padding_mode!r} is not possible")
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride = pair(kernel_size, n, op, "kernel_size"), pair(stride, n, op, "stride")
        self.padding = padding if isinstance(padding, str) else pair(padding, n, op, "padding")
        self.dilation, self.output_padding = pair(dilation, n, op, "dilation"), pair(output_padding, n, op, "output_padding")
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = new_parameter(*channels, *self.kernel_size, dtype=dtype, device=device)
        self.register_parameter("bias", new_parameter(out_channels, dtype=dtype, device=device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    @property
    def _reversed_padding_repeated_twice(self) -> list[int]:
        """As pad() takes it: the last dimension first, before and after."""
        if isinstance(self.padding, str):
            totals = [d * (k - 1) if self.padding == "same" else 0 for d, k in zip(self.dilation, self.kernel_size)]
            return [v for t in reversed(totals) for v in (t // 2, t - t // 2)]
        return [p for p in reversed(self.padding) for _ in range(2)]

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        if self.padding_mode != "zeros":
            padded = F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
            return conv(padded, weight, bias, self.stride, 0, self.dilation, self.groups)
        return conv(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        none = (0,) * self.dims
        if self.padding != none:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.dims:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != none:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _ConvPlain(_Conv):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
        bias: bool = True, padding_mode: str = "zeros", device: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, 0, device, dtype)


class Conv1d(_ConvPlain):
    """(batch, in, length) -> (batch, out, length'); weight (out, in / groups, kernel)."""

    dims = 1


class Conv2d(_ConvPlain):
    """(batch, in, height, width) -> (batch, out, height', width'); weight (out, in / groups, kh, kw)."""

    dims = 2


class Conv3d(_ConvPlain):
    """(batch, in, depth, height, width) -> (batch, out, ...); weight (out, in / groups, kd, kh, kw)."""

    dims = 3


class _ConvTranspose(_Conv):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, output_padding, device, dtype
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._output_padding(input, output_size)
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dims - 1]
        return conv(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _output_padding(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What to add so that the output has the extents asked for."""
        n = self.dims
        assert not isinstance(self.padding, str)  # transposed convolutions take numbers
        wanted = tuple(output_size)[-n:]
        extra = []
        for i in range(n):
            least = (input.shape[i - n] - 1) * self.stride[i] - 2 * self.padding[i] + self.dilation[i] * (self.kernel_size[i] - 1) + 1
            if not least <= wanted[i] < least + self.stride[i]:
                raise _C.Error(f"[{type(self).__name__}] output_size {wanted} is out of range: at {i} from {least} to {least + self.stride[i] - 1}")
            extra.append(wanted[i] - least)
        return tuple(extra)


class ConvTranspose1d(_ConvTranspose):
    """(batch, in, length) -> (batch, out, length'); weight (in, out / groups, kernel)."""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """(batch, in, height, width) -> (batch, out, height', width'); weight (in, out / groups, kh, kw)."""

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """(batch, in, depth, height, width) -> (batch, out, ...); weight (in, out / groups, kd, kh, kw)."""

    dims = 3
