"""deepseek.converter: against whatever torch is there (Debian's 1.13 by make_fx, current ones by torch.export, too)."""

import json
import pickle
import struct

import numpy as np
import pytest

import deepseek as ds

torch = pytest.importorskip("torch", reason="torch is what is converted from")
from deepseek import converter  # noqa: E402

nn = torch.nn
torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")
WAYS = ["fx", "export"] if hasattr(torch, "export") else ["fx"]


def arrays(x):
    return np.array(x.detach().tolist(), dtype=np.float64)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.norm = nn.Linear(8, 24), nn.LayerNorm(8)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        scores = torch.einsum("btc,bsc->bts", q, k) / 8**0.5
        hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
        return x + scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v


class Writes(nn.Module):
    """In place, through views."""

    def forward(self, x):
        y = x * 2
        y[:, 1:3] = 5
        z = y.view(2, 2, 3)
        z[:, 0].add_(1)
        return torch.cat([y, x.flip(1), torch.roll(x, 1, 1), torch.cumsum(x, 1)], 1)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("hidden", torch.ones(6), persistent=False)

    def forward(self, ids):
        return {"logits": self.head(self.embed(ids) * self.hidden) * self.scale}


class Resized(nn.Module):
    def forward(self, x):
        up = nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        near = nn.functional.interpolate(x, size=(5, 7))
        grid = torch.tanh(x[:, :2].permute(0, 2, 3, 1))
        return up, near, nn.functional.grid_sample(x, grid, align_corners=False)


def randn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


CASES = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)), randn(2, 6)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1, ceil_mode=True),
            nn.Conv2d(8, 8, 3, groups=4, padding=1), nn.Hardswish(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)),
        randn(2, 3, 17, 17)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), nn.GroupNorm(1, 3), nn.ELU()), randn(2, 4, 5, 5)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3, padding=2, dilation=2), nn.PReLU(), nn.AvgPool1d(2)), randn(2, 4, 9)),
    "lstm": (lambda: nn.LSTM(5, 7, 2, bidirectional=True, batch_first=True), randn(3, 6, 5)),
    "gru": (lambda: nn.GRU(5, 7), randn(6, 3, 5)),
    "attention": (Attention, randn(2, 5, 8)),
    "writes": (Writes, randn(2, 6)),
    "tied": (Tied, torch.arange(8).reshape(2, 4)),
    "resized": (Resized, randn(2, 3, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name, way):
    make, x = CASES[name]
    torch.manual_seed(0)
    module = make().eval()
    model = converter.from_pytorch(module, x, capture_by=way)
    report = model.conversion_report
    assert report.ok and report.max_rel_diff < 1e-5, report
    assert list(model.state_dict()) == list(module.state_dict())

    def loss(outputs, total):
        return sum(total(o * o) for _, o in converter.flat_outputs(outputs))

    if not list(module.parameters()):
        return
    loss(module(x), torch.sum).backward()
    loss(model(converter.from_torch(x)), ds.sum).backward()
    ours = dict(model.named_parameters())
    for key, p in module.named_parameters():
        a, b = arrays(p.grad), ours[key].grad.numpy()
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(a).max()), err_msg=key)


@pytest.mark.parametrize("way", WAYS)
def test_tied_weights_stay_tied_and_go_back(way):
    module = Tied()
    model = converter.from_pytorch(module, CASES["tied"][1], capture_by=way)
    assert model.head.weight is model.embed.weight and len(list(model.parameters())) == 1
    state = converter.to_pytorch(model)
    assert state["head.weight"] is state["embed.weight"]
    other = Tied()
    other.load_state_dict(state)
    assert torch.equal(other.embed.weight, module.embed.weight)
    with torch.no_grad():
        other.embed.weight.mul_(2)
    converter.load_pytorch(model, other.state_dict())
    np.testing.assert_array_equal(model.head.weight.numpy(force=True), arrays(other.embed.weight).astype(np.float32))


