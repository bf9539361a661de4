"""Studies on a cluster, from Python: ds.client.tune({... "search": {...}, "objective": {...}}).wait()"""

from __future__ import annotations

import json
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from . import _client

Error = _client.Error


class StudyFailed(Error):
    """A study that was waited for ended otherwise than SUCCEEDED; `status` is its last."""

    def __init__(self, status: dict[str, Any]) -> None:
        super().__init__(f"study {status['id']} {status['state']}: {status['reason']}")
        self.status = status


class Study:
    """A study of a cluster, by its id. Its documents are those of `dsctl tune ... -o json` (docs/cli.md)."""

    def __init__(self, session: Any, id: str) -> None:
        self._session, self.id = session, id

    def __repr__(self) -> str:
        return f"Study({self.id!r} at {self._session.address})"

    def status(self) -> dict[str, Any]:
        """State, numbers of trials, epochs, and what is recommended so far under "best"."""
        return _loaded(self._session.study(self.id))

    @property
    def state(self) -> str:
        """RUNNING, PAUSED, RETRAINING, SUCCEEDED, FAILED or CANCELLED."""
        return str(self.status()["state"])

    def watch(self) -> Iterator[dict[str, Any]]:
        """The status now and after every change, until the study has ended."""
        stream = self._session.watch_study(self.id)
        while (text := stream.next()) is not None:
            yield json.loads(text)

    def wait(self, progress: bool = True) -> dict[str, Any]:
        """Until the end: its last status. StudyFailed unless it SUCCEEDED. progress: a line whenever a trial has ended."""
        status: dict[str, Any] = {}
        told = -1
        for status in self.watch():
            ended = status["trials_finished"] + status["trials_failed"]
            if progress and ended != told:
                print(_line(status, ended), file=sys.stderr)
            told = ended
        if status["state"] != "SUCCEEDED":
            raise StudyFailed(status)
        return status

    def trials(self) -> list[dict[str, Any]]:
        """All trials, by id: params, value, state, reports, job, ..."""
        out: list[dict[str, Any]] = json.loads(self._session.trials(self.id))
        return out

    def best(self, trial: int | None = None) -> dict[str, Any]:
        """What is recommended: params, mean with low and high (95 %), best_observed, and the job file under "job". Of two
        objectives it is the knee of the front; trial: that trial's configuration instead."""
        return _loaded(self._session.best(self.id, -1 if trial is None else trial))

    def front(self) -> list[dict[str, Any]]:
        """Of two objectives: the trials that no other beats in both, as {"trial", "means", "params"}; means by objective."""
        best = self.status()["best"]
        if best is None:
            return []
        if "front" not in best:
            raise ValueError(f"study {self.id} has one objective: best() says what it recommends")
        params = {t["id"]: t["params"] for t in self.trials()}
        return [{**one, "params": params[one["trial"]]} for one in best["front"]]

    def importance(self) -> list[dict[str, Any]]:
        """Each parameter's share of the objective's variance, largest first: alone ("main"), and with others ("total")."""
        out: list[dict[str, Any]] = json.loads(self._session.importance(self.id))
        return out

    def plot(self, path: str | os.PathLike[str], kind: str = "history") -> None:
        """Writes an SVG: "history", "parallel", "slice" or "pareto"."""
        pathlib.Path(path).write_text(self._session.plot(self.id, kind), encoding="utf-8")

    def cancel(self, reason: str = "") -> dict[str, Any]:
        return _loaded(self._session.cancel_study(self.id, reason))

    def pause(self, reason: str = "") -> dict[str, Any]:
        """Its trials write checkpoints and free their slots."""
        return _loaded(self._session.pause_study(self.id, reason))

    def resume(self, reason: str = "") -> dict[str, Any]:
        return _loaded(self._session.resume_study(self.id, reason))


def _loaded(text: str) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(text)
    return out


def _line(status: dict[str, Any], ended: int) -> str:
    best, found = status["best"], ""
    if best and "front" in best:
        found = f", front of {len(best['front'])}"
    elif best:
        found = f", recommended trial {best['trial']}: {best['mean']:.4g} [{best['low']:.4g}, {best['high']:.4g}]"
    return f"{status['id']} {status['state']} {ended}/{status['spec']['budget']['trials']} trials{found}"


def tune(study: Mapping[str, Any] | str | os.PathLike[str], *, address: str = "", key: str = "") -> Study:
    """Submits a study and returns at once; Study.wait() shows how it goes.

    study: a study file's path, or its content as a dict (docs/autotune.md): the keys of a job file, and beside them
    "search", "objective", and "budget", "constraints", "seed", "early_stopping", "retrain".
    address, key: as of submit().
    """
    session = _client.Session(address)
    if isinstance(study, Mapping):
        try:
            return Study(session, session.submit_study(json.dumps(study), "", key))
        except Error as error:
            error.args = (re.sub(r"(?m)^line \d+: ", "", str(error)),)  # lines of a file that nobody wrote
            raise
    path = pathlib.Path(study)
    return Study(session, session.submit_study(path.read_text(encoding="utf-8"), str(path.parent), key))


def study(id: str, address: str = "") -> Study:
    """A study by its id, its name, or the beginning of either."""
    session = _client.Session(address)
    return Study(session, session.find_study(id))


def studies(limit: int = 0, address: str = "") -> list[dict[str, Any]]:
    """The studies' statuses, newest first; limit 0: all."""
    out: list[dict[str, Any]] = json.loads(_client.Session(address).studies(limit))
    return out
