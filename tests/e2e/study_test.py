"""Studies on real daemons: to a retrained model, paused and resumed, cancelled, and with settings that cannot work."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import resource
import signal
import sys
import tempfile
import time
import unittest
import urllib.request

from cluster import Cluster, Json, wait_for

BIN = pathlib.Path(__file__).resolve().parent.parent.parent / "build/release/bin"
OVER = {"SUCCEEDED", "FAILED", "CANCELLED"}


def study_file(**changes: Json) -> Json:
    study: Json = {
        "name": "e2e-study",
        "model": {"family": "mlp", "hidden": [32]},
        "data": {"dataset": "fashion_mnist", "limit": 2560},
        "train": {"epochs": 2, "batch_size": 64, "seed": 7, "optimizer": {"name": "sgd", "lr": 0.01}},
        "search": {
            "train.optimizer.lr": {"log": [1e-4, 1e-1]},
            "train.optimizer.momentum": {"float": [0, 0.99]},
            "model.hidden": {"choice": [[16], [32], [64, 32]]},
        },
        "constraints": ["params <= 30000"],
        "objective": {"maximize": "test_accuracy"},
        "budget": {"trials": 6, "parallel": 2},
        "seed": 3,
    }
    study.update(changes)
    return study


def children(parents: list[int]) -> list[int]:
    """Pids of the processes that these have started and that are there."""
    found: list[int] = []
    for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
            if int(parent) in parents and state != "Z":
                found.append(int(status.parent.name))
    return found


class Studies(unittest.TestCase):
    cluster: Cluster
    folder: pathlib.Path
    _temporary: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls._temporary = tempfile.TemporaryDirectory(prefix="ds-study-")
        cls.folder = pathlib.Path(cls._temporary.name)
        cls.cluster = Cluster(BIN, cls.folder, workers=2)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cluster.down()
        cls._temporary.cleanup()

    def submit(self, **changes: Json) -> str:
        path = self.folder / "study.yaml"
        path.write_text(json.dumps(study_file(**changes)))  # JSON is YAML
        return str(self.cluster.json("tune", "submit", str(path))["id"])

    def get(self, study: str) -> Json:
        return self.cluster.json("tune", "get", study)

    def trials(self, study: str) -> Json:
        return self.cluster.json("tune", "trials", study)

    def wait_end(self, study: str) -> Json:
        def over() -> Json:
            now = self.get(study)
            return now if now["state"] in OVER else None

        return wait_for(f"the end of {study}", 240, over)

    def test_a_study_ends_in_a_retrained_model(self) -> None:
        study = self.submit()
        end = self.wait_end(study)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        trials = self.trials(study)
        self.assertEqual([t["id"] for t in trials], list(range(6)))
        jobs = {j["id"]: j for j in self.cluster.json("job", "list")}
        for trial in trials:
            self.assertIn(trial["state"], ("FINISHED", "STOPPED"), trial["reason"])
            self.assertLessEqual(trial["params_count"], 30000)
            self.assertEqual((jobs[trial["job"]]["study"], jobs[trial["job"]]["trial"]), (study, trial["id"]))
            self.assertEqual([r["step"] for r in trial["reports"]][:1], [1])
            self.assertEqual(trial["value"], trial["reports"][-1]["value"])
        self.assertEqual(end["best"]["best_value"], max(t["value"] for t in trials))
        self.assertLessEqual(end["best"]["low"], end["best"]["mean"])
        last = self.cluster.get(end["retrain_job"])
        self.assertEqual((last["state"], last["study"], last["trial"]), ("SUCCEEDED", study, None))
        self.assertTrue((pathlib.Path(last["checkpoint"]) / "manifest.json").exists())
        recommended = trials[end["best"]["trial"]]
        if recommended["state"] == "FINISHED":  # the same seed: the same training
            self.assertAlmostEqual(last["metrics"]["test_accuracy"], recommended["value"], places=6)
        http = self.cluster.record()["http"]
        metrics = urllib.request.urlopen(f"http://{http}/metrics", timeout=10).read().decode()
        for line in (f'ds_study_trials{{study="{study}",state="RUNNING"}} 0', f'ds_study_best_value{{study="{study}"}}'):
            self.assertIn(line, metrics)
        self.assertIn("ds_study_suggest_seconds_count", metrics)
        page = json.loads(urllib.request.urlopen(f"http://{http}/api/studies", timeout=10).read())
        (shown,) = [s for s in page if s["id"] == study]
        self.assertEqual(len(shown["best_so_far"]), 6)
        self.assertEqual(shown["best_so_far"], sorted(shown["best_so_far"]))

    def test_two_objectives_end_in_a_front_and_its_knee_is_trained(self) -> None:
        two = [{"maximize": "test_accuracy"}, {"minimize": "params"}]
        study = self.submit(objective=two, budget={"trials": 10, "parallel": 2}, constraints=[])
        end = self.wait_end(study)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        trials = {t["id"]: t for t in self.trials(study)}
        front = end["best"]["front"]
        for one in front:
            trial = trials[one["trial"]]
            self.assertEqual(trial["state"], "FINISHED")
            self.assertEqual(trial["values"]["params"], trial["params_count"])
            self.assertEqual(one["means"]["params"], trial["params_count"])
        accuracy, size = ([one["means"][name] for one in front] for name in ("test_accuracy", "params"))
        self.assertEqual((accuracy, size), (sorted(accuracy, reverse=True), sorted(size, reverse=True)))
        self.assertEqual(min(size), min(t["params_count"] for t in trials.values() if t["state"] == "FINISHED"))
        knee = trials[end["best"]["trial"]]
        self.assertIn(knee["id"], [one["trial"] for one in front])
        job = self.cluster.get(end["retrain_job"])
        self.assertEqual((job["state"], job["spec"]["model"]["hidden"]), ("SUCCEEDED", knee["params"]["model.hidden"]))
        table = self.cluster.run("tune", "best", study).splitlines()
        self.assertEqual(len(table), 1 + len(front))
        other = front[-1]["trial"]
        head = self.cluster.run("tune", "best", study, "--trial", str(other), "-o", "yaml").splitlines()[0]
        self.assertTrue(head.startswith(f"# study {study}, trial {other}: test_accuracy "), head)

    def test_trainings_own_loss_is_reported_epoch_by_epoch(self) -> None:
        study = self.submit(objective={"minimize": "loss"}, budget={"trials": 2, "parallel": 1}, retrain=False)
        self.assertEqual(self.wait_end(study)["state"], "SUCCEEDED")
        for trial in self.trials(study):
            history = [r for r in self.cluster.json("job", "metrics", trial["job"]) if "samples_per_second" in r]
            first = [r["loss"] for r in history if r["epoch"] == 0][-1]
            last = history[-1]["loss"]
            self.assertEqual(trial["reports"], [{"step": 1, "value": first}, {"step": 2, "value": last}])
            self.assertEqual(trial["value"], last)

    def test_a_diverging_configuration_is_named_so_and_not_tried_again(self) -> None:
        search = {"train.optimizer.lr": {"choice": [0.001, 0.01, 0.1, 1000]}, "model.hidden": {"choice": [[16], [32]]}}
        study = self.submit(search=search, constraints=[], budget={"trials": 8, "parallel": 1}, retrain=False)
        end = self.wait_end(study)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        failed = [t for t in self.trials(study) if t["state"] == "FAILED"]
        for trial in failed:
            self.assertEqual((trial["failure"], trial["params"]["train.optimizer.lr"]), ("nan", 1000), trial["reason"])
        self.assertTrue(failed)
        points = [tuple(t["point"]) for t in failed]
        self.assertEqual(len(points), len(set(points)))

    def test_what_no_memory_holds_fails_at_once_and_is_named_so(self) -> None:
        worker = self.cluster.record()["workers"][0]["pid"]
        limit, most = 8 << 30, resource.RLIM_INFINITY
        self.cluster.run("worker", "drain", "worker-2")  # what is left has a limit, which its executors inherit
        resource.prlimit(worker, resource.RLIMIT_AS, (limit, most))
        try:
            hidden = {"model.hidden": {"choice": [[16], [32], [65536, 65536]]}}  # 16 GiB of weights
            study = self.submit(search=hidden, constraints=[], budget={"trials": 3, "parallel": 1}, retrain=False)
            end = self.wait_end(study)
        finally:
            resource.prlimit(worker, resource.RLIMIT_AS, (most, most))
            self.cluster.run("worker", "undrain", "worker-2")
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        (failed,) = [t for t in self.trials(study) if t["state"] == "FAILED"]
        self.assertEqual((failed["failure"], failed["params"]["model.hidden"]), ("oom", [65536, 65536]), failed["reason"])
        self.assertIn("17179869184 bytes", failed["reason"])
        job = self.cluster.get(failed["job"])
        self.assertEqual((job["generation"], job["restarts"]), (1, 0))

    def test_a_retraining_whose_machine_fails_is_tried_again(self) -> None:
        train = {"epochs": 100, "batch_size": 64, "optimizer": {"name": "sgd", "lr": 0.01}}
        study = self.submit(train=train, budget={"trials": 1, "parallel": 1})
        first = wait_for("the retraining", 120, lambda: self.get(study)["retrain_job"])
        workers = [w["pid"] for w in self.cluster.record()["workers"]]

        def given_up() -> bool:  # each of its executors is killed long before its first step
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                for executor in children(workers):
                    os.kill(executor, signal.SIGKILL)
                time.sleep(0.002)
            return bool(self.get(study)["retrain_job"] != first)

        wait_for("another try", 60, given_up)
        end = self.wait_end(study)
        self.assertEqual(end["state"], "SUCCEEDED", end["reason"])
        self.assertEqual(self.cluster.get(first)["failure"], "infrastructure")
        self.assertEqual(self.cluster.get(end["retrain_job"])["state"], "SUCCEEDED")

    def test_a_template_that_cannot_work_fails_with_the_sentence(self) -> None:
        study = self.submit(data={"dataset": "fashion_mnist", "path": str(self.folder / "nothing")}, constraints=[])
        end = self.wait_end(study)
        self.assertEqual(end["state"], "FAILED")
        self.assertIn(str(self.folder / "nothing"), end["reason"])
        self.assertLessEqual(len(self.trials(study)), 5)
        self.assertEqual({t["failure"] for t in self.trials(study)} - {""}, {"user_error"})

    def test_a_study_is_paused_resumed_and_cancelled(self) -> None:
        study = self.submit(budget={"trials": 500, "parallel": 2})
        wait_for("a trial that has ended", 120, lambda: self.get(study)["trials_finished"])
        self.cluster.run("tune", "pause", study)
        self.assertEqual(self.get(study)["state"], "PAUSED")

        def still() -> bool:
            jobs = [j for j in self.cluster.json("job", "list") if j["study"] == study]
            return all(j["state"] in OVER | {"PAUSED"} for j in jobs)

        wait_for("paused trials", 90, still)
        ended = self.get(study)["trials_finished"]
        self.cluster.run("tune", "resume", study)
        wait_for("another end", 120, lambda: self.get(study)["trials_finished"] > ended)
        self.cluster.run("tune", "cancel", study)
        self.assertEqual(self.wait_end(study)["state"], "CANCELLED")

        def gone() -> bool:
            return all(j["state"] in OVER for j in self.cluster.json("job", "list") if j["study"] == study)

        wait_for("the end of its jobs", 60, gone)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    known, rest = parser.parse_known_args()
    BIN = known.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
