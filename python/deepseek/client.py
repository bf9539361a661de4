"""Jobs on a cluster, from Python: ds.client.submit(model, data=(x, y), strategy=2).wait()

A model is traced here and trained by the workers' C++ engine; they need no Python, and the model's code stays where it
is. A path to a .py file is run by the workers instead, as one process a rank (deepseek.job, deepseek.distributed).
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from . import _C
from .nn import Module
from .parallel import DistributedStrategy

try:
    from . import _client
except ImportError as error:  # built without gRPC
    raise ImportError("deepseek.client needs gRPC: install libgrpc++-dev, protobuf-compiler-grpc, libyaml-cpp-dev, libcli11-dev and "
                      "nlohmann-json3-dev, then the package again") from error  # fmt: skip

from ._study import Study, StudyFailed, studies, study, tune

Error = _client.Error
__all__ = ["DistributedStrategy", "Error", "Job", "JobFailed", "Study", "StudyFailed", "get", "jobs", "studies", "study", "submit", "tune",
           "workers"]  # fmt: skip


class JobFailed(Error):
    """A job that was waited for ended otherwise than SUCCEEDED; `status` is its last."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(f"job {status['id']} {status['state']}: {status['reason']}")
        self.status = status


def submit(
    model: Any, data: Any = None, strategy: DistributedStrategy | dict[str, Any] | int | None = None, *, loss: Any = None,
    optimizer: Any = None, epochs: int | None = None, batch_size: int | None = None, seed: int | None = None,
    train: dict[str, Any] | None = None, checkpoint: dict[str, Any] | None = None, name: str | None = None, priority: int | None = None,
    args: list[str] | None = None, params: dict[str, Any] | None = None, example: Any = None, address: str = "", key: str = "",
) -> Job:  # fmt: skip
    """Sends a training job to the coordinator and returns at once; Job.wait() shows how it goes.

    model: a Module, which is traced with its parameters as they are; a script's path (.py, run with `args`, and `params` as --NAME=VALUE); a file that
    trace() wrote (.safetensors); or the `model` part of a job file, as a dict.
    data: (inputs, targets), or {"train": (inputs, targets), "test": (inputs, targets)}, of Tensors or arrays with the
    samples in dimension 0, or Datasets of such pairs: they are sent along. Inputs may be a tuple, for model(*inputs), or
    a dict, for model(**inputs); targets may be a tuple. Or "fashion_mnist", or the `data` part of a job
    file as a dict.
    loss: a function or Module of (output, *targets) that is a mean over the batch; default: cross entropy of the output.
    optimizer: one of ds.optim over the model's parameters, with any groups; or {"name": "adamw", "lr": 0.001}. The job's
    schedule scales the learning rates of all groups; states begin anew.
    train, checkpoint: further keys of a job file (docs/job-file.md), such as {"schedule": {"name": "cosine"}}.
    example: (inputs, targets) to trace with, where `data` does not show their shapes.
    address: HOST:PORT of the coordinator, else DS_COORDINATOR, else the cluster that `dsctl cluster up` started.
    key: the same key gives the same job, however often it is sent.
    """
    settings = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "optimizer": _optimizer(optimizer, isinstance(model, Module))}
    job: dict[str, Any] = {
        "name": name or _name_of(model), "strategy": _strategy(strategy), "checkpoint": checkpoint, "priority": priority,
        "train": {**{k: v for k, v in settings.items() if v is not None}, **(train or {})},
    }  # fmt: skip
    session = _client.Session(address)
    with tempfile.TemporaryDirectory(prefix="deepseek-") as folder:
        job["data"] = _data(data, folder)
        job["model"] = _model(model, loss, example or _example(data), data, folder, optimizer)
        if args or params:
            job["model"] = {**job["model"], **({"args": [str(a) for a in args]} if args else {}), **({"params": params} if params else {})}
        job = {k: v for k, v in job.items() if v not in (None, {})}
        try:
            return Job(session, session.submit(json.dumps(job), key))
        except Error as error:
            error.args = (re.sub(r"(?m)^line \d+: ", "", str(error)),)  # lines of a file that nobody wrote
            raise


def _name_of(model: Any) -> str:
    if isinstance(model, (str, os.PathLike)):
        return pathlib.Path(model).stem
    return str(model.get("family", "job")) if isinstance(model, dict) else type(model).__name__


def _strategy(strategy: Any) -> dict[str, Any] | None:
    if isinstance(strategy, DistributedStrategy):
        return dataclasses.asdict(strategy)
    return {"data_parallel": strategy} if isinstance(strategy, int) else strategy


