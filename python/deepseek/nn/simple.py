"""Layers that only pass their arguments to a function: made from a table of signatures."""

from __future__ import annotations

import sys
from typing import Any, Callable

from .. import _C
from .. import functional as F
from .module import Module

_NEEDED = object()


def _layer(name: str, function: Callable[..., Any], fields: dict[str, Any], training: bool = False, inputs: int = 1, doc: str = "") -> type:
    """A Module whose constructor takes `fields` (by position or name) and whose forward is function(*inputs, **fields)."""
    names = list(fields)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        if len(args) > len(names):
            raise TypeError(f"{name} takes at most {len(names)} arguments, got {len(args)}")
        for key in kwargs:
            if key not in fields:
                raise TypeError(f"{name} has no argument {key!r}: it has {', '.join(names)}")
        given = {**dict(zip(names, args)), **kwargs}
        for key, default in fields.items():
            value = given.get(key, default)
            if value is _NEEDED:
                raise TypeError(f"{name} needs {key!r}")
            setattr(self, key, value)

    if training:

        def forward(self: Any, *xs: Any) -> Any:
            d = self.__dict__
            return function(*xs, training=d["training"], **{k: d[k] for k in names})

    elif names:

        def forward(self: Any, *xs: Any) -> Any:
            d = self.__dict__
            return function(*xs, **{k: d[k] for k in names})

    else:

        def forward(self: Any, *xs: Any) -> Any:
            return function(*xs)

    def extra_repr(self: Any) -> str:
        return ", ".join(f"{k}={getattr(self, k)!r}" for k in names if fields[k] is _NEEDED or getattr(self, k) != fields[k])

    text = doc or f"{function.__name__}() as a layer."
    body = {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": text, "__module__": __name__}
    made = type(name, (Module,), body)
    setattr(sys.modules[__name__], name, made)
    return made


def _activation(name: str, function: Callable[..., Any], inplace: bool = True, **fields: Any) -> type:
    return _layer(name, function, {**fields, **({"inplace": False} if inplace else {})})


class ReLU(Module):
    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


ReLU6 = _activation("ReLU6", F.relu6)
LeakyReLU = _activation("LeakyReLU", F.leaky_relu, negative_slope=0.01)
RReLU = _layer("RReLU", F.rrelu, {"lower": 1 / 8, "upper": 1 / 3, "inplace": False}, training=True)
ELU = _activation("ELU", F.elu, alpha=1.0)
SELU = _activation("SELU", F.selu)
CELU = _activation("CELU", F.celu, alpha=1.0)
GELU = _activation("GELU", F.gelu, inplace=False, approximate="none")
SiLU = _activation("SiLU", F.silu)
Mish = _activation("Mish", F.mish)
Hardtanh = _activation("Hardtanh", F.hardtanh, min_val=-1.0, max_val=1.0)
Hardsigmoid = _activation("Hardsigmoid", F.hardsigmoid)
Hardswish = _activation("Hardswish", F.hardswish)
Hardshrink = _activation("Hardshrink", F.hardshrink, inplace=False, lambd=0.5)
Softshrink = _activation("Softshrink", F.softshrink, inplace=False, lambd=0.5)
Tanhshrink = _activation("Tanhshrink", F.tanhshrink, inplace=False)
Softplus = _activation("Softplus", F.softplus, inplace=False, beta=1.0, threshold=20.0)
Softsign = _activation("Softsign", F.softsign, inplace=False)
Threshold = _activation("Threshold", F.threshold, threshold=_NEEDED, value=_NEEDED)
Sigmoid = _activation("Sigmoid", F.sigmoid, inplace=False)
LogSigmoid = _activation("LogSigmoid", F.logsigmoid, inplace=False)
Tanh = _activation("Tanh", F.tanh, inplace=False)
GLU = _activation("GLU", F.glu, inplace=False, dim=-1)
Softmax = _activation("Softmax", F.softmax, inplace=False, dim=None)
LogSoftmax = _activation("LogSoftmax", F.log_softmax, inplace=False, dim=None)
Softmin = _activation("Softmin", F.softmin, inplace=False, dim=None)
Softmax2d = _layer("Softmax2d", lambda x: _C.softmax(x, -3), {}, doc="Softmax over the channels of (batch, channels, h, w).")


def _dropout(name: str, function: Callable[..., Any]) -> type:
    return _layer(name, function, {"p": 0.5, "inplace": False}, training=True)


Dropout = _dropout("Dropout", F.dropout)
Dropout1d = _dropout("Dropout1d", F.dropout1d)
Dropout2d = _dropout("Dropout2d", F.dropout2d)
Dropout3d = _dropout("Dropout3d", F.dropout3d)
AlphaDropout = _dropout("AlphaDropout", F.alpha_dropout)
FeatureAlphaDropout = _dropout("FeatureAlphaDropout", F.feature_alpha_dropout)

_MAX = {"kernel_size": _NEEDED, "stride": None, "padding": 0, "dilation": 1, "return_indices": False, "ceil_mode": False}
_AVG = {"kernel_size": _NEEDED, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}
_LP = {"norm_type": _NEEDED, "kernel_size": _NEEDED, "stride": None, "ceil_mode": False}
MaxPool1d = _layer("MaxPool1d", F.max_pool1d, _MAX)
MaxPool2d = _layer("MaxPool2d", F.max_pool2d, _MAX)
MaxPool3d = _layer("MaxPool3d", F.max_pool3d, _MAX)
AvgPool1d = _layer("AvgPool1d", F.avg_pool1d, _AVG)
AvgPool2d = _layer("AvgPool2d", F.avg_pool2d, {**_AVG, "divisor_override": None})
AvgPool3d = _layer("AvgPool3d", F.avg_pool3d, {**_AVG, "divisor_override": None})
LPPool1d = _layer("LPPool1d", F.lp_pool1d, _LP)
LPPool2d = _layer("LPPool2d", F.lp_pool2d, _LP)
LPPool3d = _layer("LPPool3d", F.lp_pool3d, _LP)
AdaptiveAvgPool1d = _layer("AdaptiveAvgPool1d", F.adaptive_avg_pool1d, {"output_size": _NEEDED})
AdaptiveAvgPool2d = _layer("AdaptiveAvgPool2d", F.adaptive_avg_pool2d, {"output_size": _NEEDED})
AdaptiveAvgPool3d = _layer("AdaptiveAvgPool3d", F.adaptive_avg_pool3d, {"output_size": _NEEDED})
AdaptiveMaxPool1d = _layer("AdaptiveMaxPool1d", F.adaptive_max_pool1d, {"output_size": _NEEDED, "return_indices": False})
AdaptiveMaxPool2d = _layer("AdaptiveMaxPool2d", F.adaptive_max_pool2d, {"output_size": _NEEDED, "return_indices": False})
AdaptiveMaxPool3d = _layer("AdaptiveMaxPool3d", F.adaptive_max_pool3d, {"output_size": _NEEDED, "return_indices": False})

PixelShuffle = _layer("PixelShuffle", F.pixel_shuffle, {"upscale_factor": _NEEDED})
PixelUnshuffle = _layer("PixelUnshuffle", F.pixel_unshuffle, {"downscale_factor": _NEEDED})
ChannelShuffle = _layer("ChannelShuffle", F.channel_shuffle, {"groups": _NEEDED})
_WINDOW = {"kernel_size": _NEEDED, "dilation": 1, "padding": 0, "stride": 1}
Unfold = _layer("Unfold", F.unfold, _WINDOW)
Fold = _layer("Fold", F.fold, {"output_size": _NEEDED, **_WINDOW})
_RESIZE = {"size": None, "scale_factor": None, "mode": "nearest", "align_corners": None, "recompute_scale_factor": None}
Upsample = _layer("Upsample", F.interpolate, _RESIZE)
UpsamplingNearest2d = _layer("UpsamplingNearest2d", F.interpolate, {"size": None, "scale_factor": None})
UpsamplingBilinear2d = _layer(
    "UpsamplingBilinear2d",
    lambda x, size, scale_factor: F.interpolate(x, size, scale_factor, "bilinear", True),
    {"size": None, "scale_factor": None},
    doc="Bilinear, with aligned corners.",
)
LocalResponseNorm = _layer("LocalResponseNorm", F.local_response_norm, {"size": _NEEDED, "alpha": 1e-4, "beta": 0.75, "k": 1.0})


class _MaxUnpool(Module):
    dims = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self.dims - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    dims = 1


class MaxUnpool2d(_MaxUnpool):
    dims = 2


class MaxUnpool3d(_MaxUnpool):
    dims = 3


class _Pad(Module):
    dims, mode = 0, "constant"

    def __init__(self, padding: Any, value: float = 0.0) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return str(self.padding)


def _pad(name: str, dims: int, mode: str) -> type:
    return type(name, (_Pad,), {"dims": dims, "mode": mode, "__doc__": f"pad() of mode {mode!r}.", "__module__": __name__})


ConstantPad1d = _pad("ConstantPad1d", 1, "constant")
ConstantPad2d = _pad("ConstantPad2d", 2, "constant")
ConstantPad3d = _pad("ConstantPad3d", 3, "constant")
ZeroPad1d = _pad("ZeroPad1d", 1, "constant")
ZeroPad2d = _pad("ZeroPad2d", 2, "constant")
ZeroPad3d = _pad("ZeroPad3d", 3, "constant")
ReflectionPad1d = _pad("ReflectionPad1d", 1, "reflect")
ReflectionPad2d = _pad("ReflectionPad2d", 2, "reflect")
ReflectionPad3d = _pad("ReflectionPad3d", 3, "reflect")
ReplicationPad1d = _pad("ReplicationPad1d", 1, "replicate")
ReplicationPad2d = _pad("ReplicationPad2d", 2, "replicate")
ReplicationPad3d = _pad("ReplicationPad3d", 3, "replicate")
CircularPad1d = _pad("CircularPad1d", 1, "circular")
CircularPad2d = _pad("CircularPad2d", 2, "circular")
CircularPad3d = _pad("CircularPad3d", 3, "circular")

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AlphaDropout", "AvgPool1d", "AvgPool2d", "AvgPool3d", "CELU", "ChannelShuffle",
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "Dropout",
    "Dropout1d", "Dropout2d", "Dropout3d", "ELU", "FeatureAlphaDropout", "Fold", "GELU", "GLU", "Hardshrink",
    "Hardsigmoid", "Hardswish", "Hardtanh", "LPPool1d", "LPPool2d", "LPPool3d", "LeakyReLU", "LocalResponseNorm",
    "LogSigmoid", "LogSoftmax", "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
    "Mish", "PixelShuffle", "PixelUnshuffle", "RReLU", "ReLU", "ReLU6", "ReflectionPad1d", "ReflectionPad2d",
    "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "SELU", "SiLU", "Sigmoid",
    "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
    "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
