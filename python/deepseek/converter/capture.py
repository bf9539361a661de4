"""The graph of a torch module: by torch.export where it can, else by torch.fx's make_fx, both as ATen ops."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import _C
from .graph import Graph, Node, Output, Ref
from .ops import DROPOUT_ARGUMENT, TRAINING_ARGUMENT
from .state import dtype_of, from_torch

_ELSEWHERE = ("device", "layout", "memory_format", "pin_memory", "generator", "non_blocking", "requires_grad")
_PATH = "deepseek_module_path"  # what make_fx's nodes are told of the module they come from


@dataclass
class Captured:
    """A graph, and where each of its inputs comes from."""

    graph: Graph
    sources: list[tuple[str, Any]]  # of graph.inputs: ("state", name), ("input", path in the arguments) or ("constant", tensor)
    names: list[str]  # of the arguments of forward()
    shapes: list[tuple[int, ...] | None]  # of the "input" sources, in order; None: dimension 0 is free
    fixed: list[tuple[tuple[Any, ...], Any]] = field(default_factory=list)  # arguments that are no tensors
    by: str = "torch.export"
    note: str = ""
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (an autograd.Function, module path): how often


def argument_names(module: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(module.forward).parameters.values() if p.kind in kinds]


def named(names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[Any, Any]:
    """Arguments by name; those past the names by position."""
    return {**{names[i] if i < len(names) else i: a for i, a in enumerate(args)}, **kwargs}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for k, v in value.items():
            yield from leaves(v, (*path, k))
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from leaves(v, (*path, i))
    else:
        yield path, value


@contextlib.contextmanager
def without_caches(module: Any) -> Iterator[None]:
    """A transformers model gives no key-value cache back: caches of generation are no part of the graph."""
    configs = {id(c): c for m in module.modules() if (c := getattr(m, "config", None)) is not None}
    found = [c for c in configs.values() if getattr(c, "use_cache", False) is True]
    for c in found:
        c.use_cache = False
    try:
        yield
    finally:
        for c in found:
            c.use_cache = True


@contextlib.contextmanager
def _own_gradients(module: Any, found: Counter[tuple[str, str]]) -> Iterator[None]:
    """Counts what a capture takes for its forward ops alone: autograd.Functions, in a model that is not all frozen."""
    import torch

    function = torch.autograd.Function
    own, before = "apply" in vars(function), inspect.getattr_static(function, "apply")
    paths = {id(m): path for path, m in module.named_modules()}

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch."):  # such as torch.utils.checkpoint's, whose gradient is forward's
            found[cls.__name__, _path_of_caller(paths)] += 1
        return before.__get__(None, cls)(*args, **kwargs)

    if not any(p.requires_grad for p in module.parameters()):
        yield
        return
    function.apply = classmethod(apply)
    try:
        yield
    finally:
        if own:
            function.apply = before
        else:
            del function.apply


def _path_of_caller(paths: dict[int, str]) -> str:
    frame = sys._getframe(2)
    while frame is not None:
        path = paths.get(id(frame.f_locals.get("self")))
        if path is not None:
            return path
        frame = frame.f_back  # type: ignore[assignment]
    return ""


class _Reader:
    """Turns an fx graph into ours."""

    def __init__(self, module: Any, modes: bool) -> None:
        self.modes = {name: m.training for name, m in module.named_modules()} if modes else {}
        self.constants: dict[str, Any] = {}

    def value(self, v: Any) -> Any:
        import torch

        if isinstance(v, torch.fx.Node):
            return Ref(v.name)
        if isinstance(v, (list, tuple)):
            items = [self.value(x) for x in v]
            return items if isinstance(v, list) else tuple(items)
        if isinstance(v, dict):
            return {k: self.value(x) for k, x in v.items()}
        if isinstance(v, slice):
            return slice(self.value(v.start), self.value(v.stop), self.value(v.step))
        if isinstance(v, torch.dtype):
            return dtype_of(v)
        if isinstance(v, (torch.device, torch.memory_format, torch.layout)):
            return None
        return v

    def op(self, target: Any) -> str:
        import torch

        if isinstance(target, torch._ops.OpOverload):
            space, _, name = target._schema.name.partition("::")
            overload = getattr(target, "_overloadname", "") or "default"
            return f"{'' if space == 'aten' else space + '::'}{name}.{overload}"
        home = (getattr(target, "__module__", "") or "").lstrip("_")
        name = getattr(target, "__name__", str(target))
        return f"{home}.{name}" if home in ("operator", "math") else name

    def node(self, n: Any) -> Node:
        stack = n.meta.get("nn_module_stack") or {}
        path = _plain_path(list(stack.values())[-1][0]) if stack else n.meta.get(_PATH, "")
        args = tuple(self.value(a) for a in n.args)
        kwargs = {k: self.value(v) for k, v in n.kwargs.items() if k not in _ELSEWHERE}
        op = self.op(n.target)
        return Node(n.name, op, args, kwargs, path, self.follows(op, args, path))

    def follows(self, op: str, args: tuple[Any, ...], path: str) -> bool:
        base = op.partition(".")[0].removesuffix("_")
        mode = self.modes.get(path)
        if mode is None:
            return False
        if base in TRAINING_ARGUMENT:
            at = TRAINING_ARGUMENT[base]
            return len(args) > at and bool(args[at]) == mode
        return base in DROPOUT_ARGUMENT and mode

    def graph(self, gm: Any) -> Graph:
        g = Graph([], [], None)
        modules: dict[str, str] = {}
        for n in gm.graph.nodes:
            if n.op == "placeholder":
                g.inputs.append(n.name)
            elif n.op == "get_attr":
                target = gm
                for part in n.target.split("."):
                    target = getattr(target, part)
                if hasattr(target, "graph"):
                    modules[n.name] = n.target
                    g.graphs[n.target] = self.graph(target)
                else:
                    self.constants[n.name] = from_torch(target)
            elif n.op == "call_function" and "wrap_with_" in str(n.target):
                self.wrapped(g, n, modules)
            elif n.op == "call_function":
                self.called(g, self.node(n))
            elif n.op == "output":
                g.output = self.value(n.args[0])
        g.prune()
        return g

    def called(self, g: Graph, node: Node) -> None:
        """Batches are counted where the normalisation is, if it trains: an evaluation's capture has no counting."""
        if self.modes and node.op == "add_.Tensor" and "num_batches_tracked" in getattr(node.args[0], "name", ""):
            return
        if node.follows and node.op == "batch_norm.default" and isinstance(node.args[3], Ref):
            count = node.args[3].name.replace("running_mean", "num_batches_tracked")
            if count in g.inputs and count != node.args[3].name:
                g.nodes.append(Node(f"{node.name}_count", "count_batches.default", (Ref(count), 1, True), {}, node.path, True))
        g.nodes.append(node)

    def wrapped(self, g: Graph, n: Any, modules: dict[str, str]) -> None:
        at = next(i for i, a in enumerate(n.args) if getattr(a, "name", None) in modules)
        enabled = bool(n.args[0]) if "set_grad" in str(n.target) else None
        args = [self.value(a) for a in n.args[at + 1 :]]
        node = self.node(n)
        node.op, node.args, node.kwargs = f"sub:{modules[n.args[at].name]}", (enabled, *args), {}
        g.nodes.append(node)


