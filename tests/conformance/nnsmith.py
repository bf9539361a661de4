"""Random models by NNSmith (PyPI) through deepseek.onnx against ONNX Runtime.

What it makes of a seed is not always the same (a solver is under it): each model that differs is kept with its inputs
in ~/.cache/deepseek/conformance/nnsmith. `python nnsmith.py FOLDER...` judges kept ones again, node by node too.
"""

from __future__ import annotations

import functools
import os
import pathlib
import sys
import warnings
from typing import Any

from lib import record

WHOLE_RUN = 2000
RTOL, ATOL = 1e-3, 1e-4
MEMORY = 12 << 30  # bytes of addresses: some of NNSmith's models ask for more than a machine has while it makes them


@functools.cache
def kind_and_ops() -> tuple[Any, Any]:
    """NNSmith's ONNX models and the ops, with the dtypes that ONNX Runtime takes (found once, kept in its cache)."""
    import onnx
    from nnsmith.abstract.extension import activate_ext
    from nnsmith.backends.factory import BackendFactory
    from nnsmith.materialize import Model
    from nnsmith.narrow_spec import auto_opset

    if not hasattr(onnx, "_serialize"):  # NNSmith calls what newer versions of onnx have not
        onnx._serialize = lambda model: model.SerializeToString()
    kind = Model.init("onnx", backend_target="cpu")
    kind.add_seed_setter()
    factory = BackendFactory.init("onnxruntime", target="cpu", optmax=False)
    ops = auto_opset(kind, factory, vulops=False)
    activate_ext(opset=ops, factory=factory)
    return kind, ops


def generate(seed: int, nodes: int) -> tuple[Any, dict[str, Any], list[str]]:
    """A model, its inputs and the names of its outputs."""
    import random

    import numpy as np
    import torch
    from nnsmith.graph_gen import model_gen

    kind, ops = kind_and_ops()
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    made = model_gen(opset=ops, method="symbolic-cinit", seed=seed, max_nodes=nodes, timeout_ms=10000)
    model = kind.from_gir(made.make_concrete())
    model.refine_weights()
    oracle = model.make_oracle()
    return model.native_model, oracle.input, list(oracle.output)


def by_onnxruntime(model: Any, inputs: dict[str, Any], names: list[str]) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = {i.name for i in session.get_inputs()}
    return session.run(names, {k: v for k, v in inputs.items() if k in taken})


def by_us(model: Any, inputs: dict[str, Any], names: list[str]) -> list[Any]:
    import deepseek.onnx

    prepared = deepseek.onnx.Backend.prepare(model)
    taken = set(prepared.model.input_names)
    out = dict(zip(prepared.model.output_names, prepared.run({k: v for k, v in inputs.items() if k in taken})))
    return [out[n] for n in names]


def difference(ours: list[Any], theirs: list[Any], names: list[str]) -> str | None:
    """What differs first, or None. NaN equals NaN."""
    import numpy as np

    for name, a, b in zip(names, ours, theirs):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name}: {a.dtype}{a.shape}, not {b.dtype}{b.shape}"
        wider = 10 if b.dtype == np.float16 else 1
        if not np.allclose(a, b, rtol=RTOL * wider, atol=ATOL * wider, equal_nan=True):
            with np.errstate(all="ignore"):
                gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
            return f"{name}: differs by {np.nanmax(gap):.3g} where values reach {np.nanmax(np.abs(b)):.3g}"
    return None


