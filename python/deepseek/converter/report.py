"""What a conversion found: ops nobody knows, and how far the outputs are from PyTorch's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .. import _C
from .capture import Captured
from .graph import Output
from .ops import find
from .state import from_torch

_FUNCTION = "autograd.Function "


class ConversionError(_C.Error):
    """`missing`: op -> {module path: count}; empty when the outputs differ."""

    missing: dict[str, dict[str, int]] = {}


@dataclass
class ConversionReport:
    model: str
    captured_by: str
    ops: int
    parameters: int
    note: str = ""
    checked: bool = False
    max_abs_diff: float = float("nan")
    max_rel_diff: float = float("nan")  # to the largest magnitude of the same output
    tolerance: float = float("nan")
    outputs: list[tuple[str, float, float]] = field(default_factory=list)  # (name, absolute, relative)

    @property
    def ok(self) -> bool:
        return self.checked and self.max_rel_diff <= self.tolerance

    def __str__(self) -> str:
        line = f"{self.model}: {self.ops} ops captured by {self.captured_by}, {self.parameters:,} parameters"
        if self.note:
            line += f" ({self.note})"
        if not self.checked:
            return line + "; outputs not compared"
        return f"{line}; largest difference {self.max_abs_diff:.3g} absolute, {self.max_rel_diff:.3g} relative"


def missing_ops(captured: list[Captured], functions: bool) -> dict[str, dict[str, int]]:
    """Op, or autograd.Function -> {module path: how often}; of the graphs of several modes, what is most."""
    out: dict[str, dict[str, int]] = {}
    for c in captured:
        unknown = Counter((n.op, n.path) for n in c.graph.walk() if not n.op.startswith("sub:") and find(n.op) is None)
        own = Counter({(f"{_FUNCTION}{name}", path): n for (name, path), n in c.functions.items() if functions})
        for (op, path), count in (unknown + own).items():
            where = out.setdefault(op.removesuffix(".default"), {})
            where[path] = max(where.get(path, 0), count)
    return out


def refuse(model: str, missing: dict[str, dict[str, int]]) -> ConversionError:
    lines = [f"[from_pytorch] {model} uses {len(missing)} ops that are not known:"]
    for op, where in sorted(missing.items(), key=lambda kv: -sum(kv[1].values())):
        places = ", ".join(f"{path or 'the model itself'} ({n})" if n > 1 else path or "the model itself" for path, n in list(where.items())[:6])
        more = f" and {len(where) - 6} more modules" if len(where) > 6 else ""
        lines.append(f"  {op}: {sum(where.values())} times, in {places}{more}")
    if any(op.startswith(_FUNCTION) for op in missing):
        lines.append('  The gradient of an autograd.Function is Python, which a graph does not hold. functions="derive" takes the derivative '
                     "of its forward; for inference alone, freeze the model: requires_grad_(False).")  # fmt: skip
    error = ConversionError("\n".join(lines))
    error.missing = missing
    return error


def flat_outputs(value: Any, name: str = "output") -> list[tuple[str, Any]]:
    """Tensors of any nest of containers, ours or PyTorch's, with their places."""
    if isinstance(value, (dict, Output)):
        return [p for k in dict.keys(value) if value[k] is not None for p in flat_outputs(value[k], f"{name}.{k}")]
    if isinstance(value, (list, tuple)):
        return [p for i, v in enumerate(value) for p in flat_outputs(v, f"{name}[{i}]")]
    if hasattr(value, "shape"):
        return [(name, value)]
    fields = getattr(value, "__dict__", None)
    return flat_outputs(dict(fields), name) if fields else []


def difference(theirs: Any, ours: Any) -> tuple[float, float]:
    """Largest absolute difference, and relative to the largest magnitude of `theirs`."""
    import numpy as np

    a, b = (_C.numpy(_C.detach(t), True) for t in (from_torch(theirs), ours))
    if a.shape != b.shape:
        raise ConversionError(f"[from_pytorch] an output has shape {b.shape}, PyTorch's {a.shape}")
    if a.size == 0:
        return 0.0, 0.0
    wide = np.complex128 if np.iscomplexobj(a) else np.float64
    a, b = a.astype(wide), b.astype(wide)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        d = np.where(same, 0.0, np.abs(a - b))
    worst = float(np.max(np.where(np.isnan(d), np.inf, d)))
    finite = np.abs(a[np.isfinite(a)])
    scale = float(finite.max()) if finite.size else 0.0
    return worst, worst / scale if scale else worst
