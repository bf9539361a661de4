"""Models from PyTorch and to it. PyTorch itself is imported when a function needs it."""

from __future__ import annotations

import warnings
from typing import Any

from ..hf import load_huggingface
from .capture import capture, without_caches
from .examples import as_arguments, guess
from .graph import with_gradients
from .module import ConvertedModule
from .report import ConversionError, ConversionReport, difference, flat_outputs, missing_ops, refuse
from .state import from_torch, load_pytorch, to_pytorch, to_torch, unwrapped

__all__ = [
    "ConversionError", "ConversionReport", "ConvertedModule", "from_pytorch", "from_torch", "load_huggingface",
    "load_pytorch", "to_pytorch", "to_torch",
]  # fmt: skip

_TOLERANCE = {"float64": 1e-7, "float32": 1e-4, "bfloat16": 5e-2, "float16": 5e-3}


def from_pytorch(
    module: Any,
    example_inputs: Any = None,
    *,
    dynamic: bool = False,
    check: str = "error",
    tolerance: float | None = None,
    capture_by: str = "auto",
    functions: str = "refuse",
) -> ConvertedModule:
    """A DeepSeek model that computes what the torch.nn.Module computes, with its parameters under the same names.

    example_inputs: a tensor, a tuple of arguments or a dict of them by name; guessed for common models when left out.
    The graph holds for these shapes; dynamic=True leaves the batch dimension free. DataParallel, DDP, FSDP and
    torch.compile wrappers are taken off. `check` says what happens when the outputs on the examples differ from
    PyTorch's by more than `tolerance` (relative; by default 1e-4 for float32): "error", "warn" or "off" (not compared).
    The result's `conversion_report` holds the differences. capture_by: "export", "fx" or "auto" (export, else fx).
    functions: an autograd.Function in a model that is not frozen is refused, as its gradient is Python; "derive": its
    gradient here is the derivative of what its forward computes.
    """
    if functions not in ("refuse", "derive"):
        raise ValueError(f"[from_pytorch] functions is 'refuse' or 'derive', got {functions!r}")
    if check not in ("error", "warn", "off"):
        raise ValueError(f"[from_pytorch] check is 'error', 'warn' or 'off', got {check!r}")
    if capture_by not in ("auto", "export", "fx"):
        raise ValueError(f"[from_pytorch] capture_by is 'auto', 'export' or 'fx', got {capture_by!r}")
    with unwrapped(module) as inner:
        args, kwargs = guess(inner) if example_inputs is None else as_arguments(example_inputs)
        if dynamic:
            args, kwargs = _two_rows(args), _two_rows(kwargs)
        captured = _captured(inner, args, kwargs, dynamic, capture_by)
        missing = missing_ops(list(captured.values()), functions == "refuse")
        if missing:
            raise refuse(type(inner).__name__, missing)
        model = ConvertedModule(inner, captured)
        first = next(iter(captured.values()))
        model.conversion_report = report = ConversionReport(
            model.kind, first.by, sum(1 for _ in first.graph.walk()), sum(p.numel() for p in model.parameters()), first.note)
        if check != "off":
            _compare(inner, model, args, kwargs, report, tolerance)
            if not report.ok:
                _complain(report, check)
    return model


def _two_rows(arguments: Any) -> Any:
    """A batch of one would be captured as the number one."""
    import torch
    from torch.utils import _pytree as pytree

    return pytree.tree_map(
        lambda t: torch.cat([t, t]) if isinstance(t, torch.Tensor) and t.ndim and t.shape[0] == 1 else t, arguments)


def _captured(module: Any, args: Any, kwargs: Any, dynamic: bool, by: str) -> dict[bool | None, Any]:
    one = capture(module, args, kwargs, dynamic, by)
    if one.by == "torch.export":
        return {None: one}
    modes = {m: m.training for m in module.modules()}
    try:
        out: dict[bool | None, Any] = {bool(module.training): one}
        module.train(not module.training)
        out[bool(module.training)] = capture(module, args, kwargs, dynamic, "fx")
        return out
    finally:
        for m, mode in modes.items():
            m.training = mode


def _compare(module: Any, model: ConvertedModule, args: Any, kwargs: Any, report: ConversionReport, tolerance: float | None) -> None:
    """Both in evaluation mode, where nothing is random."""
    import torch

    modes, ours_before = {m: m.training for m in module.modules()}, {m: m.training for m in model.modules()}
    try:
        module.eval()
        model.eval()
        with torch.no_grad(), without_caches(module):
            theirs = flat_outputs(module(*_cloned(args), **_cloned(kwargs)), "")
        ours = flat_outputs(with_gradients(False, lambda: model(*_converted(args), **_converted(kwargs))), "")
    finally:
        for m, mode in modes.items():
            m.training = mode
        for m, mode in ours_before.items():
            m.training = mode
    if len(theirs) != len(ours):
        raise ConversionError(f"[from_pytorch] {model.kind} gives {len(ours)} outputs, PyTorch's gives {len(theirs)}")
    for (name, a), (_, b) in zip(theirs, ours):
        report.outputs.append((name.lstrip("."), *difference(a, b)))
    dtypes = [str(t.dtype).removeprefix("torch.") for _, t in theirs]
    report.checked = True
    report.tolerance = tolerance or max((_TOLERANCE.get(d, 0.0) for d in dtypes), default=0.0)
    report.max_abs_diff = max((a for _, a, _ in report.outputs), default=0.0)
    report.max_rel_diff = max((r for _, _, r in report.outputs), default=0.0)


def _mapped(f: Any, value: Any) -> Any:
    import torch
    from torch.utils import _pytree as pytree

    return pytree.tree_map(lambda t: f(t) if isinstance(t, torch.Tensor) else t, value)


def _cloned(value: Any) -> Any:
    return _mapped(lambda t: t.detach().clone(), value)


def _converted(value: Any) -> Any:
    return _mapped(from_torch, value)


def _complain(report: ConversionReport, check: str) -> None:
    worst = sorted(report.outputs, key=lambda o: -o[2])[:5]
    text = f"[from_pytorch] {report}, above the tolerance {report.tolerance:g}: " + ", ".join(
        f"{name or 'output'} {a:.3g} absolute, {r:.3g} relative" for name, a, r in worst)
    if check == "error":
        raise ConversionError(text)
    warnings.warn(text, stacklevel=3)
