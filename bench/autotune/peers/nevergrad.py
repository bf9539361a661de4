"""Nevergrad."""

from __future__ import annotations

import nevergrad

from peers.base import Peer


class Nevergrad(Peer):
    """NGOpt, told the number of trials; a choice with children is a choice of dictionaries."""

    def start(self, trials):
        root = self.group([p for p in self.space if not p.when])
        root.random_state.seed(self.seed)
        root.function.deterministic = not self.noisy
        self.optimizer = nevergrad.optimizers.NGOpt(root, budget=trials)

    def group(self, members, **more):
        return nevergrad.p.Dict(**{p.name: self.one(p) for p in members}, **more)

    def one(self, p):
        low, high = p.bounds
        if p.kind == "choice":
            below = self.children(p)
            return nevergrad.p.Choice([self.group(below.get(i, []), place=i) for i in range(high + 1)] if below else range(high + 1))
        if p.values:
            return nevergrad.p.TransitionChoice(range(high + 1))
        scalar = nevergrad.p.Log(lower=low, upper=high) if p.kind == "log" else nevergrad.p.Scalar(lower=low, upper=high)
        return scalar.set_integer_casting() if p.kind == "int" else scalar

    def flat(self, group):
        out = {}
        for name, value in group.items():
            if isinstance(value, dict):
                out |= {name: value["place"], **self.flat(value)}
            else:
                out[name] = value
        return out

    def ask(self):
        candidate = self.optimizer.ask()
        return candidate, self.decode_point(self.flat(candidate.value))

    def tell(self, candidate, value):
        self.optimizer.tell(candidate, value)

    def recommend(self, observed):
        return self.decode_point(self.flat(self.optimizer.provide_recommendation().value))