@pytest.mark.parametrize("way", WAYS)
def test_modes(way):
    """Dropout and batch statistics follow train() and eval(), whichever mode was captured."""
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    for captured in (True, False):
        model = converter.from_pytorch(module.train(captured), randn(8, 4), capture_by=way)
        assert model.training == captured
        x = ds.from_numpy(np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32))
        mean = model.get_submodule("1").running_mean
        before = mean.numpy().copy()
        assert (model.eval()(x).numpy(force=True) == 0).sum() == 0
        np.testing.assert_array_equal(mean.numpy(), before)
        assert int(model.get_submodule("1").num_batches_tracked) == 0
        assert (model.train()(x).numpy(force=True) == 0).sum() > 4
        assert not np.array_equal(mean.numpy(), before)
        assert int(model.get_submodule("1").num_batches_tracked) == 1


def test_it_trains():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    model = converter.from_pytorch(module, randn(32, 3)).train()
    x = converter.from_torch(randn(32, 3))
    y = ds.sum(x, 1, True)
    losses = []
    for _ in range(60):
        loss = ds.functional.mse_loss(model(x), y)
        loss.backward()
        for p in model.parameters():
            before = ds._C.set_grad_enabled(False)
            p.copy_(p - p.grad * 0.05)
            ds._C.set_grad_enabled(before)
        model.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


def test_what_is_not_known_is_listed_together():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cholesky_inverse(torch.special.bessel_y0(x))

    module = nn.Sequential(nn.Linear(2, 2), Odd(), nn.Sequential(Odd()))
    with pytest.raises(converter.ConversionError) as e:
        converter.from_pytorch(module, randn(2, 2))
    assert len(e.value.missing) == 2
    for where in e.value.missing.values():
        assert where == {"1": 1, "2.0": 1}
    assert "2 ops that are not known" in str(e.value) and "2 times, in 1, 2.0" in str(e.value)


class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.clamp(x, -1, 1)

    @staticmethod
    def backward(ctx, g):
        return g  # no derivative of it: it lets everything through


class Straight(nn.Module):
    def forward(self, x):
        return Clipped.apply(x)


def test_the_gradient_of_a_function_is_not_dropped_in_silence():
    from torch.utils.checkpoint import checkpoint

    before = torch.autograd.Function.apply
    module = nn.Sequential(nn.Linear(2, 2), Straight(), nn.Sequential(Straight()))
    with pytest.raises(converter.ConversionError) as e:
        converter.from_pytorch(module, randn(2, 2))
    assert e.value.missing == {"autograd.Function Clipped": {"1": 1, "2.0": 1}}
    assert "autograd.Function Clipped: 2 times, in 1, 2.0" in str(e.value) and "requires_grad_(False)" in str(e.value)
    assert torch.autograd.Function.apply == before
    x = randn(2, 2)
    derived = converter.from_pytorch(module, x, functions="derive")
    np.testing.assert_allclose(derived(converter.from_torch(x)).numpy(force=True), module(x).detach().numpy(), rtol=1e-5)
    frozen = converter.from_pytorch(module.requires_grad_(False), x)
    np.testing.assert_allclose(frozen(converter.from_torch(x)).numpy(), module(x).numpy(), rtol=1e-5)

    class Again(nn.Linear):
        def forward(self, x):
            return checkpoint(super().forward, x)

    assert converter.from_pytorch(Again(2, 2), randn(2, 2).requires_grad_()).conversion_report.ok


def test_a_difference_is_told(monkeypatch):
    from deepseek.converter.ops import TABLE, find

    for name in ("tanh", "tanh.default"):
        monkeypatch.setitem(TABLE, name, lambda x: x * 1.01)
    find.cache_clear()
    try:
        with pytest.raises(converter.ConversionError, match="above the tolerance 0.0001.*absolute.*relative"):
            converter.from_pytorch(nn.Tanh(), randn(2, 2))
        with pytest.warns(UserWarning, match="above the tolerance"):
            model = converter.from_pytorch(nn.Tanh(), randn(2, 2), check="warn")
        assert not model.conversion_report.ok
        assert not converter.from_pytorch(nn.Tanh(), randn(2, 2), check="off").conversion_report.checked
    finally:
        monkeypatch.undo()
        find.cache_clear()


