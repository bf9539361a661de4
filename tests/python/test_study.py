"""ds.client.tune and Study: what is refused before anybody is asked, and how a study is waited for (tests/e2e runs real ones)."""

import json

import pytest

client = pytest.importorskip("deepseek.client", reason="built without gRPC")

NOBODY = "127.0.0.1:9"
STUDY = {
    "name": "a",
    "model": {"family": "mlp"},
    "data": {"dataset": "fashion_mnist"},
    "search": {"model.depth": {"int": [1, 3]}},
    "objective": {"maximize": "test_accuracy"},
}


def test_a_dict_is_refused_without_line_numbers():
    with pytest.raises(client.Error, match=r"^search\.model\.dept: no key of the job file; did you mean model\.depth\?$") as caught:
        client.tune({**STUDY, "search": {"model.dept": {"int": [1, 3]}}}, address=NOBODY)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_file_is_refused_with_them(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nmodel: {family: mlp}\ndata: {dataset: fashion_mnist}\nsearch: {}\nobjective: {maximize: test_acc}\n")
    with pytest.raises(client.Error, match=r"^line 4: search: is missing.*\nline 5: objective\.maximize: \"test_acc\" is not one of"):
        client.tune(path, address=NOBODY)
    with pytest.raises(FileNotFoundError):
        client.tune(tmp_path / "none.yaml", address=NOBODY)


def test_nobody_answers():
    for call in (lambda: client.tune(STUDY, address=NOBODY), lambda: client.study("s-1", NOBODY), lambda: client.studies(address=NOBODY)):
        with pytest.raises(client.Error, match="no coordinator at 127.0.0.1:9"):
            call()


class FakeSession:
    """Says what a coordinator would: a study with one state after the other."""

    address = "here"

    def __init__(self, *states):
        self.states = list(states)

    def status(self, finished, state):
        best = {"trial": 0, "mean": 0.9, "low": 0.88, "high": 0.92, "best_observed": 0, "best_value": 0.91} if finished else None
        return json.dumps({"id": "s-1", "state": state, "reason": "why", "trials_finished": finished, "trials_failed": 0, "best": best,
                           "spec": {"budget": {"trials": 2}}})  # fmt: skip

    def watch_study(self, id):
        texts = iter([self.status(*state) for state in self.states])

        class Stream:
            def next(self):
                return next(texts, None)

        return Stream()

    def plot(self, id, kind):
        return f"<svg>{id} {kind}</svg>"


def test_wait_prints_a_line_a_trial(capsys):
    status = client.Study(FakeSession((0, "RUNNING"), (1, "RUNNING"), (1, "RUNNING"), (2, "SUCCEEDED")), "s-1").wait()
    assert status["state"] == "SUCCEEDED"
    assert capsys.readouterr().err.splitlines() == [
        "s-1 RUNNING 0/2 trials",
        "s-1 RUNNING 1/2 trials, recommended trial 0: 0.9 [0.88, 0.92]",
        "s-1 SUCCEEDED 2/2 trials, recommended trial 0: 0.9 [0.88, 0.92]",
    ]


class FakeFront(FakeSession):
    """Of two objectives."""

    front = [{"trial": 1, "means": {"test_accuracy": 0.9, "params": 500.0}}, {"trial": 0, "means": {"test_accuracy": 0.8, "params": 20.0}}]

    def status(self, finished, state):
        return json.dumps({**json.loads(super().status(finished, state)), "best": {"trial": 1, "front": self.front}})

    def study(self, id):
        return self.status(2, "SUCCEEDED")

    def trials(self, id):
        return json.dumps([{"id": 0, "params": {"model.depth": 1}}, {"id": 1, "params": {"model.depth": 3}}])

    def best(self, id, trial):
        return json.dumps({"trial": trial})


def test_two_objectives_have_a_front(capsys):
    study = client.Study(FakeFront((2, "SUCCEEDED")), "s-1")
    study.wait()
    assert capsys.readouterr().err == "s-1 SUCCEEDED 2/2 trials, front of 2\n"
    assert study.front()[1] == {"trial": 0, "means": {"test_accuracy": 0.8, "params": 20.0}, "params": {"model.depth": 1}}
    assert (study.best(0), study.best()) == ({"trial": 0}, {"trial": -1})


def test_one_objective_has_none():
    class One(FakeSession):
        def study(self, id):
            return self.status(1, "RUNNING")

    with pytest.raises(ValueError, match="s-1 has one objective"):
        client.Study(One(), "s-1").front()


def test_a_study_that_ends_otherwise_raises():
    with pytest.raises(client.StudyFailed, match="study s-1 CANCELLED: why") as caught:
        client.Study(FakeSession((1, "RUNNING"), (1, "CANCELLED")), "s-1").wait(progress=False)
    assert caught.value.status["trials_finished"] == 1


def test_plots_are_written(tmp_path):
    client.Study(FakeSession(), "s-1").plot(tmp_path / "a.svg", "slice")
    assert (tmp_path / "a.svg").read_text() == "<svg>s-1 slice</svg>"
