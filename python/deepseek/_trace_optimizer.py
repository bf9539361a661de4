"""An optimizer written down: what a step makes of a parameter, its gradient and its states, as graphs for the engine.

What looks at each element alone is one graph for parameters of all shapes, and for shards of them; other updates are
recorded shape by shape. docs/graph-jobs.md describes the section of the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import _C
from ._C import Tensor
from ._recorded import Dim, Recorded, Scaled, as_json
from .optim.number import Number, constant
from .optim.optimizer import Optimizer

_ELEMENTWISE = frozenset([*_C.ELEMENTWISE, "full", "broadcast_to"])
_ELEMENTS = 7  # of the parameter that an elementwise update is recorded with first
_LEAVES = ["parameter", "gradient", "lr", "step"]


def built_in(optimizer: Any) -> dict[str, Any] | None:
    """The job file's words for what the engine has of its own; None where the optimizer must be recorded."""
    kind, groups = type(optimizer).__name__, optimizer.param_groups
    beyond = ("nesterov", "dampening", "maximize", "amsgrad")
    if kind not in ("SGD", "AdamW") or len(groups) != 1 or any(groups[0].get(k) for k in beyond):
        return None
    group = groups[0]
    out = {"name": kind.lower(), "lr": float(group["lr"]), "weight_decay": float(group["weight_decay"])}
    if kind == "SGD":
        return {**out, "momentum": float(group["momentum"])}
    return {**out, "beta1": group["betas"][0], "beta2": group["betas"][1], "eps": group["eps"]}


def base_lr(optimizer: Any) -> float:
    """The job's learning rate; those of the groups are multiples of it."""
    rates = [float(group.get("lr", 0.0)) for group in optimizer.param_groups]
    base = next((r for r in rates if r > 0), 0.0)
    if base == 0 or not all(math.isfinite(r) for r in rates):
        raise _C.Error(f"[trace] {type(optimizer).__name__} has the learning rates {rates}: one at least must be above 0")
    return base


def check(optimizer: Any, parameters: Mapping[str, Tensor]) -> None:
    """Refuses by name what no graph can say. parameters: the model's and the loss's."""
    name = type(optimizer).__name__
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"[trace] the optimizer is a {name}: pass one of deepseek.optim")
    if type(optimizer).step is not Optimizer.step:
        raise _C.Error(f"[trace] {name} has a step() of its own, which is Python: a job's optimizer gives _initial() and _update(), as "
                       "those of deepseek.optim do")  # fmt: skip
    if optimizer._pre_hooks or optimizer._post_hooks:
        raise _C.Error(f"[trace] {name} has hooks on its step, which are Python: the engine's steps call none")
    known = {id(p) for p in parameters.values()}
    for p in (p for group in optimizer.param_groups for p in group["params"]):
        if id(p) not in known:
            raise _C.Error(f"[trace] {name} has a parameter of shape {p.shape} that is none of the model's, nor of the loss")


def written(optimizer: Any, parameters: Mapping[str, Tensor], trained: set[str], constants: dict[str, Tensor]) -> dict[str, Any]:
    """The file's section of an optimizer. parameters: the model's by name; new constants of the graphs are added."""
    names, base = {id(p): n for n, p in parameters.items()}, base_lr(optimizer)
    recorded: dict[Any, _Update] = {}
    updates: dict[Any, dict[str, Any]] = {}
    for k, group in enumerate(optimizer.param_groups):
        for p in group["params"]:
            if names[id(p)] not in trained:
                continue
            kind, shape = (k, p.dtype.name), tuple(p.shape)
            if (kind, shape) not in recorded:
                recorded[kind, shape] = _Update(optimizer, group, p)
            update = recorded[kind, shape]
            key = (kind, None if update.general else shape)
            if key not in updates:
                updates[key] = {"parameters": [], "lr": group["lr"] / base, **update.json(constants)}
            updates[key]["parameters"].append(names[id(p)])
    return {"name": type(optimizer).__name__, "updates": list(updates.values())}


