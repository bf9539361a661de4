"""The array API namespace: where the standard differs from PyTorch, and against array-api-strict where it is there."""

import numpy as np
import pytest

import deepseek as ds

xp = ds.ones(1).__array_namespace__()


def test_namespace():
    assert xp.__array_api_version__ == "2024.12"
    assert xp is ds.array_api
    with pytest.raises(ValueError):
        ds.ones(1).__array_namespace__(api_version="2020.01")
    info = xp.__array_namespace_info__()
    assert set(info.dtypes(kind="signed integer")) == {"int8", "int16", "int32", "int64"}
    assert info.default_dtypes()["real floating"] == ds.float32


def test_size_is_a_number_and_a_method():
    x = ds.ones(2, 3)
    assert x.size == 6 and x.size() == (2, 3) and x.size(1) == 3


def test_standard_statistics():
    x = ds.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert float(xp.std(x)) == pytest.approx(np.std([1, 2, 3, 5]))
    assert xp.sum(ds.tensor([200, 100], dtype=ds.uint8)).dtype == ds.uint64
    assert xp.sum(x, axis=()).tolist() == x.tolist()
    assert xp.max(x, axis=0).tolist() == [3, 5]
    assert xp.cumulative_sum(ds.arange(3), include_initial=True).tolist() == [0, 0, 1, 3]


def test_sorting_and_sets():
    x = ds.tensor([3, 1, 3])
    assert xp.sort(x).tolist() == [1, 3, 3] and xp.argsort(x, descending=True).tolist() == [0, 2, 1]
    u = xp.unique_all(x)
    assert u.values.tolist() == [1, 3] and u.counts.tolist() == [1, 2] and u.indices.tolist() == [1, 0]
    assert [t.tolist() for t in xp.nonzero(x == 3)] == [[0, 2]]
    assert len(xp.unique_values(ds.tensor([float("nan")] * 2))) == 2


def test_dtypes():
    assert xp.isdtype(ds.int8, "signed integer") and xp.isdtype(ds.float32, ("bool", "numeric"))
    assert xp.result_type(ds.int8, ds.uint8) == ds.int16
    assert xp.can_cast(ds.float32, ds.complex64) and not xp.can_cast(ds.int64, ds.float32)
    assert xp.finfo(ds.float64).eps == 2.0**-52 and xp.iinfo(ds.uint8).max == 255
    with pytest.raises(TypeError):
        xp.astype(ds.tensor([1j]), ds.float32)
    assert xp.arange(5, 0).shape == (0,)


def test_complex_functions_and_their_gradients():
    z = np.array([0.3 + 0.4j, -1.2 + 0.1j])
    for name in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "expm1", "log1p", "log2", "log10", "sinh", "tan", "tanh"):
        f = getattr(np, name if hasattr(np, name) else name.replace("a", "arc", 1))
        t = ds.tensor(z, requires_grad=True)
        y = getattr(xp, name)(t)
        np.testing.assert_allclose(y.detach().numpy(), f(z), rtol=1e-12)
        (g,) = ds.autograd.grad(y, t, ds.tensor(np.ones(2, complex)))
        np.testing.assert_allclose(g.numpy(), np.conj((f(z + 1e-6) - f(z - 1e-6)) / 2e-6), rtol=1e-6)


def test_fft_and_linalg():
    a = np.random.default_rng(0).normal(size=(3, 4))
    for name in ("fft", "rfft", "ihfft"):
        np.testing.assert_allclose(getattr(xp.fft, name)(ds.tensor(a)).numpy(), getattr(np.fft, name)(a), atol=1e-12)
    np.testing.assert_allclose(xp.fft.irfft(xp.fft.rfft(ds.tensor(a)), n=4).numpy(), a, atol=1e-12)
    m = ds.tensor(a[:, :3])
    np.testing.assert_allclose(xp.linalg.solve(m, ds.tensor(a)).numpy(), np.linalg.solve(a[:, :3], a), atol=1e-9)
    q, r = xp.linalg.qr(ds.tensor(a.T))
    np.testing.assert_allclose((q @ r).numpy(), a.T, atol=1e-12)
    u, s, vh = xp.linalg.svd(ds.tensor(a), full_matrices=False)
    np.testing.assert_allclose((u * s @ vh).numpy(), a, atol=1e-12)
    with pytest.raises(ds.Error, match=r"\[cholesky\]"):
        ds.linalg.cholesky(ds.tensor(-np.eye(2)))


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "eigvalsh", "svdvals", "pinv", "matrix_exp"])
def test_gradients_of_linalg(name):
    a = np.random.default_rng(1).normal(size=(3, 3))
    a = a @ a.T + 3 * np.eye(3)
    x = ds.tensor(a, requires_grad=True)
    w = np.random.default_rng(2).normal(size=getattr(ds.linalg, name)(x).shape)
    (g,) = ds.autograd.grad((getattr(ds.linalg, name)(x) * ds.tensor(w)).sum(), x)
    change = np.random.default_rng(3).normal(size=(3, 3))
    change = change + change.T
    up, down = (float((getattr(ds.linalg, name)(ds.tensor(a + e * change)) * ds.tensor(w)).sum()) for e in (1e-6, -1e-6))
    assert float((g * ds.tensor(change)).sum()) == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-6)
