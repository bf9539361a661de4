"""Methods of Tensor that make, fill and reinterpret, and the rarer families of functions."""

import math

import numpy as np
import pytest

import deepseek as ds

X = np.random.default_rng(0).normal(size=(4, 5))


def same(got, want, tol=1e-10):
    np.testing.assert_allclose(np.asarray(got.detach()), want, rtol=tol, atol=tol)


def test_factories_of_a_tensor():
    t = ds.tensor(X)
    assert t.new_zeros(2, 3).shape == (2, 3) and t.new_zeros(2).dtype == ds.float64
    assert t.new_full((2,), 7).tolist() == [7, 7]
    assert t.new_tensor([1, 2]).dtype == ds.float64
    assert t.nbytes == 160 and t.itemsize == 8


def test_random_fills():
    ds.manual_seed(1)
    t = ds.zeros(20000)
    assert abs(float(t.uniform_(2, 4).mean()) - 3) < 0.02
    assert abs(float(t.normal_(1, 2).std()) - 2) < 0.05
    assert abs(float(t.exponential_(2.0).mean()) - 0.5) < 0.02
    assert set(t.bernoulli_(0.3).unique().tolist()) == {0.0, 1.0}
    counts = ds.multinomial(ds.tensor([1.0, 3.0]), 4000, replacement=True).bincount()
    assert abs(int(counts[1]) / 4000 - 0.75) < 0.04
    assert sorted(ds.multinomial(ds.ones(5), 5).tolist()) == [0, 1, 2, 3, 4]


def test_complex_parts_write_through():
    z = ds.tensor([1 + 2j, 3 - 1j])
    z.real.mul_(2)
    z.imag = 5
    assert z.tolist() == [2 + 5j, 6 + 5j]
    pairs = ds.view_as_real(z)
    pairs[0, 1] = 9
    assert z.tolist() == [2 + 9j, 6 + 5j]


def test_strides():
    t = ds.arange(12)
    v = t.as_strided((3, 2), (4, 1), 1)
    assert v.tolist() == [[1, 2], [5, 6], [9, 10]]
    v.zero_()
    assert t.tolist() == [0, 0, 0, 3, 4, 0, 0, 7, 8, 0, 0, 11]
    assert t.unfold(0, 4, 4).tolist() == t.reshape(3, 4).tolist()
    t.resize_(2, 2)
    assert t.shape == (2, 2)


def test_statistics():
    t = ds.tensor(X)
    same(ds.cov(t), np.cov(X))
    same(ds.corrcoef(t), np.corrcoef(X))
    same(ds.trapezoid(t, dx=0.5), np.trapezoid(X, dx=0.5) if hasattr(np, "trapezoid") else np.trapz(X, dx=0.5))
    same(ds.gradient(t, dim=1)[0], np.gradient(X, axis=1))
    same(ds.cdist(t, t), np.sqrt(((X[:, None] - X[None]) ** 2).sum(-1)))
    hist, edges = ds.histogram(t, 6)
    want, at = np.histogram(X, 6)
    assert hist.tolist() == want.tolist()
    same(edges, at)


def test_special():
    x = ds.tensor([-30.0, -2.0, 0.0, 3.0], dtype=ds.float64)
    same(ds.special.ndtr(x[1:]), [0.5 * math.erfc(2 / math.sqrt(2)), 0.5, 0.5 * math.erfc(-3 / math.sqrt(2))])
    same(ds.special.log_ndtr(x)[0], -454.3212439955688)
    same(ds.special.erfcx(ds.tensor([0.5, 10.0], dtype=ds.float64)), [math.exp(0.25) * math.erfc(0.5), 0.05614099274382259])
    same(ds.special.entr(ds.tensor([0.0, 0.5], dtype=ds.float64)), [0, 0.5 * math.log(2)])
    same(ds.polygamma(2, ds.tensor([-0.5], dtype=ds.float64)), [-0.8287966442343199])
    same(ds.mvlgamma(ds.tensor(3.5, dtype=ds.float64), 2), math.lgamma(3.5) + math.lgamma(3.0) + 0.5 * math.log(math.pi))


def test_windows():
    for name in ("hamming", "bartlett", "blackman"):
        same(getattr(ds.signal.windows, name)(8, dtype=ds.float64), getattr(np, name)(8))
    same(ds.signal.windows.kaiser(8, beta=5.0, dtype=ds.float64), np.kaiser(8, 5))
    same(ds.signal.windows.hann(8, sym=False, dtype=ds.float64), np.hanning(9)[:8])


def test_masked():
    m = X > 0
    t, mask = ds.tensor(X), ds.tensor(m)
    same(ds.masked.sum(t, 1, mask=mask), np.where(m, X, 0).sum(1))
    same(ds.masked.mean(t, 0, mask=mask), [c[k].mean() if k.any() else np.nan for c, k in zip(X.T, m.T)])
    same(ds.masked.amax(t, 1, mask=~mask), np.where(m, -np.inf, X).max(1))


def test_errors_name_the_values():
    with pytest.raises(ds.Error, match=r"\[split\] the sizes \[1, 2\] do not add up to the extent 5 of dimension 1"):
        ds.tensor(X).split([1, 2], 1)
    with pytest.raises(ds.Error, match=r"\[solve\] square matrices are needed, got \(4, 5\)"):
        ds.linalg.solve(ds.tensor(X), ds.tensor(X))
    with pytest.raises(ds.Error, match=r"\[gather\] an integer index is needed, got deepseek.float64"):
        ds.tensor(X).gather(0, ds.tensor(X))


def test_stubs_are_complete():
    """tools/python_stubs.py writes them anew."""
    import pathlib

    from deepseek._functions import TABLE

    here = pathlib.Path(ds.__file__).resolve().parent
    table, compiled = (here / "_table.pyi").read_text(), (here / "_C.pyi").read_text()
    assert [n for n, f in TABLE.items() if callable(f) and f"def {n}(" not in table] == []
    assert [n for n in vars(ds.Tensor) if not n.startswith("_") and f"def {n}(" not in compiled and f"    {n}:" not in compiled] == []