def _plain_path(path: str) -> str:
    """layer1.0.conv1 of export's several spellings."""
    path = path.removeprefix("L['self']").replace("._modules['", ".").replace("']", "").replace("[", ".").replace("]", "")
    return path.strip(".")


def _structure(spec: Any, values: Any) -> Any:
    """The output's containers, with Refs where tensors are: transformers' outputs become Outputs."""
    import torch
    from torch.utils import _pytree as pytree

    flat = values if isinstance(values, (list, tuple)) else [values]
    marks = [torch.empty(0) for _ in flat]
    whole = pytree.tree_unflatten(marks, spec)
    given = {id(m): v for m, v in zip(marks, flat)}

    def walk(v: Any) -> Any:
        if id(v) in given:
            return given[id(v)]
        if isinstance(v, dict):
            kind = dict if type(v) is dict else Output
            return kind({k: walk(x) for k, x in v.items() if x is not None})
        if isinstance(v, (list, tuple)):
            return type(v)(map(walk, v)) if type(v) in (list, tuple) else tuple(map(walk, v))
        fields = getattr(v, "__dict__", None)
        return Output({k: walk(x) for k, x in fields.items()}) if fields else v

    return walk(whole)


def _finish(c: Captured, flat: list[tuple[tuple[Any, ...], Any]], dynamic: bool) -> None:
    """Splits the user's leaves into tensors and fixed values."""
    import torch

    given = iter(flat)
    kept_inputs, kept_sources = [], []
    for name, source in zip(c.graph.inputs, c.sources):
        if source[0] == "input":
            path, value = next(given)
            if not isinstance(value, torch.Tensor):
                c.fixed.append((path, value))
                continue
            source = ("input", path)
            c.shapes.append(None if dynamic else tuple(value.shape))
        kept_inputs.append(name)
        kept_sources.append(source)
    c.graph.inputs, c.sources = kept_inputs, kept_sources


def export(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic: bool) -> Captured:
    import torch

    options: dict[str, Any] = {}
    export: Any = getattr(torch, "export")  # noqa: B009  1.13 has none
    if "strict" in inspect.signature(export.export).parameters:
        options["strict"] = False
    if dynamic:
        options["dynamic_shapes"] = _free_batch(module, args, kwargs)
    ep = export.export(module, args, kwargs, **options)
    reader = _Reader(module, modes=True)
    graph = reader.graph(ep.graph_module)
    sources: list[tuple[str, Any]] = []
    for spec in ep.graph_signature.input_specs:
        kind = spec.kind.name
        if kind in ("PARAMETER", "BUFFER"):
            sources.append(("state", spec.target))
        elif kind == "USER_INPUT":
            sources.append(("input", None))
        else:
            sources.append(("constant", from_torch(ep.constants[spec.target])))
    for name, value in reader.constants.items():
        graph.inputs.append(name)
        sources.append(("constant", value))
    graph.output = _structure(ep.call_spec.out_spec, graph.output)
    names = argument_names(module)
    c = Captured(graph, sources, names, [])
    _finish(c, list(leaves(named(names, args, kwargs))), dynamic)
    return c


