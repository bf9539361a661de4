"""What all optimizers share: groups of parameters, states by parameter, and steps that are one plan."""

from __future__ import annotations

from typing import Any, Callable

from .. import _C
from .._C import Tensor
from .number import Number

REQUIRED = object()
_PASSED_OVER = ("foreach", "fused", "capturable", "differentiable")  # PyTorch's choices of an implementation


class Optimizer:
    """Subclasses give _initial(group, p), the state before the first step: tensors filled with one number, and floats; and
    _update(group, p, g, state): p's new value, from its gradient g and its state, which it replaces. For jobs, _update is
    recorded once for all steps: lr, the count of steps and the floats of the state are then Numbers (number.py).

    step() only records; its last act computes parameters and states in one plan, together with whatever of forward and
    backward was not looked at before.
    """

    def __init__(self, params: Any, defaults: dict[str, Any], **passed_over: Any) -> None:
        for name in passed_over:
            if name not in _PASSED_OVER:
                raise TypeError(f"{type(self).__name__} has no argument {name!r}: it has {', '.join(defaults)}")
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._pre_hooks: dict[int, Any] = {}
        self._post_hooks: dict[int, Any] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{type(self).__name__}: parameters come in a list or other iterable, got a single Tensor")
        groups = list(params)
        if not groups:
            raise _C.Error(f"[{type(self).__name__}] got no parameters")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """{"params": tensors or (name, tensor) pairs, and what differs from the defaults}."""
        group = dict(group)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if params and isinstance(params[0], tuple):
            group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{type(self).__name__} can only optimize Tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise _C.Error(f"[{type(self).__name__}] a tensor of shape {p.shape} is no leaf: its gradient goes to what it was computed from")
            if id(p) in known:
                raise _C.Error(f"[{type(self).__name__}] a parameter of shape {p.shape} is in two places")
            known.add(id(p))
        group["params"] = params
        for name, default in self.defaults.items():
            if group.setdefault(name, default) is REQUIRED:
                raise _C.Error(f"[{type(self).__name__}] a group lacks {name!r}")
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = _C.full(p.grad.shape, 0.0, p.grad.dtype, p.grad.device)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient. closure: computes the loss again, and gives it."""
        loss = closure() if closure is not None else None
        for hook in list(self._pre_hooks.values()):
            hook(self, (), {})
        on = _C.set_grad_enabled(False)
        try:
            params, values = [], []
            for group in self.param_groups:
                for p in group["params"]:
                    g = p.grad
                    if g is None:
                        continue
                    state = self.state.get(p)
                    if not state:
                        state = self.state[p] = self._initial(group, p)
                    values.append(self._next(group, p, g, state))
                    params.append(p)
            g = state = None
            _C.settle(params, values, "step")
        finally:
            _C.set_grad_enabled(on)
        for hook in list(self._post_hooks.values()):
            hook(self, (), {})
        return loss

    def _next(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        if group.get("maximize"):
            g = -g
        return self._update(group, p, g if g.dtype is p.dtype else _C.cast(g, p.dtype), state)

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        return {}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """States and groups, with parameters as numbers in the order they were given."""
        index: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            numbers = [index.setdefault(id(p), len(index)) for p in group["params"]]
            groups.append({**{k: v for k, v in group.items() if k != "params"}, "params": numbers})
        return {"state": {index[id(p)]: dict(s) for p, s in self.state.items() if id(p) in index}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise _C.Error(f"[load_state_dict] {len(groups)} parameter groups in the state dict, {len(self.param_groups)} in the optimizer")
        by_number: dict[int, Tensor] = {}
        for i, (saved, group) in enumerate(zip(groups, self.param_groups)):
            if len(saved["params"]) != len(group["params"]):
                raise _C.Error(f"[load_state_dict] group {i} has {len(saved['params'])} parameters in the state dict, {len(group['params'])} in the optimizer")
            by_number.update(zip(saved["params"], group["params"]))
        for saved, group in zip(groups, self.param_groups):
            group.update({k: v for k, v in saved.items() if k != "params"})
        kept = {int(k): s for k, s in state_dict["state"].items() if int(k) in by_number}
        self.state = {by_number[k]: {n: _own(v) for n, v in s.items() if v is not None} for k, s in kept.items()}

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Any:
        """Calls hook(optimizer, args, kwargs) before each step."""
        from ..nn.hooks import RemovableHandle

        return RemovableHandle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Any:
        """Calls hook(optimizer, args, kwargs) after each step."""
        from ..nn.hooks import RemovableHandle

        return RemovableHandle(self._post_hooks, hook)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k not in ("params", "param_names")]
        return "\n".join(lines + [")"])


def _own(value: Any) -> Any:
    """A state of one's own: tensors are copied, and counts are numbers."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        from .._creation import tensor

        return tensor(value)
    return value


def count(state: dict[str, Any]) -> Any:
    """The number of this step, from 1 on."""
    step = state.get("step", 0)
    step = state["step"] = step + 1 if isinstance(step, Number) else int(step) + 1
    return step


def zeros_like(p: Tensor) -> Tensor:
    return _C.full(p.shape, 0.0, p.dtype, p.device)


def zeros_for(p: Tensor, *names: str) -> dict[str, Any]:
    return {name: zeros_like(p) for name in names}


def norm(x: Tensor) -> Tensor:
    return _C.sqrt(_C.sum(x * x))


def check(name: str, **values: float) -> None:
    """Rates and the like must not be negative; betas lie in [0, 1)."""
    for key, value in values.items():
        if value < 0 or (key.startswith("beta") and value >= 1):
            raise _C.Error(f"[{name}] {key} {value} is out of range")
