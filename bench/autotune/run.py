"""AutoTune against the kept traces of its peers: run.py --suite NAME [--seeds N] [--first SEED], one JSON object a case.

Suites: jenatton, nb201, hpolib, hpobench, bbob, bbob-mixint (regret of the configuration that each would recommend, after
25, 50 and 100 trials; a paired bootstrap interval of the difference to each peer over tasks and seeds that both have; mean ranks),
samples (trials to what Optuna's TPE has after 100), overhead (milliseconds of CPU a suggestion), async (8 workers under a virtual
clock), faults, cifar10 (equal parameters), stopping (on kept learning curves; against ASHA and Optuna's pruners), ablation (with
and without each part), cnn (found against the default at no more parameters, on Fashion-MNIST).
Runs in the bench environment (bench/setup); the peers' traces are made once by make_traces.py.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENV = pathlib.Path(os.environ.get("DS_BENCH_VENV", pathlib.Path.home() / ".cache/deepseek/bench"))
SUITES = {  # name -> module and function, called with the name and the seeds
    **dict.fromkeys(("jenatton", "nb201", "hpolib", "hpobench", "bbob", "bbob-mixint"), "regret.regret"),
    "samples": "samples.samples",
    "overhead": "running.overhead",
    "async": "running.workers",
    "faults": "running.faults",
    "cifar10": "cifar10.cifar10",
    "stopping": "stopping.stopping",
    "ablation": "ablation.ablation",
    "cnn": "cnn.cnn",
}
FIRST = {"ablation": 100}  # no default was chosen by the seeds from there on


def seeds_of(arguments):
    first = FIRST.get(arguments.suite, 0) if arguments.first is None else arguments.first
    return range(first, first + arguments.seeds)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=SUITES, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first", type=int, help="the first of them: 0, of ablation 100, which chose no default")
    arguments = parser.parse_args()
    module, function = SUITES[arguments.suite].split(".")
    getattr(importlib.import_module(module), function)(arguments.suite, seeds_of(arguments))


if __name__ == "__main__":
    own = VENV / "bin/python"
    if "DS_AUTOTUNE_BENCH" not in os.environ and own.exists():  # where numpy and the tables are
        paths = os.pathsep.join([str(HERE), str(HERE.parents[1] / "build/release/python")])
        environment = dict(os.environ, DS_AUTOTUNE_BENCH="1", PYTHONPATH=paths, OMP_NUM_THREADS="1")
        sys.exit(subprocess.run([own, __file__, *sys.argv[1:]], env=environment).returncode)
    main()