def _optimizer(optimizer: Any, traced: bool) -> dict[str, Any] | None:
    """The job file's words for an optimizer: of this package, it is the engine's own or goes with the traced model."""
    if optimizer is None or isinstance(optimizer, dict):
        return optimizer
    from . import _trace_optimizer

    words = _trace_optimizer.built_in(optimizer)
    if words is None and not traced:
        raise _C.Error(f"[submit] {type(optimizer).__name__} with these settings is recorded with the model that it trains: pass the Module, "
                       "or the engine's AdamW or SGD")  # fmt: skip
    return words or {"name": "graph", "lr": _trace_optimizer.base_lr(optimizer)}


def _is_pair(data: Any) -> bool:
    return isinstance(data, (tuple, list)) and len(data) == 2


def _split(data: Any) -> tuple[Any, Any] | None:
    """(train, test) of data that is sent along; None where the job file's words say it."""
    if data is None or isinstance(data, str) or isinstance(data, dict) and "train" not in data:
        return None
    if isinstance(data, dict):
        unknown = set(data) - {"train", "test"}
        if unknown:
            raise _C.Error(f"[submit] data has {sorted(unknown)[0]!r}; it may have 'train' and 'test'")
        return data["train"], data.get("test")
    return data, None


def _data(data: Any, folder: str) -> dict[str, Any] | None:
    split = _split(data)
    if split is None:
        return {"dataset": data} if isinstance(data, str) else data
    from ._trace import write_tensors

    path = os.path.join(folder, "data.safetensors")
    write_tensors(path, *split)
    return {"dataset": "tensors", "path": path}


def _example(data: Any) -> Any:
    """The first few samples, to trace with."""
    import numpy as np

    split = _split(data)
    if split is not None:
        from ._trace import each, pair_of_rows

        if _is_pair(split[0]):
            return tuple(each(lambda array: array[:4], part) for part in split[0])
        return pair_of_rows([split[0][i] for i in range(min(4, len(split[0])))])
    dataset = data if isinstance(data, str) else (data or {}).get("dataset")
    if dataset == "fashion_mnist":
        return np.zeros((4, 1, 28, 28), np.float32), np.zeros(4, np.int64)
    return None


def _model(model: Any, loss: Any, example: Any, data: Any, folder: str, optimizer: Any) -> dict[str, Any]:
    if isinstance(model, dict):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = os.path.abspath(model)
        if path.endswith(".py"):
            return {"script": path}
        return {"graph": path}
    if not isinstance(model, Module):
        raise TypeError(f"[submit] the model is a {type(model).__name__}: pass a deepseek.nn.Module, a path, or a dict")
    if example is None:
        raise _C.Error("[submit] tracing needs an example=(inputs, targets): the data does not show their shapes")
    from ._trace import trace

    path = os.path.join(folder, "model.safetensors")
    inputs, targets = example
    summary = trace(model, loss, inputs, targets, path, None if isinstance(optimizer, dict) else optimizer)
    if loss is None or type(loss).__name__ == "CrossEntropyLoss":
        _check_classes(data, summary["classes"], getattr(loss, "ignore_index", -100))
    return {"graph": path}


def _check_classes(data: Any, classes: int | None, ignored: int) -> None:
    """Cross entropy passes over targets that are no class: those nobody meant to be ignored are an error here."""
    import numpy as np

    split = _split(data)
    for name, part in zip(("train", "test"), split or ()):
        if classes is None or not _is_pair(part):
            continue
        targets = np.asarray(part[1])
        bad = targets[((targets < 0) | (targets >= classes)) & (targets != ignored)]
        if bad.size:
            raise _C.Error(f"[submit] {name} targets: class {bad.flat[0]} is outside of the {classes} that the model's output has ({bad.size} such)")


