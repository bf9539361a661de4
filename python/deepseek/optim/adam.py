"""Adam and its kin."""

from __future__ import annotations

from typing import Any

from .. import _C
from .number import Number, choose, number, sqrt
from .optimizer import Optimizer, Tensor, check, count, norm, zeros_for


def _moments(group: dict[str, Any], g: Tensor, state: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The running means of the gradient and of its square."""
    b1, b2 = group["betas"]
    m = state["exp_avg"] = state["exp_avg"] * b1 + g * (1 - b1)
    v = state["exp_avg_sq"] = state["exp_avg_sq"] * b2 + g * g * (1 - b2)
    return m, v


def _decayed(group: dict[str, Any], p: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """The parameter and its gradient after weight decay, of the one or the other."""
    wd = group["weight_decay"]
    if wd and group["decoupled_weight_decay"]:
        return p * (1 - group["lr"] * wd), g
    return p, g + p * wd if wd else g


class Adam(Optimizer):
    """Steps of m / (sqrt(v) + eps), m and v being running means of the gradient and of its square."""

    _decoupled = False  # whether weight decay acts on the parameter itself

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        amsgrad: bool = False, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check(type(self).__name__, lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        (b1, b2), lr, wd, eps = group["betas"], group["lr"], group["weight_decay"], group["eps"]
        if wd and not self._decoupled:
            g = g + p * wd
        rate, scale, decay = lr / (1 - b1**t), 1 / sqrt(1 - b2**t), 1 - lr * wd if self._decoupled else 1.0
        if not group["amsgrad"] and not isinstance(rate, Number):
            out, state["exp_avg"], state["exp_avg_sq"] = _C.adamw(
                p, state["exp_avg"], state["exp_avg_sq"], g, b1, b2, eps, rate, scale, decay
            )
            return out
        m, v = _moments(group, g, state)
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"] = _C.maximum(state["max_exp_avg_sq"], v)
        return p * decay - m * rate / (_C.sqrt(v) * scale + eps)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself."""

    _decoupled = True

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2,
        amsgrad: bool = False, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **kwargs)


class Adamax(Optimizer):
    """Adam with the largest gradient seen in place of the mean square."""

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0, *,
        maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("Adamax", lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "exp_avg", "exp_inf")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        b1, b2 = group["betas"]
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        m = state["exp_avg"] = state["exp_avg"] * b1 + g * (1 - b1)
        u = state["exp_inf"] = _C.maximum(state["exp_inf"] * b2, abs(g) + group["eps"])
        return p - m * (group["lr"] / (1 - b1**t)) / u


class NAdam(Optimizer):
    """Adam with Nesterov's momentum."""

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("NAdam", lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {**zeros_for(p, "exp_avg", "exp_avg_sq"), "mu_product": 1.0}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        (b1, b2), lr = group["betas"], group["lr"]
        p, g = _decayed(group, p, g)
        mu = b1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))
        mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * group["momentum_decay"]))
        product = state["mu_product"] = number(state["mu_product"]) * mu
        m, v = _moments(group, g, state)
        ahead = g * (lr * (1 - mu) / (1 - product)) + m * (lr * mu_next / (1 - product * mu_next))
        return p - ahead / (_C.sqrt(v * (1 / (1 - b2**t))) + group["eps"])


class RAdam(Optimizer):
    """Adam that waits with dividing by sqrt(v) until its variance is known well."""

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False, *, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("RAdam", lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "exp_avg", "exp_avg_sq")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        (b1, b2), lr = group["betas"], group["lr"]
        p, g = _decayed(group, p, g)
        m, v = _moments(group, g, state)
        most = 2 / (1 - b2) - 1
        length = most - 2 * t * b2**t / (1 - b2**t)

        def divided() -> Tensor:
            rectified = sqrt((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length))
            return p - m * (lr * rectified * sqrt(1 - b2**t) / (1 - b1**t)) / (_C.sqrt(v) + group["eps"])

        return choose(length <= 5, lambda: p - m * (lr / (1 - b1**t)), divided)


class LAMB(Optimizer):
    """AdamW whose steps are as long as the parameter's norm times lr: for large batches."""

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0.0, *,
        maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        check("LAMB", lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, **kwargs)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return zeros_for(p, "exp_avg", "exp_avg_sq")

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        t = count(state)
        b1, b2 = group["betas"]
        m, v = _moments(group, g, state)
        step = m * (1 / (1 - b1**t)) / (_C.sqrt(v * (1 / (1 - b2**t))) + group["eps"])
        if group["weight_decay"]:
            step = step + p * group["weight_decay"]
        size, length = norm(p), norm(step)
        one = _C.full((), 1.0, p.dtype, p.device)
        known = _C.logical_and(size > 0, length > 0)
        trust = _C.where(known, size / _C.where(known, length, one), one)
        return p - step * (trust * group["lr"])
