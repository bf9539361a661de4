"""Nevergrad."""

from __future__ import annotations

import nevergrad

from peers.base import Peer


class Nevergrad(Peer):
    """NGOpt, told the number of trials. Ordinals as integers do much better than its TransitionChoice does (0.28 against 0.56 on hpolib,
    100 trials, 3 seeds); conditions as a choice of dictionaries do no better than every parameter given (0.20 against 0.17 on jenatton, 5)."""

    def start(self, trials):
        root = nevergrad.p.Dict(**{p.name: self.one(p) for p in self.space})
        root.random_state.seed(self.seed)
        root.function.deterministic = not self.noisy
        self.optimizer = nevergrad.optimizers.NGOpt(root, budget=trials)

    def one(self, p):
        low, high = p.bounds
        if p.kind == "choice":
            return nevergrad.p.Choice(range(high + 1))
        scalar = nevergrad.p.Log(lower=low, upper=high) if p.kind == "log" else nevergrad.p.Scalar(lower=low, upper=high)
        return scalar.set_integer_casting() if p.kind == "int" else scalar

    def ask(self):
        candidate = self.optimizer.ask()
        return candidate, self.decode_point(candidate.value)

    def tell(self, candidate, value):
        self.optimizer.tell(candidate, value)

    def recommend(self, observed):
        return self.decode_point(self.optimizer.provide_recommendation().value)
