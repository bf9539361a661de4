"""Clipping of gradients. Nothing is computed until the optimizer's step, unless an error is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ... import _C
from ..._C import Tensor


def _grads(parameters: Any) -> list[Tensor]:
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in items if p.grad is not None]


def get_total_norm(tensors: Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of all elements of all tensors together."""
    parts = list(tensors)
    if not parts:
        return _C.full((), 0.0, _C.get_default_dtype(), "cpu")
    p = float(norm_type)
    total = None
    for t in parts:
        size = abs(t) if t.dtype.itemsize >= 4 else abs(_C.cast(t, _C.float32))
        if p == math.inf:
            part = _C.amax(size)
            total = part if total is None else _C.maximum(total, part)
        else:
            part = _C.sum(size * size if p == 2 else _C.pow(size, _C.full((), p, size.dtype, size.device)))
            total = part if total is None else total + part
    assert total is not None
    if p != math.inf:
        total = _C.sqrt(total) if p == 2 else _C.pow(total, _C.full((), 1 / p, total.dtype, total.device))
    if error_if_nonfinite and not math.isfinite(_C.item(total)):
        raise _C.Error(f"[clip_grad_norm_] the total norm of the gradients is {_C.item(total)}")
    return total


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None) -> Tensor:
    """Scales all gradients so that their norm together is at most max_norm; gives the norm they had."""
    grads = _grads(parameters)
    on = _C.set_grad_enabled(False)
    try:
        total = get_total_norm(grads, norm_type, error_if_nonfinite)
        scale = _C.minimum(float(max_norm) / (total + 1e-6), _C.full((), 1.0, total.dtype, total.device))
        for g in grads:
            _C.assign(g, g * (scale if scale.dtype == g.dtype else _C.cast(scale, g.dtype)), "clip_grad_norm_")
    finally:
        _C.set_grad_enabled(on)
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Cuts every element of every gradient to [-clip_value, clip_value]."""
    on = _C.set_grad_enabled(False)
    try:
        for g in _grads(parameters):
            high = _C.full((), float(clip_value), g.dtype, g.device)
            _C.assign(g, _C.maximum(_C.minimum(g, high), -high), "clip_grad_value_")
    finally:
        _C.set_grad_enabled(on)
