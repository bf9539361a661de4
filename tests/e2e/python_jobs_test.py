"""Jobs from Python on real daemons: a model of one's own trained without Python on the workers, and scripts."""

from __future__ import annotations

import argparse
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
