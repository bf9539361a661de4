"""Hooks of modules: how they are kept, removed, and called around forward and backward."""

from __future__ import annotations

import itertools
from typing import Any, Callable

from .. import _C
from .._C import Tensor

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook gives: remove() takes the hook away again, as leaving a `with` does."""

    def __init__(self, hooks: dict[int, Any], hook: Callable[..., Any], first: bool = False) -> None:
        self.id = next(_ids)
        self._hooks = hooks
        if first:
            rest = list(hooks.items())
            hooks.clear()
            hooks[self.id] = hook
            hooks.update(rest)
        else:
            hooks[self.id] = hook

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


global_forward_pre: dict[int, Any] = {}
global_forward: dict[int, Any] = {}
global_backward: dict[int, Any] = {}


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls hook(module, args) before every module's forward."""
    return RemovableHandle(global_forward_pre, hook)


def register_module_forward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls hook(module, args, output) after every module's forward."""
    return RemovableHandle(global_forward, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls hook(module, grad_input, grad_output) in every module's backward."""
    return RemovableHandle(global_backward, hook)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in _tensors(v)]
    if isinstance(value, dict):
        return [t for v in value.values() for t in _tensors(v)]
    return []


def _replaced(value: Any, new: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return new.get(id(value), value)
    if isinstance(value, (tuple, list)):
        items = [_replaced(v, new) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: _replaced(v, new) for k, v in value.items()}
    return value


def _passed_through(tensors: list[Tensor], backward: Callable[..., Any]) -> dict[int, Tensor]:
    """Tensors of the same values whose gradients go through `backward`, by the ids of the old ones."""
    tracked = [t for t in tensors if t.requires_grad]
    if not tracked:
        return {}
    new = _C.custom([_C.detach(t) for t in tracked], tracked, backward, "a backward hook")
    return {id(t): n for t, n in zip(tracked, new)}


class BackwardHooks:
    """One call's gradients on their way: of the outputs first, then of the inputs."""

    def __init__(self, module: Any, before: list[Any], after: list[Any]) -> None:
        self.module, self.before, self.after = module, before, after
        self.grad_output: tuple[Any, ...] = ()
        self.input_slots: list[bool] = []

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        tensors = _tensors(args)
        self.input_slots = [t.requires_grad for t in tensors]
        new = _passed_through(tensors, self._inputs_back)
        return _replaced(args, new) if new else args

    def watch_outputs(self, output: Any) -> Any:
        tensors = _tensors(output)
        self.output_slots = [t.requires_grad for t in tensors]
        new = _passed_through(tensors, self._outputs_back)
        return _replaced(output, new) if new else output

    def _outputs_back(self, *grads: Any) -> list[Any]:
        given = iter(grads)
        self.grad_output = tuple(next(given) if slot else None for slot in self.output_slots)
        for hook in self.before:
            changed = hook(self.module, self.grad_output)
            if changed is not None:
                self.grad_output = changed if isinstance(changed, tuple) else (changed,)
        if not any(self.input_slots):
            for hook in self.after:
                hook(self.module, (None,) * len(self.input_slots), self.grad_output)
        return [g for g, slot in zip(self.grad_output, self.output_slots) if slot]

    def _inputs_back(self, *grads: Any) -> list[Any]:
        given = iter(grads)
        grad_input = tuple(next(given) if slot else None for slot in self.input_slots)
        for hook in self.after:
            changed = hook(self.module, grad_input, self.grad_output)
            if changed is not None:
                grad_input = changed if isinstance(changed, tuple) else (changed,)
        return [g for g, slot in zip(grad_input, self.input_slots) if slot]
