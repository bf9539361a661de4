"""What is asked for less often: distances, covariance, integrals, strides, histograms, factories of Tensor."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from typing import Any

from . import _C
from ._creation import arange, full, linspace, tensor
from ._functions import (
    METHODS,
    TABLE,
    Error,
    Tensor,
    as_operand,
    cast_to,
    dims_of,
    floating,
    from_host,
    kind,
    one_dim,
    op,
    result_type,
    results,
    to_host,
)
from ._functions_matmul import matmul
from ._functions_reduce import mean, vector_norm
from ._functions_reduce import sum as _sum
from ._functions_shape import diagonal
from ._random import Generator, draw
from ._tensor import _ints

FInfo = namedtuple("FInfo", "bits eps max min smallest_normal tiny resolution dtype")
IInfo = namedtuple("IInfo", "bits max min dtype")


@op(method=False)
def finfo(type: Any = None) -> Any:
    """The limits of a floating (or a complex one's real) dtype."""
    t = type.dtype if isinstance(type, Tensor) else _C.to_dtype(type) if type is not None else _C.get_default_dtype()
    if kind(t) < 2:
        raise Error(f"[finfo] a floating dtype is needed, got {t}")
    if t.name == "bfloat16":
        tiny = 2.0**-126
        return FInfo(16, 2.0**-7, (2 - 2.0**-7) * 2.0**127, -(2 - 2.0**-7) * 2.0**127, tiny, tiny, 0.01, t)
    import numpy as np

    i = np.finfo(t.name)
    real = _C.to_dtype({"complex64": "float32", "complex128": "float64"}.get(t.name, t.name))
    tiny = float(i.tiny)
    return FInfo(int(i.bits), float(i.eps), float(i.max), float(i.min), tiny, tiny, float(i.resolution), real)


@op(method=False)
def iinfo(type: Any) -> Any:
    """The limits of an integer dtype."""
    t = type.dtype if isinstance(type, Tensor) else _C.to_dtype(type)
    if kind(t) != 1:
        raise Error(f"[iinfo] an integer dtype is needed, got {t}")
    bits, signed = 8 * t.itemsize, not t.name.startswith("u")
    return IInfo(bits, 2 ** (bits - signed) - 1, -(2 ** (bits - 1)) if signed else 0, t)


@op(method=False)
def can_cast(from_: Any, to: Any) -> bool:
    """Whether PyTorch's rules let values of one dtype go to the other without asking: never to a lower kind."""
    a, b = (_C.to_dtype(t) for t in (from_, to))
    return kind(a) <= kind(b) and not (kind(a) == kind(b) == 0 and a != b)


# ---- factories


def _new(name: str, value: Any) -> None:
    def f(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        return full(tuple(shape), value, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    f.__name__ = name
    setattr(Tensor, name, f)


_new("new_zeros", 0)
_new("new_ones", 1)
_new("new_empty", 0)


def _new_full(self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return full(tuple(size), fill_value, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


METHODS.new_full = _new_full
METHODS.new_tensor = lambda self, data, *, dtype=None, device=None, requires_grad=False: tensor(data, dtype or self.dtype, device or self.device, requires_grad)


@op(method=False)
def scalar_tensor(s: Any, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    return full((), s, dtype=dtype or _C.get_default_dtype(), device=device, requires_grad=requires_grad)


@op(method=False)
def empty_strided(size: Any, stride: Any, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    return full(tuple(size), 0, dtype=dtype or _C.get_default_dtype(), device=device, requires_grad=requires_grad)


@op(method=False)
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """base to the powers of linspace(start, end, steps)."""
    powers = linspace(start, end, steps, dtype=_C.float64, device=device)
    out = _C.pow(full((), float(base), dtype=_C.float64), powers)
    return cast_to(out, dtype or _C.get_default_dtype())


@op(method=False)
def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, out: Any = None) -> Tensor:
    """Normal numbers with these means and standard deviations."""
    if not isinstance(std, Tensor) and std < 0:
        raise Error(f"[normal] std must not be negative, got {std}")
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        t = result_type(*(v for v in (mean, std) if isinstance(v, Tensor)))
        shape = TABLE["broadcast_shapes"](*(v.shape for v in (mean, std) if isinstance(v, Tensor)))
        return draw("normal", shape, t, "cpu", generator) * std + mean
    return draw("normal", tuple(size or ()), dtype, "cpu", generator) * std + mean


@op
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """Indices drawn with the probabilities of each row: the greatest of the logarithms plus Gumbel's noise."""
    if input.ndim not in (1, 2) or kind(input.dtype) != 2:
        raise Error(f"[multinomial] floating weights of one or two dimensions are needed, got {input.dtype} {input.shape}")
    n = input.shape[-1]
    if num_samples < 1 or (not replacement and num_samples > n):
        raise Error(f"[multinomial] {num_samples} of {n} cannot be drawn{'' if replacement else ' without replacement'}")
    if n > 2**24:
        raise Error(f"[multinomial] the number of categories cannot exceed 2^24, got {n}")
    if bool(TABLE["logical_not"](TABLE["isfinite"](input) & (input >= 0)).any()):
        raise Error("[multinomial] a weight is negative, infinite or NaN")
    if bool((_sum(input, -1) <= 0).any()):
        raise Error("[multinomial] the weights of a row are all 0")
    log = _C.log(input)
    if not replacement:
        noise = -_C.log(-_C.log(draw("uniform", input.shape, input.dtype, input.device, generator)))
        return _C.topk(log + noise, num_samples, input.ndim - 1, True)[1]
    shape = (*input.shape[:-1], num_samples, n)
    noise = -_C.log(-_C.log(draw("uniform", shape, input.dtype, input.device, generator)))
    return _C.argmax(_C.unsqueeze(log, -2) + noise, len(shape) - 1, False)


def _filled(name: str, make: Any) -> None:
    """An in-place method that fills with random numbers made from a uniform u in [0, 1)."""

    def f(self: Tensor, *args: Any, generator: Generator | None = None, **kwargs: Any) -> Tensor:
        t = self.dtype if kind(self.dtype) == 2 else _C.float64
        _C.assign(self, make(lambda k: draw(k, self.shape, t, self.device, generator), *args, **kwargs), name)
        return self

    f.__name__ = name
    setattr(Tensor, name, f)


def _uniform(d: Any, a: float = 0.0, b: float = 1.0, *, from_: float | None = None, to: float | None = None) -> Tensor:
    low, high = a if from_ is None else from_, b if to is None else to
    if high < low:
        raise Error(f"[uniform_] the range [{low}, {high}) is empty")
    return d("uniform") * (high - low) + low


def _geometric(d: Any, p: float) -> Tensor:
    if not 0 < p < 1:
        raise Error(f"[geometric_] p must be within (0, 1), got {p}")
    return _C.ceil(TABLE["log1p"](-d("uniform")) / math.log1p(-p))


def _positive(name: str, v: float) -> float:
    if not v > 0:
        raise Error(f"[{name}] a positive number is needed, got {v}")
    return v


_filled("uniform_", _uniform)
_filled("normal_", lambda d, mean=0.0, std=1.0: d("normal") * (_positive("normal_", std) if std != 0 else 0.0) + mean)
_filled("exponential_", lambda d, lambd=1.0: TABLE["log1p"](-d("uniform")) * (-1 / _positive("exponential_", lambd)))
_filled("cauchy_", lambda d, median=0.0, sigma=1.0: TABLE["tan"]((d("uniform") - 0.5) * math.pi) * _positive("cauchy_", sigma) + median)
_filled("log_normal_", lambda d, mean=1.0, std=2.0: _C.exp(d("normal") * _positive("log_normal_", std) + mean))
_filled("geometric_", _geometric)
_filled("bernoulli_", lambda d, p=0.5: _C.cast(_C.less(d("uniform"), as_operand(p, d("uniform"))), _C.float64))
_filled("random_", lambda d, low=0, high=None: _C.floor(d("uniform") * ((low if high is None else high - low) or 1)) + (0 if high is None else low))


@op(method=False)
def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None) -> Tensor:
    from ._random import randint

    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, dtype=dtype or input.dtype)


# ---- distances and statistics


@op(method=False)
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    """The p-distances of every row of x1 to every row of x2."""
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise Error(f"[cdist] rows of one length are needed, got {x1.shape} and {x2.shape}")
    if p < 0:
        raise Error(f"[cdist] p must not be negative, got {p}")
    return vector_norm(_C.unsqueeze(x1, -2) - _C.unsqueeze(x2, -3), p, -1) if x1.shape[-1] else _sum(_C.unsqueeze(x1, -2) * _C.unsqueeze(x2, -3), -1)


@op(method=False)
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-distances of all pairs of rows."""
    n = input.shape[0]
    at = TABLE["triu_indices"](n, n, 1)
    return vector_norm(_C.take(input, at[0], 0) - _C.take(input, at[1], 0), p, -1)


@op
def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance of the rows (variables) over the columns (observations)."""
    if input.ndim > 2:
        raise Error(f"[cov] a vector or a matrix is needed, got {input.shape}")
    x = floating(input)
    x = x.reshape(1, -1) if x.ndim < 2 else x
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is not None and (w.ndim > 1 or w.numel() != x.shape[1]):
            raise Error(f"[cov] {name} must be a vector of {x.shape[1]}, got {w.shape}")
    if fweights is not None and kind(fweights.dtype) != 1:
        raise Error(f"[cov] fweights must be integers, got {fweights.dtype}")
    if aweights is not None and kind(aweights.dtype) != 2:
        raise Error(f"[cov] aweights must be floating, got {aweights.dtype}")
    if any(w is not None and bool((w < 0).any()) for w in (fweights, aweights)):
        raise Error("[cov] weights must not be negative")
    real = x.abs().dtype
    w = None if fweights is None else cast_to(fweights, real)
    if aweights is not None:
        a = cast_to(aweights, real)
        w = a if w is None else w * a
    if w is None:
        x, total, norm = x - mean(x, 1, True), None, builtins.max(x.shape[1] - correction, 0)
    else:
        total = _sum(w)
        x = x - _sum(x * w, 1, True) / total
        off = _sum(w * cast_to(aweights, real)) / total if aweights is not None else as_operand(1.0, total)
        norm = TABLE["clamp"](total - off * correction, min=0)
    y = TABLE["conj"](x) if x.is_complex() else x
    out = matmul(x * w if w is not None else x, y.mT)
    out = out / norm if w is not None else out / as_operand(float(norm), out)
    return out.squeeze()


@op
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlation of the rows."""
    c = cov(input)
    if c.ndim == 0:
        return c / c
    d = _C.sqrt(TABLE["real"](diagonal(c)) if c.is_complex() else diagonal(c))
    out = c / d.unsqueeze(1) / d.unsqueeze(0)
    return out if c.is_complex() else TABLE["clamp"](out, -1, 1)


@op(in_place=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices of dim whose p-norm exceeds maxnorm, shrunk to it."""
    d = one_dim("renorm", dim, input.ndim)
    rest = [k for k in range(input.ndim) if k != d]
    if p <= 0 or maxnorm < 0 or input.ndim < 2:
        raise Error(f"[renorm] p > 0, maxnorm >= 0 and two dimensions are needed, got {p}, {maxnorm} and {input.shape}")
    size = vector_norm(input, p, rest, True)
    return input * cast_to(_C.where(size > maxnorm, maxnorm / (size + 1e-7), as_operand(1.0, size)), input.dtype)


@op(method=False, names=("trapz",))
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along dim by the trapezoidal rule."""
    return _sum(_trapezia(y, x, dx, dim), dim)


@op(method=False)
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    return TABLE["cumsum"](_trapezia(y, x, dx, dim), dim)


def _trapezia(y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    if x is not None and dx is not None:
        raise Error("[trapezoid] x and dx exclude each other")
    d, y = one_dim("trapezoid", dim, y.ndim), floating(y)
    n = y.shape[d]
    pairs = _C.slice(y, d, 1, builtins.max(n, 1), 1) + _C.slice(y, d, 0, builtins.max(n - 1, 0), 1)
    if x is None:
        return pairs * (0.5 * (1 if dx is None else dx))
    step = TABLE["diff"](x, 1, -1 if x.ndim == 1 else dim)
    if x.ndim == 1:
        step = step.reshape([-1 if k == d else 1 for k in range(y.ndim)])
    return pairs * step * 0.5


@op(method=False)
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Central differences along each dim; spacing: a number, one a dim, or coordinates."""
    dims = dims_of("gradient", dim, input.ndim)
    spacing = 1 if spacing is None else spacing
    spaces = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(dims)
    if isinstance(spacing, Tensor) and spacing.ndim == 1 and len(dims) > 1 or len(spaces) != len(dims):
        raise Error(f"[gradient] {len(spaces)} spacings do not fit {len(dims)} dims")
    return tuple(_differences(floating(input), d, h, edge_order) for d, h in zip(dims, spaces))


def _differences(x: Tensor, d: int, h: Any, order: int) -> Tensor:
    n = x.shape[d]
    if n < order + 1:
        raise Error(f"[gradient] dimension {d} needs at least {order + 1} elements, got {n}")

    def part(a: int, b: int) -> Tensor:
        return _C.slice(x, d, a, b, 1)

    if isinstance(h, Tensor) and h.ndim == 1:
        wide = [-1 if k == d else 1 for k in range(x.ndim)]
        steps = cast_to(TABLE["diff"](h), x.dtype if kind(h.dtype) < 2 else h.dtype).reshape(wide)
    else:
        steps = full([n - 1 if k == d else 1 for k in range(x.ndim)], float(h), dtype=x.dtype)
    s = lambda a, b: _C.slice(steps, d, a, b, 1)  # noqa: E731
    a, b = s(0, n - 2), s(1, n - 1)
    middle = (part(2, n) * a * a - part(0, n - 2) * b * b + part(1, n - 1) * (b * b - a * a)) / (a * b * (a + b)) if n > 2 else None
    if order == 1 or n < 3:
        first, last = (part(1, 2) - part(0, 1)) / s(0, 1), (part(n - 1, n) - part(n - 2, n - 1)) / s(n - 2, n - 1)
    else:
        p, q = s(0, 1), s(1, 2)
        first = -part(0, 1) * (2 * p + q) / (p * (p + q)) + part(1, 2) * (p + q) / (p * q) - part(2, 3) * p / (q * (p + q))
        p, q = s(n - 3, n - 2), s(n - 2, n - 1)
        last = part(n - 3, n - 2) * q / (p * (p + q)) - part(n - 2, n - 1) * (p + q) / (p * q) + part(n - 1, n) * (p + 2 * q) / (q * (p + q))
    return _C.concat([v for v in (first, middle, last) if v is not None], d)


@op(method=False)
def histogram(input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False) -> Any:
    """(counts, edges) over equal ranges, or over the given edges."""
    import numpy as np

    a = to_host(input).reshape(-1)
    edges = to_host(bins) if isinstance(bins, Tensor) else bins
    if not isinstance(bins, Tensor):
        low, high = range if range is not None else (a.min(), a.max()) if a.size else (0, 0)
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1).astype(a.dtype)
    counts, _ = np.histogram(a, edges, weights=None if weight is None else to_host(weight).reshape(-1), density=density)
    return results("histogram", "hist bin_edges")(from_host(counts.astype(a.dtype)), from_host(np.asarray(edges, a.dtype)))


@op(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates of flat indices."""
    sizes, out, rest = _ints((shape,)), [], indices
    for s in reversed(sizes):
        out.append(TABLE["remainder"](rest, s))
        rest = TABLE["floor_divide"](rest, s)
    return tuple(reversed(out))


# ---- strides


@op
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """Elements of the flat tensor at offset + sum of index * stride; writing to it writes to the tensor."""
    flat = _strided_index(input, size, stride, storage_offset)

    def write(base: Tensor, value: Tensor) -> Tensor:
        return _C.reshape(_C.index_copy(_C.reshape(base, [-1]), 0, _C.reshape(flat, [-1]), _C.reshape(value, [-1])), list(base.shape))

    return _C.view(input, lambda base: _C.take(_C.reshape(base, [-1]), flat, 0), write)


def _strided_index(x: Tensor, size: Any, stride: Any, offset: int | None) -> Tensor:
    if len(size) != len(stride):
        raise Error(f"[as_strided] {len(size)} extents need as many strides, got {len(stride)}")
    at = full((), offset or 0, dtype=_C.int64)
    for n, s in zip(size, stride):
        at = _C.unsqueeze(at, at.ndim) + arange(n) * s
    return at


@op
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    at = _C.reshape(_strided_index(input, size, stride, storage_offset), [-1])
    return _C.reshape(_C.index_copy(_C.reshape(input, [-1]), 0, at, _C.reshape(src, [-1])), list(input.shape))


def resize_(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """Another shape for the flat elements; what is added is 0."""
    shape = _ints(size)
    n, flat = math.prod(shape), _C.reshape(self.detach(), [-1])
    if n > flat.shape[0]:
        flat = _C.concat([flat, _C.full((n - flat.shape[0],), 0.0, self.dtype, self.device)], 0)
    _C.rebind(self, _C.reshape(_C.slice(flat, 0, 0, n, 1), shape))
    return self


METHODS.resize_ = resize_
METHODS.resize_as_ = lambda self, other, memory_format=None: resize_(self, other.shape)

# PyTorch's names for a view that is copied at once: arrays are values, so it is the view's function.
for _n in ("expand", "diagonal", "permute", "unbind", "unfold", "squeeze", "unsqueeze", "transpose", "t", "view", "narrow",
           "split_with_sizes", "as_strided", "select", "slice", "alias", "detach", "split"):  # fmt: skip
    _f = TABLE.get(_n) or getattr(Tensor, _n, None)
    if _f is not None:

        def _copying(input: Tensor, *args: Any, _f: Any = _f, out: Any = None, **kwargs: Any) -> Any:
            made = _f(input, *args, **kwargs)
            return _C.clone(made) if isinstance(made, Tensor) else tuple(_C.clone(m) for m in made)

        _copying.__name__ = _n + "_copy"
        TABLE[_n + "_copy"] = _copying
TABLE["alias_copy"] = _C.clone
TABLE["unsafe_chunk"], TABLE["unsafe_split"] = TABLE["chunk"], TABLE["split"]
METHODS.nbytes = property(lambda self: self.numel() * self.dtype.itemsize)
METHODS.itemsize = property(lambda self: self.dtype.itemsize)
for _n, _dtype in {"cfloat": "complex64", "cdouble": "complex128", "chalf": "complex64"}.items():
    setattr(Tensor, _n, lambda self, _t=_dtype: self.to(dtype=_t))


# ---- matrices


@op
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor this is."""
    low = TABLE["triu"](input).mH if upper else TABLE["tril"](input)
    return TABLE["linalg"].inv(matmul(low, low.mH))


@op
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """X with A X = input, from A's Cholesky factor input2."""
    solve = TABLE["linalg"].solve_triangular
    low = input2.mH if upper else input2
    return solve(low.mH, solve(low, input, upper=False), upper=True)


@op
def triangular_solve(input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
    a = A.mT if transpose else A
    x = TABLE["linalg"].solve_triangular(a, input, upper=upper != transpose, unitriangular=unitriangular)
    return results("triangular_solve", "solution cloned_coefficient")(x, A)


# ---- special


@op(in_place=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    if isinstance(n, Tensor):  # as a method: x.polygamma(n)
        n, input = input, n
    if n < 0:
        raise Error(f"[polygamma] n must not be negative, got {n}")
    x = floating(input)
    if n == 0 or x.numel() == 0 or not bool((x < 0).any()):
        return _C.polygamma(n, x)
    if x.dtype != _C.float64:
        return cast_to(polygamma(n, _C.cast(x, _C.float64)), x.dtype)
    # Below 0 by the recurrence: one more pole's term for every step up.
    terms = as_operand(0.0, x)
    for _ in range(builtins.min(math.ceil(-float(x.detach().min())), 100)):
        low = x < 0
        terms = terms + _C.where(low, TABLE["pow"](_C.where(low, x, as_operand(1.0, x)), -n - 1), as_operand(0.0, x))
        x = _C.where(low, x + 1, x)
    return _C.polygamma(n, x) + (-1.0) ** (n + 1) * math.factorial(n) * terms


@op(in_place=True, names=("multigammaln",))
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the p-dimensional gamma function."""
    x = floating(input)
    if p < 1:
        raise Error(f"[mvlgamma] p must be at least 1, got {p}")
    terms = _C.unsqueeze(x, x.ndim) - arange(p, dtype=x.dtype) * 0.5
    return _sum(_C.lgamma(terms), -1) + p * (p - 1) / 4 * math.log(math.pi)


@op(method=False)
def histogramdd(input: Tensor, bins: Any, range: Any = None, weight: Tensor | None = None, density: bool = False) -> Any:
    """(counts, edges of each dimension) of points, the rows of the last dimension."""
    import numpy as np

    a = to_host(input).reshape(-1, input.shape[-1])
    edges = [to_host(b) for b in bins] if not isinstance(bins, int) and isinstance(bins[0], Tensor) else None
    if edges is None:
        counts = [bins] * a.shape[1] if isinstance(bins, int) else list(bins)
        edges = []
        for i, c in enumerate(counts):
            low, high = (range[2 * i], range[2 * i + 1]) if range is not None else (a[:, i].min(), a[:, i].max()) if a.size else (0, 0)
            edges.append(np.linspace(low - 0.5 * (low == high), high + 0.5 * (low == high), c + 1).astype(a.dtype))
    hist = np.histogramdd(a, edges, weights=None if weight is None else to_host(weight).reshape(-1), density=density)[0]
    return results("histogramdd", "hist bin_edges")(from_host(hist.astype(a.dtype)), tuple(from_host(np.asarray(e, a.dtype)) for e in edges))
