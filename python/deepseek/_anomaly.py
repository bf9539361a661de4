"""Finds the line of the user's program that made the first NaN."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from typing import Any

from . import _C

Tensor = _C.Tensor
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_active: list[detect_anomaly] = []


def _bad(x: Tensor) -> bool:
    return (x.dtype.is_floating_point or x.dtype.is_complex) and bool(_C.any(_C.not_equal(x, x)))


class detect_anomaly(contextlib.ContextDecorator):
    """While on, what every line of the program (not of this package) assigns is looked at, and the first line that made
    a NaN raises an Error naming it. backward() names the line whose gradient was the first NaN. Slow: it computes after
    every line; for looking for a mistake only."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check = check_nan
        self._seen: dict[int, Tensor] = {}  # by node, in the order in which lines made them
        self._lines: dict[int, tuple[str, int]] = {}

    def __enter__(self) -> detect_anomaly:
        if self._check:
            self._old = sys.gettrace()
            self._frame = sys._getframe(1)
            while self._frame.f_back and self._frame.f_code.co_filename in (__file__, contextlib.__file__):
                self._frame = self._frame.f_back
            self._last: dict[int, int] = {id(self._frame): self._frame.f_lineno}
            self._note(self._frame, report=False)
            _active.append(self)
            self._frame.f_trace = self._trace
            sys.settrace(self._enter)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._check:
            sys.settrace(self._old)
            self._frame.f_trace = None
            _active.remove(self)
            if kind is None:
                self._note(self._frame)
            self._seen.clear()

    def _enter(self, frame: Any, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name.startswith((_PACKAGE, "<frozen")) or name == contextlib.__file__:
            return None
        self._last[id(frame)] = frame.f_lineno
        return self._trace

    def _trace(self, frame: Any, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            self._note(frame, arg if event == "return" else None)
            self._last[id(frame)] = frame.f_lineno
        return self._trace

    def _note(self, frame: Any, result: Any = None, report: bool = True) -> None:
        """Looks at what the line before this one made."""
        line = self._last.get(id(frame), frame.f_lineno)
        for value in [*frame.f_locals.values(), result]:
            for x in value if isinstance(value, (list, tuple)) else (value,):
                if not isinstance(x, Tensor) or (node := _C.node_id(x)) in self._seen:
                    continue
                self._seen[node], self._lines[node] = x, (frame.f_code.co_filename, line)
                if report and _bad(x):
                    self._raise("made", *self._lines[node])

    @staticmethod
    def _raise(what: str, file: str, line: int) -> None:
        sys.settrace(None)
        text = linecache.getline(file, line).strip()
        raise _C.Error(f"[detect_anomaly] {file}:{line} {what} the first NaN: {text}")

    def check_backward(self, output: Tensor, seed: Tensor | None) -> None:
        """Raises where a gradient is NaN: at the line after the last one whose gradient still was a number."""
        made = [(x, self._lines[n]) for n, x in self._seen.items() if x.requires_grad]
        if not made:
            return
        old = sys.gettrace()
        sys.settrace(None)
        grads = _C.grad([output], [x for x, _ in made], [seed], True, False, True)
        after = None
        for (_, line), g in reversed(list(zip(made, grads))):
            if g is None:
                continue
            if _bad(g):
                self._raise("has in its backward", *(after or line))
            after = line
        sys.settrace(old)


def check_backward(output: Tensor, seed: Tensor | None) -> None:
    """What backward() calls first."""
    for mode in _active:
        mode.check_backward(output, seed)
