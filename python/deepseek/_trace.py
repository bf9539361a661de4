"""A model written down: what its forward pass and its loss record becomes one file that the engine trains without Python.

The file is safetensors; docs/graph-jobs.md describes it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _C, _random, _recorded, _trace_optimizer
from ._C import Tensor
from ._recorded import Dim, Recorded, as_json, flat, resized
from .serialization import _bytes, _write_safetensors

KEY, VERSION = "deepseek.graph", 1
_ENGINES_OWN = ("stop_gradient", "scaled_dot_product_attention")  # gradients of `custom` that are no Python
_BASES = (7, 19, 43)  # batch sizes to record at: another one where an extent happens to be the same as the first


def trace(model: Any, loss: Any, inputs_example: Any, targets_example: Any, path: Any, optimizer: Any = None) -> dict[str, Any]:
    """Writes the model and its loss to `path`, for batches of any size, and tells what is in the file.

    inputs_example, targets_example: a few samples, one a row, as the training data will have them; a tuple of tensors
    where the model is called as model(*inputs), a dict for model(**inputs). loss: a module or function of (output,
    *targets) that gives the mean over the samples; None: cross entropy. optimizer: of deepseek.optim;
    what it does not hold is not trained, and where the engine has none like it, its steps are in the file. All stay as
    they were.
    """
    inputs, targets = _Columns(inputs_example, "inputs_example"), _Columns(targets_example, "targets_example")
    if targets.names:
        raise TypeError("[trace] targets_example is a dict: the loss is called with the output and the targets in order, pass a tuple")
    if _samples("trace", {"inputs_example": inputs, "targets_example": targets}) == 0:
        raise _C.Error("[trace] inputs_example has no sample")
    state = _State(model, loss)
    if optimizer is not None:
        _trace_optimizer.check(optimizer, state.parameters)
    error: Exception | None = None
    for base in _BASES:
        try:
            with _recording(state):
                graph = _Graph(state, loss, inputs, targets, base, optimizer)
            break
        except _Refused:
            raise
        except _C.Error as e:  # perhaps an extent happened to be as large as the batch: the next size tells
            error = error or e
    else:
        raise _C.Error(f"{error} (recorded with a batch of {_BASES[0]})") from error
    if optimizer is not None and _trace_optimizer.built_in(optimizer) is None:
        with _recording(state):
            graph.parts["optimizer"] = _trace_optimizer.written(optimizer, state.parameters, graph.trained, graph.constants)
    header, tensors = graph.file()
    summary = {
        "parameters": sum(t.numel() for t in state.parameters.values()), "trained": len(graph.trained),
        "buffers": len(state.buffers), "nodes": len(header["train"]["nodes"]), "input": header["input"], "target": header["target"],
        "accuracy": "correct" in header["eval"], "classes": graph.classes,
    }  # fmt: skip
    _write(path, tensors, {KEY: json.dumps(header, separators=(",", ":"), allow_nan=False)})
    return summary


def write_tensors(path: Any, train: Any, test: Any = None) -> dict[str, Any]:
    """Writes data for a job: `train` and `test` are (inputs, targets) with a sample in each row, or Datasets of such pairs.

    inputs, targets: a tensor or array, or a tuple or dict of them.
    """
    tensors = {}
    for name, data in (("train", train), ("test", test)):
        if data is None:
            continue
        inputs, targets = (_Columns(d, f"{name} {part}") for d, part in zip(pair_of(data), ("inputs", "targets")))
        _samples("write_tensors", {f"{name} inputs": inputs, f"{name} targets": targets})
        for part, columns in (("inputs", inputs), ("targets", targets)):
            one = len(columns.tensors) == 1
            tensors.update({f"{name}.{part}" if one else f"{name}.{part}.{i}": t for i, t in enumerate(columns.tensors)})
    _write(path, tensors, {})
    return {k: {"dtype": t.dtype.name, "shape": list(t.shape)} for k, t in tensors.items()}


def pair_of(data: Any) -> Any:
    """(inputs, targets) of data, each one array or several."""
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return data
    import numpy as np

    if hasattr(data, "batch"):
        return [each(lambda c: c if isinstance(c, Tensor) else np.asarray(c), column) for column in data.batch(range(len(data)))]
    return pair_of_rows([data[i] for i in range(len(data))])


def pair_of_rows(rows: list[Any]) -> Any:
    """(inputs, targets) of samples."""
    if not rows or any(len(r) != 2 for r in rows):
        raise _C.Error("[write_tensors] a dataset of (input, target) pairs is needed")
    return tuple(_stacked([r[k] for r in rows]) for k in (0, 1))


def several(value: Any) -> bool:
    """Whether it is arrays beside each other; else one, or what NumPy makes one of."""
    return isinstance(value, (tuple, list)) and any(hasattr(v, "shape") for v in value)


def each(f: Callable[[Any], Any], value: Any) -> Any:
    """f of an array, or of each of several."""
    if isinstance(value, dict):
        return {k: each(f, v) for k, v in value.items()}
    return tuple(each(f, v) for v in value) if several(value) else f(value)


def _stacked(samples: list[Any]) -> Any:
    """Samples as rows: of each tensor where they are several."""
    import numpy as np

    first = samples[0]
    if isinstance(first, dict):
        return {k: _stacked([s[k] for s in samples]) for k in first}
    if several(first):
        return tuple(_stacked(list(column)) for column in zip(*samples))
    return np.stack([_C.numpy(s.detach(), True) if isinstance(s, Tensor) else np.asarray(s) for s in samples])


class _Columns:
    """What a call takes beside each other: one tensor, several, or several by name, each with a sample in each row."""

    def __init__(self, value: Any, what: str):
        self.names: list[str] = []
        if isinstance(value, dict):  # in one order, whoever made it
            self.names = sorted(value)
            value = tuple(value[n] for n in self.names)
        self.tensors = [_tensor(v, what) for v in value] if self.names or several(value) else [_tensor(value, what)]
        if not self.tensors:
            raise TypeError(f"[trace] {what} is empty")

    def call(self, f: Any, tensors: list[Tensor]) -> Any:
        return f(**dict(zip(self.names, tensors))) if self.names else f(*tensors)

    def types(self) -> Any:
        types = [{"dtype": t.dtype.name, "shape": list(t.shape[1:])} for t in self.tensors]
        return types if len(types) > 1 else types[0]


def _samples(op: str, columns: dict[str, _Columns]) -> int:
    shapes = {what: [t.shape for t in c.tensors] for what, c in columns.items()}
    sizes = {s[0] if s else None for each in shapes.values() for s in each}
    if len(sizes) != 1 or None in sizes:
        said = " and ".join(f"{what} {', '.join(str(s) for s in each)}" for what, each in shapes.items())
        raise _C.Error(f"[{op}] {said} must have the same samples in dimension 0")
    return int(sizes.pop())  # type: ignore[arg-type]


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    import numpy as np

    array = np.asarray(value)
    if array.dtype == object:
        raise TypeError(f"[trace] {name} must be tensors or arrays with a sample in each row, got {type(value).__name__}")
    return _C.from_array(np.ascontiguousarray(array) if array.ndim else array.copy())


def _write(path: Any, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    path = os.fspath(path)
    order = sorted(tensors.items(), key=lambda kv: -kv[1].dtype.itemsize)  # so that each lies aligned
    with open(f"{path}.part", "wb") as file:
        _write_safetensors(file, dict(order), metadata)
    os.replace(f"{path}.part", path)


class _State:
    """What a model has that a step may change, by name; put back after each recording."""

    def __init__(self, model: Any, loss: Any):
        from .nn import Module

        if not isinstance(model, Module):
            raise TypeError(f"[trace] a ds.nn.Module is needed, got {type(model).__name__}")
        parts = {"": model, "loss.": loss} if isinstance(loss, Module) else {"": model}
        self.modules = [m for part in parts.values() for m in part.modules()]
        self.training = [m.training for m in self.modules]
        self.top = list(parts.values())
        self.parameters = {prefix + n: p for prefix, part in parts.items() for n, p in part.named_parameters()}
        self.buffers = {prefix + n: b for prefix, part in parts.items() for n, b in part.named_buffers()}
        kept = {prefix + n for prefix, part in parts.items() for n in part.state_dict()}
        self.persistent = {n for n in self.buffers if n in kept}
        first = {id(t): n for n, t in self.tensors()}
        self.tied = {prefix + n: first[id(t)] for prefix, part in parts.items()
                     for kind in (part._named("_parameters", "", True, False), part._named("_buffers", "", True, False))
                     for n, t in kind if first[id(t)] != prefix + n}  # fmt: skip

    def tensors(self) -> list[tuple[str, Tensor]]:
        return [*self.parameters.items(), *self.buffers.items()]

    @contextmanager
    def mode(self, train: bool) -> Iterator[None]:
        """A model that trains keeps the modes of its parts, so that what is frozen stays so."""
        try:
            for part in self.top:
                if part.training != train:
                    part.train(train)
            yield
        finally:
            for m, t in zip(self.modules, self.training):
                m.training = t

    @contextmanager
    def lazy(self, given: list[Tensor]) -> Iterator[list[Tensor]]:
        """Each tensor stands for its value without having it: nobody can look at it. Gives what stands for `given` too."""
        owners = [t for _, t in self.tensors()]
        held = [_same(t) for t in owners]
        stand_ins = [_C.contiguous(t) for t in [*owners, *given]]
        try:
            for owner, stand_in in zip(owners, stand_ins):
                _C.rebind(owner, stand_in)
            _C.watch(stand_ins)
            yield stand_ins
        finally:
            _C.watch(None)
            for owner, value in zip(owners, held):
                _C.rebind(owner, value)


def _same(t: Tensor) -> Tensor:
    """Another object of the same value."""
    other = _C.full((), 0.0, _C.float32, "cpu")
    _C.rebind(other, t)
    return other


@contextmanager
def _recording(state: _State) -> Iterator[None]:
    rng, grad, active = _random.default_generator.get_state(), _C.set_grad_enabled(True), _recorded.active
    _recorded.active = True
    try:
        yield
    finally:
        _recorded.active = active
        _C.set_grad_enabled(grad)
        _random.default_generator.set_state(rng)


class _Graph:
    """Both modes of a model, recorded at a few batch sizes from `base` on."""

    def __init__(self, state: _State, loss: Any, inputs: _Columns, targets: _Columns, base: int, optimizer: Any):
        self.state, self.loss, self.inputs, self.targets = state, loss, inputs, targets
        self.moved = None if optimizer is None else {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.constants: dict[str, Tensor] = {}
        self.trained: set[str] = set()
        self.classes: int | None = None
        self.marks: dict[str, Any] = {}
        self.parts = {}
        for train in (True, False):
            self.streams: dict[tuple[int, int], int] = {}
            recorded = Recorded(lambda sizes, train=train: self._record(sizes["batch"], train), {"batch": base}, "trace")  # type: ignore[misc]
            name = "train" if train else "eval"
            self.parts[name] = {"nodes": [self._node(recorded, i) for i in range(len(recorded.nodes))], **self.marks}

    def _record(self, batch: int, train: bool) -> list[Any]:
        given = [*self.inputs.tensors, *self.targets.tensors]
        given = resized(given, {"batch": [(i, 0) for i in range(len(given))]}, {"batch": batch})
        state, count = self.state, len(self.inputs.tensors)
        with state.mode(train), state.lazy(given) as known:
            given = known[-len(given) :]
            targets = given[count:]
            output = self.inputs.call(state.top[0], given[:count])
            value = _loss(self.loss, output, targets)
            roots: list[Tensor] = [value]
            marks: dict[str, Any] = {"loss": 0}
            if train:
                changed = {n: b for (n, b), before in zip(state.buffers.items(), known[len(state.parameters) :])
                           if _C.node_id(b) != _C.node_id(before)}  # fmt: skip
                marks["updates"] = {n: len(roots) + i for i, n in enumerate(changed)}
                roots += [_same_type(n, b, before) for (n, b), before in zip(changed.items(), (known[self._place(n)] for n in changed))]
            else:
                outputs = flat(output, "trace")
                marks["outputs"] = [len(roots) + i for i in range(len(outputs))]
                roots += outputs
                dim = _class_dimension(outputs[0], targets[0]) if len(targets) == 1 else None
                if dim is not None:
                    self.classes = outputs[0].shape[dim]
                    marks["correct"] = len(roots)
                    roots.append(_correct(outputs[0], targets[0], dim))
            nodes, places = _C.graph(roots, known)
            for op, _, _, attributes, _ in nodes:
                if op == "custom" and attributes["function"] not in _ENGINES_OWN:
                    raise _Refused(f"[trace] the gradient of {attributes['function']} is written in Python (an autograd.Function, a hook): it cannot run without")
            if train and value.requires_grad:
                wanted = [(n, known[i]) for i, (n, p) in enumerate(state.parameters.items()) if p.requires_grad and self._moves(p)]
                grads = _C.grad([value], [p for _, p in wanted], [], True, False, True)
                self.trained = {n for (n, _), g in zip(wanted, grads) if g is not None}
            if train and not self.trained:
                raise _Refused("[trace] the loss depends on no parameter that requires a gradient and that the optimizer has: there is nothing to train")
            self.marks = _placed(marks, places)
        return nodes

    def _moves(self, p: Tensor) -> bool:
        return self.moved is None or id(p) in self.moved

    def _place(self, buffer: str) -> int:
        return len(self.state.parameters) + list(self.state.buffers).index(buffer)

    def _node(self, recorded: Recorded, i: int) -> dict[str, Any]:
        op, inputs, _, rest, stops = recorded.nodes[i]
        if not op:
            return self._leaf(recorded, i, inputs, rest)
        out: dict[str, Any] = {"op": op, "in": [list(p) for p in inputs]}
        if stops:
            out["no_grad"] = True
        attributes = recorded.attributes(i)
        if op.startswith("random_"):
            streams = {(r[i][3]["seed"], r[i][3]["offset"]) for r in (recorded.nodes, *recorded.others["batch"])}
            if len(streams) > 1:  # what has one stream here, as two uses of one mask have, has one then
                out["fresh"] = self.streams.setdefault((rest["seed"], rest["offset"]), len(self.streams))
                attributes["seed"] = attributes["offset"] = Dim(0)
        if attributes:
            out["with"] = {name: as_json(op, name, value) for name, value in attributes.items()}
        return out

    def _leaf(self, recorded: Recorded, i: int, index: int, values: Any) -> dict[str, Any]:
        names = [n for n, _ in self.state.tensors()]
        if index >= len(names):
            inputs, at = len(self.inputs.tensors), index - len(names)
            op, at = ("input", at) if at < inputs else ("target", at - inputs)
            return {"op": op, "index": at} if at else {"op": op}
        if index >= 0:
            return {"tensor": names[index]}
        for nodes in recorded.others["batch"]:
            for a, b in zip(values, nodes[i][3]):
                if a.shape != b.shape:
                    raise _C.Error(f"[trace] a constant grows with the batch ({a.shape}, then {b.shape}): make it of the engine's functions, such as ds.arange")
                if bytes(_bytes(a)) != bytes(_bytes(b)):
                    raise _Refused("[trace] the model computes a constant anew each time, and differently: draw random numbers by ds.rand")
        if values[0].requires_grad:
            raise _Refused(f"[trace] a tensor of {values[0].shape} requires a gradient and is no parameter of the model: it would not be trained")
        name = f"constant:{len(self.constants)}"
        self.constants[name] = values[0]
        return {"tensor": name}

    def file(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        state, updates = self.state, self.parts["train"].get("updates", {})
        header = {
            "version": VERSION,
            "model": type(state.top[0]).__name__,
            "input": self.inputs.types(),
            "target": self.targets.types(),
            "parameters": [{"name": n, "trained": n in self.trained} for n in state.parameters],
            "buffers": [{"name": n, "kept": n in state.persistent or n in updates} for n in state.buffers],
            "tied": state.tied,
            **self.parts,
        }
        return header, {**{n: t.detach() for n, t in state.tensors()}, **self.constants}


class _Refused(_C.Error):  # type: ignore[misc]
    """No batch size would make a difference."""


def _loss(loss: Any, output: Any, targets: list[Tensor]) -> Tensor:
    from . import functional

    if loss is None and (not isinstance(output, Tensor) or len(targets) > 1):
        what = f"there are {len(targets)} targets" if len(targets) > 1 else f"the model gives a {type(output).__name__}"
        raise _Refused(f"[trace] {what}: pass a loss of (output, *targets) that takes it")
    if loss is None:
        target = targets[0]
        rows = output.ndim == target.ndim + 1 > 2 and output.shape[:-1] == target.shape
        value = functional.cross_entropy(output.flatten(0, -2), target.flatten()) if rows else functional.cross_entropy(output, target)
    else:
        value = loss(output, *targets)
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.dtype.is_floating_point:
        raise _Refused(f"[trace] the loss must give one number, the mean over the samples; got {getattr(value, 'shape', type(value).__name__)}")
    return value


def _class_dimension(output: Tensor, target: Tensor) -> int | None:
    """Along which dimension the output scores the classes that the target names; None where they are no classes."""
    if target.dtype.is_floating_point or target.dtype.is_complex or target.dtype == _C.bool or output.dtype.is_complex:
        return None
    shape, wanted = list(output.shape), list(target.shape)
    if len(shape) < 2:
        return None
    if shape[:1] + shape[2:] == wanted:
        return 1
    return -1 if shape[:-1] == wanted or math.prod(shape[:-1]) == math.prod(wanted) else None


def _correct(output: Tensor, target: Tensor, dim: int) -> Tensor:
    """How many targets the output names."""
    named = _C.reshape(_C.argmax(output, dim, False), [-1])
    return _C.sum(_C.equal(named, _C.cast(_C.reshape(target, [-1]), _C.int64)))


def _same_type(name: str, now: Tensor, before: Tensor) -> Tensor:
    if now.shape != before.shape or now.dtype != before.dtype:
        raise _Refused(f"[trace] training makes buffer {name!r}, {before.dtype.name}{before.shape}, a {now.dtype.name}{now.shape}")
    return now


def _placed(marks: Any, places: list[Any]) -> Any:
    if isinstance(marks, dict):
        return {k: _placed(v, places) for k, v in marks.items()}
    return [_placed(v, places) for v in marks] if isinstance(marks, list) else list(places[marks])
