"""Random models by NNSmith (PyPI) through deepseek.onnx against ONNX Runtime."""

from __future__ import annotations

import functools
import os
import warnings
from collections import Counter
from typing import Any

WHOLE_RUN = 2000
RTOL, ATOL = 1e-3, 1e-4


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


def check(seed: int, nodes: int) -> tuple[str, str]:
    """(passed | failed | skipped, why)."""
    try:
        model, inputs, names = generate(seed, nodes)
    except Exception as e:
        return "skipped", f"NNSmith or the exporter it uses failed: {type(e).__name__}"
    try:
        theirs = by_onnxruntime(model, inputs, names)
    except Exception:
        return "skipped", "ONNX Runtime does not take the model"
    ops = " ".join(sorted({n.op_type for n in model.graph.node} - {"Constant"}))
    try:
        ours = by_us(model, inputs, names)
    except Exception as e:
        return "failed", f"{type(e).__name__}: {e} [{ops}]"
    found = difference(ours, theirs, names)
    if found is None:
        return "passed", ""
    if unstable(model, inputs, names, theirs, 3e-7):
        return "skipped", "ill-conditioned: ONNX Runtime's own answer changes as much when the inputs move by 3e-7"
    if has_float16(model, inputs) and unstable(model, inputs, names, theirs, 1e-3):
        return "skipped", "float16: ONNX Runtime rounds less often, and its answer changes as much when the inputs move by 1e-3"
    return "failed", f"{found} [{ops}]"


def main(limit: int | None = None) -> dict[str, Any]:
    import logging

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    passed, failures, skips = 0, [], Counter()
    for seed in range(limit or WHOLE_RUN):
        outcome, why = check(seed, 5 + seed % 8)
        if outcome == "passed":
            passed += 1
        elif outcome == "skipped":
            skips[why] += 1
        else:
            failures.append(f"seed {seed}: {why}")
    return {"passed": passed, "failed": len(failures), "skipped": sum(skips.values()), "failures": failures, "skips": dict(skips)}
