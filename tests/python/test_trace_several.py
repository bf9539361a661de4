"""Models of several inputs and losses of several targets are trained by the engine as Python trains them."""

import numpy as np
import pytest
from test_trace import checkpoint, engine, header

import deepseek as ds
from deepseek import _trace, client

nn, F = ds.nn, ds.functional


class Towers(nn.Module):
    """Tokens and numbers of a sample, each through its own layers."""

    def __init__(self):
        super().__init__()
        self.embed, self.left, self.right = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(5, 8)
        self.classes, self.value = nn.Linear(8, 4), nn.Linear(8, 1)

    def forward(self, words, numbers):
        h = F.relu(self.left(self.embed(words).mean(1)) * self.right(numbers))
        return self.classes(h), self.value(h).squeeze(-1)


def both(output, label, value):
    return F.cross_entropy(output[0], label) + 0.5 * F.mse_loss(output[1], value)


def samples(n=48):
    r = np.random.default_rng(6)
    inputs = r.integers(0, 11, (n, 6)), r.normal(size=(n, 5)).astype(np.float32)
    return inputs, (r.integers(0, 4, n), r.normal(size=n).astype(np.float32))


def eager(model, inputs, targets, order, call):
    optimizer = ds.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    losses = []
    for indices in order:
        optimizer.zero_grad()
        value = both(call(model, [ds.tensor(x[indices]) for x in inputs]), *(ds.tensor(y[indices]) for y in targets))
        value.backward()
        optimizer.step()
        losses.append(float(value.item()))
    return losses


@pytest.fixture
def traced(tmp_path):
    ds.manual_seed(5)
    model, (inputs, targets) = Towers(), samples()
    _trace.trace(model, both, tuple(x[:3] for x in inputs), tuple(y[:3] for y in targets), tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (inputs, targets), (tuple(x[:9] for x in inputs), tuple(y[:9] for y in targets)))
    return model, inputs, targets


def test_two_towers_and_two_targets_train_as_in_python(traced, tmp_path):
    model, inputs, targets = traced
    told = header(tmp_path / "graph")
    assert [t["shape"] for t in told["input"]] == [[6], [5]] and [t["dtype"] for t in told["target"]] == ["int64", "float32"]
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    np.testing.assert_allclose(got["losses"], eager(model, inputs, targets, got["samples"], lambda m, x: m(*x)), rtol=1e-6, atol=1e-6)
    loss, accuracy = got["evaluations"][-1]
    assert accuracy is None  # of which target would not be clear
    model.load_state_dict({n[6:]: t for n, t in checkpoint(tmp_path).items() if n.startswith("model.")})
    want = both(model(*(ds.tensor(x[:9]) for x in inputs)), *(ds.tensor(y[:9]) for y in targets))
    assert loss == pytest.approx(want.item(), rel=1e-5)


def test_ranks_and_a_stop_change_no_bit(traced, tmp_path):
    run = lambda **more: engine(tmp_path, tmp_path / "graph", tmp_path / "data", batch=16, steps=12, shards=4, **more)  # noqa: E731
    one, two = run(job="one"), run(job="two", ranks=2)
    assert two == one
    first, rest = run(job="pieces", ranks=2, stop_at=5), run(job="pieces")
    assert first["losses"] + rest["losses"] == one["losses"]
    states = [{n: t.numpy().tobytes() for n, t in checkpoint(tmp_path, job).items()} for job in ("one", "two", "pieces")]
    assert states[0] == states[1] == states[2]


def test_inputs_by_name(tmp_path):
    ds.manual_seed(5)
    model, (inputs, targets) = Towers(), samples()
    named = {"words": inputs[0], "numbers": inputs[1]}
    _trace.trace(model, both, {k: x[:3] for k, x in named.items()}, tuple(y[:3] for y in targets), tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (dict(reversed(named.items())), targets))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    np.testing.assert_allclose(got["losses"], eager(model, inputs, targets, got["samples"], lambda m, x: m(*x)), rtol=1e-6, atol=1e-6)


def test_an_input_that_is_not_used(tmp_path):
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(5, 4)

        def forward(self, words, numbers):
            return self.fc(numbers)

    inputs, (labels, _) = samples()
    model = First()
    _trace.trace(model, None, tuple(x[:3] for x in inputs), labels[:3], tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (inputs, labels), (inputs, labels))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    assert 0 <= got["evaluations"][-1][1] <= 1


def test_data_that_has_another_number_of_them_is_named(traced, tmp_path):
    _, inputs, targets = traced
    _trace.write_tensors(tmp_path / "data", (inputs[0], targets))
    with pytest.raises(AssertionError, match="a sample of the data has 1 inputs, the model takes 2"):
        engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    with pytest.raises(ds.Error, match="must have the same samples"):
        _trace.write_tensors(tmp_path / "data", ((inputs[0], inputs[1][:5]), targets))


def test_rows_of_datasets_may_be_several(tmp_path):
    inputs, targets = samples(6)
    rows = [((inputs[0][i], inputs[1][i]), {"label": targets[0][i]}) for i in range(6)]
    told = _trace.write_tensors(tmp_path / "data", rows)
    assert told["train.inputs.1"] == {"dtype": "float32", "shape": [6, 5]} and told["train.targets"]["shape"] == [6]
    np.testing.assert_array_equal(ds.load(tmp_path / "data")["train.inputs.0"].numpy(), inputs[0])


def test_the_first_samples_show_the_shapes():
    inputs, targets = samples()
    for data in ((inputs, targets), {"train": ({"words": inputs[0], "numbers": inputs[1]}, targets)}):
        x, y = client._example(data)
        assert [len(a) for a in (x.values() if isinstance(x, dict) else x)] == [4, 4] and [len(a) for a in y] == [4, 4]
    rows = [((inputs[0][i], inputs[1][i]), targets[0][i]) for i in range(3)]
    assert client._example({"train": rows})[0][1].shape == (3, 5)