class Job:
    """A job of a cluster, by its id."""

    def __init__(self, session: Any, id: str) -> None:
        self._session, self.id = session, id

    def __repr__(self) -> str:
        return f"Job({self.id!r} at {self._session.address})"

    def status(self) -> dict[str, Any]:
        """What `dsctl job get ID -o json` prints: state, reason, progress, metrics, ranks, ..."""
        out: dict[str, Any] = json.loads(self._session.get(self.id))
        return out

    @property
    def state(self) -> str:
        """PENDING, ADMITTED, STARTING, RUNNING, RECOVERING, PAUSED, SUCCEEDED, FAILED or CANCELLED."""
        return str(self.status()["state"])

    def watch(self) -> Iterator[dict[str, Any]]:
        """The status now and after every change, until the job has ended."""
        return _items(self._session.watch(self.id))

    def wait(self, progress: bool = True, plot: bool = False) -> dict[str, Any]:
        """Until the end: its last status. JobFailed unless it SUCCEEDED. progress: a line with step and loss, on a
        terminal; plot: live curves by Matplotlib."""
        from .utils.progress import Progress

        bar = Progress((), self.id) if progress else None
        history = self.history() if plot else None
        drawn = 0.0
        if history is not None:
            history.plot(live=True)
        status: dict[str, Any] = {}
        for status in self.watch():
            if bar is not None:
                bar.total = status["progress"]["total_steps"] or None
                known = {k: v for k, v in status["metrics"].items() if k in ("loss", "test_accuracy") and v is not None}
                bar.set(**known, **({} if status["state"] == "RUNNING" else {"state": status["state"]}))
                bar.reach(status["progress"]["step"])
            if history is not None and time.monotonic() - drawn > 1:
                history.replace(self._curves())
                drawn = time.monotonic()
        if bar is not None:
            bar.close()
        if status["state"] != "SUCCEEDED":
            raise JobFailed(status)
        return status

    def metrics(self) -> list[dict[str, Any]]:
        """The job's history: a record a training step (step, epoch, time, loss, samples_per_second) and an evaluation."""
        out: list[dict[str, Any]] = json.loads(self._session.metrics(self.id))
        return out

    def history(self) -> Any:
        """The history so far as a History, which plots itself."""
        from .utils.history import History

        history = History()
        history.replace(self._curves())
        return history

    def _curves(self) -> dict[str, list[float]]:
        records = self.metrics()
        train, tests = [r for r in records if "samples_per_second" in r], [r for r in records if "samples_per_second" not in r]
        return {
            "loss": [r["loss"] for r in train],
            "test_loss": [r["loss"] for r in tests if r["loss"] is not None],
            "test_accuracy": [r["test_accuracy"] for r in tests if r.get("test_accuracy") is not None],
        }

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Pieces of the logs of all ranks, whole lines each; follow: until the job has ended."""
        return (item["text"] for item in _items(self._session.logs(self.id, follow)))

    def cancel(self, reason: str = "") -> dict[str, Any]:
        return self._changed(self._session.cancel(self.id, reason))

    def pause(self, reason: str = "") -> dict[str, Any]:
        """Writes a checkpoint and frees the job's slots."""
        return self._changed(self._session.pause(self.id, reason))

    def resume(self, reason: str = "") -> dict[str, Any]:
        return self._changed(self._session.resume(self.id, reason))

    @staticmethod
    def _changed(text: str) -> dict[str, Any]:
        out: dict[str, Any] = json.loads(text)
        return out

    def state_dict(self) -> dict[str, Any]:
        """Parameters and buffers of the newest checkpoint, by their names; its folder must be seen from here."""
        from .serialization import load_file

        folder = self.status().get("checkpoint")
        if not folder:
            raise _C.Error(f"[state_dict] job {self.id} has written no checkpoint yet")
        shards = sorted(pathlib.Path(folder).glob("*.safetensors"))
        if not shards:
            raise _C.Error(f"[state_dict] the checkpoint {folder} of job {self.id} is not seen from this machine")
        tensors = {k: v for shard in shards for k, v in load_file(shard).items()}
        return {k[len("model.") :]: v for k, v in tensors.items() if k.startswith("model.")}

    def load_into(self, model: Module) -> Module:
        """The model with the values of the newest checkpoint. Tied parameters follow the one that was written."""
        result = model.load_state_dict(self.state_dict(), strict=False)
        own = dict(model.named_parameters())
        missing = [k for k in result.missing_keys if k in own]
        if missing or result.unexpected_keys:
            raise _C.Error(f"[load_into] the checkpoint of job {self.id} is of another model: {(missing or result.unexpected_keys)[0]!r} differs")
        return model


def _items(stream: Any) -> Iterator[dict[str, Any]]:
    while (text := stream.next()) is not None:
        yield json.loads(text)


def get(id: str, address: str = "") -> Job:
    """A job by its id, its name, or the beginning of either."""
    session = _client.Session(address)
    return Job(session, session.find(id))


def jobs(limit: int = 0, address: str = "") -> list[dict[str, Any]]:
    """The jobs' statuses, newest first; limit 0: all."""
    out: list[dict[str, Any]] = json.loads(_client.Session(address).list(limit))
    return out


def workers(address: str = "") -> list[dict[str, Any]]:
    """What `dsctl worker list -o json` prints."""
    out: list[dict[str, Any]] = json.loads(_client.Session(address).workers())
    return out
