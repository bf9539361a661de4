"""What a study costs, and how it fares with workers beside it and with failures: suites overhead, async, faults."""

from __future__ import annotations

import heapq
import time

import numpy as np
import tasks
from figures import emit, interval, play, study_of


def overhead(_, seeds):
    """CPU time of ask and tell, of a study of floats, in the ten trials up to n."""
    import deepseek as ds

    for n, d in ((50, 10), (100, 10), (200, 20)):
        times = []
        for seed in seeds:
            study = ds.AutoTune({f"x{i}": {"float": [0.0, 1.0]} for i in range(d)}, minimize="f", seed=seed)
            for k in range(n):
                start = time.thread_time()
                trial = study.ask()
                asked = time.thread_time() - start
                value = sum((v - 0.3) ** 2 for v in trial.params.values())
                start = time.thread_time()
                study.tell(trial, value)
                if k >= n - 10:
                    times.append(1e3 * (asked + time.thread_time() - start))
        for p in (50, 95):
            emit("overhead", f"n = {n}, d = {d}, p{p}", float(np.percentile(times, p)), "ms")


def workers(_, seeds):
    """8 workers under a virtual clock: trials of 0.5 to 1.5 s; the same number of trials one after another."""
    parallel, alone, twice = [], [], 0
    for name in tasks.names("hpolib"):
        for seed in seeds:
            task, clock = tasks.make(name, seed), np.random.default_rng(seed)
            study, running, now = study_of(task, seed), [], 0.0
            for k in range(100):
                if len(running) == 8:
                    now, _, trial = heapq.heappop(running)
                    study.tell(trial, task.noisy(trial.params))
                trial = study.ask()
                twice += any(trial.params == other[2].params for other in running)
                heapq.heappush(running, (now + clock.uniform(0.5, 1.5), k, trial))
            for _, _, trial in sorted(running, key=lambda r: r[:2]):
                study.tell(trial, task.noisy(trial.params))
            parallel.append(task.regret(task.true(study.best.params)))
            alone += play(tasks.make(name, seed), seed, (100,))
    emit("async", "hpolib, 100 trials, 8 workers against 1", float(np.mean(parallel)), "regret", "sequential", float(np.mean(alone)),
         difference_95=interval(np.subtract(parallel, alone)))  # fmt: skip
    emit("async", "suggestions equal to a pending one", twice, "trials")


def faults(_, seeds):
    """A fifth of the trials lost, 30 % of the space out of memory (the largest first layers of nets with small batches)."""
    dirty, clean, late, asked = [], [], 0, 0
    for name in tasks.names("hpolib"):
        for seed in seeds:
            task, chance = tasks.make(name, seed), np.random.default_rng(seed)
            table = [(u, b) for u in task.index["n_units_1"] for b in task.index["batch_size"]]
            big = set(sorted(table, key=lambda p: -p[0] * p[1])[: round(0.3 * len(table))])
            study, values = study_of(task, seed), 0
            while values < 100 and study._study.next_trial() < 400:
                trial = study.ask()
                if chance.random() < 0.2:
                    study.tell(trial, failed="infrastructure")
                    continue
                fails = (trial.params["n_units_1"], trial.params["batch_size"]) in big
                values += 1
                if values > 30:
                    asked, late = asked + 1, late + fails
                study.tell(trial, failed="oom") if fails else study.tell(trial, task.noisy(trial.params))
            dirty.append(task.regret(task.true(study.best.params)))
            plain = tasks.make(name, seed)
            rule = [lambda p, big=big: (p["n_units_1"], p["batch_size"]) not in big]
            study = study_of(plain, seed, constraints=rule)
            study.optimize(lambda trial, plain=plain: plain.noisy(trial.params), 100)
            clean.append(plain.regret(plain.true(study.best.params)))
    emit("faults", "hpolib, 20 % lost, 30 % out of memory", float(np.mean(dirty)), "regret", "the limit known, none lost", float(np.mean(clean)),
         difference_95=interval(np.subtract(dirty, clean)))  # fmt: skip
    emit("faults", "trials out of memory after the 30th", late / max(asked, 1), "share")
