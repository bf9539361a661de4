"""Module: the base of layers and models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from .. import _C
from .._C import Tensor
from . import hooks as _hooks
from .hooks import BackwardHooks, RemovableHandle
from .parameter import Buffer, Parameter
from .state import IncompatibleKeys, load_into

_REGISTRIES = ("_parameters", "_buffers", "_modules")


class Module:
    """Subclasses assign parameters and modules to attributes in __init__ and compute in forward()."""

    training: bool
    _hooked = False  # whether __call__ must look at the hooks of this instance
    _version = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            raise TypeError(f"{type(self).__name__}: Module.__init__ takes no arguments, got {len(args) + len(kwargs)}")
        d = self.__dict__
        d["training"] = True
        d["_parameters"], d["_buffers"], d["_modules"] = {}, {}, {}
        d["_non_persistent"] = set()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked or _hooks.global_forward_pre or _hooks.global_forward or _hooks.global_backward:
            return self._call_hooked(args, kwargs)
        return self.forward(*args, **kwargs)

    # ---- attributes

    def __setattr__(self, name: str, value: Any) -> None:
        d = self.__dict__
        if isinstance(value, (Parameter, Module, Buffer)):
            registry = "_parameters" if isinstance(value, Parameter) else "_modules" if isinstance(value, Module) else "_buffers"
            if registry not in d:
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name!r}")
            d.pop(name, None)
            for other in _REGISTRIES:
                if other != registry:
                    d[other].pop(name, None)
            d[registry][name] = value
            if registry == "_buffers" and not getattr(value, "persistent", True):
                d["_non_persistent"].add(name)
            return
        if "_parameters" in d:
            if name in d["_parameters"]:
                if value is not None:
                    raise TypeError(f"{type(self).__name__}.{name} is a parameter: assign a Parameter or None, not {type(value).__name__}")
                d["_parameters"][name] = None
                return
            if name in d["_buffers"]:
                if value is not None and not isinstance(value, Tensor):
                    raise TypeError(f"{type(self).__name__}.{name} is a buffer: assign a Tensor or None, not {type(value).__name__}")
                d["_buffers"][name] = value
                return
            if name in d["_modules"]:
                if value is not None:
                    raise TypeError(f"{type(self).__name__}.{name} is a module: assign a Module or None, not {type(value).__name__}")
                d["_modules"][name] = None
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        d = self.__dict__
        for registry in _REGISTRIES:
            if registry in d and name in d[registry]:
                return d[registry][name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for registry in _REGISTRIES:
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._non_persistent.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = set(object.__dir__(self))
        for registry in _REGISTRIES:
            names.update(k for k in self.__dict__.get(registry, ()) if k.isidentifier())
        return sorted(names)

    def _free_name(self, name: str, registry: str, what: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before registering {name!r}")
        if not isinstance(name, str):
            raise TypeError(f"{what} name must be a str, got {type(name).__name__}")
        if "." in name or not name:
            raise KeyError(f"{what} name {name!r} must not be empty or contain '.'")
        if hasattr(self, name) and name not in self.__dict__[registry]:
            raise KeyError(f"attribute {name!r} of {type(self).__name__} exists already")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        self._free_name(name, "_parameters", "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"{type(self).__name__}.{name}: a Parameter or None is needed, got {type(param).__name__}")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that belongs to the module but is not trained; in state_dict() if persistent."""
        self._free_name(name, "_buffers", "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"{type(self).__name__}.{name}: a Tensor or None is needed, got {type(tensor).__name__}")
        self._buffers[name] = tensor
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        self._free_name(name, "_modules", "module")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.{name}: a Module or None is needed, got {type(module).__name__}")
        self._modules[name] = module

    add_module = register_module

    def get_submodule(self, target: str) -> Module:
        module: Any = self
        for part in target.split(".") if target else ():
            if part not in module._modules:
                raise AttributeError(f"{type(module).__name__} has no module {part!r} (of {target!r})")
            module = module._modules[part]
        return module

    def get_parameter(self, target: str) -> Parameter:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module._parameters.get(name) is None:
            raise AttributeError(f"{type(module).__name__} has no parameter {name!r} (of {target!r})")
        return module._parameters[name]

    def get_buffer(self, target: str) -> Tensor:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffers:
            raise AttributeError(f"{type(module).__name__} has no buffer {name!r} (of {target!r})")
        return module._buffers[name]

    # ---- walks

    def named_modules(self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        memo = set() if memo is None else memo
        if remove_duplicate:
            if self in memo:
                return
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        return (m for _, m in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        return (m for _, m in self.named_children())

    def _named(self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.__dict__[registry].items():
                if value is None or (remove_duplicate and id(value) in seen):
                    continue
                seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def apply(self, fn: Callable[[Module], Any]) -> Any:
        """Calls fn on every submodule, then on the module itself."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- state

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers by name: the values of now, which later training leaves alone."""
        out = OrderedDict() if destination is None else destination
        self._save_to_state_dict(out, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=out, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self.__dict__.get("_state_dict_hooks", {}).values():
            changed = hook(self, out, prefix, {})
            out = out if changed is None else changed
        return out

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for registry in ("_parameters", "_buffers"):
            for name, value in self.__dict__[registry].items():
                if value is not None and name not in self._non_persistent:
                    destination[prefix + name] = value if keep_vars else value.detach()
        extra = self.get_extra_state()
        if extra is not None:
            destination[prefix + "_extra_state"] = extra

    def get_extra_state(self) -> Any:
        """What else state_dict() should hold; None for nothing."""
        return None

    def set_extra_state(self, state: Any) -> None:
        """Takes what get_extra_state() gave."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copies the values in. Strict: every name must be there and none else; the error lists them all."""
        return load_into(self, state_dict, strict, assign)

    # ---- modes, dtypes, devices

    def train(self, mode: bool = True) -> Any:
        self.training = bool(mode)
        for module in self._modules.values():
            if module is not None:
                module.train(mode)
        return self

    def eval(self) -> Any:
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad = _C.full(p.grad.shape, 0.0, p.grad.dtype, p.grad.device)

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Any:
        """Every parameter, its gradient and every buffer become what fn gives of them; the objects stay."""
        for p in self.parameters():
            needs = p.requires_grad
            _C.rebind(p, fn(p.detach()))
            if needs:
                _C.require_grad(p, True)
            if p.grad is not None:
                p.grad = fn(p.grad)
        for b in self.buffers():
            _C.rebind(b, fn(b.detach()))
        return self

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False) -> Any:
        """to(dtype), to(device) or both; a dtype reaches floating tensors only."""
        for a in args:
            if isinstance(a, Tensor):
                dtype, device = a.dtype, a.device
            elif isinstance(a, str) and a.split(":")[0] in ("cpu", "cuda", "null"):
                device = a
            elif not isinstance(a, bool) and a is not None:
                dtype = a
        t = None if dtype is None else _C.to_dtype(dtype)
        if t is not None and not (t.is_floating_point or t.is_complex):
            raise TypeError(f"Module.to: only floating and complex dtypes are possible, got {t}")
        return self._apply(lambda x: x.to(dtype=t if x.dtype.is_floating_point or x.dtype.is_complex else None, device=device))

    def type(self, dtype: Any) -> Any:
        return self._apply(lambda x: x.to(dtype=dtype))

    def float(self) -> Any:
        return self.to(_C.float32)

    def double(self) -> Any:
        return self.to(_C.float64)

    def half(self) -> Any:
        return self.to("float16")

    def bfloat16(self) -> Any:
        return self.to(_C.bfloat16)

    def cpu(self) -> Any:
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        return self.to("cuda:0" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    # ---- hooks

    def _add_hook(self, kind: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        d = self.__dict__
        d["_hooked"] = True
        return RemovableHandle(d.setdefault(kind, {}), hook, prepend)

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Calls hook(module, args), or hook(module, args, kwargs), before forward; what it gives replaces the arguments."""
        return self._add_hook("_forward_pre_hooks", (hook, with_kwargs), prepend)  # type: ignore[arg-type]

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls hook(module, args, output) after forward; what it gives replaces the output."""
        return self._add_hook("_forward_hooks", (hook, with_kwargs), prepend)  # type: ignore[arg-type]

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls hook(module, grad_output) when the gradients of the outputs are known; it may give others."""
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls hook(module, grad_input, grad_output) when the gradients of the inputs are known; it may give others."""
        return self._add_hook("_backward_hooks", hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, metadata) at the end of state_dict()."""
        return RemovableHandle(self.__dict__.setdefault("_state_dict_hooks", {}), hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors) before loading."""
        return RemovableHandle(self.__dict__.setdefault("_load_pre_hooks", {}), hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls hook(module, incompatible_keys) after loading."""
        return RemovableHandle(self.__dict__.setdefault("_load_post_hooks", {}), hook)

    def _hooks_of(self, kind: str, shared: dict[int, Any]) -> list[Any]:
        return [*shared.values(), *self.__dict__.get(kind, {}).values()]

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for hook in _hooks.global_forward_pre.values():
            args = _as_args(hook(self, args), args)
        for hook, with_kwargs in list(self.__dict__.get("_forward_pre_hooks", {}).values()):
            if with_kwargs:
                changed = hook(self, args, kwargs)
                args, kwargs = changed if changed is not None else (args, kwargs)
            else:
                args = _as_args(hook(self, args), args)
        before = self._hooks_of("_backward_pre_hooks", {})
        after = self._hooks_of("_backward_hooks", _hooks.global_backward)
        backward = BackwardHooks(self, before, after) if (before or after) and _C.is_grad_enabled() else None
        if backward is not None:
            args = backward.watch_inputs(args)
        output = self.forward(*args, **kwargs)
        for hook in _hooks.global_forward.values():
            changed = hook(self, args, output)
            output = output if changed is None else changed
        for hook, with_kwargs in list(self.__dict__.get("_forward_hooks", {}).values()):
            changed = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            output = output if changed is None else changed
        return output if backward is None else backward.watch_outputs(output)

    # ---- printing and copying

    def extra_repr(self) -> str:
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        lines = (extra.split("\n") if extra else []) + children
        if not lines:
            return f"{self._get_name()}()"
        if not children and len(lines) == 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def share_memory(self) -> Any:
        return self


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _as_args(changed: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if changed is None:
        return args
    return changed if isinstance(changed, tuple) else (changed,)
