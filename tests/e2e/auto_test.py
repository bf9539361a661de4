"""data_parallel: auto while things go wrong: a worker is killed in the middle of what the plan needs."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import unittest

from cluster import Cluster, wait_for

BIN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release/bin"

# Stands for ds-executor beside ds-worker: a profile waits at the gate, after it has said whose worker's it is.
WRAPPER = """#!/bin/sh
case " $* " in
  *" --profile "*)
    echo $PPID >>{folder}/profiled
    while [ -e {folder}/gate ]; do sleep 0.02; done ;;
esac
exec {executor} "$@"
"""

JOB = {
    "name": "auto",
    "model": {"family": "mlp", "hidden": [64]},
    "data": {"dataset": "fashion_mnist", "limit": 6400},
    "train": {"epochs": 2, "batch_size": 64, "seed": 7, "optimizer": {"name": "adamw", "lr": 0.001}},
    "strategy": {"data_parallel": "auto"},
}


class Auto(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="ds-auto-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        binaries = self.folder / "bin"
        binaries.mkdir()
        for name in ("dsctl", "ds-coordinator", "ds-worker"):
            shutil.copy(BIN / name, binaries / name)
        wrapper = binaries / "ds-executor"
        wrapper.write_text(WRAPPER.format(folder=self.folder, executor=BIN / "ds-executor"))
        wrapper.chmod(0o755)
        (self.folder / "profiled").touch()
        self.cluster = Cluster(binaries, self.folder, workers=2)
        self.addCleanup(self.cluster.down)

    def submit(self) -> str:
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(JOB))
        return self.cluster.submit(path)

    def profilers(self, count: int) -> list[int]:
        """The workers' pids that began to profile, once there are so many."""
        path = self.folder / "profiled"
        return wait_for(f"{count} profiles", 30, lambda: (lines := path.read_text().split())[count - 1 :] and [int(p) for p in lines])

    def test_another_worker_profiles_where_one_was_killed(self) -> None:
        (self.folder / "gate").touch()
        job = self.submit()
        (first,) = self.profilers(1)
        self.assertEqual(self.cluster.get(job)["state"], "PENDING")
        os.kill(first, signal.SIGKILL)
        second = self.profilers(2)[1]
        self.assertNotEqual(first, second)
        (self.folder / "gate").unlink()
        end = self.cluster.wait_end(job)
        self.assertEqual((end["state"], end["restarts"], end["progress"]["step"]), ("SUCCEEDED", 0, 200), end["reason"])
        self.assertEqual(end["plan"]["data_parallel"], 1)  # one slot is left

    def test_a_job_that_is_cancelled_is_profiled_for_nobody(self) -> None:
        (self.folder / "gate").touch()
        job = self.submit()
        self.profilers(1)
        self.cluster.run("job", "cancel", job)
        self.assertEqual(self.cluster.wait_end(job)["state"], "CANCELLED")
        (self.folder / "gate").unlink()
        again = self.cluster.wait_end(self.submit())
        self.assertEqual(again["state"], "SUCCEEDED", again["reason"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    options, rest = parser.parse_known_args()
    BIN = options.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
