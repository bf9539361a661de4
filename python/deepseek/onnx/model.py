"""A graph as a callable: the nodes in order, each with its entry of the table or a graph of its own."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from .. import _C
from ..nn import Module, Parameter
from . import ops  # noqa: F401  fills the table
from .table import Context, Entry, call, find
from .values import CODES, Tensor, code_of, from_numpy, is_float, wrap


class Scope(dict):
    """Values by name; what is not here is the enclosing graph's."""

    def __init__(self, parent: Scope | None = None):
        super().__init__()
        self.parent = parent

    def __missing__(self, name: str) -> Any:
        if self.parent is None:
            raise _C.Error(f"[onnx] value {name!r} is used but nothing makes it")
        return self.parent[name]


class Opsets(dict):
    """Versions by domain; "ai.onnx" is ""."""

    def __init__(self, imports: Any):
        super().__init__({_domain(i.domain): i.version for i in imports})

    def __missing__(self, domain: str) -> int:
        return 1


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


class Node:
    """One step of a graph."""

    def __init__(self, proto: Any, graph: Graph, attributes: dict[str, Any]):
        self.proto, self.graph = proto, graph
        self.domain = _domain(proto.domain)
        self.version = graph.opsets[self.domain]
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.attributes = attributes
        self.body: Graph | None = None  # of a model's function
        self.bodies: dict[Any, Graph] = {}  # of an ONNX function, by the types it was asked for
        self.entry: Entry | None = None
        function = graph.model.functions.get((self.domain, proto.op_type, getattr(proto, "overload", ""))) or (
            graph.model.functions.get((self.domain, proto.op_type, "")))  # fmt: skip
        if function is not None:
            self.body = Graph.of_function(function, proto, graph.model)
        else:
            self.entry = find(self.domain, proto.op_type, self.version)
        self.context = Context(proto.op_type, self.domain, self.version, self.outputs, graph.model)

    def run(self, scope: Scope) -> None:
        inputs = [scope[name] if name else None for name in self.inputs]
        if self.entry is not None:
            self.context.scope = scope
            out = call(self.entry, self.context, inputs, self.attributes)
            out = out if isinstance(out, tuple) else (out,)
        else:
            body = self.body if self.body is not None else self.expand(inputs)
            out = tuple(body(inputs))
        for name, value in zip(self.outputs, out):
            if name:
                scope[name] = value

    def expand(self, inputs: list[Any]) -> Graph:
        """The op's own definition in terms of others, as onnx gives it."""
        key = tuple(_type_key(v) for v in inputs)
        if key not in self.bodies:
            function = self.definition(inputs)
            if function is None:
                where = f"domain {self.domain!r}, " if self.domain else ""
                raise _C.Error(f"[onnx] op {self.proto.op_type} ({where}opset {self.version}) is not supported")
            self.bodies[key] = Graph.of_function(function, self.proto, self.graph.model)
        return self.bodies[key]

    def definition(self, inputs: list[Any]) -> Any:
        try:
            schema: Any = onnx.defs.get_schema(self.proto.op_type, self.version, self.domain)
        except onnx.defs.SchemaError:
            return None
        text = None
        if schema.has_function:
            text = schema.get_function_with_opset_version(_best(schema.function_opset_versions, self.version))
        elif schema.has_context_dependent_function:
            types = [_type_proto(v).SerializeToString() for v in inputs]
            version = _best(schema.context_dependent_function_opset_versions, self.version)
            text = schema.get_context_dependent_function_with_opset_version(
                version, self.proto.SerializeToString(), types)  # fmt: skip
        if not text:
            return None
        function = onnx.FunctionProto()
        function.ParseFromString(text)
        return function


def _best(versions: list[int], version: int) -> int:
    fitting = [v for v in versions if v <= version]
    return max(fitting) if fitting else min(versions)


def _type_key(value: Any) -> Any:
    if isinstance(value, list):
        return ("sequence", _type_key(value[0]) if value else None)
    return None if value is None else (code_of(value), len(value.shape))


