"""Ax."""

from __future__ import annotations

import logging

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from peers.base import Peer


class Ax(Peer):
    """Its default ("fast"); the best trial is the one that its model predicts to be."""

    def start(self, trials):
        logging.disable(logging.WARNING)
        configs = []
        for p in self.space:
            if p.values:
                below = {place: [c.name for c in hung] for place, hung in self.children(p).items()}
                configs.append(ChoiceParameterConfig(p.name, list(range(len(p.values))), "int", is_ordered=p.kind == "int",
                                                     dependent_parameters=below or None))  # fmt: skip
            else:
                configs.append(RangeParameterConfig(p.name, p.bounds, "int" if p.kind == "int" else "float",
                                                    scaling="log" if p.kind == "log" else "linear"))  # fmt: skip
        self.client = Client(random_seed=self.seed)
        self.client.configure_experiment(configs)
        self.client.configure_optimization("-value")
        self.client.configure_generation_strategy(method="fast")

    def ask(self):
        ((index, point),) = self.client.get_next_trials(max_trials=1).items()
        return index, self.decode_point(point)

    def tell(self, index, value):
        self.client.complete_trial(index, raw_data={"value": value})

    def recommend(self, observed):
        return self.decode_point(self.client.get_best_parameterization(use_model_predictions=True)[0])
