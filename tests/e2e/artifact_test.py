"""Jobs that name files, on real daemons: traced models and tensors, uploaded, fetched, damaged, and a coordinator that dies."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from cluster import Cluster, Json, losses, wait_for

BIN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release/bin"

try:
    import numpy as np

    import deepseek as ds
    from deepseek import _trace
except ImportError as e:
    print(f"no Python package here: {e}")
    sys.exit(77)


class Net(ds.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = ds.nn.Linear(16, 32)
        self.out = ds.nn.Linear(32, 3)

    def forward(self, x: ds.Tensor) -> ds.Tensor:
        return self.out(ds.functional.relu(self.hidden(x)))


def make_files(folder: pathlib.Path, samples: int) -> None:
    """model.safetensors, and a problem with a linear solution in data.safetensors."""
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, 16)).astype(np.float32)
    y = (x @ random.normal(size=(16, 3)).astype(np.float32)).argmax(1).astype(np.int64)
    ds.manual_seed(0)
    _trace.trace(Net(), None, x[:2], y[:2], str(folder / "model.safetensors"))
    test = samples // 10
    _trace.write_tensors(str(folder / "data.safetensors"), (x[test:], y[test:]), (x[:test], y[:test]))


class Artifacts(unittest.TestCase):
    def setUp(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ds-e2e-")
        self.folder = pathlib.Path(self._temporary.name)
        self.cluster = Cluster(BIN, self.folder, workers=2)

    def tearDown(self) -> None:
        self.cluster.down()
        self._temporary.cleanup()

    def submit(self, model: str = "model.safetensors", data: str = "data.safetensors", **train: Json) -> str:
        job = {
            "name": "traced",
            "model": {"graph": model},
            "data": {"dataset": "tensors", "path": data},
            "train": {"epochs": 1, "batch_size": 128, "seed": 3, "optimizer": {"lr": 0.003}, **train},
            "strategy": {"data_parallel": 2},
        }
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(job))
        return self.cluster.submit(path)

    def finished(self, job: str) -> Json:
        end = self.cluster.wait_end(job)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        return end

    def stored(self) -> list[pathlib.Path]:
        return sorted((self.folder / "data/artifacts").iterdir())

    def coordinator(self) -> Json:
        return self.cluster.record()

    def kill_coordinator(self) -> Json:
        record = self.coordinator()
        os.kill(record["coordinator"]["pid"], signal.SIGKILL)
        return record

    def start_coordinator(self, record: Json) -> None:
        with (self.folder / "coordinator.log").open("wb") as log:
            self.cluster.started.append(
                subprocess.Popen(
                    [BIN / "ds-coordinator", "--listen", record["address"], "--http", record["http"], "--data", record["data"]],
                    stdout=log,
                    stderr=log,
                )
            )

    def test_a_traced_model_trains_with_no_python_on_the_workers(self) -> None:
        make_files(self.folder, 20000)
        end = self.finished(self.submit())
        self.assertGreater(end["metrics"]["test_accuracy"], 0.8)
        self.assertTrue(end["spec"]["model"]["graph"].startswith("sha256:"))
        self.assertEqual(len(self.cluster.json("artifact", "list")), 2)
        again = self.finished(self.submit())
        self.assertEqual(
            losses(self.cluster.json("job", "metrics", again["id"])), losses(self.cluster.json("job", "metrics", end["id"]))
        )
        self.assertEqual(len(self.stored()), 2)

    def test_a_coordinator_that_dies_while_workers_fetch(self) -> None:
        make_files(self.folder, 3_000_000)
        job = self.submit(max_steps=50)
        record = self.kill_coordinator()
        parts = list((self.folder / "data").glob("worker-*/artifacts/*.part"))
        self.start_coordinator(record)
        end = self.finished(job)
        self.assertEqual(end["restarts"], 0, f"cut off in the middle of {parts}")

    def test_what_is_damaged_on_the_coordinators_disk_fails_the_job_with_words(self) -> None:
        make_files(self.folder, 2000)
        digest = self.cluster.json("artifact", "put", str(self.folder / "data.safetensors"))["digest"]
        file = self.folder / "data/artifacts" / digest.removeprefix("sha256:")
        file.chmod(0o644)
        with file.open("r+b") as stream:
            stream.truncate(file.stat().st_size // 2)
        end = self.cluster.wait_end(self.submit(data=digest))
        self.assertEqual((end["state"], end["restarts"]), ("FAILED", 0))
        self.assertIn(f"{digest} is damaged on the coordinator's disk", end["reason"])
        self.assertEqual(self.cluster.json("artifact", "put", str(self.folder / "data.safetensors"))["digest"], digest)
        self.finished(self.submit(data=digest))

    def test_what_was_never_uploaded_is_refused_at_once(self) -> None:
        make_files(self.folder, 2000)
        with self.assertRaisesRegex(RuntimeError, "ended with 5.*model.graph: sha256:0+ is not among"):
            self.submit(model="sha256:" + 64 * "0")
        with self.assertRaisesRegex(RuntimeError, "ended with 2.*data.path: there is no file"):
            self.submit(data="nothing.safetensors")
        self.assertEqual(self.cluster.json("job", "list"), [])

    def test_a_file_that_is_no_graph_fails_once(self) -> None:
        make_files(self.folder, 2000)
        end = self.cluster.wait_end(self.submit(model="data.safetensors"))
        self.assertEqual((end["state"], end["restarts"]), ("FAILED", 0))
        self.assertNotEqual(end["reason"], "")

    def test_a_live_jobs_files_are_shown(self) -> None:
        make_files(self.folder, 20000)
        job = self.submit(epochs=500)
        self.cluster.wait_step(job, 5)
        self.assertEqual([a["jobs"] for a in self.cluster.json("artifact", "list")], [[job], [job]])
        self.cluster.run("job", "cancel", job)
        wait_for("nobody needs them", 30, lambda: all(not a["jobs"] for a in self.cluster.json("artifact", "list")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    options, rest = parser.parse_known_args()
    BIN = options.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
