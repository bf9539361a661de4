"""A line that shows how far a loop is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any


def _clock(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes:02}:{s:02}"


class Progress:
    """for batch in Progress(loader, "epoch 1"): ... set(loss=0.3) shows values at the end of the line.

    On a terminal one line is written anew, at most ten times a second; else only the last one is written.
    """

    def __init__(self, items: Iterable[Any], label: str = "", total: int | None = None, stream: Any = None, width: int = 24) -> None:
        self.items, self.label, self.stream, self.width = items, label, stream or sys.stderr, width
        if total is None:
            try:
                total = len(items)  # type: ignore[arg-type]
            except TypeError:
                total = None
        self.total, self.done = total, 0
        self._values: dict[str, Any] = {}
        self._start = self._shown = time.monotonic()
        self._live = bool(getattr(self.stream, "isatty", lambda: False)())
        self._length = 0

    def __iter__(self) -> Iterator[Any]:
        self._start = time.monotonic()
        for item in self.items:
            yield item
            self.reach(self.done + 1)
        self.close()

    def reach(self, done: int) -> None:
        """So much is done: what iterating over the items does by itself."""
        self.done = done
        if self._live and time.monotonic() - self._shown > 0.1:
            self._show("\r")

    def close(self) -> None:
        self._show("\r" if self._live else "")
        self.stream.write("\n")
        self.stream.flush()

    def set(self, **values: Any) -> None:
        self._values = values

    def line(self) -> str:
        spent = time.monotonic() - self._start
        rate = self.done / spent if spent > 0 else 0.0
        values = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in self._values.items())
        if not self.total:
            return f"{self.label} {self.done} [{_clock(spent)}, {rate:.1f}/s] {values}".strip()
        share = min(self.done / self.total, 1.0)
        bar = "#" * int(share * self.width)
        left = f"<{_clock((self.total - self.done) / rate)}" if rate and self.done < self.total else ""
        return f"{self.label} {share:4.0%} |{bar:<{self.width}}| {self.done}/{self.total} [{_clock(spent)}{left}, {rate:.1f}/s] {values}".strip()

    def _show(self, before: str) -> None:
        self._shown = time.monotonic()
        text = self.line()
        self.stream.write(before + text + " " * max(self._length - len(text), 0))
        self._length = len(text)
        self.stream.flush()
