"""Vizier."""

from __future__ import annotations

import jax
from vizier import algorithms, pyvizier
from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit

from peers.base import Peer


class Vizier(Peer):
    """The designer that its service names DEFAULT, GP-UCB-PE, imported as the service does: the public name wants CVXPY. It refuses
    conditional spaces, so it is given every parameter."""

    def start(self, trials):
        self.k = 0
        problem = pyvizier.ProblemStatement()
        root = problem.search_space.root
        for p in self.space:
            low, high = p.bounds
            if p.kind == "choice":
                root.add_categorical_param(p.name, [str(i) for i in range(high + 1)])
            elif p.kind == "int":
                root.add_int_param(p.name, low, high)
            else:
                scale = pyvizier.ScaleType.LOG if p.kind == "log" else pyvizier.ScaleType.LINEAR
                root.add_float_param(p.name, low, high, scale_type=scale)
        problem.metric_information.append(pyvizier.MetricInformation("value", goal=pyvizier.ObjectiveMetricGoal.MINIMIZE))
        self.designer = VizierGPUCBPEBandit(problem, rng=jax.random.PRNGKey(self.seed))

    def ask(self):
        (asked,) = self.designer.suggest(1)
        self.k += 1
        return asked.to_trial(self.k), self.decode(lambda p: asked.parameters.get_value(p.name))

    def tell(self, trial, value):
        trial.complete(pyvizier.Measurement({"value": value}))
        self.designer.update(algorithms.CompletedTrials([trial]), algorithms.ActiveTrials())
