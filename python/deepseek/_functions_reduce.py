"""Reductions. dim is None (every dimension), an int or a sequence of ints."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from typing import Any

from . import _C
from ._functions import TABLE, Error, Tensor, as_operand, cast_to, dims_of, floating, kind, one_dim, op, results
from ._functions_math import truth

MaxResult, MinResult = namedtuple("max", "values indices"), namedtuple("min", "values indices")  # type: ignore[misc]


def _reduced(c: Any, name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    return c(x, [] if dim is None else dims_of(name, dim, x.ndim), keepdim)


@op
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    return cast_to(_reduced(_C.sum, "sum", cast_to(input, dtype), dim, keepdim), dtype)


@op
def prod(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    return cast_to(_reduced(_C.prod, "prod", cast_to(input, dtype), dim, keepdim), dtype)


@op
def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    x = cast_to(input, dtype)
    if kind(x.dtype) < 2:
        raise Error(f"[mean] a floating dtype is needed, got {x.dtype}: give dtype=")
    return _reduced(_C.mean, "mean", x, dim, keepdim)


def _spread(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    if isinstance(unbiased, bool):
        return dim, float(unbiased)
    return dim, 1.0 if correction is None else float(correction)


@op
def var(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """The mean square distance from the mean, of which `correction` (1) elements are taken off the count."""
    dim, c = _spread(dim, unbiased, correction)
    if kind(input.dtype) < 2:
        raise Error(f"[var] a floating dtype is needed, got {input.dtype}")
    dims = dims_of("var", dim if dim != () else None, input.ndim)
    if kind(input.dtype) == 3:
        return var(TABLE["real"](input), dims, None, keepdim, correction=c) + var(TABLE["imag"](input), dims, None, keepdim, correction=c)
    count = math.prod(input.shape[d] for d in dims)
    if input.ndim == 0 or count == 0:
        away = input - _C.mean(input, dims, True)
        return _C.sum(away * away, dims, keepdim) / builtins.max(count - c, 0.0)
    return _C.var(input, dims, keepdim, c)


@op
def std(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """The square root of var."""
    v = var(input, dim, unbiased, keepdim, correction=correction)
    if not v.requires_grad:
        return _C.sqrt(v)
    zero = v == 0  # a constant: no gradient, rather than 0/0
    return _C.where(zero, as_operand(0.0, v), _C.sqrt(_C.where(zero, as_operand(1.0, v), v)))


@op
def var_mean(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    v = var(input, dim, unbiased, keepdim, correction=correction)
    return v, mean(input, None if isinstance(dim, bool) else dim, keepdim)


@op
def std_mean(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    s = std(input, dim, unbiased, keepdim, correction=correction)
    return s, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def _extreme(name: str) -> Any:
    c = getattr(_C, name)

    def f(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        if kind(input.dtype) == 3:
            raise Error(f"[{name}] complex numbers have no order")
        if input.dtype == _C.bool:
            return _C.cast(f(_C.cast(input, _C.uint8), dim, keepdim), _C.bool)
        return _reduced(c, name, input, dim if dim != () else None, keepdim)

    f.__name__ = f.__qualname__ = name
    return op(f)


amax, amin = _extreme("amax"), _extreme("amin")
amax.__doc__ = "The greatest elements; the gradient is shared by equals."
amin.__doc__ = "The least elements; the gradient is shared by equals."


@op
def argmax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Where the greatest element is, of the flat tensor if dim is None."""
    return _arg(_C.argmax, "argmax", input, dim, keepdim)


