"""ds.AutoTune: ask and tell, conditional spaces, failures, and the log."""

import pytest

import deepseek as ds

SPACE = {
    "lr": {"log": [1e-5, 1e-1]},
    "layers": {"int": [1, 4]},
    "kind": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.0, 0.99], "when": {"kind": "sgd"}},
}


def loss(p):
    return abs(p["layers"] - 3) + (abs(p["momentum"] - 0.9) if p["kind"] == "sgd" else 0.5)


def test_ask_and_tell_finds_the_branch():
    study = ds.AutoTune(SPACE, minimize="loss", seed=1)
    best = study.optimize(lambda trial: loss(trial.params), n_trials=40)
    assert best.params["kind"] == "sgd" and best.params["layers"] == 3
    assert loss(best.params) < 0.1
    assert best.low <= best.mean <= best.high
    assert study.best_observed["values"][0] == min(t["values"][0] for t in study.trials)
    for trial in study.trials:
        assert ("momentum" in trial["params"]) == (trial["params"]["kind"] == "sgd")
        assert isinstance(trial["params"]["layers"], int)


def test_a_replayed_log_suggests_the_same():
    study = ds.AutoTune(SPACE, minimize="loss", seed=4)
    for k in range(15):
        trial = study.ask()
        trial.report(1, 2.0)
        study.tell(trial, failed="oom") if k % 6 == 5 else study.tell(trial, loss(trial.params))
    again = ds.AutoTune(SPACE, minimize="loss", seed=4).replay(study.log)
    assert again.log == study.log
    older = [{k: v for k, v in e.items() if k != "paused"} for e in study.log]  # of before trials could be paused
    assert ds.AutoTune(SPACE, minimize="loss", seed=4).replay(older).log == study.log
    assert again.ask().params == study.ask().params


def test_what_fails_is_told_by_class_and_not_tried_again():
    study = ds.AutoTune({"a": {"int": [0, 3]}}, maximize="f")
    seen = []
    for _ in range(4):
        trial = study.ask()
        seen.append(trial.params["a"])
        study.tell(trial, float("nan"))
    assert sorted(seen) == [0, 1, 2, 3]
    assert {t["failure"] for t in study.trials} == {"nan"}
    with pytest.raises(ValueError, match="leave nothing to suggest"):
        study.ask()
    with pytest.raises(ValueError, match='"disk" is none of oom'):
        study.tell(study.enqueue({"a": 1}), failed="disk")


def test_constraints_hold():
    study = ds.AutoTune({"a": {"int": [1, 9]}, "b": {"int": [1, 9]}}, maximize="f", constraints=[lambda p: p["a"] * p["b"] <= 12])
    best = study.optimize(lambda t: t.params["a"] + t.params["b"], n_trials=25)
    assert all(t["params"]["a"] * t["params"]["b"] <= 12 for t in study.trials)
    assert best.params["a"] + best.params["b"] == 10


@pytest.mark.parametrize(
    "space, message",
    [
        ({"a": {"float": [1, 0]}}, r"\[autotune\] a: bounds must be finite and low < high, got \[1, 0\]"),
        ({"a": {"flaot": [0, 1]}}, r"\[autotune\] a: one of float"),
        ({"a": {"float": [0, 1], "when": {"b": 1}}}, r'the parent "b" is no parameter'),
    ],
)
def test_bad_spaces_name_the_parameter(space, message):
    with pytest.raises(ValueError, match=message):
        ds.AutoTune(space, maximize="f")


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="unknown option: bolt"):
        ds.AutoTune({"x": {"float": [0, 1]}}, maximize="y", bolt=0.5)


def test_an_exception_is_told_and_passes_through():
    study = ds.AutoTune({"a": {"float": [0, 1]}}, maximize="f")
    with pytest.raises(ZeroDivisionError):
        study.optimize(lambda trial: 1 / 0, n_trials=3)
    assert study.trials[0]["failure"] == "user_error"


def test_an_objective_written_for_optuna_runs_as_it_is():
    def objective(trial):
        kind = trial.suggest_categorical("kind", ["adam", "sgd"])
        momentum = trial.suggest_float("momentum", 0.0, 0.99) if kind == "sgd" else 0.5
        return abs(trial.suggest_int("layers", 1, 4) - 3) + abs(momentum - 0.9) + 0 * trial.suggest_float("lr", 1e-5, 1e-1, log=True)

    assert ds.AutoTune(SPACE, minimize="loss", seed=2).optimize(objective, n_trials=25).params["layers"] == 3
    with pytest.raises(ValueError, match="width: no active parameter of trial 0"):
        ds.AutoTune(SPACE, minimize="loss").ask().suggest_int("width", 1, 2)


