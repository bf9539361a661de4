"""deepseek.nn: modules, hooks and state, and every layer against torch's with the same weights."""

import copy
import pickle

import numpy as np
import pytest
from torch_parity import array, check, check_module, close, to_torch, torch

import deepseek as ds

nn, tnn = ds.nn, torch.nn


def r(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def ints(n, *shape):
    return np.random.default_rng(list(shape)).integers(0, n, shape)


def layer(name, *args, x, **kwargs):
    inputs = x if isinstance(x, tuple) else (x,)
    label = f"{name}({', '.join([*map(str, args), *(f'{k}={v}' for k, v in kwargs.items())])})"
    return pytest.param(name, args, kwargs, inputs, id=label)


IMAGE = r(2, 4, 7, 8)
LAYERS = [
    layer("Linear", 5, 3, x=r(2, 4, 5)), layer("Linear", 5, 3, False, x=r(5)), layer("Bilinear", 4, 5, 6, x=(r(3, 4), r(3, 5))), layer("Identity", x=r(2)),
    layer("Embedding", 7, 3, padding_idx=1, x=ints(7, 2, 5)), layer("EmbeddingBag", 7, 3, mode="sum", x=ints(7, 2, 5)),
    layer("Conv1d", 4, 6, 3, 2, 1, x=r(2, 4, 9)), layer("Conv2d", 4, 6, (3, 2), padding=1, groups=2, bias=False, x=IMAGE),
    *[layer("Conv2d", 4, 6, 3, padding=2, padding_mode=m, x=IMAGE) for m in ("reflect", "replicate", "circular")],
    layer("Conv2d", 4, 6, 4, padding="same", x=IMAGE), layer("Conv3d", 2, 3, 2, padding=1, x=r(1, 2, 4, 5, 4)),
    layer("ConvTranspose1d", 4, 6, 3, 2, x=r(2, 4, 5)), layer("ConvTranspose2d", 4, 6, 3, 2, 1, 1, x=IMAGE), layer("ConvTranspose3d", 2, 3, 2, 2, x=r(1, 2, 3, 3, 3)),
    layer("BatchNorm1d", 5, x=r(6, 5)), layer("BatchNorm1d", 4, x=r(3, 4, 5)), layer("BatchNorm2d", 4, momentum=None, x=IMAGE),
    layer("BatchNorm2d", 4, affine=False, track_running_stats=False, x=IMAGE), layer("BatchNorm3d", 2, x=r(2, 2, 3, 4, 3)),
    layer("InstanceNorm1d", 4, affine=True, x=r(3, 4, 5)), layer("InstanceNorm2d", 4, track_running_stats=True, x=IMAGE),
    layer("LayerNorm", 8, x=IMAGE), layer("LayerNorm", (7, 8), elementwise_affine=False, x=IMAGE), layer("GroupNorm", 2, 4, x=IMAGE),
    layer("LocalResponseNorm", 3, x=IMAGE), layer("PReLU", 4, x=IMAGE), layer("PReLU", x=r(3)),
    *[layer(n, x=r(3, 4, 6)) for n in (
        "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Tanhshrink Softplus "
        "Softsign Sigmoid LogSigmoid Tanh GLU").split()],
    layer("Threshold", 0.1, 2.0, x=r(3, 4)), layer("Softmax", dim=1, x=r(3, 4)), layer("LogSoftmax", -1, x=r(3, 4)), layer("Softmax2d", x=IMAGE),
    layer("MaxPool1d", 2, x=r(2, 4, 9)), layer("MaxPool2d", 3, 2, 1, x=IMAGE), layer("MaxPool3d", 2, x=r(1, 2, 4, 5, 4)), layer("AvgPool2d", 2, ceil_mode=True, x=IMAGE),
    layer("LPPool2d", 2, 3, x=abs(IMAGE)), layer("AdaptiveAvgPool2d", (3, 2), x=IMAGE), layer("AdaptiveMaxPool2d", 2, x=IMAGE),
    layer("PixelShuffle", 2, x=IMAGE), layer("PixelUnshuffle", 2, x=r(1, 2, 4, 6)), layer("Unfold", 3, x=IMAGE), layer("Fold", (5, 6), 2, x=r(2, 12, 20)),
    layer("Upsample", scale_factor=2, mode="bilinear", x=IMAGE), layer("UpsamplingNearest2d", scale_factor=2, x=IMAGE), layer("UpsamplingBilinear2d", scale_factor=2, x=IMAGE),
    layer("Flatten", x=IMAGE), layer("Unflatten", 1, (2, 2), x=IMAGE), layer("CosineSimilarity", x=(r(3, 4), r(3, 4, seed=1))),
    *[layer(f"{w}Pad{n}d", 1, *([2.5] if w == "Constant" else []), x=r(2, 3, *[4, 5, 6][:n]))
      for w in ("Constant", "Reflection", "Replication") for n in (1, 2, 3)], layer("ZeroPad2d", (1, 2, 0, 1), x=IMAGE),
    layer("RNNCell", 4, 5, x=(r(3, 4), r(3, 5))), layer("RNNCell", 4, 5, nonlinearity="relu", x=r(4)), layer("GRUCell", 4, 5, x=(r(3, 4), r(3, 5))), layer("LSTMCell", 4, 5, x=r(3, 4)),
    layer("RNN", 4, 5, 2, nonlinearity="relu", x=(r(6, 3, 4), r(2, 3, 5))), layer("RNN", 4, 5, bidirectional=True, batch_first=True, x=r(3, 6, 4)),
    layer("LSTM", 4, 5, 2, bidirectional=True, x=r(6, 3, 4)), layer("LSTM", 4, 5, proj_size=3, batch_first=True, bias=False, x=r(3, 6, 4)), layer("LSTM", 4, 5, x=r(6, 4)),
    layer("GRU", 4, 5, 2, bidirectional=True, x=(r(6, 3, 4), r(4, 3, 5))),
    layer("MultiheadAttention", 8, 2, x=(r(5, 3, 8), r(6, 3, 8), r(6, 3, 8, seed=1))), layer("MultiheadAttention", 8, 2, kdim=4, vdim=6, batch_first=True, x=(r(3, 5, 8), r(3, 6, 4), r(3, 6, 6))),
    layer("MultiheadAttention", 8, 2, add_bias_kv=True, add_zero_attn=True, bias=False, x=(r(5, 3, 8), r(6, 3, 8), r(6, 3, 8, seed=1))), layer("MultiheadAttention", 8, 4, x=(r(5, 8),) * 3),
    layer("TransformerEncoderLayer", 8, 2, 16, 0.0, x=r(5, 3, 8)), layer("TransformerEncoderLayer", 8, 2, 16, 0.0, "gelu", norm_first=True, batch_first=True, x=r(3, 5, 8)),
    layer("TransformerDecoderLayer", 8, 2, 16, 0.0, x=(r(5, 3, 8), r(6, 3, 8))), layer("Transformer", 8, 2, 2, 2, 16, 0.0, x=(r(5, 3, 8), r(6, 3, 8))),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs, inputs", LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_layer_like_torch(name, args, kwargs, inputs):
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(tnn, name)(*args, **kwargs)
    check_module(ours, theirs, *inputs)
    ours.eval(), theirs.eval()
    if not kwargs.get("batch_first") or name != "TransformerEncoderLayer":  # torch's fast path in eval has no gradient
        check(ours, theirs, *inputs, grads=False)


LOSSES = [
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1}, (r(4, 5), ints(5, 4))), ("NLLLoss", (), {}, (r(4, 5), ints(5, 4))), ("MSELoss", (), {"reduction": "sum"}, (r(4), r(4, seed=1))),
    ("L1Loss", (), {}, (r(4), r(4, seed=1))), ("SmoothL1Loss", (), {"beta": 0.3}, (r(4), r(4, seed=1))), ("HuberLoss", ("sum", 0.5), {}, (r(4), r(4, seed=1))),
    ("BCELoss", (), {}, (abs(np.sin(r(4))), abs(np.sin(r(4, seed=1))))), ("BCEWithLogitsLoss", (), {}, (r(4), abs(np.sin(r(4))))), ("KLDivLoss", (), {"reduction": "batchmean"}, (r(4, 3), abs(r(4, 3)))),
    ("MarginRankingLoss", (0.2,), {}, (r(4), r(4, seed=1), np.sign(r(4, seed=2)))), ("TripletMarginLoss", (), {"margin": 0.4}, (r(4, 3), r(4, 3, seed=1), r(4, 3, seed=2))),
    ("CosineEmbeddingLoss", (), {}, (r(4, 3), r(4, 3, seed=1), np.sign(r(4)))), ("MultiMarginLoss", (), {}, (r(4, 5), ints(5, 4))), ("HingeEmbeddingLoss", (), {}, (r(4), np.sign(r(4, seed=1)))),
    ("PoissonNLLLoss", (), {}, (r(4), abs(r(4)))), ("GaussianNLLLoss", (), {}, (r(4), r(4, seed=1), abs(r(4)) + 0.1)), ("MultiLabelSoftMarginLoss", (), {}, (r(4, 3), abs(np.sign(r(4, 3))))),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs, inputs", LOSSES, ids=[x[0] for x in LOSSES])
@pytest.mark.filterwarnings("ignore")
def test_loss_like_torch(name, args, kwargs, inputs):
    check_module(getattr(nn, name)(*args, **kwargs), getattr(tnn, name)(*args, **kwargs), *inputs)


def test_masks_of_attention():
    ours, theirs = nn.MultiheadAttention(8, 2), tnn.MultiheadAttention(8, 2)
    hidden, padding = np.triu(np.ones((5, 5), bool), 1), np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
    x = r(5, 3, 8)
    check_module(ours, theirs, x, x, x, forward_kwargs={"attn_mask": hidden, "key_padding_mask": padding})
    check_module(ours, theirs, x, x, x, forward_kwargs={"attn_mask": r(6, 5, 5), "need_weights": False})
    close(nn.Transformer.generate_square_subsequent_mask(4), tnn.Transformer.generate_square_subsequent_mask(4), "mask")


def test_packed_sequences():
    ours, theirs = nn.LSTM(4, 5, 2, bidirectional=True), tnn.LSTM(4, 5, 2, bidirectional=True)
    ours.load_state_dict({k: ds.tensor(array(v)) for k, v in theirs.state_dict().items()})
    x, lengths = r(6, 3, 4), [4, 6, 2]
    packed = nn.utils.rnn.pack_padded_sequence(ds.tensor(x), lengths, enforce_sorted=False)
    reference = tnn.utils.rnn.pack_padded_sequence(to_torch(x), lengths, enforce_sorted=False)
    close(packed.data, reference.data, "packed")
    (y, (h, c)), (ty, (th, tc)) = ours(packed), theirs(reference)
    out, n = nn.utils.rnn.pad_packed_sequence(y)
    close(out, tnn.utils.rnn.pad_packed_sequence(ty)[0], "output")
    close(h, th, "h"), close(c, tc, "c")
    assert n.tolist() == lengths


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))
        self.scale = nn.Parameter(ds.ones(1))
        self.register_buffer("seen", ds.zeros(1), persistent=False)

    def forward(self, x):
        return self.rest(self.norm(self.first(x))) * self.scale


