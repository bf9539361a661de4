"""A traced model is trained by the engine as Python trains it, and what cannot be traced says why."""

import json
import os
import pathlib
import struct
import subprocess

import numpy as np
import pytest

import deepseek as ds
from deepseek import _trace

nn, F = ds.nn, ds.functional
_BUILT = pathlib.Path(os.path.abspath(ds.__path__[0])).parents[1] / "bin/graph_train"
PROGRAM = pathlib.Path(os.environ.get("DS_GRAPH_TRAIN", _BUILT))


def header(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        return json.loads(json.loads(f.read(n))["__metadata__"]["deepseek.graph"])


def engine(tmp_path, graph, data, *, optimizer="sgd", lr=0.05, batch=8, steps=20, ranks=1, shards=0, job="job", zero=1, stop_at=-1, schedule="constant", warmup=0):
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    args = [PROGRAM, graph, data, tmp_path / job, optimizer, lr, batch, steps, ranks, shards, zero, stop_at, schedule, warmup]
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def checkpoint(tmp_path, job="job"):
    newest = sorted((tmp_path / job / "checkpoints").glob("step-*"))[-1]
    return ds.load(next(newest.glob("*.safetensors")))


def eager(model, loss, x, y, samples, lr=0.05):
    """The engine's SGD: momentum 0.9, weight decay 0.01."""
    optimizer = ds.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr, momentum=0.9, weight_decay=0.01)
    losses = []
    for indices in samples:
        optimizer.zero_grad()
        value = loss(model(ds.tensor(x[indices])), ds.tensor(y[indices]))
        value.backward()
        optimizer.step()
        losses.append(float(value.item()))
    return losses


def data_of(shape, classes, n=48, target=()):
    r = np.random.default_rng(3)
    x = r.integers(0, classes, (n, *shape)) if classes and shape == (6,) and target == (6,) else r.normal(size=(n, *shape)).astype(np.float32)
    return x, r.integers(0, classes, (n, *target))


class SimpleNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 16)
        self.fc2 = nn.Linear(16, 5)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


def convolutional(dropout=0.0, momentum=0.1):
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6, momentum=momentum), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout), nn.Flatten(), nn.Linear(96, 5)
    )


class Transformer(nn.Module):
    def __init__(self, vocabulary=11, width=16, length=6):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, x):
        y = self.tokens(x) + self.places(ds.arange(x.shape[1]))
        return self.head(self.layers(y, is_causal=True, mask=nn.Transformer.generate_square_subsequent_mask(x.shape[1])))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.out = nn.Linear(12, 5)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0][:, -1])


def tokens(n=48, length=6, vocabulary=11, target=None):
    r = np.random.default_rng(4)
    return r.integers(0, vocabulary, (n, length)), r.integers(0, vocabulary if target is None else target, (n, length) if target is None else n)


def rows(output, target):
    return F.cross_entropy(output.flatten(0, -2), target.flatten())


