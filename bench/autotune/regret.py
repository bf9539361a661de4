"""Regret of what each would recommend, on tables and functions: AutoTune against the kept traces of its peers."""

from __future__ import annotations

import numpy as np
import tasks
from figures import MARKS, emit, interval, studies, traces


def regret(suite, seeds):
    ours, held = {}, {mark: [] for mark in MARKS}
    for name in tasks.names(suite):
        for seed in seeds:
            task = tasks.make(name, seed)
            own = ours[task.name, seed] = {}
            for mark, study in zip(MARKS, studies(task, seed, MARKS), strict=True):
                best = study.best
                true = task.true(best.params)
                own[mark] = task.regret(true)
                held[mark].append(best.low <= true <= best.high)
    unit = "log10 regret" if suite.startswith("bbob") else "regret"
    peers, seconds = traces(suite), traces(suite, "seconds")
    for mark in MARKS:
        emit(suite, f"{mark} trials", float(np.mean([r[mark] for r in ours.values()])), unit, runs=len(ours))
        if suite in ("nb201", "hpolib", "hpobench"):  # elsewhere there is no noise, and the best is the best seen
            emit(suite, f"{mark} trials, the interval holds the true value", float(np.mean(held[mark])), "share", "stated", 0.95)
        for peer, theirs in peers.items():
            both = [k for k in ours if mark in theirs.get(k, ())]
            if both:
                difference = [ours[k][mark] - theirs[k][mark] for k in both]
                emit(suite, f"{mark} trials, same tasks and seeds", float(np.mean([ours[k][mark] for k in both])), unit, peer,
                     float(np.mean([theirs[k][mark] for k in both])), runs=len(both), difference_95=interval(difference),
                     peer_seconds_a_trial=float(np.mean([seconds[peer][k][mark] for k in both])) / mark)  # fmt: skip
        ranks(suite, mark, {"AutoTune": ours, **peers})


def ranks(suite, mark, entrants):
    """Mean rank over the runs that all who have the mark have; equal regrets share a rank."""
    from scipy.stats import rankdata

    having = {name: {k for k, rows in runs.items() if mark in rows} for name, runs in entrants.items()}
    having = {name: keys for name, keys in having.items() if keys}
    both = sorted(set.intersection(*having.values()))
    if len(having) < 2 or not both:
        return
    table = rankdata([[entrants[name][k][mark] for name in having] for k in both], axis=1).mean(axis=0)
    own, *others = (float(rank) for rank in table)
    for peer, rank in zip(list(having)[1:], others, strict=True):
        emit(suite, f"{mark} trials, mean rank of {len(having)}", own, "rank", peer, rank, runs=len(both))
