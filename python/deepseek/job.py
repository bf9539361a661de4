"""What a script says to the cluster that runs it, and hears from it.

    from deepseek import job
    state = job.load_checkpoint()                # of this job's earlier start, or None
    for step in range(state["step"] if state else 0, 1000):
        ...
        job.report(step + 1, loss=loss.item(), total_steps=1000)
        if job.should_stop():                    # paused, or the worker drains
            job.save_checkpoint(step + 1, model=model.state_dict())
            job.stop()

Outside of the cluster the same script runs alone: reports go nowhere, and there are no checkpoints.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import re
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from . import _C, distributed

__all__ = ["active", "fail", "folder", "load_checkpoint", "name", "rank", "report", "save_checkpoint", "should_stop", "stop", "warn"]

_STOPPED, _PEER_LOST = 75, 74  # exit codes that ds-executor knows
_KEEP = 2


class _Channel:
    """Lines of JSON to the executor and from it, on the descriptor it gave."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lock = threading.Lock()
        self.stop_wanted = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, **message: Any) -> None:
        with self._lock:
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        for line in self._socket.makefile("rb"):
            if json.loads(line).get("stop"):
                self.stop_wanted.set()


_channel: _Channel | None = None


def _open() -> None:
    global _channel
    descriptor = os.environ.pop("DS_JOB_CHANNEL", "")
    if descriptor:
        _channel = _Channel(int(descriptor))
        sys.excepthook = _tell_and_exit


def _class_of(kind: type[BaseException]) -> str:
    """The failure's class where the error tells it. Libraries have out-of-memory errors of their own, by this name."""
    if issubclass(kind, MemoryError) or any(c.__name__ == "OutOfMemoryError" for c in kind.__mro__):
        return "oom"
    return "nan" if issubclass(kind, FloatingPointError) else ""


def _tell_and_exit(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """The job's reason is the error in words; a lost peer is not this script's fault, and tried again."""
    traceback.print_exception(kind, error, trace)
    peer_lost = issubclass(kind, ConnectionError) and kind.__module__ == "deepseek._comm"
    last = traceback.extract_tb(trace)[-1:] if trace else []
    where = f" ({os.path.basename(last[0].filename)}:{last[0].lineno})" if last else ""
    if _channel is not None:
        _channel.tell(error=f"{kind.__name__}: {error}{where}", failure=_class_of(kind))
    _exit(_PEER_LOST if peer_lost else 1)


def _exit(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def active() -> bool:
    """Whether the cluster runs this script."""
    return _channel is not None


def name() -> str:
    """The job's id; empty outside of the cluster."""
    return os.environ.get("DS_JOB", "")


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def folder() -> pathlib.Path | None:
    """The job's own folder, seen by all its ranks and kept from start to start; None outside of the cluster."""
    return pathlib.Path(os.environ["DS_JOB_DIR"]) if "DS_JOB_DIR" in os.environ else None


def report(
    step: int, loss: float | None = None, *, total_steps: int | None = None, epoch: int = 0, samples: int | None = None,
    seconds: float | None = None, lr: float | None = None, test_loss: float | None = None, test_accuracy: float | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:  # fmt: skip
    """One line of the job's history: after `step` completed steps. Rank 0's count; the others' are not sent.

    samples: of this step, over all ranks; seconds: that it took (default: since the report before).
    test_loss, test_accuracy, metrics: of an evaluation; metrics: any others by name, such as {"f1": 0.8}. A study's
    objective may be any of them.
    """
    own = {_metric_name(name): float(value) for name, value in (metrics or {}).items()}
    if _channel is None or rank() != 0:
        return
    given = {"step": int(step), "epoch": int(epoch), "total_steps": total_steps, "samples": samples, "seconds": seconds}
    figures = {"loss": loss, "lr": lr, "test_loss": test_loss, "test_accuracy": test_accuracy}
    floats = {k: float(v) for k, v in figures.items() if v is not None}
    told = {**{k: v for k, v in given.items() if v is not None}, **_spelled(floats)}
    _channel.tell(report={**told, "metrics": _spelled(own)} if own else told)


def _spelled(figures: dict[str, float]) -> dict[str, float | str]:
    return {k: v if math.isfinite(v) else str(v) for k, v in figures.items()}  # JSON has no word for nan and inf


def _metric_name(name: str) -> str:
    if name in ("loss", "lr", "test_loss", "test_accuracy", "samples_per_second", "params", "flops"):
        raise ValueError(f"[job] {name!r} is no metric of the script's own: it has a meaning already")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]{0,62}", name):
        raise ValueError(f"[job] a metric's name is at most 63 letters, digits, _, -, . and /, beginning with a letter; got {name!r}")
    return name


def warn(text: str) -> None:
    """Shown with the job from now on."""
    if _channel is not None:
        _channel.tell(warning=str(text))


def should_stop() -> bool:
    """Whether to write a checkpoint and stop(): the job was paused, or its worker drains. With a process group all
    ranks ask at the same place, and get the same answer."""
    wanted = _channel is not None and _channel.stop_wanted.is_set()
    if distributed.get_world_size() == 1:
        return wanted
    return bool(distributed.all_reduce(_C.from_array(_flag(wanted)), "max").item())


def _flag(on: bool) -> Any:
    import numpy as np

    return np.array(1.0 if on else 0.0, np.float32)


def stop() -> NoReturn:
    """Ends this run of the script; a paused job goes on from its checkpoint when it is resumed."""
    _exit(_STOPPED)


def fail(reason: str, failure: str = "user_error") -> NoReturn:
    """Ends the job as FAILED with this reason; failure: "oom", "nan" or "user_error", as `dsctl job get` shows it."""
    if failure not in ("oom", "nan", "user_error"):
        raise ValueError(f"[job] the failure {failure!r} is none of oom, nan, user_error")
    print(reason, file=sys.stderr)
    if _channel is not None:
        _channel.tell(error=str(reason), failure=failure)
    _exit(1)


def save_checkpoint(step: int, **state: Any) -> None:
    """Writes what load_checkpoint() gives back, on rank 0 (others return at once). The newest two stay."""
    where = folder()
    if where is None or rank() != 0:
        return
    from .serialization import save

    checkpoints = where / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    path = checkpoints / f"step-{int(step):012d}.ds"
    save({**state, "step": int(step)}, path)
    _sync_folder(checkpoints)
    if _channel is not None:
        _channel.tell(checkpoint=str(path), step=int(step))
    for old in sorted(checkpoints.glob("step-*.ds"))[:-_KEEP]:
        old.unlink()


def _sync_folder(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint() -> dict[str, Any] | None:
    """What save_checkpoint() wrote last, with its `step`; None on a fresh start. A damaged one is passed over."""
    where = folder()
    if where is None:
        return None
    from .serialization import load

    for path in sorted((where / "checkpoints").glob("step-*.ds"), reverse=True):
        try:
            state: dict[str, Any] = load(path)
            return state
        except (OSError, ValueError, KeyError) as error:
            warn(f"the checkpoint {path} is refused: {error}")
    return None


_open()
