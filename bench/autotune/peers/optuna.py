"""Optuna 5.0."""

from __future__ import annotations

import functools

import optuna

from peers.base import Peer


class Tpe(Peer):
    def sampler(self):
        return optuna.samplers.TPESampler(seed=self.seed)

    def start(self, trials):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(sampler=self.sampler())

    def ask(self):
        trial = self.study.ask()
        suggest = {"float": trial.suggest_float, "log": functools.partial(trial.suggest_float, log=True), "int": trial.suggest_int,
                   "choice": lambda name, low, high: trial.suggest_categorical(name, range(high + 1))}  # fmt: skip
        return trial, self.decode(lambda p: suggest[p.kind](p.name, *p.bounds))

    def tell(self, trial, value):
        self.study.tell(trial, value)


class TpeGroup(Tpe):
    """As documented for conditional spaces."""

    def sampler(self):
        return optuna.samplers.TPESampler(seed=self.seed, multivariate=True, group=True)


class Gp(Tpe):
    def sampler(self):
        return optuna.samplers.GPSampler(seed=self.seed, deterministic_objective=not self.noisy)
