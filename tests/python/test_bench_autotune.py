"""bench/autotune: what it says of a trace must be so."""

import json
import pathlib
import sys
import types

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "bench/autotune"))
import figures  # noqa: E402
import make_traces  # noqa: E402
import peers  # noqa: E402
import regret  # noqa: E402
import run  # noqa: E402
import samples  # noqa: E402
import table  # noqa: E402
import tasks  # noqa: E402
from peers.base import Peer  # noqa: E402


def test_reached_and_stays():
    assert samples.reached([3, 2, 3, 2, 1], 2) == (2, 4)
    assert samples.reached([1, 1, 1], 1) == (1, 1)
    assert samples.reached([3, 1, 3], 2) == (2, samples.NEVER)
    assert samples.reached([3, 3], 2) == (samples.NEVER, samples.NEVER)


def test_a_report_counts_those_that_never_reach(capsys):
    samples.report("x", [(10, 20), (30, samples.NEVER), (50, samples.NEVER)])
    reaches, stays = map(json.loads, capsys.readouterr().out.splitlines())
    assert (reaches["ours"], reaches["not_reached"], reaches["quartiles"]) == (30, 0, [20, 40])
    assert (stays["ours"], stays["runs"]) == (samples.NEVER, 3) and stays["not_reached"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["random", "local"])
def test_a_trace_scores_what_is_recommended(name):
    task = tasks.make(("jenatton",), 0)
    rows = list(make_traces.study(peers.make(name, task, 0, 50), task, 50))
    assert [trials for trials, _, _ in rows] == [10, 25, 50]
    scores = [float(score) for _, score, _ in rows]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] < scores[0]


def test_the_recommendation_is_the_peer_s_own():
    class Stubborn(Peer):
        def ask(self):
            return None, {"x1": 0, "x2": 0, "x4": 0.0, "r8": 0.0}

        def recommend(self, observed):
            return {"x1": 1, "x3": 1, "x7": 0.0, "r9": 0.0}

    task = tasks.make(("jenatton",), 0)
    ((_, score, _),) = make_traces.study(Stubborn(task, 0, 10), task, 10)
    assert float(score) == pytest.approx(0.3)  # what it tried has regret 0


def test_only_active_parameters_are_decoded_and_ordinals_by_their_place():
    space = {"kind": {"choice": ["adam", "sgd"]}, "momentum": {"float": [0, 1], "when": {"kind": "sgd"}}, "width": {"ordinal": [32, 64, 128]}}
    peer = Peer(tasks.Task("x", space, 0), 0, 1)
    assert peer.decode_point({"kind": "0", "momentum": 0.5, "width": 2.0}) == {"kind": "adam", "width": 128}
    assert peer.decode_point({"kind": 1, "momentum": 0.5, "width": 0}) == {"kind": "sgd", "momentum": 0.5, "width": 32}
    assert [p.name for p in peer.children(peer.space[0])[1]] == ["momentum"] and peer.space[2].kind == "int"


def test_ranks_are_of_the_runs_that_all_have(capsys):
    pytest.importorskip("scipy")
    entrants = {"AutoTune": {1: {50: 0.1}, 2: {50: 0.9}}, "a": {1: {50: 0.2}}, "b": {1: {50: 0.1}, 2: {50: 0.0}}, "c": {1: {25: 0.0}}}
    regret.ranks("x", 50, entrants)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["peer"], line["peer_value"], line["ours"], line["runs"]) for line in lines] == [("a", 3, 1.5, 1), ("b", 1.5, 1.5, 1)]


def test_every_kept_trace_is_whole():
    for path in (figures.HERE / "traces").glob("*.csv"):
        suite = next(s for s in ("bbob-mixint", "bbob", "jenatton", "nb201", "hpolib", "hpobench") if path.stem.startswith(s + "-"))
        assert path.stem[len(suite) + 1 :] in peers.PEERS
        runs = figures.traces(suite)[path.stem[len(suite) + 1 :]]
        assert runs and all(tuple(rows) == make_traces.MARKS[: len(rows)] and len(rows) >= 2 for rows in runs.values()), path.name


@pytest.mark.parametrize(
    "arguments, seeds",
    [("jenatton", range(3)), ("jenatton --seeds 2", range(2)), ("jenatton --seeds 2 --first 120", range(120, 122)),
     ("ablation --seeds 2", range(100, 102)), ("ablation --first 7", range(7, 10))],
)  # fmt: skip
def test_a_suite_plays_the_seeds_that_are_asked_for(monkeypatch, arguments, seeds):
    played = {}
    suite = types.SimpleNamespace(play=lambda name, seeds: played.update({name: seeds}))
    monkeypatch.setitem(sys.modules, "suite", suite)
    monkeypatch.setattr(run, "SUITES", dict.fromkeys(run.SUITES, "suite.play"))
    monkeypatch.setattr(sys, "argv", ["run.py", "--suite", *arguments.split()])
    run.main()
    assert played == {arguments.split()[0]: seeds}


def test_the_page_s_rows_say_who_is_better():
    def case(trials, low, high, runs=6):
        return json.dumps({"case": f"hpolib: {trials} trials, same tasks and seeds", "peer": "ax", "runs": runs, "ours": 0.1, "peer_value": 0.25,
                           "difference_95": [low, high], "peer_seconds_a_trial": 1.5})  # fmt: skip

    other = json.dumps({"case": "hpolib: 25 trials", "peer": None})
    *_, row = table.table([other, case(25, -0.2, -0.1), case(50, -0.1, 0.1), case(100, 0.1, 0.2)])
    assert row == "| hpolib | ax | 6 | 0.250 / 0.250 / 0.250 | 0.100 / 0.100 / 0.100 | better / = / worse | 1.5 |"
    *_, row = table.table([case(25, -0.2, -0.1, runs=5)])
    assert row.endswith("| few | 1.5 |")