def _free_batch(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import torch
    from torch.utils import _pytree as pytree

    tensors = [t for _, t in leaves((args, kwargs)) if isinstance(t, torch.Tensor) and t.ndim]
    batch = tensors[0].shape[0] if tensors else 0

    auto = getattr(torch, "export").Dim.AUTO  # noqa: B009  1.13 has none

    def free(t: Any) -> Any:
        return {0: auto} if isinstance(t, torch.Tensor) and t.ndim and t.shape[0] == batch else None

    return pytree.tree_map(free, named(argument_names(module), args, kwargs))


def _state(module: Any) -> dict[str, Any]:
    """Every parameter and buffer under every name it has."""
    return {
        f"{path}.{name}" if path else name: t
        for path, m in module.named_modules(remove_duplicate=False)
        for name, t in [*m._parameters.items(), *m._buffers.items()]
        if t is not None
    }


@contextlib.contextmanager
def _told_paths(module: Any) -> Iterator[None]:
    """While it traces, make_fx's nodes are told which module they come from."""
    from torch.fx.experimental import proxy_tensor

    stack = [""]

    def tell() -> None:
        find = getattr(proxy_tensor, "get_proxy_mode", None) or proxy_tensor._get_current_dispatch_mode
        for n in reversed(find().tracer.graph.nodes):
            if _PATH in n.meta:
                break
            n.meta[_PATH] = stack[-1]

    def enter(path: str) -> Any:
        def hook(*_: Any) -> None:
            tell()
            stack.append(path)

        return hook

    def leave(*_: Any) -> None:
        tell()
        stack.pop()

    hooks = []
    for path, m in module.named_modules():
        hooks += [m.register_forward_pre_hook(enter(path)), m.register_forward_hook(leave)]
    try:
        yield
    finally:
        for h in hooks:
            h.remove()


def make_fx(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
    """By running the module on real values: control flow goes the way it goes for these inputs."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx as trace
    from torch.utils import _pytree as pytree

    try:
        from torch.func import functional_call
    except ImportError:
        from torch.nn.utils.stateless import functional_call  # type: ignore[no-redef]
    state = _state(module)
    first: dict[int, str] = {}
    alias = {name: first.setdefault(id(t), name) for name, t in state.items()}
    own = [n for n in state if alias[n] == n]
    values = [state[n] if isinstance(state[n], torch.nn.Parameter) else state[n].clone() for n in own]
    names = argument_names(module)
    flat = list(leaves(named(names, args, kwargs)))
    at = [i for i, (_, v) in enumerate(flat) if isinstance(v, torch.Tensor)]
    flat_args, spec = pytree.tree_flatten((args, kwargs))
    kept: dict[str, Any] = {}

    def run(state_values: list[Any], tensors: list[Any]) -> list[Any]:
        by_name = dict(zip(own, state_values))
        filled = list(flat_args)
        for i, t in zip(at, tensors):
            filled[i] = t
        a, k = pytree.tree_unflatten(filled, spec)
        out = functional_call(module, {n: by_name[alias[n]] for n in state}, a, k)
        out_flat, kept["spec"] = pytree.tree_flatten(out)
        return out_flat

    with torch.backends.mkldnn.flags(enabled=False), _told_paths(module):  # mkldnn's fused layers are no ATen ops
        gm = trace(run)(values, [flat_args[i] for i in at])
    reader = _Reader(module, modes=False)
    graph = reader.graph(gm)
    sources: list[tuple[str, Any]] = [("state", n) for n in own] + [("input", None)] * len(at)
    for name, value in reader.constants.items():
        graph.inputs.append(name)
        sources.append(("constant", value))
    graph.output = _structure(kept["spec"], graph.output)
    c = Captured(graph, sources, names, [], by="torch.fx")
    _finish(c, [flat[i] for i in at], False)
    c.fixed = [pair for i, pair in enumerate(flat) if i not in at]
    return c


def capture(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], dynamic: bool, by: str) -> Captured:
    found: Counter[tuple[str, str]] = Counter()
    with without_caches(module), _own_gradients(module, found):
        c = _capture(module, args, kwargs, dynamic, by, found)
    c.functions = found
    return c


def _capture(module: Any, args: Any, kwargs: Any, dynamic: bool, by: str, found: Counter[tuple[str, str]]) -> Captured:
    import torch

    if by != "fx" and hasattr(torch, "export"):
        try:
            return export(module, args, kwargs, dynamic)
        except Exception as e:
            if by == "export" or dynamic:
                raise _C.Error(f"[from_pytorch] torch.export cannot capture {type(module).__name__}: {e}") from e
            refusal = str(e).strip().partition("\n")[0]
            found.clear()
    else:
        refusal = ""
    if dynamic:
        raise _C.Error("[from_pytorch] dynamic=True needs torch.export: this torch has none")
    c = make_fx(module, args, kwargs)
    c.note = f"torch.export refused: {refusal}" if refusal else ""
    return c
