"""Jobs from Python on real daemons: a model of one's own trained without Python on the workers, and scripts."""

from __future__ import annotations

import argparse
import math
import os
import pathlib
import signal
import sys
import tempfile
import textwrap
import unittest

import numpy as np
from cluster import Cluster, losses, wait_for

import deepseek as ds

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/release/bin"

# Counts in steps of a fiftieth of a second, or as its arguments say.
SCRIPT = """
import sys, time
import deepseek as ds
from deepseek import distributed, job

distributed.init_process_group()
state = job.load_checkpoint()
step = state["step"] if state else 0
weight = state["weight"] if state else ds.zeros(3)
print("began at", step, flush=True)
while step < int(sys.argv[1]):
    time.sleep(0.02)
    step += 1
    weight = weight + distributed.all_reduce(ds.ones(3), "mean")
    job.report(step, loss=1.0 / step, total_steps=int(sys.argv[1]), samples=8)
    stop = job.should_stop()
    if stop or step % 10 == 0:
        job.save_checkpoint(step, weight=weight)
    if stop:
        job.stop()
    if "fail" in sys.argv and step == 5 and job.rank() == 1:
        raise KeyError("no such column: price")
assert weight.tolist() == [float(step)] * 3, weight
distributed.destroy_process_group()
"""

# Has an argument for each searched parameter, and evaluates four times with a score of its own; epochs it knows none.
TUNED = """
import argparse, math, time
import deepseek as ds
from deepseek import job

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--width", type=int, required=True)
parser.add_argument("--nesterov", action=argparse.BooleanOptionalAction)
parser.add_argument("--pause", type=float, default=0.0)
args = parser.parse_args()
if args.width == 4096:
    raise MemoryError("a width of 4096")
best = -abs(math.log10(args.lr) + 2) - (0.1 if args.nesterov else 0.0)
state = job.load_checkpoint()
for step in range((state["step"] if state else 0) + 1, 5):
    job.report(step, loss=1.0 / step)
    job.report(step, metrics={"val/score": best - 1.0 / step})
    time.sleep(args.pause)
    if job.should_stop():
        job.save_checkpoint(step)
        job.stop()
job.save_checkpoint(4)
"""


