"""deepseek.job as a cluster's executor hears it: the lines on its channel, and how the program ends."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

TRAIN = pathlib.Path(__file__).resolve().parent.parent.parent / "examples/script/train.py"


def run(program: str, hears: bytes = b"") -> tuple[int, list[dict]]:
    """The exit code of a script under an executor, and what it said."""
    ours, theirs = socket.socketpair()
    ours.sendall(hears)
    environment = {**os.environ, "DS_JOB_CHANNEL": str(theirs.fileno()), "RANK": "0"}
    child = subprocess.Popen([sys.executable, "-c", "from deepseek import job\n" + program], env=environment, pass_fds=[theirs.fileno()])
    theirs.close()
    with ours.makefile() as channel:
        said = [json.loads(line) for line in channel]  # to its end: the channel closes with the program
    ours.close()
    return child.wait(timeout=60), said


@pytest.mark.parametrize(
    ("program", "failure", "words"),
    [
        ("raise MemoryError('no 8 bytes')", "oom", "MemoryError: no 8 bytes"),
        ("class OutOfMemoryError(RuntimeError): ...\nraise OutOfMemoryError('cuda:0')", "oom", "OutOfMemoryError: cuda:0"),
        ("import deepseek as ds\nds.zeros(1 << 58).numpy()", "oom", "bytes of host memory left"),
        ("raise FloatingPointError('loss')", "nan", "FloatingPointError: loss"),
        ("raise KeyError('price')", "", "KeyError: 'price'"),
        ("job.fail('the loss is nan', 'nan')", "nan", "the loss is nan"),
        ("job.fail('no such column')", "user_error", "no such column"),
    ],
)
def test_an_error_is_told_with_its_class(program, failure, words):
    code, said = run(program)
    assert code == 1
    assert (said[-1]["failure"], words in said[-1]["error"]) == (failure, True), said


def test_figures_that_are_no_numbers_are_told():
    code, said = run("job.report(3, loss=float('nan'), test_loss=float('-inf'), test_accuracy=0.5)")
    assert code == 0
    assert said == [{"report": {"step": 3, "epoch": 0, "loss": "nan", "test_loss": "-inf", "test_accuracy": 0.5}}]


def test_metrics_of_its_own_are_told_by_name():
    code, said = run("job.report(3, metrics={'val/f1': 0.5, 'bleu': float('nan')})")
    assert (code, said) == (0, [{"report": {"step": 3, "epoch": 0, "metrics": {"val/f1": 0.5, "bleu": "nan"}}}])


@pytest.mark.parametrize(("name", "words"), [("loss", "'loss' is no metric of the script's own"), ("f 1", "got 'f 1'"), ("", "got ''")])
def test_a_metrics_name_is_refused_by_name(name, words):
    from deepseek import job

    with pytest.raises(ValueError, match=words):
        job.report(1, metrics={name: 1.0})


def test_what_a_parser_refuses_is_the_executors_to_tell():
    """A script may go on after it, and then it is not why it failed."""
    program = "import argparse\ntry:\n    argparse.ArgumentParser().parse_args(['--widht=3'])\nexcept SystemExit:\n    pass\nraise SystemExit(3)"
    assert run(program) == (3, [])


def test_the_examples_script_evaluates_an_epoch_before_it_stops_at_its_end():
    """What goes on from its checkpoint begins the next epoch, so nobody would."""
    once = "import runpy, sys\nassert job._channel.stop_wanted.wait(60)\n"
    line = ["train.py", "--epochs=2", "--batch-size=60000", "--width=2"]
    code, said = run(f"{once}sys.argv = {line}\nrunpy.run_path({str(TRAIN)!r}, run_name='__main__')", b'{"stop": true}\n')
    assert code == 75
    assert ["test_accuracy" in line["report"] for line in said] == [False, True], said


def test_a_failure_has_a_known_class():
    from deepseek import job

    with pytest.raises(ValueError, match="'disk' is none of oom, nan, user_error"):
        job.fail("why", "disk")
