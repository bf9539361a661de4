"""Reductions, products, sorting, linear algebra."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from . import op, same
from .elementwise import number

Tensor = _C.Tensor
same("cumprod logcumsumexp searchsorted bucketize kthvalue msort unique sort topk argsort cumsum cummax cummin median trace det inverse "
     "einsum tensordot kron cdist bincount histc isin aminmax nansum renorm cov corrcoef addmv addr "
     "linalg_inv linalg_solve linalg_cholesky linalg_qr linalg_svd linalg_eigh linalg_det triangular_solve")  # fmt: skip


def dims_of(dim: Any) -> list[int]:
    return [] if dim is None else [dim] if isinstance(dim, int) else list(dim)


def _reduction(name: str, f: Any) -> None:
    def g(x: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **_: Any) -> Tensor:
        x = x if dtype is None else _C.cast(x, dtype)
        return f(x, dims_of(dim), keepdim)

    op(name)(g)


for _name in ("sum", "mean", "amax", "amin", "any", "all", "prod"):
    _reduction(_name, getattr(_C, _name))


def _extreme(name: str, reduce: Any, arg: Any, pair: Any) -> None:
    op(f"{name}.default")(lambda x: reduce(x, [], False))
    op(f"{name}.dim")(lambda x, dim, keepdim=False: (reduce(x, [dim], keepdim), arg(x, dim, keepdim)))
    op(f"{name}.other")(pair)


_extreme("max", _C.amax, _C.argmax, lambda x, y: _C.maximum(x, number(x, y)))
_extreme("min", _C.amin, _C.argmin, lambda x, y: _C.minimum(x, number(x, y)))


@op("argmax")
def argmax(x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return _C.argmax(_C.reshape(x, [-1]), 0, False) if dim is None else _C.argmax(x, dim, keepdim)


op("argmin")(lambda x, dim=None, keepdim=False: argmax(-x, dim, keepdim))


@op("var")
def var(x: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 0 if unbiased is False else 1
    return _C.var(x, dims_of(dim), keepdim, float(correction))


op("std")(lambda *a, **k: _C.sqrt(var(*a, **k)))


@op("var.correction")
def _var_correction(x: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    return _C.var(x, dims_of(dim), keepdim, 1.0 if correction is None else float(correction))


op("std.correction")(lambda x, dim=None, **k: _C.sqrt(_var_correction(x, dim, **k)))


def _with_mean(x: Tensor, dim: Any, keepdim: bool, variance: Tensor) -> tuple[Tensor, Tensor]:
    return variance, _C.mean(x, dims_of(dim), keepdim)


op("var_mean.correction")(
    lambda x, dim=None, correction=None, keepdim=False: _with_mean(
        x, dim, keepdim, _var_correction(x, dim, correction=correction, keepdim=keepdim)))  # fmt: skip
op("std_mean.correction")(
    lambda x, dim=None, correction=None, keepdim=False: _with_mean(
        x, dim, keepdim, _C.sqrt(_var_correction(x, dim, correction=correction, keepdim=keepdim))))  # fmt: skip
op("var_mean")(
    lambda x, dim=None, unbiased=True, keepdim=False: _with_mean(x, dim, keepdim, var(x, dim, unbiased, keepdim)))


@op("linalg_vector_norm", "norm")
def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    dims = dims_of(dim)
    ord = 2 if ord is None else ord
    if ord == 2:
        return _C.sqrt(_C.sum(x * x, dims, keepdim))
    if ord == 1:
        return _C.sum(_C.abs(x), dims, keepdim)
    if ord == math.inf:
        return _C.amax(_C.abs(x), dims, keepdim)
    return _C.pow(_C.sum(_C.pow(_C.abs(x), number(x, ord)), dims, keepdim), number(x, 1 / ord))


op("frobenius_norm")(lambda x, dim, keepdim=False: vector_norm(x, 2, dim, keepdim))
op("linalg_norm")(lambda x, ord=None, dim=None, keepdim=False, **k: vector_norm(x, ord, dim, keepdim))


@op("logsumexp")
def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    top = _C.detach(_C.amax(x, dims_of(dim), True))
    out = _C.log(_C.sum(_C.exp(x - top), dims_of(dim), True)) + top
    return out if keepdim else _C.squeeze(out, dims_of(dim)[0])


def _soft(name: str, f: Any) -> None:
    def g(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
        x = _C.cast(x, dtype) if isinstance(dtype, _C.dtype) else x
        x = x if x.dtype.is_floating_point else _C.cast(x, _C.get_default_dtype())
        return f(x, dim)

    op(f"{name}.int", name, f"_{name}", f"special_{name}")(g)


_soft("softmax", _C.softmax)
_soft("log_softmax", _C.log_softmax)


@op("cumsum")
def cumsum(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    x = x if dtype is None else _C.cast(x, dtype)
    if hasattr(_C, "cumsum"):
        return _C.cumsum(x if x.dtype != _C.bool else _C.cast(x, _C.int64), dim)
    n = x.shape[dim]
    at = _C.arange(0.0, float(n), 1.0, _C.int64, "cpu")
    lower = _C.less_equal(_C.unsqueeze(at, 1), _C.unsqueeze(at, 0))
    t = x.dtype if x.dtype.is_floating_point else _C.float64
    sums = _C.matmul(_C.transpose(_C.cast(x, t), dim, -1), _C.cast(lower, t))
    sums = _C.transpose(sums, dim, -1)
    return sums if x.dtype.is_floating_point else _C.cast(sums, _C.int64)


@op("diff")
def diff(x: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    parts = [t for t in (prepend, x, append) if t is not None]
    x = parts[0] if len(parts) == 1 else _C.concat(parts, dim)
    for _ in range(n):
        size = x.shape[dim]
        after, before = _C.slice(x, dim, 1, size, 1), _C.slice(x, dim, 0, size - 1, 1)
        x = _C.not_equal(after, before) if x.dtype == _C.bool else after - before
    return x


op("matmul", "mm", "bmm", "mv", "dot")(_C.matmul)
op("linear")(_C.linear)


@op("addmm", "baddbmm", "addbmm")
def addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    out = _C.matmul(a, b)
    out = out if alpha == 1 else out * alpha
    return out + (bias if beta == 1 else bias * beta)


op("outer", "ger")(lambda a, b: _C.unsqueeze(a, 1) * _C.unsqueeze(b, 0))
op("bilinear")(lambda a, b, w, bias=None: _bilinear(a, b, w, bias))


def _bilinear(a: Tensor, b: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    out = _C.sum(_C.matmul(_C.unsqueeze(_C.unsqueeze(a, -2), -2), w) * _C.unsqueeze(_C.unsqueeze(b, -2), -2), [-2, -1])
    return out if bias is None else out + bias


@op("einsum")
def einsum(equation: str, operands: list[Tensor], path: Any = None) -> Tensor:
    """Two operands at a time: a batched product of what both keep, what one keeps, and what is summed."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not output and "->" not in equation:
        letters = inputs.replace(",", "").replace(".", "")
        output = "..." * ("..." in inputs) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    terms, output = _spell_ellipsis(terms, output, operands)
    x, t = operands[0], terms[0]
    for i in range(1, len(operands)):
        later = set(output).union(*terms[i + 1 :])
        x, t = _contract(x, t, operands[i], terms[i], later)
    drop = [i for i, c in enumerate(t) if c not in output]
    if drop:
        x, t = _C.sum(x, drop, False), "".join(c for c in t if c in output)
    return _C.permute(x, [t.index(c) for c in output])