def _type_proto(value: Any) -> Any:
    if isinstance(value, list):
        return onnx.helper.make_sequence_type_proto(_type_proto(value[0]) if value else onnx.TypeProto())
    if value is None:
        return onnx.TypeProto()
    return onnx.helper.make_tensor_type_proto(CODES[value.dtype.name], list(value.shape))


class Graph:
    """The main graph, a subgraph or a function's body."""

    def __init__(self, nodes: Any, inputs: list[str], outputs: list[str], model: Model, opsets: Opsets, given: Any = None):
        self.model, self.opsets = model, opsets
        self.inputs, self.outputs = inputs, outputs
        self.is_function = False  # a function may leave outputs out
        self.constants: dict[str, Any] = {}
        self.nodes = [Node(n, self, self.attributes(n, given or {})) for n in nodes]
        self.dropped = self._last_uses()

    @classmethod
    def of(cls, proto: Any, model: Model, opsets: Opsets, given: Any = None) -> Graph:
        graph = cls(proto.node, [i.name for i in proto.input], [o.name for o in proto.output], model, opsets, given)
        for t in proto.initializer:
            graph.constants[t.name] = model.tensor(t)
        for s in proto.sparse_initializer:
            graph.constants[s.values.name] = _dense(s, model)
        return graph

    @classmethod
    def of_function(cls, function: Any, node: Any, model: Model) -> Graph:
        given = {a.name: a for a in function.attribute_proto} | {a.name: a for a in node.attribute}
        graph = cls(function.node, list(function.input), list(function.output), model, Opsets(function.opset_import), given)
        graph.is_function = True
        return graph

    def attributes(self, node: Any, given: dict[str, Any]) -> dict[str, Any]:
        out = {}
        for a in node.attribute:
            source = a
            if a.ref_attr_name:
                if a.ref_attr_name not in given:
                    continue
                source = given[a.ref_attr_name]
            out[a.name] = self.attribute(source, given)
        return out

    def attribute(self, a: Any, given: dict[str, Any]) -> Any:
        kind = onnx.AttributeProto
        if a.type == kind.STRING:
            return _text(a.s)
        if a.type == kind.STRINGS:
            return [_text(s) for s in a.strings]
        if a.type == kind.TENSOR:
            return self.model.tensor(a.t)
        if a.type == kind.TENSORS:
            return [self.model.tensor(t) for t in a.tensors]
        if a.type == kind.GRAPH:
            return Graph.of(a.g, self.model, self.opsets, given)
        if a.type == kind.SPARSE_TENSOR:
            return _dense(a.sparse_tensor, self.model)
        value = onnx.helper.get_attribute_value(a)
        return list(value) if a.type in (kind.INTS, kind.FLOATS, kind.GRAPHS, kind.TYPE_PROTOS) else value

    def _last_uses(self) -> list[list[str]]:
        """For each node the names that nothing needs after it."""
        seen = set(self.outputs)
        dropped: list[list[str]] = []
        for node in reversed(self.nodes):
            names = {n for n in node.inputs if n} | node_captures(node)
            dropped.append([n for n in names if n not in seen])
            seen |= names
        return dropped[::-1]

    def __call__(self, args: list[Any], parent: Scope | None = None) -> list[Any]:
        scope = Scope(parent)
        scope.update(self.constants)
        for name, value in zip(self.inputs, args):
            scope[name] = value
        if self.is_function:
            for name in self.inputs[len(args) :]:
                scope.setdefault(name, None)
        for node, dropped in zip(self.nodes, self.dropped):
            try:
                node.run(scope)
            except Exception as e:
                if not getattr(e, "onnx_node", None):
                    e.onnx_node = node.proto.name or (node.outputs[0] if node.outputs else "")  # type: ignore[attr-defined]
                    given = ", ".join(_show(scope, n) for n in node.inputs)
                    e.args = (f"{e}\n  at node {e.onnx_node!r}, op {node.proto.op_type}, of {given}", *e.args[1:])  # type: ignore[attr-defined]
                raise
            for name in dropped:
                scope.pop(name, None)
        return [scope.get(name) if self.is_function else scope[name] for name in self.outputs]


