"""Linear algebra of (..., m, n) matrices: torch.linalg's and the array API's functions."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from . import _C, _recorded
from ._creation import asarray
from ._functions import (
    METHODS,
    TABLE,
    Error,
    Tensor,
    as_operand,
    broadcast_shapes,
    cast_to,
    kind,
    on_host,
    one_dim,
    results,
)
from ._functions_matmul import _one_dtype, matmul, matrix_power, tensordot
from ._functions_reduce import amax, amin, vector_norm
from ._linalg_decompose import (
    adjoint,
    cholesky,
    cholesky_ex,
    computed,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    engines,
    eye_like,
    filled,
    householder_product,
    ldl_factor,
    ldl_factor_ex,
    ldl_solve,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    lu_unpack,
    matrices,
    qr,
    solve_triangular,
    square,
    svd,
    svdvals,
)  # fmt: skip

__all__ = [
    "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "lu_unpack", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular",
    "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vander", "vecdot", "vector_norm",
]  # fmt: skip

outer = TABLE["outer"]
Slogdet = namedtuple("Slogdet", "sign logabsdet")


def matrix_transpose(x: Tensor) -> Tensor:
    return x.mT


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    return TABLE["diagonal"](A, offset, dim1, dim2)


def trace(x: Tensor, *, offset: int = 0, dtype: Any = None) -> Tensor:
    return TABLE["sum"](diagonal(x, offset=offset), -1, dtype=dtype)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, axis: int | None = None) -> Tensor:
    """Sums of conj(x) * y along a dimension."""
    _one_dtype("vecdot", x, y)
    d = dim if axis is None else axis
    x = TABLE["conj"](x) if x.is_complex() else x
    return cast_to(TABLE["sum"](x * y, d), x.dtype)


def cross(input: Tensor, other: Tensor, *, dim: int = -1, axis: int | None = None) -> Tensor:
    if input.ndim != other.ndim:
        raise Error(f"[cross] one rank is needed, got {input.shape} and {other.shape}")
    return TABLE["cross"](input, other, dim if axis is None else axis)


# ---- equations


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (left=False: X A = B). B is a matrix, or a vector (a batch of them where its shape is A's batch's)."""
    square("solve", A)
    _one_dtype("solve", A, B)
    vector = B.ndim == 1 or (B.ndim + 1 == A.ndim and B.shape == A.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    if not left:
        if vector:
            raise Error("[solve] left=False needs matrices")
        return solve(A.mT, b.mT).mT
    if b.shape[-2] != A.shape[-1]:
        raise Error(f"[solve] {A.shape} and {B.shape} do not fit")
    batch = broadcast_shapes(A.shape[:-2], b.shape[:-2])
    a, b = _C.broadcast_to(A, (*batch, *A.shape[-2:])), _C.broadcast_to(b, (*batch, *b.shape[-2:]))
    x = _solve(a, b)
    return x.squeeze(-1) if vector else x


def _solve(a: Tensor, b: Tensor) -> Tensor:
    import numpy as np

    if engines(a, b):
        return computed(_C.solve(a, b))

    def compute(p: Any, q: Any) -> Any:
        try:
            return np.linalg.solve(p, q) if q.size else q
        except np.linalg.LinAlgError:
            raise Error(f"[solve] a matrix of {a.shape} is singular") from None

    def vjp(g: Tensor) -> Any:
        gb = _solve(adjoint(a), g)
        return -matmul(gb, adjoint(_solve(a, b))), gb

    return on_host(compute, [a, b], vjp)


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    x = solve(A, B, left=left)
    return results("solve_ex", "result info")(x, filled(A.shape[:-2], 0.0, _C.int32))


def inv(A: Tensor) -> Tensor:
    square("inv", A)
    return _solve(A, eye_like(A)) if A.numel() else A


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    return results("inv_ex", "inverse info")(inv(A), filled(A.shape[:-2], 0.0, _C.int32))


def det(A: Tensor) -> Tensor:
    import numpy as np

    square("det", A)
    if engines(A) and (_recorded.active or not A.requires_grad):  # the engine's gradient is of regular matrices only
        return _C.det(A)

    def adjugate(a: Any) -> Any:  # also of singular matrices
        u, s, vh = np.linalg.svd(a)
        others = np.stack([np.prod(np.delete(s, i, -1), -1) for i in range(s.shape[-1])], -1)
        sign = np.linalg.det(u) * np.linalg.det(vh)
        return (sign[..., None, None] * np.swapaxes(vh, -1, -2).conj() * others[..., None, :]) @ np.swapaxes(u, -1, -2).conj()

    def vjp(g: Tensor) -> Any:
        g = g.unsqueeze(-1).unsqueeze(-1)
        if _C.is_grad_enabled():
            return (g * adjoint(det(A).unsqueeze(-1).unsqueeze(-1) * inv(A)),)
        return (g * adjoint(on_host(adjugate, [A])),)

    return on_host(np.linalg.det, [A], vjp if A.shape[-1] else None)


def slogdet(A: Tensor) -> Any:
    """(sign, log |det|)."""
    import numpy as np

    square("slogdet", A)
    if engines(A):
        return Slogdet(*_C.slogdet(A))

    def vjp(gs: Any, gl: Any) -> Any:
        g = filled(A.shape[:-2], 0.0, A.dtype) if gl is None else cast_to(gl, A.dtype)
        if A.is_complex() and gs is not None:
            sign = _C.detach(slogdet(A).sign)
            g = g - cast_to(TABLE["imag"](TABLE["conj"](sign) * gs), A.dtype) * as_operand(-1j, A)
        return (g.unsqueeze(-1).unsqueeze(-1) * adjoint(inv(A)),)

    return Slogdet(*on_host(lambda a: tuple(np.asarray(p, dtype=a.dtype if i == 0 else a.real.dtype) for i, p in enumerate(np.linalg.slogdet(a))), [A], vjp))


def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None, atol: Any = None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to max(atol, rtol * the greatest) count as 0."""
    import numpy as np

    matrices("pinv", A)
    rtol = rcond if rtol is None else rtol
    if A.numel() == 0:
        return filled((*A.shape[:-2], A.shape[-1], A.shape[-2]), 0.0, A.dtype)
    limits = _cutoff(A, rtol, atol)

    def compute(a: Any) -> Any:
        if hermitian:
            a = np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2).conj()
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        keep = s > np.maximum(limits[1], limits[0] * s.max(-1, keepdims=True))
        inverse = np.where(keep, 1 / np.where(keep, s, 1), 0)
        return (np.swapaxes(vh, -1, -2).conj() * inverse[..., None, :]) @ np.swapaxes(u, -1, -2).conj()

    def vjp(g: Tensor) -> Any:
        p = pinv(A, rtol=rtol, atol=atol, hermitian=hermitian)
        ph, gh = adjoint(p), adjoint(g)
        ap, pa = matmul(A, p), matmul(p, A)
        gph = matmul(gh, p)
        out = matmul(matmul(gh, p) - matmul(ap, gph), ph) - matmul(matmul(ph, g), ph)
        return (out + matmul(matmul(ph, p), gh - matmul(gh, pa)),)

    return on_host(compute, [A], vjp)


def _cutoff(A: Tensor, rtol: Any, atol: Any) -> tuple[Any, Any]:
    """(rtol, atol) as arrays that broadcast against singular values."""
    import numpy as np

    size = max(A.shape[-2:]) * float(np.finfo(A.dtype.name).eps)
    given = np.asarray(0.0 if atol is None else atol)
    relative = np.asarray((0.0 if atol is not None and np.any(given > 0) else size) if rtol is None else rtol)
    return (relative[..., None] if relative.ndim else relative), (given[..., None] if given.ndim else given)


def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Any:
    """X that minimises |A X - B|."""
    import numpy as np

    matrices("lstsq", A)
    _one_dtype("lstsq", A, B)
    b = B.unsqueeze(-1) if B.ndim + 1 == A.ndim else B
    if b.ndim < 2 or b.shape[-2] != A.shape[-2]:
        raise Error(f"[lstsq] {A.shape} and {B.shape} do not fit")
    x = matmul(pinv(A, rtol=rcond), b)
    m, n = A.shape[-2:]
    full = driver != "gelsy" or m > n
    left = (TABLE["abs"](matmul(A, x) - b) ** 2).sum(-2) if full and m > n and driver != "gelsy" else filled((0,), 0.0, A.dtype)
    s = svdvals(A) if driver in ("gelsd", "gelss") else filled((0,), 0.0, A.dtype)
    rank = on_host(lambda a: np.asarray(np.linalg.matrix_rank(a), dtype=np.int64), [A]) if driver != "gels" else filled((0,), 0.0, _C.int64)
    return results("lstsq", "solution residuals rank singular_values")(x.squeeze(-1) if b is not B else x, left, rank, s)


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    matrices("matrix_rank", A)
    s = TABLE["abs"](eigvalsh(A)) if hermitian else svdvals(A)
    if A.numel() == 0:
        return filled(A.shape[:-2], 0.0, _C.int64)
    limits = [cast_to(asarray(v), s.dtype) for v in _cutoff(A, rtol, tol if atol is None else atol)]
    return _C.sum(s > TABLE["maximum"](limits[1], limits[0] * amax(s, -1, True)), [s.ndim - 1], False)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        moved = [one_dim("tensorsolve", d, A.ndim) for d in dims]
        A = A.permute([d for d in range(A.ndim) if d not in moved] + moved)
    rest = A.shape[B.ndim :]
    if math.prod(rest) != B.numel():
        raise Error(f"[tensorsolve] {A.shape} and {B.shape} do not fit")
    return solve(A.reshape(B.numel(), -1), B.reshape(-1)).reshape(rest)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse for tensordot(., ., ind)."""
    first, rest = A.shape[:ind], A.shape[ind:]
    if ind <= 0 or math.prod(first) != math.prod(rest):
        raise Error(f"[tensorinv] the first {ind} and the other dimensions of {A.shape} differ in size")
    return inv(A.reshape(math.prod(first), -1)).reshape(*rest, *first)


def multi_dot(tensors: Any) -> Tensor:
    """The product of a chain of matrices (the ends may be vectors), in the cheapest order."""
    ts = list(tensors)
    if len(ts) < 2:
        raise Error(f"[multi_dot] at least two tensors are needed, got {len(ts)}")
    if any(t.ndim != 2 for t in ts[1:-1]) or ts[0].ndim not in (1, 2) or ts[-1].ndim not in (1, 2):
        raise Error(f"[multi_dot] matrices are needed, got {[t.shape for t in ts]}")
    xs = [ts[0].unsqueeze(0) if ts[0].ndim == 1 else ts[0], *ts[1:-1], ts[-1].unsqueeze(1) if ts[-1].ndim == 1 else ts[-1]]
    sizes = [xs[0].shape[0], *(x.shape[1] for x in xs)]
    n = len(xs)
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(n)}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            best[i, j] = min((best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Tensor:
        k = best[i, j][1]
        return xs[i] if i == j else matmul(product(i, k), product(k + 1, j))

    out = product(0, n - 1)
    shape = [s for s, t in zip(out.shape, (ts[0], ts[-1])) if t.ndim == 2]
    return out.reshape(shape)


def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices: Pade's approximation of a scaled one, squared back."""
    import numpy as np

    square("matrix_exp", A)
    if kind(A.dtype) < 2:
        raise Error(f"[matrix_exp] a floating or complex dtype is needed, got {A.dtype}")
    if A.numel() == 0:
        return A
    if A.dtype.itemsize // (2 if A.is_complex() else 1) < 8:  # float64 inside: squaring doubles the error
        return cast_to(matrix_exp(cast_to(A, "complex128" if A.is_complex() else "float64")), A.dtype)
    size = float(np.abs(TABLE["detach"](A).to(A.dtype).numpy()).sum(-2).max())
    squarings = max(0, math.ceil(math.log2(size)) + 1) if size > 0.5 and math.isfinite(size) else 0
    x, identity, degree = A * 0.5**squarings, eye_like(A), 8
    c, power, n, d = 1.0, identity, identity, identity
    for k in range(1, degree + 1):
        c *= (degree - k + 1) / (k * (2 * degree - k + 1))
        power = matmul(x, power)
        n, d = n + power * c, d + power * (c if k % 2 == 0 else -c)
    out = _solve(_C.broadcast_to(d, A.shape), _C.broadcast_to(n, A.shape))
    for _ in range(squarings):
        out = matmul(out, out)
    return out


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers 0 to N - 1 of x, as columns."""
    x = x.reshape(1) if x.ndim == 0 else x
    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise Error(f"[vander] N must be greater than 1, got {n}")
    ones = filled((*x.shape, 1), 1.0, x.dtype)
    return TABLE["cumprod"](_C.concat([ones, _C.broadcast_to(x.unsqueeze(-1), (*x.shape, n - 1))], x.ndim), -1)


# ---- norms


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """"fro", "nuc" (the sum of singular values), 1 and inf (the greatest column or row sum), 2, and their negatives."""
    matrices("matrix_norm", A)
    A, keepdim = cast_to(A, dtype), keepdim or keepdims
    if kind(A.dtype) < 2:
        raise Error(f"[matrix_norm] a floating or complex dtype is needed, got {A.dtype}")
    dims = dim if axis is None else axis
    if len(dims) != 2:
        raise Error(f"[matrix_norm] two dims are needed, got {dims}")
    a, b = (one_dim("matrix_norm", d, A.ndim) for d in dims)
    if a == b:
        raise Error(f"[matrix_norm] two different dims are needed, got {dims}")
    if ord == "fro":
        return vector_norm(A, 2, (a, b), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(TABLE["movedim"](A, (a, b), (-2, -1)))
        out = TABLE["sum"](s, -1) if ord == "nuc" else amax(s, -1) if ord == 2 else amin(s, -1)
    elif ord in (1, -1, math.inf, -math.inf):
        along, over = (a, b) if abs(ord) == 1 else (b, a)
        sums = TABLE["sum"](TABLE["abs"](A), along, True)
        out = (amax if ord > 0 else amin)(sums, over, True)
        return out if keepdim else TABLE["squeeze"](out, (a, b))
    else:
        raise Error(f"[matrix_norm] ord must be fro, nuc, 1, -1, 2, -2, inf or -inf, got {ord!r}")
    if keepdim:
        for d in sorted((a, b)):
            out = out.unsqueeze(d)
    return out


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """matrix_norm where dim is a pair or ord a name, else vector_norm."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if A.ndim not in (1, 2):
            raise Error(f"[norm] a vector or a matrix is needed where dim is None, got {A.shape}")
        dim = tuple(range(A.ndim))
    if isinstance(dim, int) or len(dim) == 1:
        if isinstance(ord, str):
            raise Error(f"[norm] ord {ord!r} is of matrices, got dim {dim}")
        return vector_norm(A, ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, dim, keepdim, dtype=dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number: norm(A) * norm(inv(A)); of 2-norms for p None, 2 and -2."""
    matrices("cond", A)
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    square("cond", A)
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


for _n in ("det", "slogdet", "pinv", "qr", "cholesky", "matrix_exp", "inv", "lu_unpack"):
    TABLE[_n] = globals()[_n]
    setattr(Tensor, _n, globals()[_n])


def _old_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V), as torch.svd has them."""
    u, s, vh = svd(input, not some)
    return results("svd", "U S V")(u, s, adjoint(vh))


def _old_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    return lu_solve(LU_data, LU_pivots, b)


TABLE["svd"], TABLE["lu_solve"] = METHODS.svd, METHODS.lu_solve = _old_svd, _old_lu_solve
TABLE["inverse"] = METHODS.inverse = inv
TABLE["pinverse"] = METHODS.pinverse = pinv


def logdet(A: Tensor) -> Tensor:
    """log(det(A)); NaN where it is negative."""
    sign, log = slogdet(A)
    return _C.where(sign < 0, as_operand(math.nan, log), log) if not A.is_complex() else log + TABLE["log"](sign)


TABLE["logdet"] = METHODS.logdet = logdet
