"""Early stopping on learning curves of real trainings (make_curves.py): suite `stopping` of run.py.

Four workers under a virtual clock, an epoch each a unit; every trial draws one of its row's two seeds. A rule hears of each
epoch and may stop the trial; the score is the true regret (mean over seeds, after all epochs) of what is recommended.
"""

from __future__ import annotations

import heapq
import json
import pathlib
from dataclasses import dataclass

import numpy as np
import optuna
from figures import emit, interval
from peers.optuna import Tpe

TABLE = pathlib.Path(__file__).resolve().parent / "traces/curves.npz"
WORKERS, MARKS = 4, (50, 100)


class Curves:
    """Share wrong, or loss, of held images after each epoch; regret is normalised by the median row."""

    def __init__(self, metric, seed):
        with np.load(TABLE) as table:
            space = json.loads(str(table["space"]))
            self.curves = table["loss"].astype(float) if metric == "loss" else 1 - table["correct"] / 2000
        self.name, self.space = f"curves/{metric}", {n: {"choice" if isinstance(v[0], str) else "ordinal": v} for n, v in space.items()}
        self.index = {n: {v: i for i, v in enumerate(values)} for n, values in space.items()}
        self.mean = self.curves[..., -1].mean(axis=-1)
        self.best, self.median = self.mean.min(), np.median(self.mean)
        self.random = np.random.default_rng([seed, 77])

    @property
    def epochs(self):
        return self.curves.shape[-1]

    def at(self, params):
        return tuple(self.index[n][params[n]] for n in self.index)

    def curve(self, params):
        return self.curves[self.at(params)][self.random.integers(self.curves.shape[-2])]

    def regret(self, params):
        return (self.mean[self.at(params)] - self.best) / (self.median - self.best)


class Tuner:
    """What tunes: ask() for (trial, params), report() whether to stop, tell(), best()."""

    pauses = False  # what it stops may go on later: ask() may give it again, and to_finish() what is to run before best() is asked

    def to_finish(self):
        return None


class Ours(Tuner):
    """ds.AutoTune; `rule`: None for its own should_stop(), or another one, heard in its place."""

    def __init__(self, task, seed, stopping=True, rule=None, pauses=False):
        import deepseek as ds

        self.study, self.rule, self.pauses = ds.AutoTune(task.space, minimize="value", seed=seed, stopping=stopping), rule, pauses

    def ask(self):
        trial = self.study.ask()
        return trial, trial.params

    def to_finish(self):
        trial = self.study.resume() if self.pauses else None
        return trial and (trial, trial.params)

    def number(self, trial):
        return trial.number

    def report(self, trial, epoch, value):
        trial.report(epoch, value)
        return self.rule(epoch, value) if self.rule else trial.should_stop()

    def tell(self, trial, value, stopped):
        self.study.tell(trial, value, stopped=stopped and not self.pauses, paused=stopped and self.pauses)

    def best(self):
        return self.study.best.params


class Asha:
    """Asynchronous successive halving, its stopping form: at 1, 3, 9, ... epochs the best third of those that came so far goes on."""

    def __init__(self, eta=3):
        self.eta, self.rungs = eta, {}

    def __call__(self, epoch, value):
        if round(np.log(epoch) / np.log(self.eta), 9) % 1:
            return False
        rung = self.rungs.setdefault(epoch, [])
        rung.append(value)
        return value > sorted(rung)[max(len(rung) // self.eta, 1) - 1]


class Pruned(Tpe, Tuner):
    """Optuna's TPE with one of its pruners; it recommends the best of the trials that ended."""

    def __init__(self, task, seed, pruner):
        super().__init__(task, seed, MARKS[-1])
        self.study.pruner = pruner

    def number(self, trial):
        return trial.number

    def report(self, trial, epoch, value):
        trial.report(value, epoch)
        return trial.should_prune()

    def tell(self, trial, value, stopped):
        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED) if stopped else self.study.tell(trial, value)

    def best(self):
        return self.decode(lambda p: self.study.best_trial.params[p.name])


@dataclass
class Run:
    regret: dict  # after so many trials
    epochs: dict
    time: float = 0.0  # of the virtual clock
    lost: bool = False  # the trial that would have ended best was stopped, and did not go on
    resumed: int = 0


def play(task, tuner, marks=MARKS):
    out, running, curves, at, ended, epochs = Run({}, {}), [], {}, {}, set(), 0

    def begin():
        """One more trial to a worker that is free; False: there is nothing left to do."""
        asked = tuner.ask() if len(curves) < marks[-1] else tuner.to_finish()
        if asked is None:
            return False
        trial, params = asked
        number = tuner.number(trial)
        out.resumed += number in curves
        if number not in curves:
            curves[number], at[number] = task.curve(params), 0
        heapq.heappush(running, (out.time + 1, number, trial))
        return True

    def mark(trials):
        out.regret[trials], out.epochs[trials] = task.regret(tuner.best()), epochs

    while True:
        while len(running) < WORKERS and begin():
            pass
        if not running:
            break
        out.time, number, trial = heapq.heappop(running)
        at[number] += 1
        epochs += 1
        value, more = float(curves[number][at[number] - 1]), at[number] < task.epochs
        stop = tuner.report(trial, at[number], value) and more
        if more and not stop:
            heapq.heappush(running, (out.time + 1, number, trial))
            continue
        tuner.tell(trial, value, stop)
        news = number not in ended
        ended.add(number)
        if news and len(ended) in marks[:-1]:
            mark(len(ended))
    mark(marks[-1])
    best = min(curves, key=lambda n: curves[n][-1])
    out.lost = at[best] < task.epochs
    return out


PRUNERS = {
    "none": optuna.pruners.NopPruner(),
    "median": optuna.pruners.MedianPruner(),
    "percentile 75": optuna.pruners.PercentilePruner(75.0),
    "halving": optuna.pruners.SuccessiveHalvingPruner(reduction_factor=3),
}
TUNERS = {
    "should_stop": lambda task, seed: Ours(task, seed, pauses=True),
    "should_stop, for good": Ours,
    "no stopping": lambda task, seed: Ours(task, seed, stopping=False),
    "ASHA of eta 3 with AutoTune's search": lambda task, seed: Ours(task, seed, rule=Asha()),
    **{f"Optuna TPE, pruner: {name}": lambda task, seed, p=p: Pruned(task, seed, p) for name, p in PRUNERS.items()},
}


def stopping(suite, seeds):
    for metric in ("accuracy", "loss"):
        runs = {}
        for name, tuner in TUNERS.items():
            tasks = {seed: Curves(metric, seed) for seed in seeds}
            runs[name] = [play(task, tuner(task, seed)) for seed, task in tasks.items()]
        for name, theirs in runs.items():
            for mark in MARKS:
                own, other = ([r.regret[mark] for r in some] for some in (runs["should_stop"], theirs))
                emit(suite, f"{metric}, {mark} trials", float(np.mean(own)), "regret", *((name, float(np.mean(other))) if name != "should_stop" else ()), runs=len(seeds),
                     difference_95=interval(np.subtract(own, other)), epochs=float(np.mean([r.epochs[mark] for r in theirs])) / (20 * mark),
                     best_stopped=float(np.mean([r.lost for r in theirs])), time=float(np.mean([r.time for r in theirs])), resumed=float(np.mean([r.resumed for r in theirs])))  # fmt: skip