def has_float16(model: Any, inputs: dict[str, Any]) -> bool:
    casts = [a.i for n in model.graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"]
    return 10 in casts or any(v.dtype.name == "float16" for v in inputs.values())


def unstable(model: Any, inputs: dict[str, Any], names: list[str], theirs: list[Any], by: float) -> bool:
    """Whether ONNX Runtime itself changes its answer when the inputs move a little."""
    import numpy as np

    shake = np.random.default_rng(0).uniform
    moved = {k: np.asarray(v * (1 + shake(-by, by, v.shape)), v.dtype) if v.dtype.kind == "f" else v for k, v in inputs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return difference(by_onnxruntime(model, moved, names), theirs, names) is not None


def with_every_value(model: Any) -> tuple[Any, list[str]]:
    """The model with every node's outputs as its own, and their names."""
    import onnx

    out = onnx.ModelProto()
    out.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del out.graph.output[:]
    out.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return out, names


def one_node(model: Any, node: Any, values: dict[str, Any]) -> Any:
    """A model of that node alone, its inputs and outputs being of these values' dtypes and shapes."""
    from onnx import helper

    def info(name: str) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape)

    graph = helper.make_graph([node], "node", [info(n) for n in dict.fromkeys(node.input) if n], [info(n) for n in node.output if n])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def wrong_node(model: Any, inputs: dict[str, Any]) -> str | None:
    """The first node that, alone and given the values its inputs have in ONNX Runtime, differs from ONNX Runtime's node
    given the same by more than a few roundings. None when every node agrees: what differs at the end is then rounding
    (ONNX Runtime has wider numbers than float16's between nodes) that nodes after it amplify: a step, a difference."""
    import numpy as np
    from onnx import numpy_helper

    whole, names = with_every_value(model)
    values = {**{i.name: numpy_helper.to_array(i) for i in model.graph.initializer}, **inputs}
    values |= dict(zip(names, by_onnxruntime(whole, inputs, names)))
    for node in model.graph.node:
        if node.op_type == "Constant":
            continue
        taken = {n: values[n] for n in node.input if n}
        outputs = [n for n in node.output if n]
        alone = one_node(model, node, values)
        for name, a, b in zip(outputs, by_us(alone, taken, outputs), by_onnxruntime(alone, taken, outputs)):
            close = 4 * float(np.finfo(b.dtype).eps) * max(1.0, float(np.nanmax(np.abs(b[np.isfinite(b)]), initial=0))) if b.dtype.kind == "f" else 0
            if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, rtol=1e-5 if b.dtype != np.float16 else 4e-3, atol=close, equal_nan=True):
                return f"{node.op_type} alone ({difference([a], [b], [name]) or name + ': by more than rounding'})"
    return None


def keep(seed: int, model: Any, inputs: dict[str, Any], names: list[str]) -> None:
    import numpy as np

    folder = record.folder() / "nnsmith" / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    np.savez(folder / "inputs.npz", **inputs)
    (folder / "outputs.txt").write_text("\n".join(names))


def kept(folder: str) -> tuple[Any, dict[str, Any], list[str]]:
    import numpy as np
    import onnx

    at = pathlib.Path(folder)
    return onnx.load(at / "model.onnx"), dict(np.load(at / "inputs.npz")), (at / "outputs.txt").read_text().splitlines()


def check(seed: int, nodes: int) -> tuple[str, str]:
    """(passed | failed | skipped, why)."""
    try:
        made = generate(seed, nodes)
    except Exception as e:
        return "skipped", f"NNSmith or the exporter it uses failed: {type(e).__name__}"
    outcome, why, differs = judge(*made)
    if differs:
        keep(seed, *made)
    return outcome, why


def judge(model: Any, inputs: dict[str, Any], names: list[str]) -> tuple[str, str, bool]:
    """(passed | failed | skipped, why, whether we differ from ONNX Runtime)."""
    try:
        theirs = by_onnxruntime(model, inputs, names)
    except Exception:
        return "skipped", "ONNX Runtime does not take the model", False
    ops = " ".join(sorted({n.op_type for n in model.graph.node} - {"Constant"}))
    try:
        ours = by_us(model, inputs, names)
    except Exception as e:
        return "failed", f"{type(e).__name__}: {e} [{ops}]", True
    found = difference(ours, theirs, names)
    if found is None:
        return "passed", "", False
    if unstable(model, inputs, names, theirs, 3e-7):
        return "skipped", "ill-conditioned: ONNX Runtime's own answer changes as much when the inputs move by 3e-7", True
    if has_float16(model, inputs) and unstable(model, inputs, names, theirs, 1e-3):
        return "skipped", "float16: ONNX Runtime rounds less often, and its answer changes as much when the inputs move by 1e-3", True
    wrong = wrong_node(model, inputs)
    if wrong is None:
        return "skipped", "amplified rounding: every node alone, given ONNX Runtime's values of its inputs, agrees with ONNX Runtime's", True
    return "failed", f"{found}, {wrong} [{ops}]", True


def main(limit: int | None = None) -> dict[str, Any]:
    import logging
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    runs = record.Record("nnsmith" if limit is None else "nnsmith-limited", record.fingerprint())
    for seed in range(limit or WHOLE_RUN):
        runs.judge(f"seed {seed}", functools.partial(check, seed, 5 + seed % 8))
    return runs.finish()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(path, *judge(*kept(path)), wrong_node(*kept(path)[:2]), flush=True)
