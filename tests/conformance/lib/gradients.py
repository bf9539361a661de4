"""Whether a converted model's gradients are right: against PyTorch's, and where the two differ, against differences of
PyTorch's own forward pass.

A gradient is judged relative to its largest element, or to a thousandth of the model's largest gradient where that is
more: what is zero but for rounding has no scale of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TOLERANCE = 1e-3
Differing = dict[str, tuple[float, Any, Any]]  # parameter: how much, PyTorch's gradient, ours


def loss(outputs: list[tuple[str, Any]], tensor: Callable[[Any], Any]) -> Any:
    """The mean of squares of every output, each element with a weight of its own: what ends in a normalisation has a
    constant sum of squares, whose gradient would be rounding errors. `tensor` makes the framework's own of an array."""
    import numpy as np
    import torch

    import deepseek as ds

    total = 0.0
    for _, o in outputs:
        if o.is_floating_point():
            n = max(o.numel(), 1)
            kind = "float64" if o.dtype in (torch.float64, ds.float64) else "float32"
            weights = tensor((1 + 0.5 * np.cos(np.arange(n))).astype(kind).reshape(tuple(o.shape)))
            total = total + (o * o * weights).sum() / n
    return total


def differing(theirs: dict[str, Any], ours: dict[str, Any]) -> Differing:
    """The gradients that differ by more than TOLERANCE, of arrays by name."""
    import numpy as np

    peak = max((float(np.abs(g).max()) for g in theirs.values()), default=0.0)
    found: Differing = {}
    for name, a in theirs.items():
        scale = max(float(np.abs(a).max()), TOLERANCE * peak, 1e-12)
        d = float(np.abs(a - ours[name]).max()) / scale
        if not d <= TOLERANCE:
            found[name] = (d, a, ours[name])
    return found


def _call(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return ((), example) if isinstance(example, dict) else ((example,), {})


def torch_loss(module: Any, example: Any) -> Any:
    import torch

    from deepseek.converter.capture import without_caches
    from deepseek.converter.report import flat_outputs

    args, kwargs = _call(example)
    with without_caches(module):
        return loss(flat_outputs(module(*args, **kwargs)), torch.from_numpy)


def gradients(module: Any, model: Any, example: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """PyTorch's and ours, arrays by the parameter's name. Raises KeyError for one that we do not have."""
    import deepseek as ds
    from deepseek.converter.report import flat_outputs

    module.zero_grad()
    torch_loss(module, example).backward()
    theirs = {n: p.grad.numpy() for n, p in module.named_parameters() if p.grad is not None}
    args, kwargs = _call(example)
    made = model(*(ds.from_numpy(a.numpy()) for a in args), **{k: ds.from_numpy(v.numpy()) for k, v in kwargs.items()})
    loss(flat_outputs(made), ds.from_numpy).backward()
    parameters = dict(model.named_parameters())
    missing = [n for n in theirs if parameters[n].grad is None]
    if missing:
        raise KeyError(f"no gradient of {missing[0]}")
    return theirs, {n: parameters[n].grad.numpy(force=True) for n in theirs}


def slope(value: Callable[[], Any], parameter: Any, direction: Any) -> float:
    """The derivative of value() when `parameter` (a float64 torch.Tensor, changed and put back) moves along
    `direction`: the central difference of fourth order, (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h."""
    import torch

    kept = parameter.detach().clone()
    h = 1e-4 * max(1.0, float(kept.norm()))
    at = {}
    with torch.no_grad():
        for steps in (-2, -1, 1, 2):
            parameter.copy_(kept + steps * h * direction)
            at[steps] = float(value())
        parameter.copy_(kept)
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)


def own_function(value: Any) -> str:
    """The name of an autograd.Function that `value` came through, or "". Its author's gradient is no derivative to be
    checked by differences: it is what the model is trained by."""
    import torch

    seen, todo = set(), [value.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return type(node).__name__.removesuffix("Backward")
        todo += [n for n, _ in node.next_functions]
    return ""


def contradicted(module: Any, example: Any, found: Differing) -> str:
    """Empty where PyTorch's own forward pass (in float64) bears out our gradient and contradicts PyTorch's, for every
    parameter that differs; else the first that it does not. Along the difference of the two gradients they disagree
    the most, so that the slope there can agree with one of them only."""
    import numpy as np
    import torch

    parameters = dict(module.named_parameters())
    if found and (own := own_function(torch_loss(module, example))):
        return f"gradient of {next(iter(found))} differs: the gradient of {own}, an autograd.Function, is not taken over"
    for name, (d, a, b) in found.items():
        gap = float(np.linalg.norm(a - b))
        if not np.isfinite(gap):
            return f"gradient of {name} differs by {d:.2g}"
        direction = (b - a) / gap
        measured = slope(lambda: torch_loss(module, example), parameters[name], torch.from_numpy(direction))
        off = abs(measured - float((direction * b).sum()))
        if not off <= 0.02 * gap:
            return f"gradient of {name} differs by {d:.2g}, and differences of the forward pass are {off / gap:.2g} of that from ours"
    return ""
