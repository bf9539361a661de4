"""What every suite needs: a case's line, AutoTune's own run of a task, the kept traces of its peers, an interval."""

from __future__ import annotations

import collections
import csv
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MARKS = (25, 50, 100)


def emit(suite, case, ours, unit, peer=None, peer_value=None, **more):
    ratio = ours / peer_value if peer_value and peer_value > 0 else None
    print(json.dumps({"bench": "autotune", "case": f"{suite}: {case}", "ours": ours, "peer": peer, "peer_value": peer_value, "unit": unit,
                      "ratio": ratio, **more}), flush=True)  # fmt: skip


def study_of(task, seed, **options):
    import deepseek as ds

    return ds.AutoTune(task.space, minimize="value", seed=seed, **options)


def studies(task, seed, marks, **options):
    """The study at each mark."""
    study = study_of(task, seed, **options)
    for k in range(1, max(marks) + 1):
        trial = study.ask()
        study.tell(trial, task.noisy(trial.params))
        if k in marks:
            yield study


def play(task, seed, marks, **options):
    """Regret of the recommended configuration at each mark."""
    return [task.regret(task.true(study.best.params)) for study in studies(task, seed, marks, **options)]


def traces(suite, column="regret"):
    """peer -> (task, seed) -> trials -> regret, or the seconds that suggestions took."""
    out = {}
    for path in sorted((HERE / "traces").glob(f"{suite}-*.csv")):
        peer = path.stem[len(suite) + 1 :]
        if peer.startswith("mixint-"):
            continue  # of the suite whose name begins alike
        rows = out[peer] = collections.defaultdict(dict)
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                rows[row["task"], int(row["seed"])][int(row["trials"])] = float(row[column])
    return out


def interval(differences):
    """95 % of the mean, by the bootstrap."""
    d, random = np.asarray(differences), np.random.default_rng(0)
    means = d[random.integers(0, len(d), (4000, len(d)))].mean(axis=1)
    return [float(v) for v in np.percentile(means, [2.5, 97.5])]