def test_two_objectives_give_a_front():
    study = ds.AutoTune({"units": {"int": [1, 32]}, "rate": {"float": [0.0, 1.0]}}, maximize="accuracy", minimize={"params": lambda p: 10 * p["units"]},
                        seed=2)  # fmt: skip
    front = study.optimize(lambda t: 1 - 1 / t.params["units"] - (t.params["rate"] - 0.3) ** 2, n_trials=30)
    assert study.objectives == ["accuracy", "params"]
    assert [point["means"][1] for point in front] == [10 * point["params"]["units"] for point in front]
    assert front == sorted(front, key=lambda point: -point["means"][0]) and len(front) > 5
    with pytest.raises(ValueError, match="a front, not one recommendation"):
        study.best  # noqa: B018
    with pytest.raises(ValueError, match="2 values for 1 measured"):
        study.tell(study.ask(), [1.0, 2.0])
    with pytest.raises(ValueError, match="nothing for trials to measure"):
        ds.AutoTune({"a": {"int": [0, 3]}}, minimize={"params": lambda p: p["a"]})


def with_one_paused():
    """Ten trials that have finished, and an eleventh that ask() would give again."""
    study = ds.AutoTune({"x": {"float": [0.0, 1.0]}}, maximize="f", seed=5, local=False)
    for k in range(11):
        trial = study.enqueue({"x": k / 10 if k < 10 else 0.55})
        end, steps = (0.84 - 0.03 * abs(k - 5), 20) if k < 10 else (0.9, 3)
        for step in range(1, steps + 1):
            trial.report(step, end * step / 20)
        study.tell(trial, end * steps / 20, paused=k == 10)
    return study


def test_what_was_paused_goes_on_and_is_finished_before_the_end():
    study = with_one_paused()
    assert study.trials[10]["state"] == "paused"
    again = study.ask()  # its curve ends above all that have finished, and most of its way is done
    assert (again.number, again.resumed, again.params) == (10, True, study.trials[10]["params"])
    study.tell(again, 0.14, paused=True)
    last = study.resume()
    assert last.number == 10 and study.resume() is None
    for step in range(4, 21):
        last.report(step, 0.9 * step / 20)
        assert not last.should_stop()
    study.tell(last, 0.9)
    assert study.best.trial == 10
    replayed = ds.AutoTune({"x": {"float": [0.0, 1.0]}}, maximize="f", seed=5, local=False).replay(study.log)
    assert replayed.log == study.log and replayed.ask().params == study.ask().params
    with pytest.raises(ValueError, match="trial 10: it has ended"):
        study.tell(last, 0.9)


def test_optimize_takes_new_trials_and_what_is_paused_stays_so():
    study, seen = with_one_paused(), []

    def objective(trial):  # as one of Optuna's: from the beginning
        seen.append((trial.number, trial.resumed))
        trial.report(1, 0.1)
        return 0.5

    study.optimize(objective, 3)
    assert seen == [(11, False), (12, False), (13, False)]
    assert study.trials[10]["state"] == "paused" and study.trials[10]["values"] == [0.9 * 3 / 20]
    replayed = ds.AutoTune({"x": {"float": [0.0, 1.0]}}, maximize="f", seed=5, local=False).replay(study.log)
    assert replayed.log == study.log and replayed.ask().params == study.ask().params


def test_a_paused_trial_may_be_over_after_all():
    """As where its job was cancelled: it is told once more, and never given again."""
    study = with_one_paused()
    again = study.ask()
    study.tell(again, 0.14, stopped=True)
    assert study.trials[10]["state"] == "stopped" and study.resume() is None
    assert not study.ask().resumed


class TrialPruned(Exception):
    """As Optuna's, by its name."""


@pytest.mark.parametrize("raises", [False, True])
def test_optimize_tells_what_was_stopped_as_such(raises):
    def objective(trial):
        top = 0.9 if trial.number % 4 == 0 else 0.1 + 0.1 * trial.params["x"]
        for step in range(1, 9):
            trial.report(step, top * step / 8)
            if trial.should_stop():
                if raises:
                    raise TrialPruned
                return top * step / 8
        return top

    study = ds.AutoTune({"x": {"float": [0.0, 1.0]}}, maximize="f", seed=1)
    study.optimize(objective, 24)
    ends = {len(t["curve"]): t["state"] for t in study.trials}
    assert ends.pop(8) == "finished"
    assert set(ends.values()) == {"stopped"}
    assert study.trials[study.best.trial]["state"] == "finished"


def test_a_trial_ends_in_one_way():
    study = ds.AutoTune({"x": {"float": [0.0, 1.0]}}, maximize="f")
    trial = study.ask()
    for both in ({"stopped": True, "paused": True}, {"failed": "oom", "paused": True}):
        value = None if "failed" in both else 1.0
        with pytest.raises(ValueError, match="trial 0: it failed, was stopped for good or paused"):
            study.tell(trial, value, **both)
    study.tell(trial, 1.0, paused=1)
    with pytest.raises(ValueError, match="trial 0: it is paused"):
        study.tell(trial, 1.0)
