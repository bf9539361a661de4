"""Losses as layers."""

from __future__ import annotations

import sys
from typing import Any, Callable

from .. import functional as F
from .module import Module

_OLD = ("size_average", "reduce")  # PyTorch's former names of reduction: taken, and translated


class _Loss(Module):
    reduction: str


def _loss(name: str, function: Callable[..., Any], inputs: int = 2, buffers: tuple[str, ...] = (), order: tuple[str, ...] | None = None) -> type:
    """A layer of a loss function: everything but its first `inputs` arguments goes to the constructor, in torch.nn's order."""
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    with_default = parameters[code.co_argcount - len(function.__defaults__ or ()) : code.co_argcount]
    defaults = {**dict(zip(with_default, function.__defaults__ or ())), **(function.__kwdefaults__ or {})}
    names = list(order) if order is not None else list(parameters[inputs:])
    used = [n for n in names if n not in _OLD]

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        Module.__init__(self)
        given = dict(zip(names, args))
        for key, value in kwargs.items():
            if key not in names:
                raise TypeError(f"{name} has no argument {key!r}: it has {', '.join(n for n in names if n not in _OLD)}")
            given[key] = value
        average, reduce = given.pop("size_average", None), given.pop("reduce", None)
        if average is not None or reduce is not None:
            given["reduction"] = "none" if reduce is False else "sum" if average is False else "mean"
        for key in names:
            if key in _OLD:
                continue
            value = given.get(key, defaults[key])
            if key in buffers:
                self.register_buffer(key, value)
            else:
                setattr(self, key, value)

    def forward(self: Any, *inputs: Any) -> Any:
        d = self.__dict__
        own = d["_buffers"]
        return function(*inputs, **{k: d[k] if k in d else own[k] if k in own else getattr(self, k) for k in used})

    def extra_repr(self: Any) -> str:
        return ", ".join(f"{k}={getattr(self, k)!r}" for k in names if k not in _OLD and k not in buffers and getattr(self, k) != defaults[k])

    body = {"__init__": __init__, "forward": forward, "extra_repr": extra_repr, "__doc__": f"{function.__name__}() as a layer.", "__module__": __name__}
    made = type(name, (_Loss,), body)
    setattr(sys.modules[__name__], name, made)
    return made


_R = ("size_average", "reduce", "reduction")
CrossEntropyLoss = _loss(
    "CrossEntropyLoss", F.cross_entropy, buffers=("weight",),
    order=("weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing"),
)  # fmt: skip
NLLLoss = _loss("NLLLoss", F.nll_loss, buffers=("weight",))
MSELoss = _loss("MSELoss", F.mse_loss, order=_R)
L1Loss = _loss("L1Loss", F.l1_loss, order=_R)
SmoothL1Loss = _loss("SmoothL1Loss", F.smooth_l1_loss)
HuberLoss = _loss("HuberLoss", F.huber_loss, order=("reduction", "delta"))
BCELoss = _loss("BCELoss", F.binary_cross_entropy, buffers=("weight",))
BCEWithLogitsLoss = _loss("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, buffers=("weight", "pos_weight"))
KLDivLoss = _loss("KLDivLoss", F.kl_div)
PoissonNLLLoss = _loss("PoissonNLLLoss", F.poisson_nll_loss)
GaussianNLLLoss = _loss("GaussianNLLLoss", F.gaussian_nll_loss, inputs=3)
HingeEmbeddingLoss = _loss("HingeEmbeddingLoss", F.hinge_embedding_loss)
SoftMarginLoss = _loss("SoftMarginLoss", F.soft_margin_loss)
MarginRankingLoss = _loss("MarginRankingLoss", F.margin_ranking_loss, inputs=3)
CosineEmbeddingLoss = _loss("CosineEmbeddingLoss", F.cosine_embedding_loss, inputs=3)
MultiLabelMarginLoss = _loss("MultiLabelMarginLoss", F.multilabel_margin_loss)
MultiLabelSoftMarginLoss = _loss("MultiLabelSoftMarginLoss", F.multilabel_soft_margin_loss, buffers=("weight",))
MultiMarginLoss = _loss("MultiMarginLoss", F.multi_margin_loss, buffers=("weight",))
TripletMarginLoss = _loss("TripletMarginLoss", F.triplet_margin_loss, inputs=3)
TripletMarginWithDistanceLoss = _loss("TripletMarginWithDistanceLoss", F.triplet_margin_with_distance_loss, inputs=3)
CTCLoss = _loss("CTCLoss", F.ctc_loss, inputs=4)

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "PoissonNLLLoss",
    "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip
