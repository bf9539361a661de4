"""What a long suite has judged so far, case by case: a run that was broken off goes on where it stopped.

A record stands in ~/.cache/deepseek/conformance (DS_CONFORMANCE_CACHE names another folder), one JSON line a case. Its
first line names the code that was judged and the judge; a record of other code, or a finished one, is begun anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any


def folder() -> pathlib.Path:
    """Where suites keep what outlives a run."""
    return pathlib.Path(os.environ.get("DS_CONFORMANCE_CACHE", pathlib.Path.home() / ".cache/deepseek/conformance"))


def fingerprint() -> str:
    """Of the package that is judged and of the judges."""
    import deepseek

    files = [*pathlib.Path(deepseek.__file__).parent.rglob("*"), *pathlib.Path(__file__).parent.parent.rglob("*.py")]
    total = hashlib.sha256()
    for file in sorted(f for f in files if f.suffix in (".py", ".so")):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


class Record:
    """The outcomes of one suite's cases, each written as it is known."""

    def __init__(self, suite: str, code: str) -> None:
        self.path = folder() / f"{suite}.jsonl"
        self.outcomes: dict[str, dict[str, Any]] = {}
        lines = self._lines()
        if lines and lines[0] == {"code": code} and lines[-1] != {"finished": True}:
            self.outcomes = {line["case"]: line for line in lines[1:]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(json.dumps(line) + "\n" for line in ({"code": code}, *self.outcomes.values())))

    def _lines(self) -> list[dict[str, Any]]:
        """Those that are whole: a run that was killed may have left half a line."""
        whole = []
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                whole.append(json.loads(line))
            except ValueError:
                break
        return whole

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def judge(self, case: str, judge: Callable[[], tuple[str, str]]) -> tuple[str, str]:
        """(passed | failed | skipped, why) of the case: as recorded, or by judging it now."""
        if case not in self.outcomes:
            start = time.time()
            outcome, why = judge()
            self.outcomes[case] = {"case": case, "outcome": outcome, "why": why, "seconds": round(time.time() - start, 2)}
            self._write(self.outcomes[case])
        return self.outcomes[case]["outcome"], self.outcomes[case]["why"]

    def finish(self) -> dict[str, Any]:
        """The suite's result: counts, failures, skips by reason, and the seconds of all its runs together."""
        self._write({"finished": True})
        by: dict[str, list[dict[str, Any]]] = {"passed": [], "failed": [], "skipped": []}
        for line in self.outcomes.values():
            by[line["outcome"]].append(line)
        return {
            **{outcome: len(lines) for outcome, lines in by.items()},
            "failures": [f"{line['case']}: {line['why']}" for line in by["failed"]],
            "skips": dict(Counter(line["why"] for line in by["skipped"])),
            "notes": dict(Counter(line["why"] for line in by["passed"] if line["why"])),
            "seconds": sum(line["seconds"] for line in self.outcomes.values()),
        }