class _Update:
    """What one step makes of one parameter."""

    def __init__(self, optimizer: Any, group: dict[str, Any], p: Tensor):
        self.optimizer, self.group, self.dtype = optimizer, group, p.dtype
        self.what = type(optimizer).__name__
        self.states: list[dict[str, Any]] = []
        self.marks: list[Any] = []
        self.recorded = Recorded(lambda _: self._record(tuple(p.shape)), {}, "trace")
        self.general = all(not op or op in _ELEMENTWISE for op, *_ in self.recorded.nodes) and self._of_any_shape(p.ndim)
        self.streams: dict[tuple[int, int], int] = {}

    def _of_any_shape(self, ndim: int) -> bool:
        """Records it anew, of any number of elements. Where that is not the same ops, what was recorded stays."""
        one = self.recorded, self.marks, self.states
        try:
            self.recorded = Recorded(lambda sizes: self._record((sizes["elements"],)), {"elements": _ELEMENTS}, "trace")
            if self._same(one[0], ndim) and {tuple(s["shape"]) for s in self.states} <= {(), (_ELEMENTS + 3,)}:  # of the last size
                return True
        except _C.Error:  # other ops at another size
            pass
        self.recorded, self.marks, self.states = one
        return False

    def _same(self, one: Recorded, ndim: int) -> bool:
        for i, node in enumerate(self.recorded.nodes):
            for name, value in self.recorded.attributes(i).items() if node[0] else ():
                if isinstance(value, Scaled) or not _fixed(value) and (name != "shape" or value != [Dim(0, (("elements", 1),))]):
                    return False
        if ndim == 0:  # nothing is broadcast to it
            return [n[0] for n in one.nodes] == [n[0] for n in self.recorded.nodes if n[0] != "broadcast_to"]
        return [n[:2] for n in one.nodes] == [n[:2] for n in self.recorded.nodes]

    def _record(self, shape: tuple[int, ...]) -> list[Any]:
        on = _C.set_grad_enabled(False)
        try:
            p, g = _stand_in(shape, self.dtype), _stand_in(shape, self.dtype)
            initial = self.optimizer._initial(self.group, p)
            self.states = [self._state(name, value) for name, value in initial.items()]
            kept = {s["name"]: _stand_in(s["shape"], getattr(_C, s["dtype"])) for s in self.states}
            lr, step = _stand_in((), _C.float64), _stand_in((), _C.float64)
            known = [p, g, lr, step, *kept.values()]
            state = {n: t if isinstance(initial[n], Tensor) else Number(t) for n, t in kept.items()}
            state["step"] = Number(step)
            _C.watch(known)
            value = self.optimizer._next({**self.group, "lr": Number(lr)}, p, g, state)
            if state.keys() - {"step"} != kept.keys():
                raise _C.Error(f"[trace] {self.what}._update makes the states {sorted(state)}, _initial gives {sorted(initial)}")
            roots = [value, *(self._root(n, state, t) for n, t in kept.items())]
            self._check("the new parameter", value, p)
            nodes, self.marks = _C.graph(roots, known)
        finally:
            _C.watch(None)
            _C.set_grad_enabled(on)
        return nodes  # type: ignore[no-any-return]

    def _state(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Tensor):
            return {"name": name, "dtype": "float64", "shape": (), "value": float(value)}
        nodes = _C.graph([value], [])[0]
        if len(nodes) != 1 or nodes[0][0] != "full":
            raise _C.Error(f"[trace] {self.what}'s state {name!r} does not start as one number everywhere")
        return {"name": name, "dtype": value.dtype.name, "shape": tuple(value.shape), "value": nodes[0][3]["value"]}

    def _root(self, name: str, state: dict[str, Any], before: Tensor) -> Tensor:
        value = state[name] if isinstance(state[name], Tensor) else constant(state[name]).value
        self._check(f"state {name!r}", value, before)
        return value

    def _check(self, what: str, now: Tensor, before: Tensor) -> None:
        if now.shape != before.shape or now.dtype != before.dtype:
            raise _C.Error(f"[trace] {self.what}._update makes {what}, {before.dtype.name}{before.shape}, a {now.dtype.name}{now.shape}")

    def json(self, constants: dict[str, Tensor]) -> dict[str, Any]:
        value, *after = [list(place) for place in self.marks]
        states = [{"name": s["name"], "dtype": s["dtype"], "value": {"float": float(s["value"])}, "next": place,
                   "shape": "parameter" if self.general and s["shape"] else list(s["shape"])}
                  for s, place in zip(self.states, after)]  # fmt: skip
        nodes = [self._node(i, constants) for i in range(len(self.recorded.nodes))]
        return {"states": states, "nodes": nodes, "value": value}

    def _node(self, i: int, constants: dict[str, Tensor]) -> dict[str, Any]:
        op, inputs, _, rest, _ = self.recorded.nodes[i]
        if not op and inputs < 0:
            name = f"constant:{len(constants)}"
            constants[name] = rest[0]
            return {"tensor": name}
        if not op:
            named = _LEAVES + ["state:" + s["name"] for s in self.states]
            return {"tensor": named[inputs]}
        out: dict[str, Any] = {"op": op, "in": [list(p) for p in inputs]}
        attributes = self.recorded.attributes(i)
        if op.startswith("random_"):
            out["fresh"] = self.streams.setdefault((rest["seed"], rest["offset"]), len(self.streams))
            attributes["seed"] = attributes["offset"] = Dim(0)
        if attributes:
            out["with"] = {n: as_json(op, n, v) if _fixed(v) else "parameter" for n, v in attributes.items()}
        return out


def _fixed(attribute: Any) -> bool:
    return all(d.fixed for d in (attribute if isinstance(attribute, list) else [attribute]) if isinstance(d, Dim))


def _stand_in(shape: Any, dtype: Any) -> Tensor:
    """A value that nobody can look at."""
    return _C.contiguous(_C.full(tuple(shape), 0.0, dtype, "cpu"))


