"""AutoTune: Bayesian optimisation of any objective, by ask and tell. See docs/autotune.md.

    study = ds.AutoTune({"lr": {"log": [1e-5, 1e-1]}, "layers": {"int": [1, 6]}}, maximize="accuracy", seed=0)
    for _ in range(50):
        trial = study.ask()
        study.tell(trial, train(**trial.params))
    print(study.best.params)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, Optional, Union

try:
    from . import _autotune
except ImportError as error:
    raise ImportError("[autotune] this build of the package is without AutoTune: it was built where there was no Eigen or abseil") from error

_NUMBERS = {"float": ("real", "linear"), "log": ("real", "log"), "logit": ("real", "logit"), "int": ("integer", "linear"),
            "log_int": ("integer", "log")}  # fmt: skip
_CHOICES = {"choice": "categorical", "ordinal": "ordinal"}
Params = dict[str, Any]
_Goals = Union[str, Sequence[str], Mapping[str, Optional[Callable[[Params], float]]]]


def _goals(given: _Goals) -> dict[str, Callable[[Params], float] | None]:
    return {given: None} if isinstance(given, str) else dict(given) if isinstance(given, Mapping) else dict.fromkeys(given)


class Trial:
    """One evaluation: `params` holds the values of its active parameters; `resumed`: it was paused, and goes on where it was."""

    def __init__(self, study: AutoTune, number: int, params: Params, source: str, resumed: bool = False) -> None:
        self._study, self.number, self.params, self.source, self.resumed = study, number, params, source, resumed
        self.last: float | None = None  # reported
        self.advised = False  # to stop

    def report(self, step: int, value: float) -> None:
        """A value on the way; steps rise."""
        self._study._report(self.number, step, value)
        self.last = float(value)

    def should_stop(self) -> bool:
        """Whether the reports so far say that this trial is not worth going on with; then tell(trial, value, paused=True) if it can
        go on from a checkpoint later, which ask() may want (`resumed`), else tell(trial, value, stopped=True)."""
        self.advised = self._study._study.should_stop(self.number)
        return self.advised

    # What Optuna's trials have, so that an objective written for it runs as it is: the space was declared before, and
    # these look up. Their bounds and choices are the space's own.

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._suggested(name)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return self._suggested(name)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggested(name)

    def should_prune(self) -> bool:
        return self.should_stop()

    def _suggested(self, name: str) -> Any:
        if name not in self.params:
            raise ValueError(f"[autotune] {name}: no active parameter of trial {self.number}: {', '.join(self.params)}")
        return self.params[name]

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.params})"


class Best:
    """A recommendation: the trial with the best posterior mean, that mean, and a 95 % interval of what one more run would bring."""

    def __init__(self, trial: int, params: Params, mean: float, low: float, high: float) -> None:
        self.trial, self.params, self.mean, self.low, self.high = trial, params, mean, low, high

    def __repr__(self) -> str:
        return f"Best(trial={self.trial}, mean={self.mean:.6g} [{self.low:.6g}, {self.high:.6g}], params={self.params})"


class Front(list[dict[str, Any]]):
    """The trials of two objectives that no other beats in both: {"trial", "params", "means"}, from one end to the other."""


class AutoTune:
    """A study of one objective or two.

    space: name -> {"float" | "log" | "logit" | "int" | "log_int": [low, high]} or {"choice" | "ordinal": [...]};
      with "when": {parent: value or [values]} a parameter is active only for those values of its parent.
    maximize, minimize: names of objectives, one or two in all; or {name: function}, where a function of the parameters
      says what needs no trial to be known: minimize={"params": count}. Values are told of the others, those to maximize first.
    constraints: functions of a dict of parameters; points for which one is false are never suggested.
    Errors of the space are ValueError and name the parameter.
    """

    def __init__(self, space: Mapping[str, Mapping[str, Any]], *, maximize: _Goals = (), minimize: _Goals = (), seed: int = 0,
                 constraints: Iterable[Callable[[Params], bool]] = (), **options: Any) -> None:  # fmt: skip
        goals = [(name, known, up) for given, up in ((maximize, True), (minimize, False)) for name, known in _goals(given).items()]
        if not goals:
            raise ValueError("[autotune] name what to maximize or minimize")
        self.objectives = [name for name, _, _ in goals]
        self._names = list(space)
        self._choices: list[list | None] = []
        self._whole = [any(k in spec for k in ("int", "log_int")) for spec in space.values()]
        rows = [self._row(name, spec) for name, spec in space.items()]
        rules = list(constraints)
        allows = (lambda point: all(rule(self._params(point)) for rule in rules)) if rules else None
        objectives = [(up, known and (lambda point, known=known: float(known(self._params(point))))) for _, known, up in goals]
        self._study = _autotune.Study.create(rows, allows, seed, objectives, options)
        self.log: list[dict[str, Any]] = []

    def _row(self, name: str, spec: Mapping[str, Any]) -> tuple:
        kinds = [k for k in spec if k != "when"]
        if len(kinds) != 1 or kinds[0] not in {**_NUMBERS, **_CHOICES}:
            raise ValueError(f"[autotune] {name}: one of {', '.join([*_NUMBERS, *_CHOICES])} is needed, got {dict(spec)}")
        (kind,) = kinds
        parent, when = next(iter(spec["when"].items())) if "when" in spec else ("", [])
        labels = [str(v) for v in (when if isinstance(when, (list, tuple)) else [when])]
        if kind in _CHOICES:
            self._choices.append(list(spec[kind]))
            return (name, _CHOICES[kind], "linear", 0.0, 1.0, [str(v) for v in spec[kind]], parent, labels)
        self._choices.append(None)
        if len(spec[kind]) != 2:
            raise ValueError(f"[autotune] {name}: bounds are [low, high], got {spec[kind]}")
        low, high = spec[kind]
        return (name, *_NUMBERS[kind], float(low), float(high), [], parent, labels)

    def _params(self, point: Sequence[float]) -> Params:
        out = {}
        for i, (name, c, choices) in enumerate(zip(self._names, point, self._choices)):
            if c < 0:
                continue
            value = self._study.value(i, c) if choices is None else choices[int(c)]
            out[name] = int(value) if self._whole[i] else value
        return out

    # Ask and tell.

    def ask(self) -> Trial:
        """The next trial, or a paused one that is to go on: a function of the log so far, the seed and the trial's number."""
        number = self._study.next_trial()
        point, source, resumes = self._study.suggest(number)
        if resumes >= 0:
            return self._resume(resumes)
        self._asked(number, point, source)
        return Trial(self, number, self._params(point), source)

    def _ask_new(self) -> Trial:
        """A new trial: paused ones that would go on are taken for running while it is chosen, and are paused again."""
        passed_over: list[Trial] = []
        try:
            while (trial := self.ask()).resumed:
                passed_over.append(trial)
            return trial
        finally:
            for paused in passed_over:
                told = next(e for e in reversed(self.log) if e["event"] == "told" and e["trial"] == paused.number)
                self.tell(paused, told["values"], paused=True)

    def _resume(self, number: int) -> Trial:
        self._study.resumed(number)
        self.log.append({"event": "resumed", "trial": number})
        known = next(t for t in self.trials if t["id"] == number)
        return Trial(self, number, known["params"], known["source"], resumed=True)

    def resume(self) -> Trial | None:
        """After the last new trial: the paused one that is worth finishing before `best` is asked for, or None."""
        number = self._study.to_finish()
        return None if number < 0 else self._resume(number)

    def _asked(self, number: int, point: Sequence[float], source: str) -> None:
        self._study.asked(number, list(point), source)
        self.log.append({"event": "asked", "trial": number, "point": list(point), "source": source})

    def tell(self, trial: Trial | int, value: None | float | Sequence[float] = None, *,
             failed: str | None = None, stopped: bool = False, paused: bool = False) -> None:  # fmt: skip
        """How a trial ended: with a value (one a measured objective), or failed="oom" | "nan" | "timeout" | "user_error" |
        "infrastructure". A value that is not finite counts as "nan". Early, by should_stop(): stopped=True, or paused=True
        where it can go on."""
        number = trial if isinstance(trial, int) else trial.number
        if (value is None) == (failed is None):
            raise ValueError(f"[autotune] trial {number}: give a value, or failed=CLASS")
        given: list[Any] = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
        if stopped and paused or failed and (stopped or paused):
            raise ValueError(f"[autotune] trial {number}: it failed, was stopped for good or paused: say one of these")
        values = [float(v) for v in given]
        if values and not all(math.isfinite(v) for v in values):
            failed = "nan"
        if failed is not None:
            self._study.failed(number, failed)
            self.log.append({"event": "failed", "trial": number, "failure": failed})
        else:
            self._study.told(number, values, bool(stopped), bool(paused))
            self.log.append({"event": "told", "trial": number, "values": values, "stopped": stopped, "paused": paused})

    def enqueue(self, params: Params) -> Trial:
        """A trial of the caller's own choice; it must name every active parameter."""
        point = []
        for i, name in enumerate(self._names):
            choices = self._choices[i]
            if name not in params:
                point.append(-1.0)
            elif choices is None:
                point.append(self._study.coordinate(i, params[name]))
            elif params[name] in choices:
                point.append(float(choices.index(params[name])))
            else:
                raise ValueError(f"[autotune] {name}: {params[name]!r} is none of {choices}")
        number = self._study.next_trial()
        self._asked(number, point, "enqueued")
        return Trial(self, number, self._params(point), "enqueued")

    def optimize(self, objective: Callable[[Trial], Any], n_trials: int) -> Any:
        """Runs objective(trial) n_trials times; what it returns is told. Gives `best`, or `front`. Exceptions pass through, told as "user_error".
        One that returns when should_stop() says so, or raises Optuna's TrialPruned, was stopped early, and for good. Every trial
        is a new one, which the objective runs from its beginning: those that tell(paused=True) has paused stay so until ask() or
        resume() gives them."""
        for _ in range(n_trials):
            trial = self._ask_new()
            try:
                value = objective(trial)
            except Exception as error:
                if type(error).__name__ != "TrialPruned" or trial.last is None:
                    self.tell(trial, failed="user_error")
                    raise
                self.tell(trial, trial.last, stopped=True)
                continue
            self.tell(trial, value, stopped=trial.advised and value is not None)
        return self.best if len(self.objectives) == 1 else self.front

    # What is known.

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [{**t, "params": self._params(t["point"])} for t in self._study.trials()]

    @property
    def best(self) -> Best:
        """By posterior mean: what to use."""
        number, mean, low, high, _ = self._study.recommend()
        return Best(number, self.trials[number]["params"], mean, low, high)

    @property
    def front(self) -> Front:
        """Of two objectives: what no other trial beats in both, by posterior mean."""
        trials = self.trials
        return Front({"trial": t, "params": trials[t]["params"], "means": means} for t, means in self._study.front())

    @property
    def best_observed(self) -> dict[str, Any]:
        """The trial whose reported value is the best, lucky or not."""
        return self.trials[self._study.recommend()[4]]

    def replay(self, log: Iterable[Mapping[str, Any]]) -> AutoTune:
        """Applies the log of another study with the same arguments; this one then suggests what that one would."""
        for e in log:
            if e["event"] == "asked":
                self._asked(e["trial"], e["point"], e["source"])
            elif e["event"] == "told":
                self.tell(e["trial"], e["values"], stopped=e["stopped"], paused=e.get("paused", False))
            elif e["event"] == "resumed":
                self._resume(e["trial"])
            elif e["event"] == "failed":
                self.tell(e["trial"], failed=e["failure"])
            elif e["event"] == "reported":
                self._report(e["trial"], e["step"], e["value"])
            else:
                raise ValueError(f"[autotune] the log has an event called {e['event']!r}")
        return self

    def _report(self, number: int, step: int, value: float) -> None:
        self._study.reported(number, step, value)
        self.log.append({"event": "reported", "trial": number, "step": step, "value": value})