def node_captures(node: Node) -> set[str]:
    """The names that a node's subgraphs take from around them."""
    out: set[str] = set()
    for value in node.attributes.values():
        for graph in value if isinstance(value, list) else [value]:
            if isinstance(graph, Graph):
                made = set(graph.inputs) | set(graph.constants)
                for inner in graph.nodes:
                    out |= ({n for n in inner.inputs if n} | node_captures(inner)) - made
                    made |= set(inner.outputs)
                out |= set(graph.outputs) - made
    return out


def _show(scope: Scope, name: str) -> str:
    if not name:
        return "none"
    try:
        value = scope[name]
    except _C.Error:
        return name
    return f"{name} {value.dtype}{tuple(value.shape)}" if hasattr(value, "dtype") else f"{name} {type(value).__name__}"


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _dense(s: Any, model: Model) -> Any:
    values = numpy_helper.to_array(s.values)
    indices = numpy_helper.to_array(s.indices)
    out = np.zeros(list(s.dims), values.dtype)
    if indices.ndim == 1:
        out.reshape(-1)[indices] = values
    else:
        out[tuple(indices.T)] = values
    return from_numpy(out)


class Model(Module):
    """An ONNX model as a module: called with its inputs, it gives its output, or a tuple of them.

    Floating initializers are parameters under their own names, the others are buffers.
    """

    def __init__(self, proto: Any, base_dir: str = "", trainable: bool = False):
        super().__init__()
        self.base_dir = base_dir
        self.functions = {(_domain(f.domain), f.name, getattr(f, "overload", "")): f for f in proto.functions}
        self.opsets = Opsets(proto.opset_import)
        self.graph = Graph.of(proto.graph, self, self.opsets)
        self.input_names = [i.name for i in proto.graph.input if i.name not in self.graph.constants]
        self.output_names = list(self.graph.outputs)
        self.optional = {i.name for i in proto.graph.input if i.name in self.graph.constants}  # inputs with a default
        for name, value in list(self.graph.constants.items()):
            if isinstance(value, Tensor):
                kind = self._parameters if is_float(value) else self._buffers
                kind[name] = Parameter(value, requires_grad=trainable) if is_float(value) else value
                del self.graph.constants[name]

    def tensor(self, t: Any) -> Any:
        """The value of a TensorProto."""
        return from_numpy(numpy_helper.to_array(t, self.base_dir))

    def forward(self, *args: Any, **named: Any) -> Any:
        out = self.run(args, named)
        return out[0] if len(out) == 1 else tuple(out)

    def run(self, args: Any, named: dict[str, Any] | None = None) -> list[Any]:
        """Inputs by position (those without an initializer) or by name; the outputs as a list."""
        named = dict(named or {})
        if len(args) > len(self.input_names):
            raise _C.Error(f"[onnx] {len(args)} inputs given, the model takes {len(self.input_names)}: {self.input_names}")
        named.update(zip(self.input_names, args))
        missing = [n for n in self.input_names if n not in named]
        if missing:
            raise _C.Error(f"[onnx] input {missing[0]!r} is missing; the model takes {self.input_names}")
        unknown = named.keys() - set(self.input_names) - self.optional
        if unknown:
            raise _C.Error(f"[onnx] the model has no input {sorted(unknown)[0]!r}; it takes {self.input_names}")
        own = Scope()
        own.update(self._parameters)
        own.update(self._buffers)
        own.update({name: wrap(value) for name, value in named.items()})
        return self.graph([], own)


def load(source: Any, *, trainable: bool = False) -> Model:
    """A model from a file's path, its bytes or a ModelProto. External data is read from beside the file."""
    if isinstance(source, (str, os.PathLike)):
        base = os.path.dirname(os.path.abspath(source))
        return Model(onnx.load(os.fspath(source)), base, trainable)
    if isinstance(source, bytes):
        source = onnx.load_from_string(source)
    return Model(source, "", trainable)
