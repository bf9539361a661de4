"""What a call records, at several sizes of its arguments: which extents and numbers of the graph grow with them, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable

from . import _C

Axes = dict  # {symbol: [(argument's position, dimension), ...]}
Sizes = dict  # {symbol: size}
active = False  # whether a call is being recorded to be written down: functions then take forms that can be


@dataclass(frozen=True)
class Dim:
    """An extent: a constant plus multiples of the sizes that may differ from call to call; "?": it is not of that form."""

    constant: int
    factors: tuple[tuple[str, int], ...] = ()

    @property
    def fixed(self) -> bool:
        return not self.factors

    @property
    def exact(self) -> bool:
        return all(s != "?" for s, _ in self.factors)


@dataclass(frozen=True)
class Ratio:
    """factor * (a * size + b) / (c * size + d)."""

    factor: float
    a: float
    b: float
    c: float
    d: float

    def at(self, n: int) -> float:
        return self.factor * ((self.a * n + self.b) / (self.c * n + self.d))


@dataclass(frozen=True)
class Scaled:
    """A number that is the product of a ratio in each of some sizes."""

    ratios: tuple[tuple[str, Ratio], ...]


def resized(args: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    """The arguments with some dimensions of other sizes: what is there, over and over."""
    import numpy as np

    out = list(args)
    for symbol, places in axes.items():
        for i, d in places:
            n = out[i].shape[d]
            if sizes[symbol] != n:
                index = np.arange(sizes[symbol]) % max(n, 1)
                out[i] = _C.take(out[i].detach(), _C.from_array(index.astype(np.int64)), d)
    return out


def flat(value: Any, what: str) -> list[Any]:
    """The Tensors in lists, tuples and dicts."""
    if isinstance(value, _C.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in flat(v, what)]
    raise TypeError(f"[{what}] the model must give Tensors, or lists, tuples or dicts of them, got {type(value).__name__}")


class Recorded:
    """Nodes as _C.graph gives them, at the sizes `base`, and with each size 1, 2 and 3 larger."""

    def __init__(self, record: Callable[[Sizes], list[Any]], base: Sizes, what: str):
        self.base, self.what = base, what
        self.nodes = record(base)
        self.others = {s: [record({**base, s: n + more}) for more in (1, 2, 3)] for s, n in base.items()}
        for s, runs in self.others.items():
            for nodes in runs:
                if [(n[0], n[1]) for n in nodes] != [(n[0], n[1]) for n in self.nodes]:
                    raise _C.Error(f"[{what}] the model computes something else when {s!r} changes: it cannot be dynamic{_first(self.nodes, nodes)}")

    def type(self, i: int, k: int) -> tuple[Any, list[Dim]]:
        """The dtype and extents of output k of node i."""
        return self.nodes[i][2][k][0], self.dims(lambda n: list(n[2][k][1]), i)

    def dims(self, pick: Callable[[Any], list[int]], i: int) -> list[Dim]:
        """Whole numbers that `pick` finds in node i."""
        base = pick(self.nodes[i])
        others = {s: [pick(nodes[i]) for nodes in runs] for s, runs in self.others.items()}
        out = []
        for at, value in enumerate(base):
            factors = {s: o[0][at] - value for s, o in others.items() if o[0][at] != value}
            constant = value - sum(f * self.base[s] for s, f in factors.items())
            exact = all(run[at] == value + more * factors.get(s, 0) for s, o in others.items() for more, run in enumerate(o, 1))
            out.append(Dim(constant, tuple(sorted(factors.items())) if exact else (("?", 1),)))
        return out

    def attributes(self, i: int) -> dict[str, Any]:
        """Of node i: whole numbers as Dims, numbers as they are or Scaled."""
        out: dict[str, Any] = {}
        for name, value in self.nodes[i][3].items():
            if isinstance(value, int):
                out[name] = self.dims(lambda n, name=name: [n[3][name]], i)[0]  # type: ignore[misc]
            elif isinstance(value, (list, tuple)):
                out[name] = self.dims(lambda n, name=name: list(n[3][name]), i)  # type: ignore[misc]
            elif isinstance(value, float):
                out[name] = self._number(value, {s: [nodes[i][3][name] for nodes in runs] for s, runs in self.others.items()})
            else:
                out[name] = value
        return out

    def _number(self, value: float, others: dict[str, list[float]]) -> Any:
        ratios: list[tuple[str, Ratio]] = []
        for symbol, run in others.items():
            if all(o == value or (o != o and value != value) for o in run):
                continue
            n = self.base[symbol]
            ratio = fit([n, n + 1, n + 2, n + 3], [value, *run])
            if ratio is None:
                raise _C.Error(f"[{self.what}] a number goes from {value} to {run[0]} and {run[1]} when {symbol!r} grows: it cannot be dynamic")
            if ratios:  # the factor is what stays when each size's own part is taken out
                ratio = Ratio(ratio.factor / value, ratio.a, ratio.b, ratio.c, ratio.d)
            ratios.append((symbol, ratio))
        return Scaled(tuple(ratios)) if ratios else value


def as_json(op: str, name: str, value: Any) -> Any:
    """An attribute as a graph file has it."""
    if isinstance(value, list):
        return [as_json(op, name, v) for v in value]
    if isinstance(value, Dim):
        if value.fixed:
            return value.constant
        if not value.exact:
            raise _C.Error(f"[trace] {name} of {op} does not grow evenly with the batch: it cannot be any size")
        return {"whole": [value.factors[0][1], value.constant]}
    if isinstance(value, Scaled):
        r = value.ratios[0][1]
        return {"ratio": [r.factor, r.a, r.b, r.c, r.d]}
    if isinstance(value, float):
        return {"float": value if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"}
    return value if isinstance(value, str) else value.name


def _first(a: list[Any], b: list[Any]) -> str:
    for i, (x, y) in enumerate(zip(a, b)):
        if (x[0], x[1]) != (y[0], y[1]):
            return f" (op {i} of the graph is {x[0] or 'a value'}, then {y[0] or 'a value'})"
    return f" ({len(a)} ops, then {len(b)})"


def _whole(x: float) -> float:
    return float(round(x)) if abs(x - round(x)) <= 1e-7 * max(1.0, abs(x)) else x


def _line(sizes: list[int], values: list[float]) -> tuple[float, float]:
    a = _whole((values[-1] - values[0]) / (sizes[-1] - sizes[0]))
    return a, _whole(values[0] - a * sizes[0])


def fit(sizes: list[int], values: list[float]) -> Ratio | None:
    """How values follow sizes: evenly, as one over that, or as count / (count - 1) with such a count."""

    def holds(r: Ratio) -> bool:
        try:
            return all(abs(r.at(n) - v) <= 1e-11 * abs(v) for n, v in zip(sizes, values))
        except ZeroDivisionError:
            return False

    line = Ratio(1.0, *_line(sizes, values), 0.0, 1.0)
    if holds(line):
        return line
    if 0.0 in values:
        return None
    one_over = Ratio(1.0, 0.0, 1.0, *_line(sizes, [1 / v for v in values]))
    if holds(one_over):
        return one_over
    return _shrinking(sizes, values, holds)


def _shrinking(sizes: list[int], values: list[float], holds: Callable[[Ratio], bool]) -> Ratio | None:
    """f u / (u - 1) with u even in the size: v (n + r) = f n + q, solved for f from three sizes."""
    import numpy as np

    n, v = np.asarray(sizes[:3], np.float64), np.asarray(values[:3])
    try:
        limit = float(np.linalg.solve(np.stack([n, np.ones(3), -v], 1), v * n)[0])
    except np.linalg.LinAlgError:
        return None
    for digits in (2, 4, 6, 9, 15):
        f = float(f"{limit:.{digits}g}")
        shares = [x / f for x in values]
        if f == 0 or any(s == 1 for s in shares):
            continue
        a, b = _line(sizes, [s / (s - 1) for s in shares])
        if holds(Ratio(f, a, b, a, b - 1)):
            return Ratio(f, a, b, a, b - 1)
    return None
