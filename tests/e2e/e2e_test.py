"""What a user does, on real daemons over real sockets: submit, watch, pause, resume, cancel, drain, and wrong input."""

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
import urllib.request

from cluster import Cluster, Json, losses, wait_for

BIN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release/bin"


def job_file(**changes: Json) -> Json:
    job: Json = {
        "name": "e2e",
        "model": {"family": "mlp", "hidden": [128, 64]},
        "data": {"dataset": "fashion_mnist", "limit": 12800},
        "train": {"epochs": 4, "batch_size": 128, "seed": 7, "optimizer": {"name": "adamw", "lr": 0.001}},
        "strategy": {"data_parallel": 2},
        "checkpoint": {"every_steps": 50, "keep": 2},
    }
    for path, value in changes.items():
        *groups, key = path.split("__")
        at = job
        for group in groups:
            at = at.setdefault(group, {})
        at[key] = value
    return job


class EndToEnd(unittest.TestCase):
    cluster: Cluster
    folder: pathlib.Path
    _temporary: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls._temporary = tempfile.TemporaryDirectory(prefix="ds-e2e-")
        cls.folder = pathlib.Path(cls._temporary.name)
        cls.cluster = Cluster(BIN, cls.folder, workers=2)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cluster.down()
        cls._temporary.cleanup()

    def write(self, job: Json) -> pathlib.Path:
        path = self.folder / "job.yaml"
        path.write_text(json.dumps(job))  # JSON is YAML
        return path

    def submit(self, **changes: Json) -> str:
        return self.cluster.submit(self.write(job_file(**changes)))

    def history(self, job: str) -> list[Json]:
        return self.cluster.json("job", "metrics", job)

    def curve(self, job: str) -> dict[int, float]:
        return losses(self.history(job))

    def finished(self, job: str) -> Json:
        end = self.cluster.wait_end(job)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        return end

    def test_auto_is_planned_on_what_the_workers_measured(self) -> None:
        for worker in self.cluster.json("worker", "list"):
            self.assertGreater(worker["constants"]["busy"]["matmul_flops"], 1e6, worker)
            self.assertGreater(worker["constants"]["all_reduce_bytes_per_second"], 0, worker)
        end = self.finished(self.submit(strategy__data_parallel="auto"))
        plan = end["plan"]
        self.assertEqual(len(end["ranks"]), plan["data_parallel"])
        self.assertEqual({plan["data_parallel"]} | {a["data_parallel"] for a in plan["alternatives"]}, {1, 2})
        self.assertAlmostEqual(sum(plan["parts"].values()), plan["step_seconds"], places=9)
        self.assertGreater(plan["measured_step_seconds"], 0)
        self.assertIn("efficiency", plan["why"])
        self.assertTrue(all(a["why"] for a in plan["alternatives"]))
        self.assertIn("auto", json.dumps(end["spec"]["strategy"]))

    def test_a_job_trains_and_everything_about_it_can_be_seen(self) -> None:
        end = self.finished(self.submit())
        self.assertEqual(end["progress"], {"step": 400, "total_steps": 400, "epoch": 3})
        self.assertEqual([r["rank"] for r in end["ranks"]], [0, 1])
        self.assertNotEqual(end["ranks"][0]["worker"], end["ranks"][1]["worker"])
        self.assertGreater(end["metrics"]["test_accuracy"], 0.75)
        for key in ("created_at", "started_at", "finished_at"):
            self.assertRegex(end[key], r"^\d{4}-\d\d-\d\dT.*Z$")
        history = self.history(end["id"])
        self.assertEqual(sorted(losses(history)), list(range(1, 401)))
        evaluations = [r for r in history if r.get("kind") == "eval"]
        self.assertEqual([r["step"] for r in evaluations], [100, 200, 300, 400])
        self.assertEqual(evaluations[-1]["test_accuracy"], end["metrics"]["test_accuracy"])
        self.assertIn("rank=1", self.cluster.run("job", "logs", end["id"]))
        self.assertTrue((pathlib.Path(end["checkpoint"]) / "manifest.json").exists())

    def test_metrics_and_the_status_page_are_served(self) -> None:
        self.finished(self.submit(train__epochs=1))
        record = self.cluster.record()
        pages = {
            path: urllib.request.urlopen(f"http://{record['http']}{path}", timeout=10).read().decode()
            for path in ("/metrics", "/", "/api/jobs")
        }
        for name in ("ds_jobs", "ds_queue_wait_seconds", "ds_worker_heartbeat_age_seconds", "ds_job_restarts_total"):
            self.assertIn(name, pages["/metrics"])
        self.assertIn("<html", pages["/"])
        self.assertIn("e2e", pages["/api/jobs"])
        worker = urllib.request.urlopen(f"http://{record['workers'][0]['metrics']}/metrics", timeout=10).read().decode()
        self.assertIn("ds_", worker)

    def test_a_deterministic_curve_has_the_same_bits_on_one_and_two_ranks(self) -> None:
        one, two = (
            self.curve(self.finished(self.submit(train__deterministic=True, strategy__data_parallel=n))["id"]) for n in (1, 2)
        )
        self.assertEqual(one, two)

    def test_a_paused_job_goes_on_as_if_nothing_had_been(self) -> None:
        unbroken = self.curve(self.finished(self.submit(train__epochs=8))["id"])
        job = self.submit(train__epochs=8)
        self.cluster.wait_step(job, 60)
        self.cluster.run("job", "pause", job)
        paused = self.cluster.wait_state(job, {"PAUSED", "SUCCEEDED"})
        self.assertEqual(paused["state"], "PAUSED")
        self.assertLess(paused["progress"]["step"], 800)
        self.cluster.run("job", "resume", job)
        self.finished(job)
        self.assertEqual(self.curve(job), unbroken)

    def test_a_cancelled_job_ends_and_frees_its_slots(self) -> None:
        job = self.submit(train__epochs=500)
        self.cluster.wait_step(job, 5)
        self.cluster.run("job", "cancel", job)
        self.assertEqual(self.cluster.wait_end(job)["state"], "CANCELLED")
        self.finished(self.submit(train__epochs=1))

    def test_too_many_ranks_wait_and_say_why(self) -> None:
        job = self.submit(strategy__data_parallel=4)
        waiting = wait_for("a reason", 10, lambda: (j := self.cluster.get(job))["reason"] and j)
        self.assertEqual(waiting["state"], "PENDING")
        self.assertRegex(waiting["reason"], r"4 slots.*2")
        self.finished(self.submit(train__epochs=1))  # it does not hold up who fits
        self.cluster.run("job", "cancel", job)

    def test_a_users_mistake_fails_once_with_its_reason(self) -> None:
        end = self.cluster.wait_end(self.submit(data__path="/nowhere"))
        self.assertEqual((end["state"], end["restarts"]), ("FAILED", 0))
        self.assertIn("/nowhere", end["reason"])
        refused = self.cluster.call("job", "submit", str(self.write(job_file(train__batch_sise=3, train__epochs="five"))))
        self.assertEqual(refused.returncode, 2)
        self.assertIn("train.batch_size", refused.stderr)
        self.assertIn("five", refused.stderr)

    def test_a_resume_without_its_checkpoints_says_so(self) -> None:
        job = self.submit(train__epochs=500, checkpoint__every_steps=20)
        self.cluster.wait_step(job, 60)
        self.cluster.run("job", "pause", job)
        paused = self.cluster.wait_state(job, {"PAUSED"})
        self.assertEqual(paused["warning"], "")
        for checkpoint in pathlib.Path(paused["checkpoint"]).parent.glob("step-*"):
            shutil.rmtree(checkpoint)
        self.cluster.run("job", "resume", job)
        warned = wait_for("a warning", 60, lambda: (j := self.cluster.get(job))["warning"] and j)
        self.assertRegex(warned["warning"], r"checkpoint of step \d+ is gone or refused: training went on from the beginning")
        self.cluster.run("job", "cancel", job)
        self.cluster.wait_end(job)

    def test_status_tells_a_stopped_daemon(self) -> None:
        self.assertEqual(self.cluster.record()["state"], "UP")
        for pick in (lambda r: r["workers"][0], lambda r: r["coordinator"]):
            pid = pick(self.cluster.record())["pid"]
            os.kill(pid, signal.SIGSTOP)
            try:
                stopped = self.cluster.record()
            finally:
                os.kill(pid, signal.SIGCONT)
            self.assertEqual((stopped["state"], pick(stopped)["state"]), ("DEGRADED", "UNRESPONSIVE"))
            wait_for("all of it answers again", 20, lambda: self.cluster.record()["state"] == "UP")

    def test_yaml_reads_as_json_does(self) -> None:
        try:
            import yaml
        except ImportError:
            self.skipTest("no PyYAML here")
        job = self.finished(self.submit(train__epochs=1))["id"]
        text = self.cluster.run("job", "get", job, "-o", "yaml")
        self.assertEqual(yaml.safe_load(text)["spec"], self.cluster.get(job)["spec"])
        self.assertIn("eps: 1.0e-08", text)

    # Last by name: it empties a worker for a while.
    def test_zzz_a_drained_worker_hands_its_job_over(self) -> None:
        unbroken = self.curve(self.finished(self.submit(strategy__data_parallel=1, train__epochs=8))["id"])
        job = self.submit(strategy__data_parallel=1, train__epochs=8)
        first = self.cluster.wait_step(job, 60)["ranks"][0]["worker"]
        self.cluster.run("worker", "drain", first)
        end = self.finished(job)
        self.assertNotEqual(end["ranks"][0]["worker"], first)
        self.assertEqual(self.curve(job), unbroken)
        self.assertEqual(self.cluster.call("worker", "remove", first).returncode, 5)  # its daemon is there
        self.assertEqual(self.cluster.json("worker", "undrain", first)["state"], "READY")
        self.finished(self.submit(train__epochs=1))  # on both

    def test_a_language_model_trains_on_bytes(self) -> None:
        (self.folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 800)
        job = self.submit(
            model={"family": "gpt", "layers": 2, "heads": 2, "width": 32, "context": 32, "vocab": 256},
            data={"dataset": "tokens", "path": str(self.folder / "text.txt")},
            train={"epochs": 2, "batch_size": 16, "seed": 1, "optimizer": {"name": "adamw", "lr": 0.003}},
        )
        curve = self.curve(self.finished(job)["id"])
        self.assertLess(curve[max(curve)], 0.7 * curve[1])

    def test_a_cnn_beats_the_line(self) -> None:
        end = self.finished(self.submit(model={"family": "cnn", "channels": [8, 16]}, train__epochs=2, strategy__data_parallel=1))
        self.assertGreater(end["metrics"]["test_accuracy"], 0.75)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    options, rest = parser.parse_known_args()
    BIN = options.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
