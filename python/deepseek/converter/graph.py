"""A captured graph, and the Python function it is printed as."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import _C
from .ops import DROPOUT_ARGUMENT, TRAINING_ARGUMENT, find


@dataclass(frozen=True)
class Ref:
    """A value of the graph, by name."""

    name: str


@dataclass
class Node:
    name: str
    op: str  # "conv2d.default", "operator.getitem", or "sub:NAME" for a graph within this one
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    path: str = ""  # of the module that called it
    follows: bool = False  # its training argument is the module's mode


@dataclass
class Graph:
    inputs: list[str]  # names of the values that are given, in order
    nodes: list[Node]
    output: Any  # Refs in lists, tuples, dicts
    graphs: dict[str, Graph] = field(default_factory=dict)

    def prune(self) -> None:
        """Drops the ops whose results nobody uses and that write nothing."""
        used, kept = set(refs(self.output)), []
        for node in reversed(self.nodes):
            base = node.op.partition(".")[0]
            if node.name in used or node.op.startswith("sub:") or base.endswith("_") or base == "count_batches":
                used.update(refs([node.args, node.kwargs]))
                kept.append(node)
        self.nodes = kept[::-1]

    def walk(self) -> Iterator[Node]:
        yield from self.nodes
        for g in self.graphs.values():
            yield from g.walk()


class Output(dict):  # type: ignore[type-arg]
    """What a model returns under names: output.logits and output["logits"]; output[0] is the first."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no output is named {name!r}; there are {', '.join(self)}") from None

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, (int, slice)) else super().__getitem__(key)


def with_gradients(enabled: bool | None, f: Any, *args: Any) -> Any:
    """f(*args) while gradients are on or off (None: as they are)."""
    if enabled is None:
        return f(*args)
    before = _C.set_grad_enabled(enabled)
    try:
        return f(*args)
    finally:
        _C.set_grad_enabled(before)


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from refs(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from refs(v)
    elif isinstance(value, slice):
        yield from refs((value.start, value.stop, value.step))


class Printer:
    """Prints a graph as Python, one line an op; a value is dropped after its last use."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"inf": float("inf"), "nan": float("nan"), "Output": Output,
                                      "with_gradients": with_gradients}  # fmt: skip
        self.modules: list[str] = []  # paths of the modules whose mode is looked at
        self.lines: list[str] = []

    def value(self, v: Any) -> str:
        if isinstance(v, Ref):
            return v.name
        if isinstance(v, list):
            return f"[{', '.join(map(self.value, v))}]"
        if isinstance(v, tuple):
            return f"({''.join(self.value(x) + ', ' for x in v)})"
        if isinstance(v, Output):
            return f"Output({self.value(dict(v))})"
        if isinstance(v, dict):
            return f"{{{', '.join(f'{k!r}: {self.value(x)}' for k, x in v.items())}}}"
        if isinstance(v, slice):
            return f"slice({self.value(v.start)}, {self.value(v.stop)}, {self.value(v.step)})"
        if v is None or isinstance(v, (bool, int, float, complex, str)):
            return repr(v)
        name = f"constant_{len(self.names)}"
        self.names[name] = v
        return name

    def mode(self, path: str) -> str:
        if path not in self.modules:
            self.modules.append(path)
        return f"modules[{self.modules.index(path)}].training"

    def function(self, op: str) -> str:
        name = "_".join(("do", *op.removesuffix(".default").split(".")))
        self.names.setdefault(name, find(op))
        return name

    def call(self, node: Node, prefix: str) -> str:
        if node.op.startswith("sub:"):
            enabled, *args = node.args
            sub = prefix + node.op[4:]
            return f"with_gradients({', '.join([self.value(enabled), sub, *map(self.value, args)])})"
        function = self.function(node.op)
        args = [self.value(a) for a in node.args]
        base = node.op.partition(".")[0].removesuffix("_")
        if node.follows and base in TRAINING_ARGUMENT:
            args[TRAINING_ARGUMENT[base]] = self.mode(node.path)
        elif node.follows and base in DROPOUT_ARGUMENT and len(args) > DROPOUT_ARGUMENT[base]:
            at = DROPOUT_ARGUMENT[base]
            args[at] = f"({args[at]} if {self.mode(node.path)} else 0.0)"
        args += [f"{k}={self.value(v)}" for k, v in node.kwargs.items()]
        return f"{function}({', '.join(args)})"

    def graph(self, g: Graph, name: str) -> None:
        prefix = f"{name}_"
        for inner, sub in g.graphs.items():
            self.graph(sub, prefix + inner)
        last: dict[str, int] = {}
        for i, node in enumerate(g.nodes):
            last[node.name] = i
            last.update({r: i for r in refs([node.args, node.kwargs]) if r in last})
        for name_ in refs(g.output):
            last[name_] = len(g.nodes)
        dying: dict[int, list[str]] = {}
        for v, i in last.items():
            dying.setdefault(i, []).append(v)
        self.lines += ["", f"def {name}({', '.join(g.inputs)}):"]
        path = None
        for i, node in enumerate(g.nodes):
            if node.path != path:
                path = node.path
                self.lines.append(f"    # {path or 'the model itself'}")
            self.lines.append(f"    {node.name} = {self.call(node, prefix)}")
            if i in dying and i + 1 < len(g.nodes):
                self.lines.append(f"    del {', '.join(dying[i])}")
        self.lines.append(f"    return {self.value(g.output)}")


def compiled(graph: Graph, label: str) -> tuple[Any, str, list[str]]:
    """The graph as a function (modules, *inputs) -> output, its source, and the paths of those modules."""
    printer = Printer()
    printer.graph(graph, "forward")
    source = "\n".join(printer.lines) + "\n"
    file = f"<converted {label}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)  # tracebacks show the line
    exec(compile(source, file, "exec"), printer.names)
    return printer.names, source, printer.modules
