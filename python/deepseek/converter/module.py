"""The converted model: a tree of modules with PyTorch's names, whose root runs the captured graph."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._C import Tensor
from ..nn import Module, Parameter
from .capture import Captured, leaves, named
from .graph import compiled
from .state import from_torch


class Part(Module):
    """A module of the original: its parameters, buffers and mode. The model's graph does what it did."""

    def __init__(self, kind: str, extra: str) -> None:
        super().__init__()
        self.kind, self._extra = kind, extra

    def _get_name(self) -> str:
        return self.kind

    def extra_repr(self) -> str:
        return self._extra

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise _C.Error(f"[convert] {self.kind} is a part of a converted model: call the model, whose graph it is in")


def mirror(module: Any, root: Part) -> Part:
    """Fills `root` with parts, parameters and buffers as `module` has them; what is tied stays one object."""
    made: dict[int, Tensor] = {}
    parts: dict[int, Part] = {}

    def tensor(t: Any, parameter: bool) -> Any:
        if t is None:
            return None
        if id(t) not in made:
            value = from_torch(t)
            made[id(t)] = Parameter(value, requires_grad=t.requires_grad) if parameter else value
        return made[id(t)]

    def fill(m: Any, part: Part) -> Part:
        parts[id(m)] = part
        for name, p in m._parameters.items():
            part.register_parameter(name, tensor(p, True))
        for name, b in m._buffers.items():
            part.register_buffer(name, tensor(b, False), persistent=name not in m._non_persistent_buffers_set)
        for name, child in m._modules.items():
            if child is None:
                continue
            known = parts.get(id(child))
            part.add_module(name, known or fill(child, Part(type(child).__name__, child.extra_repr())))
        part.training = m.training
        return part

    return fill(module, root)


class ConvertedModule(Part):
    """What from_pytorch gives. `code` is the graph as Python, `conversion_report` what the check found.

    Captured by torch.fx, one graph is kept for each mode, training and evaluation; captured by torch.export, dropout
    and normalisation follow the modules' mode.
    """

    def __init__(self, module: Any, captured: dict[bool | None, Captured]) -> None:
        super().__init__(type(module).__name__, module.extra_repr())
        self.conversion_report: Any = None
        mirror(module, self)
        self._captured = captured
        self._prepare()

    def _prepare(self) -> None:
        self._programs = {mode: self._program(c) for mode, c in self._captured.items()}

    def _program(self, c: Captured) -> tuple[Any, ...]:
        names, source, paths = compiled(c.graph, self.kind)
        by_path = dict(self.named_modules())
        names["modules"] = [by_path[p] for p in paths]
        state = [_holder(self, value) if kind == "state" else None for kind, value in c.sources]
        return names["forward"], c, source, state

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_programs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def _current(self) -> tuple[Any, ...]:
        return self._programs[None if None in self._programs else bool(self.training)]

    @property
    def code(self) -> str:
        return str(self._current()[2])

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        run, c, _, state = self._current()
        given = dict(leaves(named(c.names, args, kwargs)))
        for path, value in c.fixed:
            if path in given and given[path] != value:
                raise _C.Error(f"[{self.kind}] {_spelled(path)} was {value!r} when the graph was captured, got {given[path]!r}; convert again with that value")
        shapes = iter(c.shapes)
        values = []
        for (kind, source), holder in zip(c.sources, state):
            if kind == "state":
                values.append(getattr(*holder))
            elif kind == "constant":
                values.append(source)
            else:
                values.append(self._input(given, source, next(shapes)))
        return run(*values)

    def _input(self, given: dict[Any, Any], path: tuple[Any, ...], shape: Any) -> Tensor:
        if path not in given:
            raise TypeError(f"[{self.kind}] the argument {_spelled(path)} is missing")
        x = given[path]
        x = x if isinstance(x, Tensor) else _C.from_array(x)
        if shape is not None and tuple(x.shape) != shape:
            raise _C.Error(f"[{self.kind}] {_spelled(path)} has shape {tuple(x.shape)}, the graph was captured for {shape}; convert with dynamic=True for a free batch dimension, or again with these inputs")  # fmt: skip
        return x


def _spelled(path: tuple[Any, ...]) -> str:
    return str(path[0]) + "".join(f"[{p!r}]" for p in path[1:])


def _holder(root: Any, name: str) -> tuple[Any, str]:
    *path, leaf = name.split(".")
    for part in path:
        root = getattr(root, part)
    return root, leaf
