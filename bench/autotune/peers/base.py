"""A peer behind one interface: ask() for (a token, parameters), tell(token, value), recommend(best observed).

Each is at the best setting that it documents, and is told what it can hear: that ordinals are ordered (it sees their places), on which
value of a parent a parameter hangs, and whether there is noise.
"""

from __future__ import annotations

from typing import NamedTuple

import tasks


class Parameter(NamedTuple):
    name: str
    kind: str  # float, log, int or choice
    bounds: tuple
    values: list | None  # of choices, and of ordinals, which are the int of their place
    when: dict

    def decode(self, x):
        return self.values[int(x)] if self.values else int(x) if self.kind == "int" else float(x)


def parameters(space):
    out = []
    for name, spec in space.items():
        kind = next(k for k in ("float", "log", "int", "ordinal", "choice") if k in spec)
        values = spec[kind] if kind in ("ordinal", "choice") else None
        bounds = (0, len(values) - 1) if values else tuple(spec[kind])
        out.append(Parameter(name, "int" if kind == "ordinal" else kind, bounds, values, spec.get("when", {})))
    return out


class Peer:
    def __init__(self, task, seed, trials):
        self.space, self.seed, self.noisy = parameters(task.space), seed, isinstance(task, tasks.Table)
        self.start(trials)

    def start(self, trials):
        """Makes the peer's own study."""

    def decode(self, pick):
        """Active parameters, parents first; pick(parameter) gives its encoded value."""
        out = {}
        for p in self.space:
            if all(out.get(parent) == value for parent, value in p.when.items()):
                out[p.name] = p.decode(pick(p))
        return out

    def decode_point(self, point):
        return self.decode(lambda p: point[p.name])

    def children(self, parent):
        """Place of the parent's value -> what hangs on it."""
        at = {}
        for p in self.space:
            if parent.name in p.when:
                at.setdefault(parent.values.index(p.when[parent.name]), []).append(p)
        return at

    def tell(self, token, value):
        pass

    def recommend(self, observed):
        return observed
