"""Gradient descent with momentum, and the methods that scale by squares of gradients."""

from __future__ import annotations

from typing import Any

from .. import _C
from .optimizer import Optimizer, Tensor, check, count, zeros_for


class SGD(Optimizer):
    """p - lr * g, with momentum if asked for."""

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False,
        *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise _C.Error("[SGD] nesterov needs momentum and no dampening")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        if not group["momentum"]:
            return {}
        # The first gradient counts whole.
        return {**zeros_for(p, "momentum_buffer"), **({"gain": 1.0} if group["dampening"] else {})}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        momentum, dampening = group["momentum"], group["dampening"]
        if momentum:
            new = g
            if dampening:
                new = g * state.get("gain", 1 - dampening)
                state["gain"] = 1 - dampening
            buffer = state["momentum_buffer"] = state["momentum_buffer"] * momentum + new
            g = g + buffer * momentum if group["nesterov"] else buffer
        return p - g * group["lr"]


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squares so far."""

    def __init__(
        self, params: Any, lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0, initial_accumulator_value: float = 0.0,
        eps: float = 1e-10, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("Adagrad", lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay, "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {"sum": _C.full(p.shape, group["initial_accumulator_value"], p.dtype, p.device)}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        total = state["sum"] = state["sum"] + g * g
        return p - g * (group["lr"] / (1 + (t - 1) * group["lr_decay"])) / (_C.sqrt(total) + group["eps"])


class Adadelta(Optimizer):
    """Steps as long as former steps were, for gradients as long as former gradients."""

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0, *, maximize: bool = False, **kwargs: Any
    ) -> None:
        check("Adadelta", lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "square_avg", "acc_delta")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        rho, eps = group["rho"], group["eps"]
        count(state)
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        square = state["square_avg"] = state["square_avg"] * rho + g * g * (1 - rho)
        delta = _C.sqrt(state["acc_delta"] + eps) / _C.sqrt(square + eps) * g
        state["acc_delta"] = state["acc_delta"] * rho + delta * delta * (1 - rho)
        return p - delta * group["lr"]


class RMSprop(Optimizer):
    """Steps divided by the root of the running mean of squares."""

    def __init__(
        self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0, momentum: float = 0.0,
        centered: bool = False, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("RMSprop", lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        more = ("momentum_buffer",) * bool(group["momentum"]) + ("grad_avg",) * bool(group["centered"])
        return zeros_for(p, "square_avg", *more)

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        alpha = group["alpha"]
        count(state)
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        square = state["square_avg"] = state["square_avg"] * alpha + g * g * (1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"] = state["grad_avg"] * alpha + g * (1 - alpha)
            square = square - mean * mean
        step = g / (_C.sqrt(square) + group["eps"])
        if group["momentum"]:
            step = state["momentum_buffer"] = state["momentum_buffer"] * group["momentum"] + step
        return p - step * group["lr"]


class Lion(Optimizer):
    """Steps of one length: the sign of a mean of gradient and momentum."""

    def __init__(
        self, params: Any, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0, *, maximize: bool = False, **kwargs: Any
    ) -> None:
        check("Lion", lr=lr, beta1=betas[0], beta2=betas[1], weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "exp_avg")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        b1, b2 = group["betas"]
        m = state["exp_avg"]
        step = _C.sign(m * b1 + g * (1 - b1))
        state["exp_avg"] = m * b2 + g * (1 - b2)
        return p * (1 - group["lr"] * group["weight_decay"]) - step * group["lr"]
