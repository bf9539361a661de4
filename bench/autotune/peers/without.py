"""Without a model: random search, and local search."""

from __future__ import annotations

import numpy as np

from peers.base import Peer


class Random(Peer):
    def start(self, trials):
        self.random = np.random.default_rng([self.seed, 5])

    def pick(self, p):
        low, high = p.bounds
        return self.random.uniform(low, high) if p.kind == "float" else self.random.integers(low, high + 1)

    def ask(self):
        return None, self.decode(self.pick)


class Local(Random):
    """One parameter of the best changes; a new start when no neighbour is left."""

    here, tried = None, 0

    def ask(self):
        if self.here is None or self.tried > 3 * len(self.space):
            self.here, self.tried = None, 0
            return self.drawn({}, None)
        point = self.here[1]
        return self.drawn(point, list(point)[self.random.integers(len(point))])

    def drawn(self, point, moved):
        new = {}

        def pick(p):
            new[p.name] = self.pick(p) if p.name == moved or p.name not in point else point[p.name]
            return new[p.name]

        return new, self.decode(pick)

    def tell(self, point, value):
        if self.here is None or value < self.here[0]:
            self.here, self.tried = (value, point), 0
        else:
            self.tried += 1