def test_walks_and_names():
    net = Net()
    names = "scale first.weight first.bias norm.weight norm.bias rest.1.weight rest.1.bias".split()
    assert [n for n, _ in net.named_parameters()] == names
    assert list(net.state_dict()) == names[:5] + ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"] + names[5:]
    assert [n for n, _ in net.named_modules()] == ["", "first", "norm", "rest", "rest.0", "rest.1"]
    assert [n for n, _ in net.named_children()] == ["first", "norm", "rest"]
    assert net.get_parameter("rest.1.weight") is net.rest[1].weight and net.get_submodule("rest.0") is net.rest[0]
    net.tied = net.first
    assert len(list(net.parameters())) == 7 and "tied.weight" in net.state_dict()
    net.eval()
    assert not net.rest[1].training
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    assert "(rest): Sequential(" in repr(net)


def test_attributes():
    net = Net()
    with pytest.raises(TypeError, match="scale is a parameter"):
        net.scale = ds.ones(1)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        print(net.nothing)
    with pytest.raises(AttributeError, match="super"):
        type("Bad", (nn.Module,), {"__init__": lambda self: setattr(self, "w", nn.Linear(1, 1))})()
    net.scale = None
    assert net.scale is None and "scale" not in net.state_dict()
    del net.rest
    assert not hasattr(net, "rest")
    net.extra = nn.Buffer(ds.ones(2))
    assert "extra" in net.state_dict()


