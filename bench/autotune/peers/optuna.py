"""Optuna 5.0."""

from __future__ import annotations

import functools

import optuna

from peers.base import Peer


def suggest(trial, p):
    if p.kind == "choice":
        return trial.suggest_categorical(p.name, range(len(p.values)))
    if p.kind == "int":
        return trial.suggest_int(p.name, *p.bounds)
    return trial.suggest_float(p.name, *p.bounds, log=p.kind == "log")


class Tpe(Peer):
    def sampler(self):
        return optuna.samplers.TPESampler(seed=self.seed)

    def start(self, trials):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(sampler=self.sampler())

    def ask(self):
        trial = self.study.ask()
        return trial, self.decode(functools.partial(suggest, trial))

    def tell(self, trial, value):
        self.study.tell(trial, value)


class TpeGroup(Tpe):
    """As documented for conditional spaces."""

    def sampler(self):
        return optuna.samplers.TPESampler(seed=self.seed, multivariate=True, group=True)


class Gp(Tpe):
    def sampler(self):
        return optuna.samplers.GPSampler(seed=self.seed, deterministic_objective=not self.noisy)
