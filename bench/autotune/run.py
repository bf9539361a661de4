"""AutoTune against the kept traces of its peers: run.py --suite NAME [--seeds N], one JSON object a case.

Suites: jenatton, nb201, hpolib, hpobench, bbob, bbob-mixint (regret of the configuration that each would recommend, after
25, 50 and 100 trials; a paired bootstrap interval of the difference to each peer over tasks and seeds that both have),
overhead (milliseconds of CPU a suggestion), async (8 workers under a virtual clock), faults, cifar10 (equal parameters).
Runs in the bench environment (bench/setup); the peers' traces are made once by peer_optuna.py.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENV = pathlib.Path(os.environ.get("DS_BENCH_VENV", pathlib.Path.home() / ".cache/deepseek/bench"))
MARKS = (25, 50, 100)
TABLES = ("jenatton", "nb201", "hpolib", "hpobench", "bbob", "bbob-mixint")


def emit(suite, case, ours, unit, peer=None, peer_value=None, **more):
    ratio = ours / peer_value if peer_value and peer_value > 0 else None
    print(json.dumps({"bench": "autotune", "case": f"{suite}: {case}", "ours": ours, "peer": peer, "peer_value": peer_value, "unit": unit,
                      "ratio": ratio, **more}), flush=True)  # fmt: skip


def study_of(task, seed, **options):
    import deepseek as ds

    return ds.AutoTune(task.space, minimize="value", seed=seed, **options)


def play(task, seed, marks, **options):
    """Regret of the recommended configuration at each mark."""
    study, out = study_of(task, seed, **options), []
    for k in range(1, max(marks) + 1):
        trial = study.ask()
        study.tell(trial, task.noisy(trial.params))
        if k in marks:
            out.append(task.regret(task.true(study.best.params)))
    return out


def traces(suite):
    """peer -> (task, seed) -> trials -> regret."""
    out = {}
    for path in sorted((HERE / "traces").glob(f"{suite}-*.csv")):
        peer = path.stem[len(suite) + 1 :]
        if peer.startswith("mixint-"):
            continue  # of the suite whose name begins alike
        rows = out[peer] = collections.defaultdict(dict)
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                rows[row["task"], int(row["seed"])][int(row["trials"])] = float(row["regret"])
    return out


def interval(differences):
    """95 % of the mean, by the bootstrap."""
    import numpy as np

    d, random = np.asarray(differences), np.random.default_rng(0)
    means = d[random.integers(0, len(d), (4000, len(d)))].mean(axis=1)
    return [float(v) for v in np.percentile(means, [2.5, 97.5])]


def regret(suite, seeds):
    import numpy as np
    import tasks

    ours = {}
    for name in tasks.names(suite):
        for seed in range(seeds):
            task = tasks.make(name, seed)
            ours[task.name, seed] = dict(zip(MARKS, play(task, seed, MARKS), strict=True))
    unit = "log10 regret" if suite.startswith("bbob") else "regret"
    for mark in MARKS:
        mean = float(np.mean([r[mark] for r in ours.values()]))
        emit(suite, f"{mark} trials", mean, unit, runs=len(ours))
        for peer, theirs in traces(suite).items():
            both = [k for k in ours if k in theirs and mark in theirs[k]]
            if both:
                difference = [ours[k][mark] - theirs[k][mark] for k in both]
                emit(suite, f"{mark} trials, same tasks and seeds", float(np.mean([ours[k][mark] for k in both])), unit, peer,
                     float(np.mean([theirs[k][mark] for k in both])), runs=len(both), difference_95=interval(difference))  # fmt: skip


def overhead(_, seeds):
    """CPU time of ask and tell, of a study of floats, in the ten trials up to n."""
    import time

    import numpy as np

    import deepseek as ds

    for n, d in ((50, 10), (100, 10), (200, 20)):
        times = []
        for seed in range(seeds):
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
    import heapq

    import numpy as np
    import tasks

    parallel, alone, twice = [], [], 0
    for name in tasks.names("hpolib"):
        for seed in range(seeds):
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
    import numpy as np
    import tasks

    dirty, clean, late, asked = [], [], 0, 0
    for name in tasks.names("hpolib"):
        for seed in range(seeds):
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


def cifar10(_, seeds):
    """100 trials in each parameter count that at least 90 cells of NAS-Bench-201 share."""
    import itertools

    import numpy as np
    import tasks

    task = tasks.make(("nb201", "cifar10"), 0)
    names = list(task.space)
    strata = collections.defaultdict(list)
    for cell in itertools.product(*(task.space[n]["choice"] for n in names)):
        size = 73306 + 243040 * cell.count("nor_conv_3x3") + 28000 * cell.count("nor_conv_1x1")
        strata[size].append(-task.true(dict(zip(names, cell, strict=True))))
    gains, ceilings, resnet = [], [], []
    for size, values in strata.items():
        if len(values) < 90:
            continue
        for seed in range(seeds):
            own = tasks.make(("nb201", "cifar10"), seed)
            rule = lambda p, size=size: 73306 + 243040 * list(p.values()).count("nor_conv_3x3") + 28000 * list(p.values()).count("nor_conv_1x1") == size  # noqa: E731
            study = study_of(own, seed, constraints=[rule])
            study.optimize(lambda trial, own=own: own.noisy(trial.params), 100 if len(values) > 100 else len(values) - 5)
            found = -own.true(study.best.params)
            gains.append(found - float(np.median(values)))
            ceilings.append(max(values) - float(np.median(values)))
            if size == 559386:
                resnet.append(found)
    emit("cifar10", "gain over the median cell of the same size", float(np.mean(gains)), "points", "the stratum's best", float(np.mean(ceilings)),
         difference_95=interval(np.subtract(gains, ceilings)))  # fmt: skip
    cell = dict(zip(names, ("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "skip_connect"), strict=True))
    emit("cifar10", "at the ResNet cell's 559,386 parameters", float(np.mean(resnet)), "accuracy", f"a ResNet cell {'+'.join(cell.values())}",
         -task.true(cell))  # fmt: skip


def main():
    suites = {**dict.fromkeys(TABLES, regret), "overhead": overhead, "async": workers, "faults": faults, "cifar10": cifar10}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=suites, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    suites[arguments.suite](arguments.suite, arguments.seeds)


if __name__ == "__main__":
    own = VENV / "bin/python"
    if "DS_AUTOTUNE_BENCH" not in os.environ and own.exists():  # where numpy and the tables are
        paths = os.pathsep.join([str(HERE), str(HERE.parents[1] / "build/release/python")])
        environment = dict(os.environ, DS_AUTOTUNE_BENCH="1", PYTHONPATH=paths, OMP_NUM_THREADS="1")
        sys.exit(subprocess.run([own, __file__, *sys.argv[1:]], env=environment).returncode)
    main()