class ConvNet(ds.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = ds.nn.Conv2d(1, 8, 3, stride=2)
        self.norm = ds.nn.BatchNorm2d(8)
        self.drop = ds.nn.Dropout(0.1)
        self.out = ds.nn.Linear(8 * 13 * 13, 10)

    def forward(self, x: ds.Tensor) -> ds.Tensor:
        return self.out(self.drop(ds.functional.relu(self.norm(self.conv(x))).flatten(1)))


class Sums(ds.nn.Module):
    """Of two inputs, one number each way."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = ds.nn.Linear(3, 1), ds.nn.Linear(2, 1)

    def forward(self, a: ds.Tensor, b: ds.Tensor) -> tuple[ds.Tensor, ds.Tensor]:
        x, y = self.left(a).squeeze(-1), self.right(b).squeeze(-1)
        return x + y, x - y


def accuracy(model: ds.nn.Module) -> float:
    with ds.no_grad():
        batches = ds.data.DataLoader(ds.data.FashionMNIST(train=False, normalize=True), batch_size=1000)
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in batches) / 10000


class PythonJobs(unittest.TestCase):
    cluster: Cluster
    folder: pathlib.Path
    _temporary: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls._temporary = tempfile.TemporaryDirectory(prefix="ds-python-jobs-")
        cls.folder = pathlib.Path(cls._temporary.name)
        os.environ["DS_PYTHON"] = sys.executable
        cls.cluster = Cluster(BIN, cls.folder, workers=2)
        cls.address = cls.cluster.record()["address"]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cluster.down()
        cls._temporary.cleanup()

    def script(self, text: str = SCRIPT) -> pathlib.Path:
        path = self.folder / "count.py"
        path.write_text(textwrap.dedent(text))
        return path

    def written(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def run_script(self, *args: str, ranks: int = 2, text: str = SCRIPT) -> ds.client.Job:
        return ds.client.submit(self.script(text), strategy=ranks, args=list(args), address=self.address)

    def at_step(self, job: ds.client.Job, step: int) -> dict:
        return wait_for(f"step {step} of {job.id}", 60, lambda: (s := job.status())["progress"]["step"] >= step and s)

    def test_a_model_of_ones_own_trains_and_its_weights_come_back(self) -> None:
        ds.manual_seed(3)
        model = ConvNet()
        before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
        job = ds.client.submit(
            model, "fashion_mnist", ds.DistributedStrategy(data_parallel=2), optimizer=ds.optim.AdamW(model.parameters(), lr=2e-3),
            epochs=1, batch_size=128, seed=1, address=self.address,
        )  # fmt: skip
        end = job.wait(progress=False)
        self.assertEqual([r["state"] for r in end["ranks"]], ["EXITED", "EXITED"])
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[name])  # the model here is as it was
        job.load_into(model.eval())
        self.assertAlmostEqual(accuracy(model), end["metrics"]["test_accuracy"], delta=0.0005)
        self.assertGreater(end["metrics"]["test_accuracy"], 0.8)
        self.assertIn("loss", job.history())

    def test_a_traced_model_is_planned_on_its_own_profile(self) -> None:
        job = ds.client.submit(ConvNet(), "fashion_mnist", {"data_parallel": "auto"}, epochs=1, batch_size=128, address=self.address)
        end = job.wait(progress=False)
        self.assertEqual(len(end["ranks"]), end["plan"]["data_parallel"])
        self.assertEqual({end["plan"]["data_parallel"]} | {a["data_parallel"] for a in end["plan"]["alternatives"]}, {1, 2})
        self.assertGreater(end["plan"]["measured_step_seconds"], 0)

    def test_arrays_are_sent_along(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((512, 5)).astype(np.float32)
        y = (x @ np.array([[1.0], [-2.0], [0.5], [0.0], [3.0]], np.float32)).astype(np.float32)
        model = ds.nn.Linear(5, 1)
        job = ds.client.submit(
            model, data={"train": (x, y), "test": (x[:100], y[:100])}, loss=ds.nn.MSELoss(), optimizer={"name": "sgd", "lr": 0.1},
            epochs=20, batch_size=64, address=self.address,
        )  # fmt: skip
        end = job.wait(progress=False)
        self.assertLess(end["metrics"]["test_loss"], 1e-3)
        np.testing.assert_allclose(job.load_into(model).weight.detach().numpy(), [[1.0, -2.0, 0.5, 0.0, 3.0]], atol=0.03)

    def test_an_optimizer_of_pythons_with_groups_trains_on_two_ranks(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((512, 5)).astype(np.float32)
        y = (x @ np.array([[1.0], [-2.0], [0.5], [0.0], [3.0]], np.float32) + 1).astype(np.float32)
        ds.manual_seed(0)
        model = ds.nn.Linear(5, 1)
        optimizer = ds.optim.Lion([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.1}], lr=0.05)
        job = ds.client.submit(
            model, (x, y), 2, loss=ds.nn.MSELoss(), optimizer=optimizer, epochs=40, batch_size=64,
            train={"schedule": {"name": "cosine"}}, address=self.address,
        )  # fmt: skip
        end = job.wait(progress=False)
        self.assertEqual(len(end["ranks"]), 2)
        trained = job.load_into(model)
        np.testing.assert_allclose(trained.weight.detach().numpy(), [[1.0, -2.0, 0.5, 0.0, 3.0]], atol=0.2)
        np.testing.assert_allclose(trained.bias.detach().numpy(), [1.0], atol=0.2)

    def test_two_inputs_and_two_targets_are_sent_along(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((256, 3)).astype(np.float32), rng.standard_normal((256, 2)).astype(np.float32)
        x, y = a @ np.array([1, -1, 2], np.float32), b @ np.array([3, 1], np.float32)
        model = Sums()

        def both(output: tuple[ds.Tensor, ds.Tensor], more: ds.Tensor, less: ds.Tensor) -> ds.Tensor:
            return ds.functional.mse_loss(output[0], more) + ds.functional.mse_loss(output[1], less)

        data = {"train": ({"b": b, "a": a}, (x + y, x - y)), "test": ({"a": a[:64], "b": b[:64]}, (x[:64] + y[:64], x[:64] - y[:64]))}
        job = ds.client.submit(
            model, data, 2, loss=both, optimizer={"name": "sgd", "lr": 0.05}, epochs=20, batch_size=32, address=self.address,
        )  # fmt: skip
        end = job.wait(progress=False)
        self.assertLess(end["metrics"]["test_loss"], 1e-3)
        np.testing.assert_allclose(job.load_into(model).left.weight.detach().numpy(), [[1.0, -1.0, 2.0]], atol=0.03)

    def test_a_script_runs_as_ranks_that_meet(self) -> None:
        job = self.run_script("30")
        end = job.wait(progress=False)
        self.assertEqual(end["progress"]["step"], 30)
        self.assertEqual(losses(job.metrics()), {s: 1.0 / s for s in range(1, 31)})
        self.assertEqual("".join(job.logs()).count("began at 0"), 2)

    def test_a_script_whose_rank_is_killed_goes_on_from_its_checkpoint(self) -> None:
        job = self.run_script("150")
        status = self.at_step(job, 25)
        os.kill(status["ranks"][1]["pid"], signal.SIGKILL)
        end = job.wait(progress=False)
        self.assertEqual((end["restarts"], end["progress"]["step"]), (1, 150))
        text = "".join(job.logs())
        self.assertNotIn("began at 0", text.split("began at", 3)[3])  # the third and fourth beginning

    def test_a_script_pauses_and_resumes(self) -> None:
        job = self.run_script("120")
        self.at_step(job, 20)
        job.pause()
        wait_for("PAUSED", 30, lambda: job.state == "PAUSED")
        job.resume()
        self.assertEqual(job.wait(progress=False)["progress"]["step"], 120)

    def test_a_study_recommends_a_configuration_and_trains_it(self) -> None:
        study = ds.client.tune({
            "name": "python-study", "model": {"family": "mlp", "hidden": [16]}, "data": {"dataset": "fashion_mnist", "limit": 2560},
            "search": {"train.optimizer.lr": {"log": [1e-4, 1e-1]}, "model.depth": {"int": [1, 2]}},
            "objective": {"maximize": "test_accuracy"}, "budget": {"trials": 3, "max_epochs": 2},
        }, address=self.address)  # fmt: skip
        end = study.wait(progress=False)
        self.assertEqual((end["state"], end["trials_finished"]), ("SUCCEEDED", 3))
        trials, best = study.trials(), study.best()
        self.assertEqual([t["id"] for t in trials], [0, 1, 2])
        self.assertIn(trials[0]["params"]["model.depth"], (1, 2))
        self.assertEqual(best["job"]["model"]["depth"], best["params"]["model.depth"])
        self.assertEqual(ds.client.get(end["retrain_job"], self.address).wait(progress=False)["state"], "SUCCEEDED")
        self.assertEqual({p["key"] for p in study.importance()}, {"train.optimizer.lr", "model.depth"})
        self.assertEqual(ds.client.study("python-study", self.address).id, study.id)
        study.plot(self.folder / "history.svg")
        self.assertTrue((self.folder / "history.svg").read_text().startswith("<svg "))
        with self.assertRaises(ds.client.Error) as caught:
            study.pause()  # it has ended
        self.assertEqual(caught.exception.code, "FAILED_PRECONDITION")

    def tune_script(self, **changes: object) -> ds.client.Study:
        """Of TUNED, by its learning rate, width and a flag."""
        path = self.written("tuned.py", TUNED)
        study: dict = {
            "name": "script-study", "model": {"script": str(path), "params": {"lr": 0.001, "width": 32, "nesterov": True}},
            "search": {
                "model.params.lr": {"log": [1e-4, 1.0]}, "model.params.width": {"choice": [32, 64, 4096]},
                "model.params.nesterov": {"choice": [True, False]},
            },
            "objective": {"maximize": "val/score"}, "budget": {"trials": 8}, "seed": 1,
        }  # fmt: skip
        return ds.client.tune({**study, **changes}, address=self.address)

    def test_a_scripts_parameters_are_tuned_and_the_best_is_trained(self) -> None:
        study = self.tune_script()
        end = study.wait(progress=False)
        trials, best = study.trials(), study.best()
        for trial in trials:
            params = trial["params"]
            if params["model.params.width"] == 4096:
                self.assertEqual((trial["state"], trial["failure"]), ("FAILED", "oom"), trial["reason"])
                continue
            score = -abs(math.log10(params["model.params.lr"]) + 2) - (0.1 if params["model.params.nesterov"] else 0.0)
            reports = trial["reports"]
            self.assertEqual([r["step"] for r in reports], [1, 2, 3, 4][: len(reports)])
            for report in reports:
                self.assertAlmostEqual(report["value"], score - 1.0 / report["step"], places=12)
            self.assertEqual(trial["value"], reports[-1]["value"])
            self.assertTrue(trial["state"] == "STOPPED" or len(reports) == 4, trial)
        self.assertIn("oom", {t["failure"] for t in trials})
        chosen = trials[best["trial"]]["params"]
        self.assertEqual(best["job"]["model"]["params"], {k.rpartition(".")[2]: v for k, v in chosen.items()})
        retrained = ds.client.get(end["retrain_job"], self.address).status()
        self.assertEqual((retrained["state"], retrained["spec"]["model"]), ("SUCCEEDED", best["job"]["model"]))
        self.assertIsNone(retrained["metrics"]["test_loss"])  # it reported none
        text = self.cluster.run("tune", "best", study.id, "-o", "yaml")
        again = self.cluster.submit(self.written("best.yaml", text))
        score = self.cluster.wait_end(again)["metrics"]["reported"]["val/score"]
        self.assertEqual(score, retrained["metrics"]["reported"]["val/score"])

    def test_a_scripts_parameters_are_its_command_line(self) -> None:
        path = self.written("tuned.py", TUNED)
        job = ds.client.submit(path, params={"lr": 0.01, "width": 32, "nesterov": False}, address=self.address)
        self.assertEqual(job.wait(progress=False)["metrics"]["reported"], {"val/score": -0.25})
        self.assertEqual([r["reported"]["val/score"] for r in job.metrics() if r["kind"] == "eval"], [-1.0, -0.5, -1 / 3, -0.25])
        with self.assertRaisesRegex(ds.client.Error, "model.params: is used only where model.script is given"):
            ds.client.submit({"family": "mlp"}, "fashion_mnist", params={"lr": 0.1}, address=self.address)

    def test_a_study_of_a_script_goes_on_from_its_checkpoints(self) -> None:
        params = {"lr": 0.001, "width": 32, "nesterov": False, "pause": 0.3}
        study = self.tune_script(
            model={"script": str(self.folder / "tuned.py"), "params": params}, search={"model.params.lr": {"log": [1e-4, 1.0]}},
            budget={"trials": 2, "parallel": 2}, retrain=False,
        )  # fmt: skip
        wait_for("reports", 60, lambda: all(t["reports"] for t in study.trials()) and len(study.trials()) == 2)
        mine = [t["job"] for t in study.trials()]
        os.kill(self.cluster.get(mine[0])["ranks"][0]["pid"], signal.SIGKILL)  # without a checkpoint: from the beginning
        wait_for("another start", 60, lambda: self.cluster.get(mine[0])["restarts"] == 1 and self.cluster.get(mine[0])["state"] == "RUNNING")
        study.pause()
        wait_for("paused trials", 60, lambda: {self.cluster.get(j)["state"] for j in mine} <= {"PAUSED", "SUCCEEDED"})
        study.resume()
        study.wait(progress=False)
        for trial in study.trials():
            self.assertEqual([r["step"] for r in trial["reports"]], [1, 2, 3, 4])  # none twice

    def test_a_study_of_a_script_that_knows_no_such_parameter_ends_with_its_words(self) -> None:
        search = {"model.params.widht": {"int": [1, 9]}}
        model = {"script": str(self.script("import argparse\nargparse.ArgumentParser().parse_args()\n"))}
        with self.assertRaisesRegex(ds.client.StudyFailed, "every trial so far failed .*unrecognized arguments: --widht="):
            self.tune_script(model={**model, "params": {"widht": 1}}, search=search).wait(progress=False)
        with self.assertRaisesRegex(ds.client.StudyFailed, "ended without a f1; it reported loss"):
            quiet = self.script("from deepseek import job\njob.report(1, loss=0.5)\n")
            self.tune_script(
                model={"script": str(quiet), "params": {"a": 1}}, search={"model.params.a": {"int": [1, 9]}}, objective={"maximize": "f1"},
            ).wait(progress=False)  # fmt: skip

    def test_the_examples_script_takes_what_its_study_searches(self) -> None:
        text = (ROOT / "examples/script/study.yaml").read_text()
        for whole, short in (("train.py", str(ROOT / "examples/script/train.py")), ('"--epochs", "3"', '"--epochs", "1"'), ("trials: 12", "trials: 2")):
            self.assertIn(whole, text)
            text = text.replace(whole, short)
        end = ds.client.tune(self.written("study.yaml", text), address=self.address).wait(progress=False)
        self.assertEqual((end["trials_finished"], end["trials_failed"]), (2, 0))
        self.assertGreater(end["best"]["best_value"], 0.5)

    def test_a_scripts_error_ends_the_job_with_its_words(self) -> None:
        with self.assertRaises(ds.client.JobFailed) as caught:
            self.run_script("100", "fail").wait(progress=False)
        self.assertIn("KeyError: 'no such column: price'", str(caught.exception))
        self.assertEqual(caught.exception.status["restarts"], 0)

    def test_a_scripts_failure_has_its_class(self) -> None:
        begin = "from deepseek import job\nimport deepseek as ds\n"
        for program, failure, words in (
            ("job.report(1, loss=1.0)\nds.zeros(1 << 58).numpy()\n", "oom", "MemoryError: [allocate] the system has no"),
            ("job.report(1, loss=float('nan'))\nraise SystemExit(3)\n", "nan", "its loss was nan at step 1"),
            ("job.fail('no such column')\n", "user_error", "no such column"),
        ):
            with self.assertRaises(ds.client.JobFailed) as caught:
                self.run_script(ranks=1, text=begin + program).wait(progress=False)
            self.assertEqual(caught.exception.status["failure"], failure)
            self.assertIn(words, caught.exception.status["reason"])
            self.assertEqual(caught.exception.status["restarts"], 0)

    def test_what_cannot_be_is_refused_by_name(self) -> None:
        with self.assertRaisesRegex(ds.Error, r"class 5 is outside of the 3 .* \(2 such\)"):
            ds.client.submit(ds.nn.Linear(4, 3), (np.zeros((8, 4), np.float32), np.array([0, 1, 2, 5, 0, 1, 2, 5])), address=self.address)
        with self.assertRaisesRegex(ds.client.Error, "^train.batch_size"):
            ds.client.submit(ds.nn.Linear(784, 10), (np.zeros((8, 784), np.float32), np.zeros(8, np.int64)), batch_size=-1, address=self.address)
        with self.assertRaisesRegex(ds.Error, "RMSprop"):
            ds.client.submit({"family": "mlp"}, "fashion_mnist", optimizer=ds.optim.RMSprop(ds.nn.Linear(2, 2).parameters()), address=self.address)
        with self.assertRaisesRegex(ds.client.Error, "no_such_file"):
            ds.client.submit("no_such_file.py", address=self.address)
        with self.assertRaisesRegex(ds.client.Error, "no coordinator at 127.0.0.1:9"):
            ds.client.jobs(address="127.0.0.1:9")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default=BIN)
    known, rest = parser.parse_known_args()
    BIN = known.bin
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