def test_inputs():
    class Two(nn.Module):
        def forward(self, x, scale=1, mask=None):
            return x * scale if mask is None else x * scale * mask

    model = converter.from_pytorch(Two(), {"x": randn(2, 3), "scale": 2, "mask": torch.ones(3)})
    assert model(ds.ones(2, 3), mask=ds.zeros(3), scale=2).tolist() == [[0.0] * 3] * 2
    with pytest.raises(ds.Error, match=r"\[Two\] scale was 2 when the graph was captured, got 3"):
        model(ds.ones(2, 3), 3, ds.ones(3))
    with pytest.raises(ds.Error, match=r"x has shape \(4, 3\), the graph was captured for \(2, 3\)"):
        model(ds.ones(4, 3), 2, ds.ones(3))
    with pytest.raises(TypeError, match="the argument mask is missing"):
        model(ds.ones(2, 3), 2)
    assert converter.from_pytorch(nn.Sequential(nn.Linear(5, 2))).conversion_report.ok  # guessed
    with pytest.raises(ds.Error, match="no inputs could be guessed for Two"):
        converter.from_pytorch(Two())


@pytest.mark.skipif(not hasattr(torch, "export"), reason="a free batch dimension needs torch.export")
def test_a_free_batch_dimension():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()
    model = converter.from_pytorch(module, randn(1, 3, 8, 8), dynamic=True)
    x = randn(5, 3, 8, 8)
    np.testing.assert_allclose(model(converter.from_torch(x)).numpy(force=True), arrays(module(x)), rtol=1e-4, atol=1e-5)


def test_wrappers_copies_and_code():
    model = converter.from_pytorch(nn.DataParallel(nn.Sequential(nn.Linear(3, 4), nn.ReLU())), randn(2, 3))
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    assert "relu" in model.code
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other(ds.ones(2, 3)).numpy(force=True), model(ds.ones(2, 3)).numpy(force=True))


def safetensors(path, tensors):
    """A file as the format's description has it."""
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_checkpoint_directory_loads_and_generates(kind, tmp_path):
    from deepseek.models import GPT2, GPT2Config, Llama, LlamaConfig

    settings = (
        {"vocab_size": 13, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16} if kind == "gpt2" else
        {"vocab_size": 13, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "intermediate_size": 12, "tie_word_embeddings": True, "rope_parameters": {"rope_theta": 5000.0}})  # fmt: skip
    made = (GPT2(GPT2Config(**settings)) if kind == "gpt2" else Llama(LlamaConfig(**settings))).eval()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, **settings}))
    state = {k: v.numpy(force=True) for k, v in made.state_dict().items() if k != "lm_head.weight"}
    safetensors(tmp_path / "model.safetensors", state)
    model = converter.load_huggingface(tmp_path)
    assert model.lm_head.weight is not None and not model.training
    ids = ds.tensor([[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(model(ids).numpy(force=True), made(ids).numpy(force=True))
    out = model.generate(ids, 5)
    again = ids
    for _ in range(5):  # without the cache
        again = ds.cat([again, ds.argmax(model(again)[:, -1], -1).reshape(-1, 1)], 1)
    assert out.tolist() == again.tolist()


def test_checkpoints_that_cannot_be_loaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no config.json"):
        converter.load_huggingface(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(ds.Error, match="'t5' is not known; there are gpt2, llama"):
        converter.load_huggingface(tmp_path)


def test_logits_are_those_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers makes the checkpoints")
    base = {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "intermediate_size": 64, "max_position_embeddings": 64}  # fmt: skip
    llama3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 32}  # fmt: skip
    for i, (name, settings) in enumerate([
        ("GPT2LMHeadModel", {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
        ("LlamaForCausalLM", base),
        ("LlamaForCausalLM", {**base, "tie_word_embeddings": True, "attention_bias": True, "rope_parameters": llama3}),
        ("MistralForCausalLM", {**base, "sliding_window": None}),
        ("Qwen2ForCausalLM", base),
    ]):  # fmt: skip
        cls = getattr(transformers, name)
        torch.manual_seed(i)
        theirs = cls(cls.config_class(**settings)).eval()
        theirs.save_pretrained(tmp_path / str(i), max_shard_size="20KB" if i % 2 else "1GB")
        ids = torch.randint(0, 99, (2, 12))
        ours = converter.load_huggingface(tmp_path / str(i))
        np.testing.assert_allclose(ours(converter.from_torch(ids)).numpy(force=True), arrays(theirs(ids).logits), atol=1e-4)