def test_load_state_dict_names_every_key():
    net = Net()
    state = net.state_dict()
    state["wrong"] = ds.ones(1)
    state["first.weight"] = ds.ones(2, 2)
    del state["scale"]
    with pytest.raises(ds.Error) as e:
        net.load_state_dict(state)
    for text in ("Missing key(s) in state_dict: 'scale'", "Unexpected key(s) in state_dict: 'wrong'", "size mismatch for first.weight"):
        assert text in str(e.value)
    del state["first.weight"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale", "first.weight"] and result.unexpected_keys == ["wrong"]


def test_state_dict_is_a_snapshot_and_loads_numpy():
    net, x = Net(), ds.randn(5, 4)
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state = net.state_dict()
    ds.nn.init.zeros_(net.first.weight)
    np.testing.assert_array_equal(state["first.weight"].numpy(), before["first.weight"])
    net.load_state_dict(before)
    np.testing.assert_array_equal(net.first.weight.detach().numpy(), before["first.weight"])
    other = copy.deepcopy(net).eval()
    np.testing.assert_array_equal(other(x).detach().numpy(), net.eval()(x).detach().numpy())
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again(x).detach().numpy(), net(x).detach().numpy())
    assert isinstance(again.scale, nn.Parameter) and again.scale is not net.scale


