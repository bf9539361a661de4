"""Loading a state dict into a module, with errors that name every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .. import _C
from .._creation import asarray


class IncompatibleKeys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def _entries(module: Any, prefix: str) -> dict[str, Any]:
    """The persistent tensors of one module by their full names."""
    out = {}
    for registry in ("_parameters", "_buffers"):
        for name, value in module.__dict__[registry].items():
            if value is not None and name not in module._non_persistent:
                out[prefix + name] = value
    return out


def _paths(module: Any, prefix: str = "") -> Any:
    """Every module by path, shared ones under each of their names, as state_dict() has them."""
    yield prefix, module
    for name, child in module._modules.items():
        if child is not None:
            yield from _paths(child, f"{prefix}{name}.")


def _copy(target: Any, value: Any, assign: bool) -> None:
    fresh = _C.clone(asarray(value).detach())
    if assign:
        needs = target.requires_grad
        _C.rebind(target, fresh)
        if needs:
            _C.require_grad(target, True)
        return
    if fresh.device != target.device:
        fresh = _C.to_device(fresh, target.device)
    _C.assign(target, fresh, "load_state_dict")


def load_into(module: Any, state: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: a mapping of names to tensors is needed, got {type(state).__name__}")
    state = dict(state)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    paths = list(_paths(module))
    for prefix, m in paths:
        for hook in m.__dict__.get("_load_pre_hooks", {}).values():
            hook(m, state, prefix, {}, strict, missing, unexpected, errors)
    used = set()
    loaded: list[tuple[Any, Any]] = []
    for prefix, m in paths:
        if prefix + "_extra_state" in state:
            used.add(prefix + "_extra_state")
            m.set_extra_state(state[prefix + "_extra_state"])
        for name, target in _entries(m, prefix).items():
            used.add(name)
            if name not in state:
                missing.append(name)
                continue
            shape = tuple(state[name].shape)
            if shape != target.shape and not (shape in ((), (1,)) and target.shape in ((), (1,))):
                errors.append(f"size mismatch for {name}: the state dict has {shape}, the model {target.shape}")
            else:
                loaded.append((target, state[name] if shape == target.shape else state[name].reshape(target.shape)))
    unexpected += [k for k in state if k not in used]
    if strict:
        if unexpected:
            errors.insert(0, "Unexpected key(s) in state_dict: " + ", ".join(map(repr, unexpected)))
        if missing:
            errors.insert(0, "Missing key(s) in state_dict: " + ", ".join(map(repr, missing)))
    if errors:
        raise _C.Error(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors))
    on = _C.set_grad_enabled(False)
    try:
        for target, value in loaded:
            _copy(target, value, assign)
        _C.eval([target for target, _ in loaded])
    finally:
        _C.set_grad_enabled(on)
    result = IncompatibleKeys(missing, unexpected)
    for _, m in paths:
        for hook in m.__dict__.get("_load_post_hooks", {}).values():
            hook(m, result)
    return result
