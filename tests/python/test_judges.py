"""The judges of tests/conformance: they must be able to fail, and a long run must be able to go on."""

import json
import pathlib
import sys

import numpy as np
import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))
from lib import gradients  # noqa: E402
from lib.record import Record  # noqa: E402


def test_a_small_wrong_gradient_differs():
    theirs = {"big": np.array([1.0, -2.0]), "small": np.array([2e-5, 1e-5])}
    assert not gradients.differing(theirs, {k: v * (1 + 1e-4) for k, v in theirs.items()})
    assert list(gradients.differing(theirs, {**theirs, "small": np.array([2e-5, 3e-5])})) == ["small"]
    assert list(gradients.differing(theirs, {**theirs, "small": np.zeros(2)})) == ["small"]
    assert list(gradients.differing(theirs, {**theirs, "big": np.array([1.0, np.nan])})) == ["big"]


def test_a_gradient_that_is_zero_but_for_rounding_has_no_scale_of_its_own():
    theirs = {"weight": np.array([1.0]), "bias": np.array([3e-9, -1e-9])}
    assert not gradients.differing(theirs, {"weight": np.array([1.0]), "bias": np.array([-2e-9, 4e-9])})


@pytest.fixture
def smooth(monkeypatch):
    """(module, example, its true gradients): a layer whose loss is smooth."""
    torch = pytest.importorskip("torch", reason="torch is what the judge compares with")
    monkeypatch.setattr(torch, "from_numpy", lambda a: torch.tensor(a.tolist(), dtype=torch.float64))  # 1.13 knows no NumPy 2
    torch.manual_seed(0)
    module, example = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh()).double(), torch.randn(5, 3).double()
    gradients.torch_loss(module, example).backward()
    return module, example, {n: np.array(p.grad.tolist()) for n, p in module.named_parameters()}


def test_differences_of_the_forward_pass_say_whose_gradient_is_wrong(smooth):
    module, example, true = smooth
    kept = {n: p.detach().clone() for n, p in module.named_parameters()}
    for wrong in (true["0.weight"] * 1.01, true["0.weight"] + 1e-3 * np.eye(4, 3), np.zeros((4, 3)), np.full((4, 3), np.nan)):
        ours_wrong = gradients.differing(true, {**true, "0.weight": wrong})
        assert list(ours_wrong) == ["0.weight"]
        assert gradients.contradicted(module, example, ours_wrong).startswith("gradient of 0.weight differs by ")
    theirs_wrong = gradients.differing({**true, "0.bias": true["0.bias"][::-1].copy()}, true)
    assert list(theirs_wrong) == ["0.bias"] and not gradients.contradicted(module, example, theirs_wrong)
    both = gradients.differing({**true, "0.bias": true["0.bias"] * 2}, {**true, "0.bias": true["0.bias"] * 1.5})
    assert gradients.contradicted(module, example, both)
    assert all(bool((p == kept[n]).all()) for n, p in module.named_parameters())


def test_an_autograd_function_is_not_judged_by_differences(smooth):
    module, example, true = smooth
    import torch

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    class Surrogate(torch.nn.Module):
        def forward(self, x):
            return Doubled.apply(x)

    module.append(Surrogate()) if hasattr(module, "append") else module.add_module("2", Surrogate())
    found = gradients.differing({n: 2 * g for n, g in true.items()}, true)
    assert "Doubled, an autograd.Function, is not taken over" in gradients.contradicted(module, example, found)


def test_a_record_goes_on_where_a_run_was_broken_off(tmp_path, monkeypatch):
    monkeypatch.setenv("DS_CONFORMANCE_CACHE", str(tmp_path))
    asked = []

    def judge(outcome, why=""):
        asked.append(why)
        return outcome, why

    first = Record("suite", "code 1")
    assert first.judge("a", lambda: judge("passed")) == ("passed", "")
    assert first.judge("b", lambda: judge("failed", "differs")) == ("failed", "differs")
    first.path.write_text(first.path.read_text() + '{"case": "c", "outc')  # killed while it wrote
    second = Record("suite", "code 1")
    assert second.judge("b", lambda: judge("passed")) == ("failed", "differs") and asked == ["", "differs"]
    assert second.judge("c", lambda: judge("skipped", "no such model")) == ("skipped", "no such model")
    result = second.finish()
    assert (result["passed"], result["failed"], result["skipped"]) == (1, 1, 1)
    assert result["failures"] == ["b: differs"] and result["skips"] == {"no such model": 1}
    assert json.loads(second.path.read_text().splitlines()[-1]) == {"finished": True}
    assert not Record("suite", "code 1").outcomes  # finished: begun anew
    Record("suite", "code 1").judge("a", lambda: judge("passed"))
    assert not Record("suite", "code 2").outcomes  # of other code


def test_a_wrong_node_is_found_alone(monkeypatch):
    onnx = pytest.importorskip("onnx", reason="onnx is what the judge takes apart")
    import nnsmith  # the suite
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    def by_reference(model, inputs, names):
        return ReferenceEvaluator(model).run(names, inputs)

    def by_wrong_product(model, inputs, names):
        return [a * 1.01 if model.graph.node[-1].op_type == "Mul" else a for a in by_reference(model, inputs, names)]

    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [3]) for n in "xy")
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), helper.make_node("Ceil", ["square"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
    inputs = {"x": np.array([0.5, 1.5, -2.0], np.float32)}
    monkeypatch.setattr(nnsmith, "by_onnxruntime", by_reference)
    monkeypatch.setattr(nnsmith, "by_us", by_reference)
    assert nnsmith.wrong_node(model, inputs) is None
    monkeypatch.setattr(nnsmith, "by_us", by_wrong_product)
    assert nnsmith.wrong_node(model, inputs).startswith("Mul alone")
