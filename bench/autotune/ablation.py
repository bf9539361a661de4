"""What each part of AutoTune brings: the same studies with it and without, on seeds that no default was chosen by. Suite ablation."""

from __future__ import annotations

import numpy as np
import tasks
from figures import MARKS, emit, interval, play

ALL = ("nb201", "hpolib", "hpobench", "jenatton", "bbob")
PARTS = {  # name -> options without it, and the suites where it plays
    "the policy": ({"policy_rounds": 0}, ALL),
    "mutants": ({"mutants": 0}, ALL),
    "boldness": ({"bold": 0.0}, ALL),
    "counts of shared choices": ({"counts": False}, ("nb201",)),
    "the local arm": ({"local": False}, ("jenatton", "bbob")),
    "the half-rank transform": ({"warps": [0, 2]}, ALL),
    "the power transform": ({"warps": [0, 1]}, ALL),
    "a second chain a transform": ({"chains_per_warp": 1}, ALL),
    "modes of the posterior": ({"modes": False}, ("hpolib", "hpobench", "jenatton", "bbob")),
    "replicates": ({"replicates": False}, ("nb201", "hpolib", "hpobench")),
}


def runs(suite, seeds, **options):
    """One row a study: its regret at the marks."""
    own = seeds[: max(1, len(seeds) // 10)] if suite == "bbob" else seeds  # it has 48 tasks
    return np.array([play(tasks.make(name, seed), seed, MARKS, **options) for name in tasks.names(suite) for seed in own])


def ablation(_, seeds):
    whole = {suite: runs(suite, seeds) for suite in ALL}
    for part, (options, suites) in PARTS.items():
        for suite in suites:
            without = runs(suite, seeds, **options)
            for mark, own, other in zip(MARKS, whole[suite].T, without.T, strict=True):
                emit("ablation", f"{suite}, {mark} trials", float(own.mean()), "log10 regret" if suite == "bbob" else "regret", f"without {part}",
                     float(other.mean()), difference_95=interval(own - other), runs=len(own))  # fmt: skip