@op
def argmin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Where the least element is, of the flat tensor if dim is None."""
    return _arg(_C.argmin, "argmin", input, dim, keepdim)


def _arg(c: Any, name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    if kind(x.dtype) in (0, 3):
        raise Error(f"[{name}] an order is needed, which {x.dtype} has not")
    if dim is None:
        out = c(_C.reshape(x, [-1]), 0, False)
        return _C.reshape(out, [1] * x.ndim) if keepdim else out
    d = one_dim(name, dim, x.ndim)
    if x.ndim == 0:
        return _C.full((), 0.0, _C.int64, x.device)
    return c(x, d, keepdim)


def _best(name: str, arg: Any, whole: Any, pair: str, result: Any) -> Any:
    def f(input: Tensor, dim: Any = None, keepdim: Any = False) -> Any:
        if dim is None:
            if input.numel() == 0:
                raise Error(f"[{name}] a tensor of shape {input.shape} has no elements: give a dim")
            return whole(input)
        if isinstance(dim, Tensor):
            return TABLE[pair](input, dim)
        d = one_dim(name, dim, input.ndim)
        if input.ndim == 0:
            return result(input + 0 if input.dtype != _C.bool else input, _C.full((), 0.0, _C.int64, input.device))
        at = arg(_C.cast(input, _C.uint8) if input.dtype == _C.bool else input, d, True)
        values = _C.gather(input, d, at)
        return result(*(t if keepdim else _C.squeeze(t, d) for t in (values, at)))

    f.__name__ = f.__qualname__ = name
    g = op(f)

    def with_other(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if "other" in kwargs:
            return TABLE[pair](input, kwargs["other"])
        return g(input, *args, **kwargs)

    with_other.__name__ = name
    TABLE[name] = with_other
    setattr(Tensor, name, with_other)
    return with_other


max = _best("max", argmax, amax, "maximum", MaxResult)
min = _best("min", argmin, amin, "minimum", MinResult)


@op
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Any:
    return results("aminmax", "min max")(amin(input, dim, keepdim), amax(input, dim, keepdim))


@op
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return _reduced(_C.all, "all", truth(input), dim, keepdim)


@op
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return _reduced(_C.any, "any", truth(input), dim, keepdim)


@op
def count_nonzero(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    return sum(truth(input), dim, keepdim)


@op
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum with NaN counted as 0."""
    return sum(_C.where(input != input, as_operand(0, input), input) if kind(input.dtype) >= 2 else input, dim, keepdim, dtype=dtype)


@op
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of what is not NaN."""
    x = cast_to(input, dtype)
    if kind(x.dtype) < 2:
        raise Error(f"[nanmean] a floating dtype is needed, got {x.dtype}")
    return nansum(x, dim, keepdim) / cast_to(sum(x == x, dim, keepdim), x.dtype)


@op
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log of the sum of exp, without overflow."""
    x = floating(input)
    dims = dims_of("logsumexp", dim, x.ndim)
    if kind(x.dtype) == 3 or x.numel() == 0:
        return _C.log(sum(_C.exp(x), dims, keepdim))
    top = _C.detach(amax(x, dims, True))
    top = _C.where(TABLE["isfinite"](top), top, as_operand(0.0, top))
    out = _C.log(sum(_C.exp(x - top), dims, True)) + top
    return out if keepdim else TABLE["squeeze"](out, dims)


@op
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of vectors; "fro" is 2, "nuc" the sum of a matrix's singular values."""
    if p == "nuc":
        return TABLE["linalg"].matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(input, 2.0 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The ord-norm of the elements along dim (all: None)."""
    x = cast_to(x, dtype)
    if kind(x.dtype) < 2:
        raise Error(f"[vector_norm] a floating or complex dtype is needed, got {x.dtype}")
    dims = dims_of("vector_norm", dim if dim != [] and dim != () else None, x.ndim)
    size = TABLE["abs"](x)
    if ord == math.inf or ord == -math.inf:
        if x.ndim == 0:
            return size
        return amax(size, dims, keepdim) if ord > 0 else amin(size, dims, keepdim)
    if ord == 0:
        return cast_to(sum(x != 0, dims, keepdim), size.dtype)
    if ord == 1:
        return sum(size, dims, keepdim)
    if ord == 2:
        total = sum(size * size, dims, keepdim)
    elif size.requires_grad:  # the subgradient 0 at 0
        none = size == 0
        powers = TABLE["pow"](_C.where(none, as_operand(1.0, size), size), float(ord))
        total = sum(_C.where(none, as_operand(0.0 if ord > 0 else math.inf, size), powers), dims, keepdim)
    else:
        total = sum(TABLE["pow"](size, float(ord)), dims, keepdim)
    if ord != 2:
        zero = total == 0
        root = TABLE["pow"](_C.where(zero, as_operand(1.0, total), total), 1.0 / ord)
        return _C.where(zero, as_operand(0.0 if ord > 0 else math.inf, total), root)
    if not total.requires_grad:
        return _C.sqrt(total)
    zero = total == 0  # the subgradient 0 there
    return _C.where(zero, as_operand(0.0, total), _C.sqrt(_C.where(zero, as_operand(1.0, total), total)))


@op
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    return vector_norm(input - other, p)
