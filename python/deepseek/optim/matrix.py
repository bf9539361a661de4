"""Optimizers that look at matrices as matrices: Adafactor and Muon."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from .number import least, sqrt
from .optimizer import Optimizer, Tensor, check, count, norm, zeros_for


class Adafactor(Optimizer):
    """Adam without momentum, whose mean squares of a matrix are kept as a row and a column."""

    def __init__(
        self, params: Any, lr: float = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0,
        weight_decay: float = 0.0, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("Adafactor", lr=lr, d=d, weight_decay=weight_decay)
        defaults = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        if p.ndim < 2:
            return zeros_for(p, "variance")
        *before, rows, columns = p.shape
        shapes = {"row_var": (*before, rows, 1), "col_var": (*before, 1, columns)}
        return {name: _C.full(shape, 0.0, p.dtype, p.device) for name, shape in shapes.items()}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = 2.0**-52 if p.dtype == _C.float64 else 2.0**-23
        fresh = t ** group["beta2_decay"]  # how much the new squares count: wholly at first
        size = math.sqrt(p.numel())
        alpha = _C.maximum(norm(p) * (1 / size), _C.full((), eps2, p.dtype, p.device)) * least(group["lr"], 1 / sqrt(t))
        if group["weight_decay"]:
            p = p * (1 - group["lr"] * group["weight_decay"])
        if p.ndim > 1:
            rows, columns = _C.mean(g * g, [-1], True), _C.mean(g * g, [-2], True)
            rows = state["row_var"] = state["row_var"] + (rows - state["row_var"]) * fresh
            columns = state["col_var"] = state["col_var"] + (columns - state["col_var"]) * fresh
            mean = _C.maximum(_C.mean(rows, [-2], True), _C.full((), eps1, p.dtype, p.device))
            square = rows * columns / mean
        else:
            old = state["variance"]
            square = state["variance"] = old + (g * g - old) * fresh
        step = g * _C.rsqrt(_C.maximum(square, _C.full((), eps1 * eps1, p.dtype, p.device)))
        longest = _C.maximum(norm(step) * (1 / (size * group["d"])), _C.full((), 1.0, p.dtype, p.device))
        return p - step * (alpha / longest)


def orthogonalized(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """Near to U V^T of x = U S V^T, by Newton and Schulz's iteration."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = _C.transpose(x, 0, 1)
    x = x / (norm(x) + eps)
    for _ in range(steps):
        gram = _C.matmul(x, _C.transpose(x, 0, 1))
        x = x * a + _C.matmul(gram * b + _C.matmul(gram, gram) * c, x)
    return _C.transpose(x, 0, 1) if tall else x


class Muon(Optimizer):
    """Momentum whose matrices are made orthogonal. For the matrices within a network; use AdamW for the rest.

    Kernels of convolutions are looked at as (out, in * places).
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("Muon", lr=lr, weight_decay=weight_decay, momentum=momentum)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise _C.Error(f"[Muon] adjust_lr_fn {adjust_lr_fn!r} is neither 'original' nor 'match_rms_adamw'")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "ns_coefficients": ns_coefficients, "eps": eps,
            "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim < 2:
                    raise _C.Error(f"[Muon] a parameter of shape {p.shape} is no matrix: give it to AdamW")

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "momentum_buffer")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        momentum, lr = group["momentum"], group["lr"]
        buffer = state["momentum_buffer"] = state["momentum_buffer"] * momentum + g * (1 - momentum)
        step = g * (1 - momentum) + buffer * momentum if group["nesterov"] else buffer
        matrix = _C.reshape(step, [p.shape[0], -1]) if p.ndim > 2 else step
        step = orthogonalized(matrix, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = matrix.shape
        ratio = 0.2 * math.sqrt(max(rows, columns)) if group["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1.0, rows / columns))
        if p.ndim > 2:
            step = _C.reshape(step, list(p.shape))
        return p * (1 - lr * group["weight_decay"]) - step * (lr * ratio)