def _spell_ellipsis(terms: list[str], output: str, operands: list[Tensor]) -> tuple[list[str], str]:
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join(terms)]
    extra = [x.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, operands, strict=True)]
    names = "".join(free[: max(extra)])
    spelled = [t.replace("...", names[len(names) - n :]) for t, n in zip(terms, extra, strict=True)]
    return spelled, output.replace("...", names)


def _contract(a: Tensor, s: str, b: Tensor, t: str, later: set[str]) -> tuple[Tensor, str]:
    for only, other in ((0, t), (1, s)):
        x, names = ((a, s), (b, t))[only]
        drop = [i for i, c in enumerate(names) if c not in other and c not in later]
        if drop:
            x, names = _C.sum(x, drop, False), "".join(c for c in names if c in other or c in later)
        a, s, b, t = (x, names, b, t) if only == 0 else (a, s, x, names)
    batch = [c for c in s if c in t and c in later]
    summed = [c for c in s if c in t and c not in later]
    left, right = [c for c in s if c not in t], [c for c in t if c not in s]
    size = dict(zip(s, a.shape, strict=True))
    for c, n in zip(t, b.shape, strict=True):
        size[c] = max(size.get(c, 1), n)
    a = _C.permute(a, [s.index(c) for c in batch + left + summed])
    b = _C.permute(b, [t.index(c) for c in batch + summed + right])
    lead = [size[c] for c in batch]
    volume = [math.prod(size[c] for c in group) for group in (left, summed, right)]
    a = _C.reshape(a, [*lead, volume[0], volume[1]])
    b = _C.reshape(b, [*lead, volume[1], volume[2]])
    out = _C.matmul(a, b)
    return _C.reshape(out, lead + [size[c] for c in left + right]), "".join(batch + left + right)


@op("tril")
def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    return _C.where(_triangle(x, diagonal), x, number(x, 0))


op("triu")(lambda x, diagonal=0: _C.where(_triangle(x, diagonal - 1), number(x, 0), x))


def _triangle(x: Tensor, diagonal: int) -> Tensor:
    rows, columns = (_C.arange(0.0, float(n), 1.0, _C.int64, "cpu") for n in x.shape[-2:])
    return _C.less_equal(_C.unsqueeze(columns, 0), _C.unsqueeze(rows + diagonal, 1))