def test_to_keeps_the_objects():
    net = Net()
    weight = net.first.weight
    net.double()
    assert net.first.weight is weight and weight.dtype == ds.float64 and weight.requires_grad
    assert net.norm.running_mean.dtype == ds.float64 and net.norm.num_batches_tracked.dtype == ds.int64
    net(ds.randn(5, 4, dtype=ds.float64)).sum().backward()
    assert weight.grad.dtype == ds.float64
    net.zero_grad()
    assert weight.grad is None


def test_forward_hooks():
    layer, log = nn.Linear(2, 2), []
    x = ds.ones(1, 2)
    plain = layer(x).detach().numpy().copy()
    with layer.register_forward_hook(lambda m, a, y: y * 2):
        handle = layer.register_forward_pre_hook(lambda m, a: log.append(a[0].shape))
        np.testing.assert_allclose(layer(x).detach().numpy(), plain * 2, rtol=1e-6)
        handle.remove()
    np.testing.assert_array_equal(layer(x).detach().numpy(), plain)
    layer.register_forward_pre_hook(lambda m, a, k: ((a[0] * 0,), k), with_kwargs=True)
    np.testing.assert_allclose(layer(x).detach().numpy()[0], layer.bias.detach().numpy())
    assert log == [(1, 2)]


def test_full_backward_hooks_like_torch():
    seen = {}
    for lib, mod in ((ds, nn), (torch, tnn)):
        layer = mod.Linear(3, 2)
        w = r(2, 3)
        layer.load_state_dict({"weight": to_torch(w) if lib is torch else ds.tensor(w), "bias": to_torch(r(2)) if lib is torch else ds.tensor(r(2))})
        got = []
        layer.register_full_backward_hook(lambda m, gi, go, got=got: (got.extend([gi[0], go[0]]), (gi[0] * 3,))[1])
        x = to_torch(r(4, 3), True) if lib is torch else ds.tensor(r(4, 3)).requires_grad_()
        (layer(x) ** 2).sum().backward()
        seen[lib.__name__] = [*got, x.grad, layer.weight.grad]
    for a, b in zip(seen["deepseek"], seen["torch"]):
        close(a, b, "gradients that hooks see")


