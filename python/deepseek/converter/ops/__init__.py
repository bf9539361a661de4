"""What each ATen op is in DeepSeek: one table from the op's name to a small function with the op's own arguments.

A key is the op's name without its namespace, "conv2d", or with the overload where overloads differ, "max.dim". An op
whose name ends in "_" and has no row of its own is the functional op followed by an assignment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ... import _C

TABLE: dict[str, Callable[..., Any]] = {}
# Where an op says whether it trains: this argument follows the mode of the module that called it.
TRAINING_ARGUMENT = {
    "batch_norm": 5, "native_batch_norm": 5, "_native_batch_norm_legit": 5, "cudnn_batch_norm": 5, "dropout": 2,
    "feature_dropout": 2, "alpha_dropout": 2, "feature_alpha_dropout": 2, "native_dropout": 2, "rrelu": 3,
}  # fmt: skip
# A probability that only counts while the module trains.
DROPOUT_ARGUMENT = {"scaled_dot_product_attention": 4}


def op(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(f: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update(dict.fromkeys(names, f))
        return f

    return add


def same(names: str) -> None:
    """Ops whose name and leading arguments are ours, too: looked up in deepseek.functional, deepseek and Tensor."""
    for name in names.split():
        TABLE.setdefault(name, name)  # type: ignore[arg-type]


def _ours(name: str) -> Callable[..., Any] | None:
    import deepseek

    for home in (getattr(deepseek, "functional", None), deepseek, _C):
        f = getattr(home, name, None)
        if callable(f):
            return f
    return None


def _in_place(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(f)
    def g(x: Any, *args: Any, **kwargs: Any) -> Any:
        value = f(x, *args, **kwargs)
        if value is not x:
            _C.assign(x, value if value.shape == x.shape else _C.broadcast_to(value, x.shape), name)
        return x

    return g


def find(name: str) -> Callable[..., Any] | None:
    """The function for "conv2d.default", or None."""
    base = name.partition(".")[0]
    for key in (name, base):
        f: Any = TABLE.get(key)
        if isinstance(f, str):
            f = _ours(f)
        if f is not None:
            return f
    if base.endswith("_") and not base.endswith("__"):
        overload = name[len(base) :]
        f = find(base[:-1] + overload)
        return f and _in_place(base, f)
    return None


from . import create, elementwise, index, layers, pool, reduce, resample, shape  # noqa: E402,F401  fill the table
