"""Export: what a model recorded, written as an ONNX graph."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .. import _C
from .._recorded import Axes, Dim, Recorded, flat, resized
from ..nn import Module
from .values import CODES, Tensor, to_numpy, wrap
from .writing import WRITERS, Step, Writer


def export(
    model: Any,
    args: Any,
    path: Any = None,
    *,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    dynamic_axes: dict[Any, Any] | None = None,
    dynamic_batch: bool = False,
    opset: int = 17,
    external_data: bool | None = None,
    check: bool = True,
    verbose: bool = True,
) -> Any:
    """Writes what model(*args) computes, at `path` if one is given, and returns the ModelProto.

    dynamic_axes: {input's name or position: {dimension: symbol} or [dimensions]}; dynamic_batch: dimension 0 of every
    input. external_data: weights into PATH.data (on its own when they pass 1.5 GB). `check` runs the result, by ONNX
    Runtime where it is installed, and prints the largest difference if `verbose`. Modules are exported in eval mode.
    """
    if opset < 17:
        raise _C.Error(f"[onnx.export] opset 17 or newer is needed, got {opset}")
    args = [wrap(a) for a in (args if isinstance(args, (list, tuple)) else [args])]
    names = list(input_names or [f"input_{i}" if len(args) > 1 else "input" for i in range(len(args))])
    axes = _axes(names, args, dynamic_axes, dynamic_batch)
    training = isinstance(model, Module) and model.training
    if training:
        model.eval()
    try:
        proto = _Export(model, args, names, output_names, axes, opset).proto()
        if path is not None:
            _save(proto, os.fspath(path), external_data)
        if check:
            onnx.checker.check_model(os.fspath(path) if path is not None else proto)
            worst, by, reach = compare(model, proto, args, axes, path)
            if worst > 1e-2 * max(reach, 1e-3):
                warnings.warn(f"onnx.export: the export differs from the model by {worst:.3g} where values reach {reach:.3g}", stacklevel=2)
            if verbose:
                print(f"onnx.export: {len(proto.graph.node)} nodes, opset {opset}; largest difference to {by}: {worst:.3g}")
    finally:
        if training:
            model.train()
    return proto


def _axes(names: list[str], args: list[Tensor], given: Any, batch: bool) -> Axes:
    out: Axes = {}
    for key, dims in (given or {}).items():
        if key in names or isinstance(key, int):
            position = key if isinstance(key, int) else names.index(key)
            pairs = dims.items() if isinstance(dims, dict) else [(d, f"{names[position]}_{d}") for d in dims]
            for d, symbol in pairs:
                out.setdefault(symbol, []).append((position, d % args[position].ndim))
    if batch:
        taken = {place for places in out.values() for place in places}
        places = [(i, 0) for i, a in enumerate(args) if a.ndim and (i, 0) not in taken]
        if places:
            out.setdefault("batch", []).extend(places)
    return out


class _Export:
    def __init__(self, model: Any, args: list[Tensor], names: list[str], output_names: Any, axes: Axes, opset: int):
        self.model, self.names, self.axes, self.opset = model, names, axes, opset
        self.known: list[tuple[str, Tensor]] = []
        if isinstance(model, Module):
            self.known = [*model.named_parameters(), *model.named_buffers()]
        self.base = {s: max(args[p[0][0]].shape[p[0][1]], 2) for s, p in axes.items()}
        self.args = resized(args, axes, self.base)
        self.outputs: list[Any] = []
        self.recorded = Recorded(lambda sizes: self.trace(resized(args, axes, sizes)), self.base, "onnx.export")
        self.nodes = self.recorded.nodes
        self.output_names = output_names or [f"output_{i}" if len(self.outputs) > 1 else "output" for i in range(len(self.outputs))]

    def trace(self, args: list[Tensor]) -> list[Any]:
        before = _C.set_grad_enabled(True)  # so that what is computed meanwhile stays known
        try:
            given = [a.detach().clone() for a in args]
            for a in given:
                if a.dtype.is_floating_point:
                    _C.require_grad(a, True)
            outputs = flat(self.model(*given), "onnx.export")
        finally:
            _C.set_grad_enabled(before)
        nodes, places = _C.graph(outputs, given + [t for _, t in self.known])
        self.outputs = self.outputs or places
        return nodes

    def proto(self) -> Any:
        writer = Writer(self.opset, {s: (self.names[p[0][0]], p[0][1]) for s, p in self.axes.items()})
        made: dict[tuple[int, int], str] = {}
        read = Counter((n, o) for node in self.nodes if node[0] for n, o in node[1]) + Counter(map(tuple, self.outputs))
        missing: Counter[str] = Counter()
        for i, (op, inputs, types, rest, _) in enumerate(self.nodes):
            if not op:
                self._leaf(writer, made, i, inputs, rest)
                continue
            step = Step(op, [made.get(tuple(p), "") for p in inputs], [self.recorded.type(*p) for p in inputs],
                        [self.recorded.type(i, k) for k in range(len(types))], self._attributes(i), [read[i, k] > 0 for k in range(len(types))])  # fmt: skip
            try:
                out = WRITERS[op](writer, step)
            except (KeyError, NotImplementedError):
                missing[f"{op} {rest.get('function') or rest.get('how') or ''}".strip()] += 1
                out = ["?"] * len(types)
            for k, name in enumerate([out] if isinstance(out, str) else out):
                made[i, k] = name
        if missing:
            raise _C.Error("[onnx.export] no ONNX form is known for " + ", ".join(f"{n} ({c}x)" for n, c in missing.items()))
        for name, place in zip(self.output_names, self.outputs):
            writer.nodes.append(helper.make_node("Identity", [made[tuple(place)]], [name]))
        return self._model(writer)

    def _leaf(self, writer: Writer, made: dict[Any, str], i: int, index: int, values: Any) -> None:
        if 0 <= index < len(self.args):
            made[i, 0] = self.names[index]
        elif index >= 0:
            name, value = self.known[index - len(self.args)]
            made[i, 0] = writer.constant(to_numpy(value), name)
        else:
            for k, value in enumerate(values):
                made[i, k] = writer.constant(to_numpy(value))

    def _attributes(self, i: int) -> dict[str, Any]:
        out = self.recorded.attributes(i)
        if self.nodes[i][0] == "slice":
            out["to_end"] = all(self._reaches_end(nodes, i) for nodes in [self.nodes, *(run[0] for run in self.recorded.others.values())])
        return out

    @staticmethod
    def _reaches_end(nodes: list[Any], i: int) -> bool:
        _, inputs, _, a, _ = nodes[i]
        at, output = inputs[0]
        return a["start"] + a["count"] * a["step"] >= nodes[at][2][output][1][a["dim"]]

    def _model(self, writer: Writer) -> Any:
        inputs = []
        for i, (name, value) in enumerate(zip(self.names, self.args)):
            shape: list[Any] = list(value.shape)
            for symbol, places in self.axes.items():
                for position, d in places:
                    if position == i:
                        shape[d] = symbol
            inputs.append(helper.make_tensor_value_info(name, CODES[value.dtype.name], shape))
        outputs = []
        for name, (i, k) in zip(self.output_names, self.outputs):
            dtype, dims = self.recorded.type(i, k)
            outputs.append(helper.make_tensor_value_info(name, CODES[dtype.name], [_shown(d) for d in dims]))
        graph = helper.make_graph(writer.nodes, type(self.model).__name__, inputs, outputs, writer.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="deepseek",
                                 ir_version=8 if self.opset <= 18 else 10)  # fmt: skip


def _shown(d: Dim) -> Any:
    """An extent as ONNX names it."""
    if d.fixed:
        return d.constant
    return d.factors[0][0] if d.exact and d.constant == 0 and len(d.factors) == 1 and d.factors[0][1] == 1 else None


def _save(proto: Any, path: str, external: bool | None) -> None:
    size = sum(len(t.raw_data) for t in proto.graph.initializer)
    if external or (external is None and size > 1_500_000_000):
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        onnx.save_model(copy, path, save_as_external_data=True, location=os.path.basename(path) + ".data", size_threshold=128)
    else:
        onnx.save_model(proto, path)


def compare(model: Any, proto: Any, args: list[Tensor], axes: Axes, path: Any = None) -> tuple[float, str, float]:
    """(the largest difference between the model and its export, for these values, others, and other sizes; who ran the
    export; the largest value)."""
    run, by = _runner(proto, path)
    names = [i.name for i in proto.graph.input]
    worst = reach = 0.0
    now = {s: args[p[0][0]].shape[p[0][1]] for s, p in axes.items()}
    turned = [wrap(np.roll(to_numpy(a), 1)) for a in args]  # other values: nothing of the given ones may be baked in
    trials = [args, turned] + ([resized(args, axes, {s: n + 2 for s, n in now.items()})] if axes else [])
    for given in trials:
        want = [to_numpy(t) for t in flat(model(*given), "onnx.export")]
        got = run({n: to_numpy(a) for n, a in zip(names, given)})
        for a, b in zip(got, want):
            if a.shape != b.shape or a.dtype != b.dtype:
                raise _C.Error(f"[onnx.export] the export gives {a.dtype}{a.shape} where the model gives {b.dtype}{b.shape}")
            if a.size and a.dtype.kind not in "b":
                gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
                worst = max(worst, float(np.nanmax(gap)) if not np.isnan(gap).all() else 0.0)
                reach = max(reach, float(np.nanmax(np.abs(b.astype(np.float64)), initial=0.0)))
            elif a.size:
                worst = max(worst, float((a != b).any()))
    return worst, by, reach


def _runner(proto: Any, path: Any) -> tuple[Any, str]:
    try:
        import onnxruntime
    except ImportError:
        from .model import Model

        imported = Model(proto)
        return lambda inputs: [to_numpy(v) for v in imported.run((), inputs)], "its own import (ONNX Runtime is not installed)"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = os.fspath(path) if path is not None else proto.SerializeToString()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs), f"ONNX Runtime {onnxruntime.__version__}"