class Long(nn.Module):
    """Attention over as many keys as the engine takes in blocks."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 5)

    def forward(self, x):
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1).mean(1))


class Whitened(nn.Module):
    """A linear layer behind the inverse of a positive definite matrix; what decomposes it is in the graph."""

    def __init__(self):
        super().__init__()
        self.root, self.fc = nn.Parameter(ds.randn(20, 20) * 0.3), nn.Linear(20, 5)

    def forward(self, x):
        matrix = self.root @ self.root.T + ds.eye(20)
        low = ds.linalg.cholesky(matrix)
        white = ds.linalg.solve_triangular(low, x.T, upper=False).T + ds.linalg.solve(matrix, x.T).T
        sizes = ds.linalg.eigh(matrix).eigenvalues.log().sum() + ds.linalg.slogdet(matrix).logabsdet + ds.linalg.svdvals(matrix).sum()
        return self.fc(white) * (1 + 0.01 * sizes + 0.01 * ds.linalg.det(matrix).log())


CASES = {
    "linear algebra": (Whitened, F.cross_entropy, lambda: data_of((20,), 5)),
    "long": (Long, F.cross_entropy, lambda: data_of((530, 4), 5, n=12)),
    "simple": (SimpleNN, F.cross_entropy, lambda: data_of((20,), 5)),
    "convolutional": (convolutional, nn.CrossEntropyLoss(), lambda: data_of((2, 8, 8), 5)),
    "all batches": (lambda: convolutional(momentum=None), nn.CrossEntropyLoss(), lambda: data_of((2, 8, 8), 5)),
    "transformer": (Transformer, rows, tokens),
    "recurrent": (Recurrent, F.cross_entropy, lambda: tokens(target=5)),
    "regression": (lambda: nn.Sequential(nn.Linear(20, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3)), nn.MSELoss(),
                   lambda: (data_of((20,), 5)[0], data_of((3,), 5)[0])),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_engine_trains_a_traced_model_as_python_does(case, tmp_path):
    make, loss, data = CASES[case]
    ds.manual_seed(1)
    model, (x, y) = make(), data()
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    _trace.trace(model, loss, x[:3], y[:3], tmp_path / "graph")
    for n, t in model.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[n])
    assert model.training
    _trace.write_tensors(tmp_path / "data", (x, y))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    want = eager(model, loss, x, y, got["samples"])
    np.testing.assert_allclose(got["losses"], want, rtol=1e-6, atol=1e-6)
    state = checkpoint(tmp_path)
    for n, t in model.state_dict().items():
        if "model." + n in state:
            np.testing.assert_allclose(state["model." + n].numpy(), t.numpy(), rtol=2e-5, atol=2e-6, err_msg=n)
    names = {"model." + n for n in [*dict(model.named_parameters()), *dict(model.named_buffers())]}
    assert names == {n for n in state if n.startswith("model.")}


def test_the_evaluation_is_the_models_own(tmp_path):
    ds.manual_seed(2)
    model, (x, y) = convolutional(dropout=0.5), data_of((2, 8, 8), 5)
    _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (x, y), (x[:13], y[:13]))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data", steps=3)
    loss, accuracy = got["evaluations"][-1]
    model.load_state_dict({n[6:]: t for n, t in checkpoint(tmp_path).items() if n.startswith("model.")})
    model.eval()
    output = model(ds.tensor(x[:13]))
    assert loss == pytest.approx(F.cross_entropy(output, ds.tensor(y[:13])).item(), rel=1e-5)
    assert accuracy == pytest.approx(np.mean(output.detach().numpy().argmax(1) == y[:13]))


def test_dropout_and_statistics_are_the_same_bits_on_any_ranks(tmp_path):
    ds.manual_seed(2)
    model, (x, y) = convolutional(dropout=0.5), data_of((2, 8, 8), 5)
    _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (x, y), (x[:9], y[:9]))
    runs = [engine(tmp_path, tmp_path / "graph", tmp_path / "data", batch=16, ranks=r, shards=4, job=f"r{r}") for r in (1, 2, 4)]
    assert runs[0] == runs[1] == runs[2]
    states = [{k: v.numpy().tobytes() for k, v in checkpoint(tmp_path, f"r{r}").items()} for r in (1, 2, 4)]
    assert states[0] == states[1] == states[2]
    fresh = [n["fresh"] for n in header(tmp_path / "graph")["train"]["nodes"] if "fresh" in n]
    assert fresh == [0] and not any("fresh" in n for n in header(tmp_path / "graph")["eval"]["nodes"])


def test_frozen_parts_stay_frozen(tmp_path):
    ds.manual_seed(2)
    model, (x, y) = convolutional(), data_of((2, 8, 8), 5)
    model[0].requires_grad_(False)
    model[1].eval()
    frozen = {n: t.numpy().copy() for n, t in model.state_dict().items() if n.startswith(("0.", "1.running"))}
    told = _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    assert told["trained"] == 4 and not model[1].training and model[0].weight.requires_grad is False
    _trace.write_tensors(tmp_path / "data", (x, y))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    np.testing.assert_allclose(got["losses"], eager(model, F.cross_entropy, x, y, got["samples"]), rtol=1e-6, atol=1e-6)
    state = checkpoint(tmp_path)
    for n, value in frozen.items():
        np.testing.assert_array_equal(state["model." + n].numpy(), value)
    assert got["evaluations"] == [] and "no test set" in got["warnings"][0]


def test_tied_weights_are_one(tmp_path):
    x, y = tokens()
    _trace.trace(Transformer(), None, x[:2], y[:2], tmp_path / "graph")
    h = header(tmp_path / "graph")
    assert h["tied"] == {"head.weight": "tokens.weight"}
    assert "head.weight" not in [p["name"] for p in h["parameters"]]


def test_a_converted_model(tmp_path):
    torch = pytest.importorskip("torch")
    if not hasattr(torch, "export"):
        pytest.skip("this torch captures for one batch size only")
    from deepseek import converter

    source = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5))
    model, (x, y) = converter.from_pytorch(source, torch.randn(2, 2, 8, 8), dynamic=True), data_of((2, 8, 8), 5)
    model.train()
    _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    _trace.write_tensors(tmp_path / "data", (x, y))
    got = engine(tmp_path, tmp_path / "graph", tmp_path / "data")
    np.testing.assert_allclose(got["losses"], eager(model, F.cross_entropy, x, y, got["samples"]), rtol=1e-6, atol=1e-6)


class Odd(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.linear = nn.Linear(20, 5)
        self.f = f

    def forward(self, x):
        return self.f(self.linear(x))


class Swish(ds.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * F.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        return g


_LOOSE = ds.ones(5, requires_grad=True)
REFUSED = {
    "loose": (lambda y: y * _LOOSE, "no parameter of the model"),
    "looks": (lambda y: y if y.sum().item() > 0 else -y, "looked at"),
    "prints": (lambda y: y * float(y.max()), "looked at"),
    "function": (Swish.apply, "Swish"),
    "structure": (lambda y: ds.cat([row.unsqueeze(0) for row in y]), "'batch' changes"),
    "square": (lambda y: y + (y @ y.T).reshape(-1).sum() * ds.zeros(y.shape[0] ** 2).sum(), "does not grow evenly"),
    "numpy": (lambda y: y + ds.tensor(np.random.default_rng().normal(size=5).astype(np.float32)), "differently"),
    "growing": (lambda y: y + ds.tensor(np.zeros((y.shape[0], 5), np.float32)), "grows with the batch"),
    "nothing": (lambda y: ds.zeros(*y.shape), "nothing to train"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_traced_says_why(case, tmp_path):
    f, says = REFUSED[case]
    model, (x, y) = Odd(f), data_of((20,), 5)
    before = model.linear.weight.detach().numpy().copy()
    with pytest.raises(ds.Error, match=says):
        _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    assert not (tmp_path / "graph").exists()
    np.testing.assert_array_equal(model.linear.weight.detach().numpy(), before)
    assert model.linear.weight.is_leaf and ds.relu(model.linear(ds.tensor(x))).sum().item() >= 0


def test_a_loss_must_be_one_number(tmp_path):
    x, y = data_of((20,), 5)
    with pytest.raises(ds.Error, match="one number"):
        _trace.trace(SimpleNN(), nn.CrossEntropyLoss(reduction="none"), x[:2], y[:2], tmp_path / "graph")
    with pytest.raises(ds.Error, match="same samples"):
        _trace.trace(SimpleNN(), None, x[:2], y[:3], tmp_path / "graph")
    with pytest.raises(ds.Error, match=r"\(2, 20\), \(3, 20\) and targets_example \(2,\) must have the same samples"):
        _trace.trace(SimpleNN(), None, (x[:2], x[:3]), y[:2], tmp_path / "graph")
    with pytest.raises(ds.Error, match="2 targets: pass a loss"):
        _trace.trace(SimpleNN(), None, x[:2], (y[:2], y[:2]), tmp_path / "graph")
    with pytest.raises(TypeError, match="targets_example is a dict"):
        _trace.trace(SimpleNN(), None, x[:2], {"y": y[:2]}, tmp_path / "graph")
    with pytest.raises(TypeError, match="Module"):
        _trace.trace(lambda x: x, None, x[:2], y[:2], tmp_path / "graph")


def test_numbers_of_the_batch():
    from deepseek._recorded import fit

    sizes = [7, 8, 9, 10]
    for f in (lambda n: 3.0 * n - 1, lambda n: 1 / (784 * n), lambda n: 0.1 * (12544 * n / (12544 * n - 1)), lambda n: 0.01 * (n / (n - 1)), lambda n: 2.5 / (n + 4)):
        ratio = fit(sizes, [f(n) for n in sizes])
        for n in (2, 3, 64, 1000):
            assert ratio.at(n) == pytest.approx(f(n), rel=1e-14)
    assert fit(sizes, [float(n * n) for n in sizes]) is None
    assert fit(sizes, [float(n // 2) for n in sizes]) is None


def test_random_streams_go_on_as_if_nothing_was_traced(tmp_path):
    x, y = data_of((2, 8, 8), 5)
    model = convolutional(dropout=0.5)
    ds.manual_seed(5)
    a = ds.rand(3).numpy()
    ds.manual_seed(5)
    _trace.trace(model, None, x[:2], y[:2], tmp_path / "graph")
    np.testing.assert_array_equal(ds.rand(3).numpy(), a)


def test_streams_are_the_models(tmp_path):
    """Twice the same mask stays the same, and what is seeded anew in each call is no new stream."""

    def noisy(y):
        fixed = ds.rand(*y.shape, generator=ds.Generator(3))
        state = ds.get_rng_state()
        first = F.dropout(y)
        ds.set_rng_state(state)
        return F.dropout(first + fixed) + F.dropout(y)

    x, y = data_of((20,), 5)
    _trace.trace(Odd(noisy), None, x[:2], y[:2], tmp_path / "graph")
    random = [n for n in header(tmp_path / "graph")["train"]["nodes"] if n.get("op") == "random_uniform"]
    streams = [n.get("fresh") for n in random]
    assert len(streams) == 4 and streams.count(None) == 1 and len(set(streams)) == 3
    assert [n["with"]["seed"] for n in random if "fresh" not in n] == [3]


def test_data_of_all_kinds(tmp_path):
    x, y = data_of((20,), 5)
    pairs = ds.data.TensorDataset(ds.tensor(x), ds.tensor(y))
    for train in ((x, y), (ds.tensor(x), ds.tensor(y)), pairs, [(x[i], y[i]) for i in range(len(x))]):
        told = _trace.write_tensors(tmp_path / "data", train, (x[:2], y[:2]))
        assert told["train.inputs"] == {"dtype": "float32", "shape": [48, 20]} and told["test.targets"]["shape"] == [2]
        back = ds.load(tmp_path / "data")
        np.testing.assert_array_equal(back["train.inputs"].numpy(), x)
        np.testing.assert_array_equal(back["train.targets"].numpy(), y)
    with pytest.raises(ds.Error, match="same samples"):
        _trace.write_tensors(tmp_path / "data", (x, y[:3]))


def test_several_outputs_need_a_loss_of_ones_own(tmp_path):
    class Two(ds.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = ds.nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(x), x

    x, y = ds.ones(4, 4), ds.tensor([0, 1, 2, 0])
    with pytest.raises(ds.Error, match="gives a tuple: pass a loss"):
        _trace.trace(Two(), None, x, y, tmp_path / "m.safetensors")
    loss = lambda output, target: ds.functional.cross_entropy(output[0], target)  # noqa: E731
    assert _trace.trace(Two(), loss, x, y, tmp_path / "m.safetensors")["classes"] == 3


def test_the_packages_language_models(tmp_path):
    from deepseek.models.gpt2 import GPT2, GPT2Config
    from deepseek.models.llama import Llama, LlamaConfig

    x, y = tokens()
    gpt2 = GPT2(GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
    llama = Llama(LlamaConfig(vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2))
    for name, model in {"gpt2": gpt2, "llama": llama}.items():
        _trace.trace(model, None, x[:2], y[:2], tmp_path / name)
        _trace.write_tensors(tmp_path / "data", (x, y))
        got = engine(tmp_path, tmp_path / name, tmp_path / "data", steps=5, job=f"{name}-job")
        np.testing.assert_allclose(got["losses"], eager(model, rows, x, y, got["samples"]), rtol=1e-6, atol=1e-6)
