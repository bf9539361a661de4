"""Functions of tensors against NumPy, in all their forms: function, method, in place, operator."""

import numpy as np
import pytest

import deepseek as ds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
Y = RNG.normal(size=(3, 4))
N = RNG.integers(-9, 9, size=(3, 4))
J = RNG.integers(1, 5, size=(3, 4))


def same(got, want, tol=1e-12):
    np.testing.assert_allclose(np.asarray(got.detach()), want, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", "exp sin cos tanh floor ceil sinh cosh arcsinh arctan expm1 log1p sign square".split())
def test_unary_forms(name):
    x = np.abs(X) if name == "log1p" else X
    want = getattr(np, name)(x)
    same(getattr(ds, name)(ds.tensor(x)), want)
    same(getattr(ds.tensor(x), name)(), want)
    t = ds.tensor(x)
    assert getattr(t, name + "_")() is t
    same(t, want)


@pytest.mark.parametrize("op", ["//", "%", "**", "&", "|", "^", "<<", ">>"])
def test_integer_operators(op):
    right = J if op in ("//", "%", "**", "<<", ">>") else N
    want = eval(f"a {op} b", {"a": N, "b": right})
    a, b = ds.tensor(N), ds.tensor(right)
    same(eval(f"a {op} b"), want)
    same(eval(f"a {op} b", {"a": a, "b": right}), want)
    same(eval(f"a {op} b", {"a": N, "b": b}), want)
    c = ds.tensor(N)
    d = c
    c = eval("__import__('operator').i" + {"//": "floordiv", "%": "mod", "**": "pow", "&": "and", "|": "or", "^": "xor", "<<": "lshift", ">>": "rshift"}[op])(c, b)
    assert c is d
    same(c, want)


@pytest.mark.parametrize("op", ["//", "%"])
def test_float_division(op):
    same(eval(f"a {op} b", {"a": ds.tensor(X), "b": ds.tensor(Y)}), eval(f"a {op} b", {"a": X, "b": Y}))
    same(eval(f"a {op} b", {"a": 7.5, "b": ds.tensor(Y)}), eval(f"a {op} b", {"a": 7.5, "b": Y}))


def test_integers_become_floats_where_they_must():
    assert ds.exp(ds.arange(3)).dtype == ds.float32
    assert (ds.arange(3) / 2).dtype == ds.float32
    with pytest.raises(ds.Error, match="mean"):
        ds.arange(3).mean()


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("keep", [False, True])
def test_reductions(dim, keep):
    t, axis = ds.tensor(X), dim
    for name, f in {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min, "var": None, "std": None}.items():
        want = f(X, axis=axis, keepdims=keep) if f else getattr(np, name)(X, axis=axis, keepdims=keep, ddof=1)
        same(getattr(ds, name)(t, dim, keepdim=keep), want)
        same(getattr(t, name)(axis=dim, keepdims=keep), want)
    same(ds.logsumexp(t, (0, 1) if dim is None else dim, keep), np.log(np.sum(np.exp(X), axis=axis, keepdims=keep)))
    same(ds.any(t > 1, dim, keep), np.any(X > 1, axis=axis, keepdims=keep))


def test_max_with_dim():
    m = ds.tensor(X).max(1)
    same(m.values, X.max(1))
    assert m.indices.tolist() == X.argmax(1).tolist()
    same(ds.max(ds.tensor(X)), X.max())
    same(ds.max(ds.tensor(X), ds.tensor(Y)), np.maximum(X, Y))


def test_joining_and_splitting():
    a, b = ds.tensor(X), ds.tensor(Y)
    same(ds.cat([a, b], 1), np.concatenate([X, Y], 1))
    same(ds.stack([a, b], -1), np.stack([X, Y], -1))
    same(ds.vstack([a, b]), np.vstack([X, Y]))
    assert [p.shape for p in a.split([1, 3], 1)] == [(3, 1), (3, 3)]
    assert [p.shape for p in a.chunk(3, 1)] == [(3, 2), (3, 2)]
    for got, want in zip(ds.tensor_split(a, 3, 1), np.array_split(X, 3, 1)):
        same(got, want)
    assert ds.cat([ds.ones(1), ds.arange(2)]).dtype == ds.float32
    with pytest.raises(IndexError, match=r"\[cat\] dimension 3 is out of range for tensors of rank 2"):
        ds.cat([a, b], 3)


@pytest.mark.parametrize(
    "view, part",
    [
        (lambda t: t.select(1, 2), np.s_[:, 2]),
        (lambda t: t.narrow(1, 1, 2), np.s_[:, 1:3]),
        (lambda t: t.unbind(0)[1], np.s_[1]),
        (lambda t: t.split(2, 1)[1], np.s_[:, 2:]),
        (lambda t: t.T[3], np.s_[:, 3]),
        (lambda t: t.movedim(0, 1)[0], np.s_[:, 0]),
        (lambda t: t.diagonal(1), (np.arange(3), np.arange(1, 4))),
        (lambda t: t.diagonal(-1), (np.arange(1, 3), np.arange(2))),
    ],
)
def test_views_write_through(view, part):
    t, want = ds.tensor(X), X.copy()
    v = view(t)
    v *= 10
    want[part] *= 10
    same(t, want)
    t.zero_()
    same(v, np.zeros(v.shape))


def test_moving():
    t = ds.tensor(X)
    same(t.flip(0, 1), X[::-1, ::-1])
    same(ds.roll(t, (1, -2), (0, 1)), np.roll(X, (1, -2), (0, 1)))
    for k in range(-4, 5):
        same(ds.rot90(t, k), np.rot90(X, k))
    same(t.repeat(2, 1, 3), np.tile(X, (2, 1, 3)))
    same(t.repeat_interleave(ds.tensor([1, 0, 2]), 0), np.repeat(X, [1, 0, 2], 0))
    same(ds.tril(t, 1), np.tril(X, 1))
    same(ds.diag_embed(t, 1, 0, 2), np.stack([np.diag(r, 1) for r in X], 1))
    for got, want in zip(ds.meshgrid(ds.arange(2), ds.arange(3), indexing="xy"), np.meshgrid(np.arange(2), np.arange(3))):
        same(got, want)


def test_index_functions():
    t, at = ds.tensor(X), RNG.integers(0, 3, size=(3, 4))
    same(t.gather(0, ds.tensor(at)), np.take_along_axis(X, at, 0))
    want = X.copy()
    np.add.at(want, (at, np.arange(4)[None].repeat(3, 0)), Y)
    same(t.scatter_add(0, ds.tensor(at), ds.tensor(Y)), want)
    order = np.argsort(RNG.normal(size=(3, 4)), axis=0)
    want = X.copy()
    np.put_along_axis(want, order, Y, 0)
    same(ds.tensor(X).scatter_(0, ds.tensor(order), ds.tensor(Y)), want)
    same(t.index_select(1, ds.tensor([3, 0])), X[:, [3, 0]])
    same(t.masked_fill(t > 0, 9.0), np.where(X > 0, 9, X))
    same(t.masked_select(t > 0), X[X > 0])
    same(t.take(ds.tensor([0, -1])), X.reshape(-1)[[0, -1]])
    want = X.copy()
    want[:, [2, 0]] = Y[:, :2]
    same(t.index_copy(1, ds.tensor([2, 0]), ds.tensor(Y[:, :2])), want)
    assert ds.nonzero(t > 0).tolist() == np.argwhere(X > 0).tolist()


def test_order():
    t = ds.tensor(N)
    s = t.sort(1, descending=True)
    assert s.values.tolist() == np.sort(N, 1)[:, ::-1].tolist()
    assert ds.argsort(t, 0).tolist() == np.argsort(N, 0, kind="stable").tolist()
    assert t.topk(2).values.tolist() == np.sort(N, 1)[:, :-3:-1].tolist()
    same(ds.quantile(ds.tensor(X), ds.tensor([0.1, 0.7], dtype=ds.float64), 0, True), np.quantile(X, [0.1, 0.7], 0, keepdims=True))
    assert ds.median(ds.tensor([3.0, float("nan"), 1.0])).isnan()
    values, inverse, counts = ds.unique(t, return_inverse=True, return_counts=True)
    assert values[inverse].tolist() == N.tolist() and int(counts.sum()) == N.size
    same(ds.cumsum(ds.tensor(X), 1), np.cumsum(X, 1))
    same(ds.cumprod(ds.tensor(X), 0), np.cumprod(X, 0))
    assert ds.searchsorted(ds.tensor([1, 3, 5]), ds.tensor([3, 6]), right=True).tolist() == [2, 3]


@pytest.mark.parametrize("eq", ["ij,jk->ik", "bij,bjk->bik", "i,j->ij", "ii->i", "ij->", "ij->ji", "bi,bi->b", "...ij,...jk->...ik", "ijk,il,jm->klm", "ij,ij,ij->i", "ab,cd"])
def test_einsum(eq):
    size = dict(zip("abcdijklm", (2, 3, 4, 2, 3, 3, 4, 2, 3)))
    xs = [RNG.normal(size=[2] * (2 if "..." in term else 0) + [size[c] for c in term.replace("...", "")]) for term in eq.split("->")[0].split(",")]
    same(ds.einsum(eq, *map(ds.tensor, xs)), np.einsum(eq, *xs))


def test_products():
    a, b = ds.tensor(X), ds.tensor(Y)
    same(a @ b.T, X @ Y.T)
    same(ds.tensor(N) @ ds.tensor(J).T, N @ J.T)
    same(ds.tensordot(a, b, ([0, 1], [0, 1])), np.tensordot(X, Y))
    same(ds.kron(a, b), np.kron(X, Y))
    same(ds.addmm(ds.ones(3, dtype=ds.float64), a, b.T, beta=2, alpha=0.5), 2 + 0.5 * X @ Y.T)
    same(ds.cross(a[:, :3], b[:, :3], 1), np.cross(X[:, :3], Y[:, :3]))
    same(ds.matrix_power(a[:, :3], 5), np.linalg.matrix_power(X[:, :3], 5))
    with pytest.raises(ds.Error, match="inner dimensions differ"):
        a @ b


def test_numpy_beside_tensors():
    t = ds.tensor(X)
    assert isinstance(Y + t, ds.Tensor) and isinstance(t * Y, ds.Tensor)
    same(Y // t, Y // X)
    np.testing.assert_allclose(np.sin(t), np.sin(X))
    np.testing.assert_allclose(np.stack([t, t]), np.stack([X, X]))
    np.testing.assert_allclose(np.sum(t, axis=0), X.sum(0))


def test_gradients():
    x = ds.tensor(X, requires_grad=True)
    (ds.std(x, 1).sum() + x.sort(1).values[:, 0].sum() + ds.cumsum(x, 0)[2].sum() + ds.clamp(x, -0.5, 0.5).sum()).backward()
    step, want = 1e-6, np.zeros_like(X)

    def f(v):
        return v.std(1, ddof=1).sum() + v.min(1).sum() + v.sum() + np.clip(v, -0.5, 0.5).sum()

    for i in np.ndindex(X.shape):
        e = np.zeros_like(X)
        e[i] = step
        want[i] = (f(X + e) - f(X - e)) / (2 * step)
    same(x.grad, want, 1e-6)


def test_out_and_errors():
    out = ds.zeros(3, 4, dtype=ds.float64)
    assert ds.add(ds.tensor(X), 1, out=out) is out
    same(out, X + 1)
    with pytest.raises(ds.Error, match="cannot be kept"):
        ds.arange(3).add_(0.5)
    with pytest.raises(IndexError):
        ds.sum(out, 5)
