"""A job that wants more memory than its machine has: the kernel kills its rank, nothing else, and the reason says so."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile
import unittest

from cluster import Cluster, Json, wait_for

BIN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release/bin"
LIMIT = 1 << 30  # bytes for a worker and its ranks


def new_group() -> pathlib.Path:
    """A control group with LIMIT bytes of memory below ours. OSError where none can be made."""
    version_1 = pathlib.Path("/sys/fs/cgroup/memory")
    root, limit = (version_1, "memory.limit_in_bytes") if version_1.is_dir() else (pathlib.Path("/sys/fs/cgroup"), "memory.max")
    wanted = "memory" if version_1.is_dir() else ""
    lines = [line.split(":", 2) for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()]
    ours = root / next(path for _, controllers, path in lines if controllers == wanted).lstrip("/")
    group = ours / f"ds-oom-{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(LIMIT))
    except OSError:
        group.rmdir()
        raise
    return group


class OutOfMemory(unittest.TestCase):
    def setUp(self) -> None:
        try:
            self.group = new_group()
        except OSError as error:
            self.skipTest(f"no control group can be made: {error}")
        self.addCleanup(lambda: wait_for("the group is empty", 10, self.remove_group))
        temporary = tempfile.TemporaryDirectory(prefix="ds-oom-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.cluster = Cluster(BIN, self.folder, workers=1)
        self.addCleanup(self.cluster.down)
        self.worker = self.cluster.record()["workers"][0]["pid"]
        try:
            (self.group / "cgroup.procs").write_text(str(self.worker))
        except OSError as error:  # version 2 has no processes beside groups
            self.skipTest(f"no process can be moved to a new control group: {error}")

    def remove_group(self) -> bool:
        try:
            self.group.rmdir()
        except OSError:
            return False
        return True

    def train(self, hidden: int) -> Json:
        path = self.folder / "job.yaml"
        job = {
            "model": {"family": "mlp", "hidden": [hidden, hidden]},
            "data": {"dataset": "fashion_mnist", "limit": 1280},
            "train": {"epochs": 1, "batch_size": 128, "seed": 7, "optimizer": {"name": "adamw", "lr": 0.001}},
        }
        path.write_text(json.dumps({"name": "oom", **job}))
        return self.cluster.wait_end(self.cluster.submit(path))

    def test_the_hungry_rank_is_killed_and_named_and_the_cluster_lives(self) -> None:
        end = self.train(hidden=12000)
        self.assertEqual(end["state"], "FAILED")
        self.assertIn("for want of memory", end["reason"])
        self.assertTrue(pathlib.Path(f"/proc/{self.worker}").exists())
        small = self.train(hidden=64)
        self.assertEqual(small["state"], "SUCCEEDED", small["reason"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    options, rest = parser.parse_known_args()
    BIN = options.bin
    result = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False).result
    for _, why in result.skipped:
        print(why)
    sys.exit(77 if result.skipped else not result.wasSuccessful())
