"""Traces of AutoTune's peers, made once and kept: make_traces.py SUITE PEER SEEDS [TRIALS].

One CSV row a mark: task, seed, trials, true regret of what the peer itself recommends, and the seconds of CPU that it has spent in
ask and tell (Optuna's rows: of the clock, in ask). A study that is already there stays as it is: a run goes on where another ended.
"""

from __future__ import annotations

import csv
import os
import pathlib
import sys
import time
import warnings

import peers

MARKS = (10, 25, 50, 75, 100)
COLUMNS = ("task", "seed", "trials", "regret", "seconds")
VENVS = pathlib.Path(os.environ.get("DS_BENCH_VENV", pathlib.Path.home() / ".cache/deepseek/bench")).parent


def path_of(suite, peer):
    return pathlib.Path(__file__).resolve().parent / "traces" / f"{suite}-{peer}.csv"


def study(peer, task, trials):
    """Rows of one study. Every peer sees the same stream of noise, in the order of its trials."""
    best, spent = None, 0.0
    for k in range(1, trials + 1):
        start = time.process_time()
        token, params = peer.ask()
        spent += time.process_time() - start
        value = task.noisy(params)
        if best is None or value < best[0]:
            best = value, params
        start = time.process_time()
        peer.tell(token, value)
        spent += time.process_time() - start
        if k in MARKS:
            yield k, f"{task.regret(task.true(peer.recommend(best[1]))):.6g}", f"{spent:.3f}"


def main(suite, peer, seeds, trials=MARKS[-1]):
    warnings.simplefilter("ignore")
    import tasks  # wants numpy

    path = path_of(suite, peer)
    path.parent.mkdir(exist_ok=True)
    kept = set()
    if path.exists():
        with open(path, newline="") as file:
            kept = {(row["task"], int(row["seed"])) for row in csv.DictReader(file)}
    with open(path, "a", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        if not file.tell():
            out.writerow(COLUMNS)
        for seed in range(seeds):
            for name in tasks.names(suite):
                task = tasks.make(name, seed)
                if (task.name, seed) not in kept:
                    rows = list(study(peers.make(peer, task, seed, trials), task, trials))
                    out.writerows([task.name, seed, *row] for row in rows)
                    file.flush()


if __name__ == "__main__":
    home = VENVS / peers.PEERS[sys.argv[2]][0]
    if pathlib.Path(sys.prefix) != home and (home / "bin/python").exists():
        os.execve(home / "bin/python", [home / "bin/python", *sys.argv], dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"))
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
