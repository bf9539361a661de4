"""Samples to a peer's value: after how many trials AutoTune recommends what is, in truth, as good as what Optuna's TPE recommends
after 100, on the same task and seed. Suite samples."""

from __future__ import annotations

import numpy as np
import tasks
from figures import emit, play, traces

TRIALS = 100
NEVER = TRIALS + 1  # counts for a run that does not get there, so that quartiles are of all runs
SUITES = ("jenatton", "nb201", "hpolib", "hpobench")


def reached(regrets, target):
    """(the first trial after which the regret is no more than the target's, the first from which on it is so to the end)."""
    there = [k for k, regret in enumerate(regrets, 1) if regret <= target]
    missed = [k for k, regret in enumerate(regrets, 1) if regret > target]
    stays = missed[-1] + 1 if missed else 1
    return there[0] if there else NEVER, stays if stays <= len(regrets) else NEVER


def report(suite, counts):
    for case, trials in zip(("reaches it", "and stays"), np.transpose(counts), strict=True):
        low, median, high = (float(v) for v in np.percentile(trials, [25, 50, 75]))
        emit("samples", f"{suite}, {case}: median", median, "trials", "Optuna TPE", TRIALS, quartiles=[low, high],
             not_reached=float(np.mean(trials == NEVER)), runs=len(trials))  # fmt: skip


def samples(_, seeds):
    whole = []
    for suite in SUITES:
        theirs, counts = traces(suite)["tpe"], []
        for name in tasks.names(suite):
            for seed in seeds:
                task = tasks.make(name, seed)
                target = theirs.get((task.name, seed), {}).get(TRIALS)
                if target is not None:
                    # a trace has six digits
                    counts.append(reached(play(task, seed, range(1, TRIALS + 1)), target * (1 + 1e-5) + 1e-9))
        report(suite, counts)
        whole += counts
    report("all", whole)
