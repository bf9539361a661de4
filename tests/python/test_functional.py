"""deepseek.functional against torch.nn.functional: values and gradients."""

import numpy as np
import pytest
from torch_parity import array, check, to_torch, torch

import deepseek as ds

F, TF = ds.functional, torch.nn.functional


def r(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def u(*shape, seed=0, low=0.05, high=0.95):
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(np.float32)


def ints(n, *shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(0, n, shape)


def case(name, *inputs, **kwargs):
    label = name + "-" + ",".join([*("x".join(map(str, i.shape)) for i in inputs if isinstance(i, np.ndarray)), *kwargs])
    return pytest.param(name, inputs, kwargs, id=label)


X = r(3, 4, 6)
ACTIVATIONS = [
    case(n, X)
    for n in (
        "relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish hardsigmoid hardswish softplus logsigmoid softsign "
        "tanhshrink softshrink hardshrink sigmoid tanh rrelu"
    ).split()
] + [
    case("gelu", X, approximate="tanh"), case("softplus", X, beta=2.0, threshold=1.0), case("glu", X, dim=1), case("elu", X, alpha=0.5),
    case("softmax", X, dim=1), case("log_softmax", X, dim=-1), case("softmin", X, dim=0), case("threshold", X, 0.1, 3.0),
    case("prelu", X, u(4)), case("prelu", X, u(1)), case("celu", X, alpha=0.3), case("normalize", X), case("normalize", X, p=3.0, dim=2),
]  # fmt: skip

LINEAR = [
    case("linear", r(2, 3, 4), r(5, 4), r(5)), case("linear", r(4), r(5, 4)), case("bilinear", r(3, 4), r(3, 5), r(6, 4, 5), r(6)),
    case("embedding", ints(7, 2, 3), r(7, 4)), case("embedding", ints(7, 9), r(7, 4), padding_idx=2),
    case("embedding", ints(3, 9), r(7, 4), scale_grad_by_freq=True),
    *[case("embedding_bag", ints(7, 3, 4), r(7, 5), mode=m) for m in ("sum", "mean", "max")],
    *[case("embedding_bag", ints(7, 8), r(7, 5), np.array([0, 3, 3, 6]), mode=m) for m in ("sum", "mean", "max")],
    case("embedding_bag", ints(7, 8), r(7, 5), np.array([0, 3]), mode="sum", per_sample_weights=u(8)),
    case("embedding_bag", ints(4, 3, 4), r(7, 5), mode="mean", padding_idx=1),
    case("one_hot", ints(5, 3, 2), num_classes=6), case("cosine_similarity", r(3, 4), r(3, 4, seed=1)),
    case("pairwise_distance", r(3, 4), r(3, 4, seed=1)), case("pairwise_distance", r(3, 4), r(3, 4, seed=1), p=1.0, keepdim=True),
]  # fmt: skip

CONV = [
    case("conv1d", r(2, 4, 9), r(6, 4, 3), r(6), stride=2, padding=1), case("conv1d", r(4, 9), r(6, 2, 3), groups=2, dilation=2),
    case("conv2d", r(2, 4, 7, 8), r(6, 4, 3, 2), r(6), stride=(2, 1), padding=(1, 0)),
    case("conv2d", r(2, 4, 7, 8), r(6, 4, 3, 2), padding="same"), case("conv2d", r(2, 4, 7, 8), r(4, 1, 3, 3), r(4), groups=4, dilation=2, padding=2),
    case("conv3d", r(2, 4, 5, 6, 7), r(6, 2, 3, 2, 3), r(6), groups=2, stride=(2, 1, 2), padding=1),
    case("conv3d", r(4, 5, 6, 7), r(6, 4, 2, 2, 2), dilation=2),
    case("conv_transpose1d", r(2, 4, 5), r(4, 6, 3), r(6), stride=2, padding=1, output_padding=1),
    case("conv_transpose2d", r(2, 4, 5, 4), r(4, 3, 3, 2), r(6), stride=(2, 3), padding=(1, 0), groups=2, output_padding=(1, 2)),
    case("conv_transpose2d", r(2, 4, 5, 4), r(4, 6, 3, 3), padding=3, dilation=2), case("conv_transpose2d", r(4, 5, 4), r(4, 6, 1, 1), padding=1, stride=2),
    case("conv_transpose3d", r(1, 2, 3, 4, 3), r(2, 3, 2, 3, 2), r(3), stride=2, padding=1),
]  # fmt: skip

I1, I2, I3 = r(2, 3, 11), r(2, 3, 9, 10), r(2, 2, 6, 7, 8)
POOL = [
    case("max_pool1d", I1, 3, 2, 1), case("max_pool1d", I1, 3, ceil_mode=True), case("max_pool1d", I1, 2, dilation=3, return_indices=True),
    case("max_pool2d", I2, 2), case("max_pool2d", I2, (3, 2), 2, (1, 0), ceil_mode=True), case("max_pool2d", I2, 3, 2, 1, return_indices=True),
    case("max_pool2d", r(3, 9, 10), 3, 1, 1, 2), case("max_pool3d", I3, 2), case("max_pool3d", I3, 3, 2, 1, return_indices=True),
    case("max_pool3d", I3, (2, 3, 2), 1, (1, 1, 0)), case("avg_pool1d", I1, 3, 2, 1), case("avg_pool1d", I1, 3, 2, 1, count_include_pad=False),
    case("avg_pool2d", I2, 3, 2, 1), case("avg_pool2d", I2, 3, 2, 1, ceil_mode=True), case("avg_pool2d", I2, 3, 2, 1, True, False),
    case("avg_pool2d", I2, 2, divisor_override=3), case("avg_pool3d", I3, 2, 1, 1), case("avg_pool3d", I3, (2, 3, 2), 2, 0, True),
    case("lp_pool1d", abs(I1), 2.0, 3), case("lp_pool2d", abs(I2), 3.0, 2, 2), case("adaptive_avg_pool1d", I1, 4),
    case("adaptive_avg_pool2d", I2, 1), case("adaptive_avg_pool2d", I2, (3, 5)), case("adaptive_avg_pool2d", I2, (4, None)),
    case("adaptive_avg_pool3d", I3, (2, 3, 4)), case("adaptive_max_pool1d", I1, 4), case("adaptive_max_pool2d", I2, (3, 5)),
    case("adaptive_max_pool2d", I2, (4, 3), return_indices=True), case("adaptive_max_pool3d", I3, 3),
]  # fmt: skip

NORM = [
    case("layer_norm", r(3, 4, 5), (5,), r(5), r(5, seed=1)), case("layer_norm", r(3, 4, 5), (4, 5), r(4, 5), r(4, 5, seed=1)),
    case("layer_norm", r(3, 4, 5), (5,)), case("group_norm", r(3, 4, 5), 2, r(4), r(4, seed=1)), case("group_norm", r(3, 4, 5, 2), 4),
    case("instance_norm", r(3, 4, 5)), case("instance_norm", r(3, 4, 5, 3), None, None, r(4), r(4, seed=1)),
    case("batch_norm", r(3, 4, 5), r(4), u(4), r(4, seed=2), r(4, seed=1), no_grad=(1, 2)), case("batch_norm", r(6, 4), None, None, r(4), r(4, seed=1), True),
    case("local_response_norm", r(2, 6, 4, 4), 3), case("local_response_norm", r(2, 6, 4), 4, alpha=0.3, beta=0.5, k=2.0),
]  # fmt: skip

L, C3, P = r(6, 5), ints(5, 6), u(6, 5)
SIGNS = np.where(ints(2, 6, 5) > 0, 1.0, -1.0).astype(np.float32)
CLASSES = ints(5, 3, 7)
IGNORED = np.where(ints(3, 6, seed=4) == 0, -100, C3)
LOSS = [
    *[case("cross_entropy", L, IGNORED, reduction=m) for m in ("mean", "sum", "none")], case("cross_entropy", L, C3, ignore_index=2),
    case("cross_entropy", L, C3, weight=u(5)), case("cross_entropy", L, IGNORED, weight=u(5), label_smoothing=0.1),
    case("cross_entropy", L, IGNORED, label_smoothing=0.2), case("cross_entropy", L, C3, label_smoothing=0.2, reduction="none"),
    case("cross_entropy", r(3, 5, 7), CLASSES), case("cross_entropy", r(3, 5, 7), CLASSES, reduction="none"), case("cross_entropy", r(5), np.array(3)),
    case("cross_entropy", L, P), case("cross_entropy", L, P, label_smoothing=0.1, weight=u(5)), case("cross_entropy", r(3, 5, 7), u(3, 5, 7)),
    case("nll_loss", L, IGNORED), case("nll_loss", L, C3, weight=u(5), reduction="sum"), case("nll_loss", r(3, 5, 7), CLASSES, reduction="none"),
    case("binary_cross_entropy", P, u(6, 5, seed=3)), case("binary_cross_entropy", P, u(6, 5, seed=3), weight=u(5)),
    case("binary_cross_entropy_with_logits", L, P), case("binary_cross_entropy_with_logits", L, P, pos_weight=u(5)),
    *[case("mse_loss", L, P, reduction=m) for m in ("mean", "sum", "none")], case("l1_loss", L, P), case("smooth_l1_loss", L, P, beta=0.5),
    case("huber_loss", L, P, delta=0.7), *[case("kl_div", L, P, reduction=m) for m in ("batchmean", "sum", "none")],
    case("kl_div", L, r(6, 5, seed=2), log_target=True, reduction="sum"), case("poisson_nll_loss", L, P * 4, full=True),
    case("poisson_nll_loss", P, P * 4, log_input=False), case("gaussian_nll_loss", L, P, u(6, 5, seed=1), full=True),
    case("hinge_embedding_loss", L, SIGNS), case("soft_margin_loss", L, SIGNS, no_grad=(1,)), case("margin_ranking_loss", r(5), r(5, seed=1), SIGNS[0], margin=0.3),
    case("cosine_embedding_loss", L, P, SIGNS[:, 0].copy(), margin=0.1), case("multilabel_soft_margin_loss", L, (SIGNS + 1) / 2),
    case("multilabel_margin_loss", L, np.array([[1, 3, -1, 2, 0]] * 6)), case("multi_margin_loss", L, C3), case("multi_margin_loss", L, C3, p=2, weight=u(5)),
    case("triplet_margin_loss", L, P, r(6, 5, seed=9)), case("triplet_margin_loss", L, P, r(6, 5, seed=9), swap=True, p=1.0),
]  # fmt: skip

GRID = r(2, 4, 5, 2) * 0.7
VISION = [
    case("pad", I1, (1, 2)), case("pad", I2, (1, -1, 0, 2), value=3.0), *[case("pad", I2, (1, 2, 3, 0), mode=m) for m in ("reflect", "replicate", "circular")],
    case("pixel_shuffle", r(2, 8, 3, 4), 2), case("pixel_unshuffle", r(2, 2, 4, 6), 2),
    case("unfold", I2, 3, padding=1, stride=2), case("unfold", I2, (2, 3), dilation=2), case("fold", r(2, 12, 20), (5, 6), 2),
    case("fold", r(2, 18, 12), (6, 7), 3, padding=1, stride=2),
    *[case("interpolate", I2, scale_factor=s, mode=m) for s in (2.0, 0.6, (1.5, 0.8)) for m in ("nearest", "nearest-exact", "bilinear", "bicubic")],
    *[case("interpolate", I2, size=(5, 13), mode=m, align_corners=True) for m in ("bilinear", "bicubic")], case("interpolate", I2, size=(4, 3), mode="area"),
    *[case("interpolate", I2, size=(5, 4), mode=m, antialias=True) for m in ("bilinear", "bicubic")],
    case("interpolate", I1, scale_factor=1.7, mode="linear"), case("interpolate", I3, scale_factor=1.5, mode="trilinear"),
    case("interpolate", I2, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
    *[case("grid_sample", r(2, 3, 6, 7), GRID, mode=m, padding_mode=p, align_corners=c)
      for m in ("bilinear", "nearest", "bicubic") for p in ("zeros", "border", "reflection") for c in (True, False)],
    case("grid_sample", r(2, 2, 4, 5, 6), r(2, 3, 2, 4, 3) * 0.7, align_corners=False), case("affine_grid", r(2, 2, 3), (2, 3, 4, 5), align_corners=False),
    case("affine_grid", r(2, 3, 4), (2, 3, 4, 5, 2), align_corners=True),
]  # fmt: skip


@pytest.mark.parametrize("name, inputs, kwargs", ACTIVATIONS + LINEAR + CONV + POOL + NORM + LOSS + VISION)
@pytest.mark.filterwarnings("ignore")
def test_like_torch(name, inputs, kwargs):
    check(getattr(F, name), getattr(TF, name), *inputs, **kwargs)


@pytest.mark.parametrize("targets", [np.array([[1, 2, 2], [3, 1, 0]]), np.array([1, 2, 2, 3, 1])])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc(targets, reduction):
    logp = np.log(u(7, 2, 5))
    check(
        lambda x: F.ctc_loss(F.log_softmax(x, -1), ds.tensor(targets), ds.tensor([7, 6]), ds.tensor([3, 2]), reduction=reduction),
        lambda x: TF.ctc_loss(TF.log_softmax(x, -1), to_torch(targets), torch.tensor([7, 6]), torch.tensor([3, 2]), reduction=reduction),
        logp,
    )


def test_max_unpool():
    x = r(2, 3, 6, 6)
    y, i = F.max_pool2d(ds.tensor(x), 2, return_indices=True)
    ty, ti = TF.max_pool2d(to_torch(x), 2, return_indices=True)
    np.testing.assert_array_equal(F.max_unpool2d(y, i, 2).numpy(), array(TF.max_unpool2d(ty, ti, 2)))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_attention():
    q, k, v = r(2, 4, 5, 8), r(2, 4, 6, 8, seed=1), r(2, 4, 6, 3, seed=2)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(8)
    mask = ints(2, 5, 6, seed=3).astype(bool) | (np.arange(6) == 0)
    a = [ds.tensor(t) for t in (q, k, v)]
    close = lambda x, y: np.testing.assert_allclose(x.numpy(), y, rtol=1e-4, atol=1e-5)  # noqa: E731
    close(F.scaled_dot_product_attention(*a), softmax(scores) @ v)
    close(F.scaled_dot_product_attention(*a, ds.tensor(mask)), softmax(np.where(mask, scores, -np.inf)) @ v)
    close(F.scaled_dot_product_attention(*a, ds.tensor(r(5, 6))), softmax(scores + r(5, 6)) @ v)
    causal = np.tril(np.ones((5, 6), bool))
    close(F.scaled_dot_product_attention(*a, is_causal=True), softmax(np.where(causal, scores, -np.inf)) @ v)
    few = [ds.tensor(np.ascontiguousarray(t[:, ::2])) for t in (k, v)]
    ref = softmax(q @ np.repeat(k[:, ::2], 2, 1).swapaxes(-1, -2) / np.sqrt(8)) @ np.repeat(v[:, ::2], 2, 1)
    close(F.scaled_dot_product_attention(a[0], *few, enable_gqa=True), ref)


def test_rms_norm():
    x, w = r(3, 4, 8), r(8)
    y = F.rms_norm(ds.tensor(x), (8,), ds.tensor(w), 1e-6)
    np.testing.assert_allclose(y.numpy(), x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w, rtol=1e-5)


def test_dropouts_keep_the_mean():
    x = ds.ones(64, 64, 16)
    for f in (F.dropout, F.dropout1d, F.dropout2d):
        y = f(x, 0.25).numpy()
        assert abs(y.mean() - 1) < 0.05 and abs((y == 0).mean() - 0.25) < 0.05
    assert f(x, 0.5, training=False) is x
    y = F.alpha_dropout(ds.randn(100, 100), 0.3, training=True).numpy()
    assert abs(y.mean()) < 0.05 and abs(y.std() - 1) < 0.05
    assert (F.dropout2d(ds.ones(8, 8, 3), 0.5).numpy().std(axis=-1) == 0).all()


def test_errors_name_the_values():
    for call, text in [
        (lambda: F.pad(ds.ones(3, 4), (1,)), r"\[pad\]"),
        (lambda: F.cross_entropy(ds.ones(3, 4), ds.zeros(2, dtype=ds.int64)), r"\(3, 4\) needs target classes of shape \(3,\), got \(2,\)"),
        (lambda: F.cross_entropy(ds.ones(3, 4), ds.tensor([0, 4, 1])), r"target 4 is out of range for 4 classes"),
        (lambda: F.conv2d(ds.ones(1, 3, 5, 5), ds.ones(2, 4, 3, 3)), r"channels do not fit"),
        (lambda: F.mse_loss(ds.ones(2), ds.ones(2), reduction="avg"), "'avg'"),
        (lambda: F.one_hot(ds.tensor([5]), 3), "class 5"),
        (lambda: F.embedding(ds.ones(2), ds.ones(2, 2)), "integer"),
    ]:
        with pytest.raises(ds.Error, match=text):
            call()


def test_edges():
    x = ds.tensor(r(2, 3, 4))
    assert F.pad(x, (-4, 5), "replicate").tolist() == F.pad(x[..., 3:], (0, 4), "replicate").tolist()
    assert F.softmax(ds.tensor(2.0), 0).item() == 1.0
    assert F.avg_pool1d(ds.tensor([[[1, 2, 4]]]), 3).tolist() == [[[2]]]
    check(F.pdist, TF.pdist, r(5, 3))
    with pytest.raises(IndexError, match="out of range"):
        F.embedding(ds.tensor([9]), ds.ones(3, 2)).numpy()


@pytest.mark.parametrize("case", ["plain", "causal", "bool", "added", "grouped"])
def test_attention_in_blocks_is_the_composition(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long sequences go to the engine's blocks: the same values and gradients."""
    from deepseek.functional import attention

    ds.manual_seed(0)
    heads = 2 if case == "grouped" else 4
    inputs = [ds.randn(2, 4, 300, 8), ds.randn(2, heads, 520, 8), ds.randn(2, heads, 520, 6)]
    mask = None
    if case == "bool":
        mask = ds.rand(2, 1, 300, 520) > 0.5
    if case == "added":
        mask = ds.randn(300, 520)
    results = []
    for least in (1, 10**9):
        monkeypatch.setattr(attention, "_BLOCKS_FROM", least)
        q, k, v = (x.clone().requires_grad_() for x in inputs)
        out = attention.scaled_dot_product_attention(q, k, v, mask, is_causal=case == "causal", enable_gqa=case == "grouped")
        (out * out).sum().backward()
        results.append([t.detach().numpy() for t in (out, q.grad, k.grad, v.grad)])
    for ours, want in zip(*results):
        np.testing.assert_allclose(ours, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: F.hardtanh(x, 0.5, -0.5), "min_val 0.5"),
        (lambda x: F.prelu(x, ds.ones(2, 2)), "a number or a vector"),
        (lambda x: F.rrelu(x, 0.3, 0.1), "lower bound 0.3"),
        (lambda x: F.softshrink(x, -0.5), "-0.5"),
        (lambda x: F.triplet_margin_loss(x, x, x, margin=-1.0), "margin must be greater than 0"),
        (lambda x: F.group_norm(ds.ones(1, 0, 2), 1), "channels"),
        (lambda x: F.group_norm(ds.ones(1, 2, 0), 1), "extents greater than 0"),
        (lambda x: F.max_pool1d(ds.ones(0, 10), 1), "channels are needed"),
        (lambda x: F.max_unpool2d(ds.ones(1, 1, 2, 2), ds.zeros(1, 1, 2, 2, dtype=ds.int64), 2, stride=0), "strides must be positive"),
        (lambda x: F.conv1d(ds.ones(1, 1, 4), ds.ones(1, 1, 2), ds.ones(1, dtype=ds.float64)), "two dtypes"),
        (lambda x: ds.narrow(x, 0, ds.tensor(True), 1), "must be an integer"),
        (lambda x: ds.multinomial(ds.tensor([0.5, -0.5]), 1), "negative"),
        (lambda x: ds.multinomial(ds.zeros(3), 2), "all 0"),
        (lambda x: ds.normal(x, -1.0), "std must not be negative"),
        (lambda x: ds.signal.windows.exponential(5, center=1), "center"),
    ],
)
def test_arguments_out_of_range_are_refused(call, said):
    with pytest.raises(ds.Error, match=said):
        call(ds.ones(2, 3))


def test_a_0d_tensor_has_no_dimension_to_roll():
    with pytest.raises(IndexError, match="0-d"):
        ds.roll(ds.tensor(1.0), 0, 0)


def test_integers_become_floating_and_one_row_of_a_linear_gives_numbers():
    n = ds.tensor([1, 2, 4])
    np.testing.assert_allclose(ds.reciprocal(n).numpy(), [1, 0.5, 0.25])
    np.testing.assert_allclose(F.tanhshrink(n).numpy(), n.numpy() - np.tanh(n.numpy()), rtol=1e-6)
    np.testing.assert_allclose(F.poisson_nll_loss(n, n, reduction="none").numpy(), np.exp(n.numpy()) - n.numpy() ** 2, rtol=1e-6)
    x, w = ds.randn(5, 3), ds.randn(3)
    np.testing.assert_allclose(F.linear(x, w, ds.tensor(2.0)).numpy(), x.numpy() @ w.numpy() + 2, rtol=1e-5)


def test_bicubic_samples_of_three_dimensions_are_exact_at_whole_places():
    x = ds.randn(2, 3, 4, 5, 6, dtype=ds.float64)
    lines = [np.linspace(-1, 1, n) for n in x.shape[2:]]
    z, y, w = np.meshgrid(*lines, indexing="ij")
    grid = ds.tensor(np.broadcast_to(np.stack([w, y, z], -1), (2, 4, 5, 6, 3)).copy())
    np.testing.assert_allclose(F.grid_sample(x, grid, "bicubic", align_corners=True).numpy(), x.numpy(), atol=1e-12)
