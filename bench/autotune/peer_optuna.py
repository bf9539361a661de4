"""Traces of Optuna and of two samplers without a model, made once and kept: peer_optuna.py SUITE PEER SEEDS.

One CSV row a mark: task, seed, trials, regret of the configuration that the peer itself would recommend, and the seconds
it took to suggest so far. Peers: random, local, tpe (5.0's defaults), tpe-group, gp (deterministic where the task is).
"""

from __future__ import annotations

import csv
import functools
import pathlib
import sys
import time
import warnings

import numpy as np
import tasks

MARKS = (10, 25, 50, 75, 100)
HERE = pathlib.Path(__file__).resolve().parent


def value_of(trial, name, spec):
    if "float" in spec:
        return trial.suggest_float(name, *spec["float"])
    if "log" in spec:
        return trial.suggest_float(name, *spec["log"], log=True)
    if "int" in spec:
        return trial.suggest_int(name, *spec["int"])
    if "ordinal" in spec:  # by its place, so that the peer sees the order
        return spec["ordinal"][trial.suggest_int(name, 0, len(spec["ordinal"]) - 1)]
    return trial.suggest_categorical(name, spec["choice"])


def draw(space, pick):
    """Parameters in order, parents first; pick(name, spec) chooses."""
    out = {}
    for name, spec in space.items():
        if all(out.get(parent) == value for parent, value in spec.get("when", {}).items()):
            out[name] = pick(name, spec)
    return out


def with_optuna(peer, task, seed, mark):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if peer == "gp":
        sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=not isinstance(task, tasks.Table))
    else:
        sampler = optuna.samplers.TPESampler(seed=seed, **({"group": True, "multivariate": True} if peer == "tpe-group" else {}))
    study = optuna.create_study(sampler=sampler)
    values, spent = [], 0.0
    for k in range(1, MARKS[-1] + 1):
        start = time.perf_counter()
        trial = study.ask()
        params = draw(task.space, functools.partial(value_of, trial))
        spent += time.perf_counter() - start
        values.append((task.noisy(params), params))
        study.tell(trial, values[-1][0])
        if k in MARKS:
            mark(k, min(values, key=lambda v: v[0])[1], spent)


def neighbour(space, params, moved, pick):
    return draw(space, lambda name, spec: pick(name, spec) if name == moved or name not in params else params[name])


def without(peer, task, seed, mark):
    """Random search, or local search: one parameter of the best changes; a new start when no neighbour is left."""
    random = np.random.default_rng([seed, 5])

    def pick(name, spec):
        for kind in ("choice", "ordinal"):
            if kind in spec:
                return spec[kind][random.integers(len(spec[kind]))]
        low, high = spec.get("float") or spec["int"]
        return int(random.integers(low, high + 1)) if "int" in spec else float(random.uniform(low, high))

    best, here, tried = None, None, 0
    for k in range(1, MARKS[-1] + 1):
        if peer == "random" or here is None or tried > 3 * len(task.space):
            params, start = draw(task.space, pick), True
        else:
            params, start = neighbour(task.space, here[1], list(here[1])[random.integers(len(here[1]))], pick), False
        found = (task.noisy(params), params)
        if start or found[0] < here[0]:
            here, tried = found, 0
        else:
            tried += 1
        best = found if best is None or found[0] < best[0] else best
        if k in MARKS:
            mark(k, best[1], 0.0)


def write(out, task, seed, trials, params, spent):
    out.writerow([task.name, seed, trials, f"{task.regret(task.true(params)):.6g}", f"{spent:.3f}"])


def main(suite, peer, seeds):
    folder = HERE / "traces"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{suite}-{peer}.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["task", "seed", "trials", "regret", "seconds"])
        for name in tasks.names(suite):
            for seed in range(seeds):
                task = tasks.make(name, seed)
                play = without if peer in ("random", "local") else with_optuna
                play(peer, task, seed, functools.partial(write, out, task, seed))
                file.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