def test_containers():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)
    s = nn.Sequential(a, b, c)
    assert len(s) == 3 and s[-1] is c and isinstance(s[:2], nn.Sequential) and list(s.append(nn.Tanh()))[3] is s[3]
    del s[1]
    assert list(s._modules) == ["0", "1", "2"]
    s.insert(1, b)
    assert s[1] is b
    d = nn.ModuleDict({"x": a, "keys": b})
    assert list(d) == ["x", "keys"] and d["keys"] is b and "x" in d
    m = nn.ModuleList([a]) + [c]
    assert isinstance(m, nn.ModuleList) and m[1] is c
    p = nn.ParameterList([ds.ones(2), ds.zeros(1)])
    assert [n for n, _ in p.named_parameters()] == ["0", "1"]
    assert nn.ParameterDict({"w": ds.ones(1)})["w"].requires_grad


def test_initialisers():
    ds.manual_seed(3)
    w = ds.empty(200, 100)
    std = lambda t: float(t.numpy().std())  # noqa: E731
    assert abs(std(nn.init.kaiming_normal_(w, nonlinearity="relu")) - (2 / 100) ** 0.5) < 0.005
    assert abs(std(nn.init.xavier_uniform_(w)) - (2 / 300) ** 0.5) < 0.003
    t = nn.init.trunc_normal_(w, 0.5, 2.0, -1.0, 1.0).numpy()
    assert t.min() >= -1 and t.max() <= 1 and t.std() > 0.4
    q = nn.init.orthogonal_(w).numpy()
    np.testing.assert_allclose(q.T @ q, np.eye(100), atol=1e-5)
    assert nn.init.eye_(ds.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert abs((nn.init.sparse_(w, 0.3).numpy() == 0).mean() - 0.3) < 0.01
    x = r(1, 4, 5, 5)
    conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight)
    np.testing.assert_allclose(conv(ds.tensor(x)).detach().numpy(), x, atol=1e-6)


def test_clipping_and_vectors():
    ours, theirs = nn.Linear(4, 3), tnn.Linear(4, 3)
    ours.load_state_dict({k: ds.tensor(array(v)) for k, v in theirs.state_dict().items()})
    (ours(ds.tensor(r(5, 4))) ** 2).sum().backward()
    (theirs(to_torch(r(5, 4))) ** 2).sum().backward()
    close(nn.utils.clip_grad_norm_(ours.parameters(), 1.0), tnn.utils.clip_grad_norm_(theirs.parameters(), 1.0), "norm")
    close(ours.weight.grad, theirs.weight.grad, "clipped")
    nn.utils.clip_grad_value_(ours.parameters(), 0.05)
    assert abs(ours.weight.grad.numpy()).max() <= 0.05 + 1e-7
    v = nn.utils.parameters_to_vector(ours.parameters())
    nn.utils.vector_to_parameters(v * 2, ours.parameters())
    np.testing.assert_allclose(nn.utils.parameters_to_vector(ours.parameters()).detach().numpy(), v.detach().numpy() * 2)


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_reparametrised_weights(name):
    torch.manual_seed(1)  # how fast a power iteration converges hangs on the weights
    ours, theirs = nn.Conv2d(3, 4, 3), tnn.Conv2d(3, 4, 3)
    ours, theirs = getattr(nn.utils, name)(ours), getattr(tnn.utils, name)(theirs)
    if name == "weight_norm":
        check_module(ours, theirs, r(2, 3, 5, 5))
    else:
        assert set(ours.state_dict()) == set(theirs.state_dict())
        ours.load_state_dict({k: ds.tensor(array(v)) for k, v in theirs.state_dict().items()})
        check(ours.eval(), theirs.eval(), r(2, 3, 5, 5))
        ours.train(), theirs.train()
        for _ in range(31):  # each is a step towards a largest singular value of 1
            ours(ds.tensor(r(2, 3, 5, 5))), theirs(torch.tensor(r(2, 3, 5, 5)))
        np.testing.assert_allclose(array(ours.weight), array(theirs.weight), rtol=1e-4, atol=1e-6)
        assert abs(np.linalg.svd(array(ours.weight).reshape(4, -1), compute_uv=False)[0] - 1) < 1e-3
    getattr(nn.utils, "remove_" + name)(ours)
    assert "weight" in ours.state_dict() and len(ours.state_dict()) == 2


def test_channel_shuffle():
    x = ds.arange(8).reshape(1, 4, 2).float()
    assert nn.ChannelShuffle(2)(x).tolist() == [[[0, 1], [4, 5], [2, 3], [6, 7]]]
