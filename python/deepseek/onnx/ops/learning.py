"""ai.onnx.ml and the training preview."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, from_numpy, host, number

ML = "ai.onnx.ml"
TRAINING = "ai.onnx.preview.training"


@op("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(x: Any, index: Tensor) -> Any:
    out = np.take(host(x), host(index).reshape(-1), -1)
    return from_numpy(out.reshape(1, -1) if out.ndim == 1 else out)


@op("Binarizer", domain=ML)
def binarizer(x: Tensor, *, threshold: float = 0.0) -> Tensor:
    return _C.cast(x > threshold, x.dtype)


@op("LabelEncoder", domain=ML)
def label_encoder(x: Any, *, keys_strings: Any = None, values_strings: Any = None, keys_int64s: Any = None, values_int64s: Any = None,
                  keys_floats: Any = None, values_floats: Any = None, keys_tensor: Any = None, values_tensor: Any = None,
                  default_string: str = "_Unused", default_int64: int = -1, default_float: float = -0.0, default_tensor: Any = None,
                  classes_strings: Any = None) -> Any:  # fmt: skip
    keys = _first(keys_strings, keys_int64s, keys_floats, None if keys_tensor is None else host(keys_tensor).reshape(-1).tolist())
    values = _first(values_strings, values_int64s, values_floats)
    if values_tensor is not None:
        values, dtype = host(values_tensor).reshape(-1).tolist(), host(values_tensor).dtype
        default = host(default_tensor).reshape(-1)[0] if default_tensor is not None else -1
    elif values_strings is not None:
        dtype, default = object, default_string
    elif values_int64s is not None:
        dtype, default = np.int64, default_int64
    else:
        dtype, default = np.float32, default_float
    table = dict(zip(keys, values))
    nan = next((v for k, v in table.items() if k != k), default)
    given = host(x)
    out = [nan if k != k else table.get(k, default) for k in given.reshape(-1).tolist()]
    return from_numpy(np.array(out, dtype=dtype).reshape(given.shape))


def _first(*options: Any) -> Any:
    return next((o for o in options if o is not None), [])


@op("TreeEnsemble", domain=ML, since=5)
def tree_ensemble(x: Tensor, *, aggregate_function: int = 1, leaf_targetids: list[int], leaf_weights: Tensor, membership_values: Any = None,
                  n_targets: int = 1, nodes_falseleafs: list[int], nodes_falsenodeids: list[int], nodes_featureids: list[int],
                  nodes_hitrates: Any = None, nodes_missing_value_tracks_true: Any = None, nodes_modes: Tensor, nodes_splits: Tensor,
                  nodes_trueleafs: list[int], nodes_truenodeids: list[int], post_transform: int = 0, tree_roots: list[int]) -> Tensor:  # fmt: skip
    """Each row falls through each tree to a leaf, which adds its weight to a target."""
    rows, weights = host(x), host(leaf_weights)
    modes, splits = host(nodes_modes).tolist(), host(nodes_splits)
    members = _member_sets(modes, membership_values)

    def goes(row: Any, node: int) -> bool:
        value = row[nodes_featureids[node]]
        if np.isnan(value):
            return bool(nodes_missing_value_tracks_true and nodes_missing_value_tracks_true[node])
        mode, split = modes[node], splits[node]
        return (value <= split, value < split, value >= split, value > split, value == split, value != split,
                value in members.get(node, ()))[mode]  # fmt: skip

    def leaf_of(row: Any, node: int) -> int:
        while True:
            if goes(row, node):
                leaf, node = nodes_trueleafs[node], nodes_truenodeids[node]
            else:
                leaf, node = nodes_falseleafs[node], nodes_falsenodeids[node]
            if leaf:
                return node

    out = np.zeros((len(rows), n_targets), weights.dtype)
    for row, result in zip(rows, out):
        found: list[list[Any]] = [[] for _ in range(n_targets)]
        for root in tree_roots:
            leaf = leaf_of(row, root)
            found[leaf_targetids[leaf]].append(weights[leaf])
        for target, values in enumerate(found):
            if values:
                result[target] = (np.mean, np.sum, np.min, np.max)[aggregate_function](values)
                if aggregate_function == 0:
                    result[target] = np.sum(values) / len(tree_roots)
    return from_numpy(_transformed(out, post_transform))


def _member_sets(modes: list[int], values: Any) -> dict[int, set[float]]:
    """Sets of the nodes that ask for membership, one after the other, parted by NaN."""
    if values is None:
        return {}
    groups: list[set[float]] = [set()]
    for v in host(values).reshape(-1).tolist():
        if v != v:
            groups.append(set())
        else:
            groups[-1].add(v)
    return dict(zip([i for i, m in enumerate(modes) if m == 6], groups))


def _transformed(x: Any, how: int) -> Any:
    if how == 0:
        return x
    if how == 1:
        return 1 / (1 + np.exp(-x))
    if how in (2, 3):
        kept = x != 0 if how == 3 else np.ones_like(x, bool)
        e = np.where(kept, np.exp(x - x.max(1, keepdims=True)), 0)
        return (e / e.sum(1, keepdims=True)).astype(x.dtype)
    raise _C.Error(f"[onnx.TreeEnsemble] post_transform {how} is not supported")


def _groups(values: tuple[Any, ...], each: int) -> list[tuple[Any, ...]]:
    """x1, x2, g1, g2, ... as (x1, g1, ...), (x2, g2, ...)."""
    n = len(values) // each
    return [tuple(values[k * n + i] for k in range(each)) for i in range(n)]


def _joined(rows: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(v for column in zip(*rows) for v in column)


@op("Adagrad", domain=TRAINING)
def adagrad(rate: Tensor, step: Tensor, *values: Tensor, decay_factor: float = 0.0, epsilon: float = 1e-6, norm_coefficient: float = 0.0) -> Any:
    r = number(rate) / (1 + number(step) * decay_factor)
    rows = []
    for x, g, h in _groups(values, 3):
        g = g + x * norm_coefficient
        h = h + g * g
        rows.append((x - g * r / (_C.sqrt(h) + epsilon), h))
    return _joined(rows)


@op("Momentum", domain=TRAINING)
def momentum_step(rate: Tensor, step: Tensor, *values: Tensor, alpha: float, beta: float, mode: str, norm_coefficient: float) -> Any:
    rows = []
    for x, g, v in _groups(values, 3):
        g = g + x * norm_coefficient
        v = v * alpha + g * (beta if number(step) > 0 else 1.0)
        rows.append((x - (g + v * alpha if mode == "nesterov" else v) * float(number(rate)), v))
    return _joined(rows)


@op("Adam", domain=TRAINING)
def adam(rate: Tensor, step: Tensor, *values: Tensor, alpha: float = 0.9, beta: float = 0.999, epsilon: float = 0.0, norm_coefficient: float = 0.0,
         norm_coefficient_post: float = 0.0) -> Any:  # fmt: skip
    t, r = number(step), float(number(rate))
    if t > 0:
        r *= (1 - beta**t) ** 0.5 / (1 - alpha**t)
    rows = []
    for x, g, v, h in _groups(values, 4):
        g = g + x * norm_coefficient
        v, h = v * alpha + g * (1 - alpha), h * beta + g * g * (1 - beta)
        rows.append(((x - v * r / (_C.sqrt(h) + epsilon)) * (1 - norm_coefficient_post), v, h))
    return _joined(rows)
