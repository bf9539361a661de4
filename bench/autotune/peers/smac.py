"""SMAC3."""

from __future__ import annotations

import functools
import tempfile

import ConfigSpace as cs
import smac
from smac.runhistory.dataclasses import TrialValue

from peers.base import Peer


class Smac(Peer):
    """Its facade for hyper-parameters: a random forest."""

    facade = smac.HyperparameterOptimizationFacade

    def start(self, trials):
        space, made = cs.ConfigurationSpace(seed=self.seed), {}
        for p in self.space:
            make = {"float": cs.Float, "log": functools.partial(cs.Float, log=True), "int": cs.Integer}.get(p.kind)
            made[p.name] = make(p.name, p.bounds) if make else cs.Categorical(p.name, list(range(p.bounds[1] + 1)))
        space.add(*made.values())
        space.add(*(cs.EqualsCondition(made[p.name], made[parent.name], place) for parent in self.space if parent.kind == "choice"
                    for place, below in self.children(parent).items() for p in below))  # fmt: skip
        self.folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(space, deterministic=not self.noisy, n_trials=trials, seed=self.seed, output_directory=self.folder.name)
        self.smac = self.facade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=50)

    def ask(self):
        trial = self.smac.ask()
        return trial, self.decode_point(dict(trial.config))

    def tell(self, trial, value):
        self.smac.tell(trial, TrialValue(cost=value), save=False)

    def recommend(self, observed):
        found = self.smac.intensifier.get_incumbent()
        return self.decode_point(dict(found)) if found is not None else observed


class SmacBlackBox(Smac):
    """Its facade for few numbers: a Gaussian process."""

    facade = smac.BlackBoxFacade
