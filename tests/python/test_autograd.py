"""Gradients: grad, functions of one's own, derivatives of functions, vmap, checkpoint, anomaly mode."""

import numpy as np
import pytest

import deepseek as ds
from deepseek import autograd

A = np.random.default_rng(0).normal(size=(3, 3))


def leaf(x=A):
    return ds.tensor(x, requires_grad=True)


def same(got, want):
    np.testing.assert_allclose(np.asarray(got.detach()), want, rtol=1e-9, atol=1e-9)


def test_grad_and_second_derivative():
    x = leaf()
    (g,) = autograd.grad((x**3).sum(), x, create_graph=True)
    same(g, 3 * A**2)
    (h,) = autograd.grad(g.sum(), x)
    same(h, 6 * A)
    with pytest.raises(ds.Error, match="input 0 has no part"):
        autograd.grad(leaf().sum(), x)
    assert autograd.grad(leaf().sum(), x, allow_unused=True) == (None,)
    with pytest.raises(ds.Error, match="needs a grad_output"):
        autograd.grad(x * 2, x)


def test_modes():
    x = leaf()
    with ds.no_grad():
        assert not (x * 2).requires_grad
        with ds.enable_grad():
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @ds.no_grad()
    def f():
        return x * 2

    @ds.no_grad
    def g():
        return x * 2

    assert not f().requires_grad and not g().requires_grad
    with ds.set_grad_enabled(False):
        assert not ds.is_grad_enabled()
    with ds.inference_mode():
        assert not (x * 2).requires_grad
    ds.set_grad_enabled(False)
    assert not ds.is_grad_enabled()
    ds.set_grad_enabled(True)
    assert ds.is_grad_enabled()


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x**3 * factor

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2 * ctx.factor, None


def test_function():
    x = leaf()
    y = Cube.apply(x, 2.0)
    (g,) = autograd.grad(y.sum(), x, create_graph=True)
    same(g, 6 * A**2)
    same(autograd.grad(g.sum(), x)[0], 12 * A)


def test_function_of_several():
    class Split(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            at = ds.argmax(x, 1)
            ctx.mark_non_differentiable(at)
            return x * 2, at, x * 3

        @staticmethod
        def backward(ctx, a, _, b):
            return 2 * a + 3 * b

    x = leaf()
    a, at, b = Split.apply(x)
    assert not at.requires_grad
    a.sum().backward()
    same(x.grad, np.full_like(A, 2))


def test_functional():
    def f(x):
        return (x @ x).sum(0)

    x, v = ds.tensor(A), ds.tensor(A[0])
    j = autograd.functional.jacobian(f, x)
    assert j.shape == (3, 3, 3)
    same(autograd.vjp(f, x, v)[1], np.einsum("i,ijk->jk", A[0], j.numpy()))
    same(autograd.jvp(f, x, x)[1], np.einsum("ijk,jk->i", j.numpy(), A))
    h = autograd.hessian(lambda x: (x**3).sum(), v)
    same(h, np.diag(6 * A[0]))
    same(autograd.vhp(lambda x: (x**3).sum(), v, v)[1], 6 * A[0] ** 2)


def test_vmap():
    f = ds.vmap(lambda a, b: a @ b)
    same(f(ds.tensor(A), ds.tensor(A)), (A * A).sum(1))
    same(ds.vmap(lambda r: r.sort().values, in_dims=1, out_dims=1)(ds.tensor(A)), np.sort(A, 0))
    g = ds.vmap(ds.vmap(lambda a, b: a * b, (None, 0)), (0, None))
    same(g(ds.tensor(A[0]), ds.tensor(A[1])), np.outer(A[0], A[1]))
    x = leaf()
    ds.vmap(lambda r: (r**2).sum())(x).sum().backward()
    same(x.grad, 2 * A)


def test_checkpoint():
    calls, x, w = [], leaf(), leaf()

    def f(x):
        calls.append(1)
        return ds.tanh(x @ w) * ds.rand(3, 3, dtype=ds.float64)

    ds.manual_seed(3)
    f(x).sum().backward()
    want, want_w = x.grad.numpy().copy(), w.grad.numpy().copy()
    x.grad = w.grad = None
    ds.manual_seed(3)
    y = autograd.checkpoint(f, x)
    assert len(calls) == 2
    y.sum().backward()
    assert len(calls) == 3
    same(x.grad, want)
    same(w.grad, want_w)


def test_anomaly_names_the_line():
    with pytest.raises(ds.Error, match=r"test_autograd.py:\d+ made the first NaN: bad = ds.log\(x - 1e9\)"):
        with autograd.detect_anomaly():
            x = ds.ones(3)
            y = x * 2
            bad = ds.log(x - 1e9)
            y = bad + y
    with pytest.raises(ds.Error, match=r"has in its backward the first NaN: root = ds.sqrt\(x\)"):
        with autograd.detect_anomaly():
            x = ds.zeros(3, requires_grad=True)
            root = ds.sqrt(x)
            none = root * 0.0
            none.sum().backward()
    with autograd.detect_anomaly():
        x = ds.ones(3, requires_grad=True)
        x.sum().backward()
