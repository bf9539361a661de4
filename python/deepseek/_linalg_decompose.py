"""Decompositions of matrices, with their gradients."""

from __future__ import annotations

import builtins
import math
from typing import Any

from . import _C, _recorded
from ._functions import TABLE, Error, Tensor, as_operand, broadcast_shapes, cast_to, kind, on_host, results
from ._functions_matmul import _one_dtype, matmul

Eigh, Eig = results("Eigh", "eigenvalues eigenvectors"), results("Eig", "eigenvalues eigenvectors")
QR, SVD, LU = results("QR", "Q R"), results("SVD", "U S Vh"), results("LU", "P L U")


def filled(shape: Any, value: float, dtype: Any) -> Tensor:
    return _C.full(tuple(shape), value, dtype, "cpu")


def matrices(name: str, A: Tensor) -> None:
    if A.ndim < 2:
        raise Error(f"[{name}] matrices are needed, got a tensor of shape {A.shape}")


def square(name: str, A: Tensor) -> None:
    matrices(name, A)
    if A.shape[-1] != A.shape[-2]:
        raise Error(f"[{name}] square matrices are needed, got {A.shape}")
    if kind(A.dtype) < 2:
        raise Error(f"[{name}] a floating or complex dtype is needed, got {A.dtype}")


def adjoint(x: Tensor) -> Tensor:
    t = _C.transpose(x, x.ndim - 2, x.ndim - 1)
    return TABLE["conj"](t) if x.is_complex() else t


def eye_like(A: Tensor) -> Tensor:
    i = _C.arange(0.0, float(A.shape[-1]), 1.0, _C.int64, A.device)
    return _C.broadcast_to(_C.cast(_C.equal(_C.unsqueeze(i, 1), i), A.dtype), (*A.shape[:-2], A.shape[-1], A.shape[-1]))


def _diagonal_scaled(v: Tensor, s: Tensor) -> Tensor:
    """v @ diag(s)."""
    return v * cast_to(s, v.dtype).unsqueeze(-2)


def _tril_half(x: Tensor) -> Tensor:
    """The lower triangle with half the diagonal."""
    return TABLE["tril"](x, -1) + TABLE["diag_embed"](TABLE["diagonal"](x, 0, -2, -1)) * 0.5


def _host(f: Any, name: str) -> Any:
    def g(*arrays: Any) -> Any:
        import numpy as np

        try:
            return f(*arrays)
        except np.linalg.LinAlgError as e:
            raise Error(f"[{name}] {e}") from None

    return g


def engines(*xs: Tensor) -> bool:
    """Whether the engine computes it: real matrices of float32 or float64 with elements. Others are NumPy's, on the
    host, and cannot be in a job's graph."""
    return all(x.dtype in (_C.float32, _C.float64) and x.numel() > 0 for x in xs)


def computed(x: Tensor) -> Tensor:
    """x, computed now, so that a matrix without such a decomposition is an Error at the user's line."""
    if not _recorded.active:
        _C.eval([x])
    return x


# ---- Cholesky and triangles


def cholesky(A: Tensor, upper: bool = False) -> Tensor:
    """Lower L with L L^H = A, or the upper one with U^H U = A; only A's own triangle is looked at."""
    import numpy as np

    square("cholesky", A)
    if upper:
        return adjoint(cholesky(adjoint(A)))
    if engines(A):
        return computed(_C.cholesky(A))

    def vjp(g: Tensor) -> Any:
        low = cholesky(A)
        middle = _tril_half(matmul(adjoint(low), g))
        half = solve_triangular(adjoint(low), middle, upper=True)
        out = adjoint(solve_triangular(adjoint(low), adjoint(half), upper=True))
        return ((out + adjoint(out)) * 0.5,)

    lower = _host(lambda a: np.linalg.cholesky(np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2).conj()), "cholesky")
    return on_host(lower, [A], vjp)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    return results("cholesky_ex", "L info")(cholesky(A, upper), filled(A.shape[:-2], 0.0, _C.int32))


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X with A X = B (left=False: X A = B) for a triangular A, of which only that triangle is looked at."""
    import numpy as np

    square("solve_triangular", A)
    matrices("solve_triangular", B)
    _one_dtype("solve_triangular", A, B)
    if not left:
        return _C.transpose(solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular), -2, -1)
    if A.shape[-1] != B.shape[-2]:
        raise Error(f"[solve_triangular] {A.shape} and {B.shape} do not fit")
    if engines(A, B):
        return _C.triangular_solve(A, B, upper, unitriangular)
    t = (TABLE["triu"] if upper else TABLE["tril"])(A, (1 if upper else -1) if unitriangular else 0)
    t = t + eye_like(A) if unitriangular else t
    batch = broadcast_shapes(A.shape[:-2], B.shape[:-2])
    t, b = _C.broadcast_to(t, (*batch, *A.shape[-2:])), _C.broadcast_to(B, (*batch, *B.shape[-2:]))

    def make(t: Tensor, b: Tensor) -> Tensor:
        def vjp(g: Tensor) -> Any:
            gb = make(adjoint(t), g)
            return -matmul(gb, adjoint(make(t, b))), gb

        return on_host(_host(lambda p, q: np.linalg.solve(p, q) if q.size else q, "solve_triangular"), [t, b], vjp)

    return make(t, b)


# ---- eigenvalues


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues ascending, eigenvectors as columns) of Hermitian matrices, of which only one triangle is looked at."""
    import numpy as np

    square("eigh", A)
    if UPLO not in ("L", "U", "l", "u"):
        raise Error(f'[eigh] UPLO must be "L" or "U", got {UPLO!r}')
    side: Any = UPLO.upper()
    if engines(A):
        values, vectors = _C.eigh(A if side == "L" else A.mT)
        return Eigh(computed(values), vectors)

    def vjp(gw: Any, gv: Any) -> Any:
        w, v = eigh(A, UPLO)
        vh = adjoint(v)
        inner = 0
        if gv is not None:
            gap = w.unsqueeze(-2) - w.unsqueeze(-1)
            apart = _C.not_equal(gap, as_operand(0.0, gap))
            inverse = _C.where(apart, 1 / _C.where(apart, gap, as_operand(1.0, gap)), as_operand(0.0, gap))
            inner = matmul(vh, gv) * cast_to(inverse, A.dtype)
        if gw is not None:
            inner = inner + TABLE["diag_embed"](cast_to(gw, A.dtype))
        out = matmul(matmul(v, inner), vh)
        return ((out + adjoint(out)) * 0.5,)

    return Eigh(*on_host(_host(lambda a: tuple(np.linalg.eigh(a, side)), "eigh"), [A], vjp))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    return eigh(A, UPLO).eigenvalues


def eig(A: Tensor) -> Any:
    """(eigenvalues, eigenvectors as columns), complex."""
    import numpy as np

    square("eig", A)
    wide = np.complex128 if A.dtype.itemsize // (2 if A.is_complex() else 1) == 8 else np.complex64

    def vjp(gw: Any, gv: Any) -> Any:
        w, v = eig(A)
        vh = adjoint(v)
        inner = 0
        if gv is not None:
            gap = w.unsqueeze(-2) - w.unsqueeze(-1)
            same = _C.equal(gap, as_operand(0.0, gap))
            vgv = matmul(vh, gv)
            real = cast_to(TABLE["real"](TABLE["diagonal"](vgv, 0, -2, -1)), v.dtype)
            free = vgv - _diagonal_scaled(matmul(vh, v), real)
            inner = _C.where(same, as_operand(0.0, gap), free / TABLE["conj"](_C.where(same, as_operand(1.0, gap), gap)))
        if gw is not None:
            inner = inner + TABLE["diag_embed"](gw)
        out = TABLE["linalg"].solve(vh, matmul(inner, vh))
        return (out if A.is_complex() else TABLE["real"](out),)

    return Eig(*on_host(_host(lambda a: tuple(p.astype(wide) for p in np.linalg.eig(a)), "eig"), [A], vjp))


def eigvals(A: Tensor) -> Tensor:
    return eig(A).eigenvalues


# ---- orthogonal


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R; mode "complete" gives a square Q, "r" no Q."""
    import numpy as np

    matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise Error(f'[qr] mode must be "reduced", "complete" or "r", got {mode!r}')
    m, n = A.shape[-2:]
    if engines(A) and not (mode == "complete" and m > n and A.requires_grad):
        q, r = _C.qr(A, mode == "complete")
        return QR(filled((0,), 0.0, A.dtype) if mode == "r" else q, r)

    def vjp(gq: Any, gr: Any) -> Any:
        if mode == "complete" and m > n:
            raise Error(f"[qr] the gradient of a complete Q of {A.shape} is not determined: use reduced")
        q, r = qr(A, "reduced")
        gq = filled(q.shape, 0.0, A.dtype) if gq is None else gq
        gr = filled(r.shape, 0.0, A.dtype) if gr is None else gr
        if m >= n:
            return (_qr_back(q, r, gq, gr),)
        y = A[..., m:]
        gy = gr[..., m:]
        u, gu = r[..., :m], gr[..., :m]
        gx = _qr_back(q, u, gq + matmul(y, adjoint(gy)), gu)
        return (_C.concat([gx, matmul(q, gy)], A.ndim - 1),)

    shape: Any = "reduced" if mode == "r" else mode

    def compute(a: Any) -> Any:
        q, r = np.linalg.qr(a, shape) if a.size else (
            np.broadcast_to(np.eye(m, m if mode == "complete" else builtins.min(m, n), dtype=a.dtype), (*a.shape[:-2], m, m if mode == "complete" else builtins.min(m, n))).copy(),
            np.zeros((*a.shape[:-2], m if mode == "complete" else builtins.min(m, n), n), a.dtype),
        )
        return q, r

    q, r = on_host(compute, [A], vjp)
    return QR(filled((0,), 0.0, A.dtype) if mode == "r" else q, r)


def _qr_back(q: Tensor, r: Tensor, gq: Tensor, gr: Tensor) -> Tensor:
    m = matmul(r, adjoint(gr)) - matmul(adjoint(gq), q)
    low = TABLE["tril"](m, -1)
    sym = low + adjoint(low) + TABLE["diag_embed"](TABLE["diagonal"](m, 0, -2, -1))
    right = gq + matmul(q, sym)
    return adjoint(solve_triangular(r, adjoint(right), upper=True))


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh, S descending."""
    import numpy as np

    matrices("svd", A)
    if kind(A.dtype) < 2:
        raise Error(f"[svd] a floating or complex dtype is needed, got {A.dtype}")
    m, n = A.shape[-2:]
    k = builtins.min(m, n)
    if engines(A) and not (full_matrices and m != n and A.requires_grad):
        u, s, vh = _C.svd(A, full_matrices)
        return SVD(u, computed(s), vh)

    def vjp(gu: Any, gs: Any, gvh: Any) -> Any:
        u, s, vh = svd(A, False)
        gu, gvh = (None if gu is None else gu[..., :k]), (None if gvh is None else gvh[..., :k, :])
        return (_svd_back(u, s, vh, gu, gs, gvh),)

    return SVD(*on_host(_host(lambda a: tuple(np.linalg.svd(a, full_matrices)), "svd"), [A], vjp))


def _svd_back(u: Tensor, s: Tensor, vh: Tensor, gu: Any, gs: Any, gvh: Any) -> Tensor:
    uh, v = adjoint(u), adjoint(vh)
    sc = cast_to(s, u.dtype)
    middle: Any = 0 if gs is None else TABLE["diag_embed"](cast_to(gs, u.dtype))
    zero, one = as_operand(0.0, s), as_operand(1.0, s)
    square_gap = s.unsqueeze(-2) * s.unsqueeze(-2) - s.unsqueeze(-1) * s.unsqueeze(-1)
    apart = _C.not_equal(square_gap, zero)
    f = cast_to(_C.where(apart, 1 / _C.where(apart, square_gap, one), zero), u.dtype)
    out: Any = 0
    if gu is not None:
        ug = matmul(uh, gu)
        j = (ug - adjoint(ug)) * f
        middle = middle + _diagonal_scaled(j, s)
        if u.is_complex():
            middle = middle + TABLE["diag_embed"](_skew(ug) / sc)
        if u.shape[-2] > s.shape[-1]:
            rest = gu - matmul(u, ug)
            out = out + matmul(rest / sc.unsqueeze(-2), vh)
    if gvh is not None:
        gv = adjoint(gvh)
        vg = matmul(vh, gv)
        kk = (vg - adjoint(vg)) * f
        middle = middle + kk * sc.unsqueeze(-1)
        if vh.shape[-1] > s.shape[-1]:
            rest = gv - matmul(v, vg)
            out = out + matmul(u, adjoint(rest / sc.unsqueeze(-2)))
    return out + matmul(matmul(u, middle), vh) if not isinstance(middle, int) else out


def _skew(x: Tensor) -> Tensor:
    """The imaginary diagonal of x, as complex numbers."""
    d = TABLE["diagonal"](x, 0, -2, -1)
    return (d - TABLE["conj"](d)) * 0.5


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    return svd(A, False).S


def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of the reflections I - tau v v^H that the columns of A below the diagonal hold."""
    matrices("householder_product", A)
    _one_dtype("householder_product", A, tau)
    m, n = A.shape[-2:]
    if m < n or tau.shape[-1] > n or tau.ndim != A.ndim - 1:
        raise Error(f"[householder_product] {A.shape} and tau {tau.shape} do not fit")
    v = TABLE["tril"](A, -1) + eye_like(filled((*A.shape[:-2], m, m), 0.0, A.dtype))[..., :n]
    out = _C.broadcast_to(eye_like(filled((m, m), 0.0, A.dtype))[:, :n], A.shape)
    for i in reversed(range(tau.shape[-1])):
        c = v[..., i : i + 1]
        out = out - tau[..., i : i + 1].unsqueeze(-1) * matmul(c, matmul(adjoint(c), out))
    return out


# ---- LU and LDL


def _lu_host(a: Any, pivot: bool) -> Any:
    """(packed LU, pivots counted from 1) by Gauss's elimination."""
    import numpy as np

    a, (m, n) = a.copy(), a.shape[-2:]
    k, flat = builtins.min(m, n), a.reshape(math.prod(a.shape[:-2]), m, n)
    pivots = np.tile(np.arange(1, k + 1, dtype=np.int32), (len(flat), 1))
    for x, p in zip(flat, pivots):
        for i in range(k):
            best = i + int(np.abs(x[i:, i]).argmax()) if pivot else i
            p[i] = best + 1
            if best != i:
                x[[i, best]] = x[[best, i]]
            if x[i, i] != 0:
                x[i + 1 :, i] /= x[i, i]
                x[i + 1 :, i + 1 :] -= np.outer(x[i + 1 :, i], x[i, i + 1 :])
    return flat.reshape(a.shape), pivots.reshape(*a.shape[:-2], k)


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU packed in one matrix, pivots)."""
    matrices("lu_factor", A)
    m, n = A.shape[-2:]
    k = builtins.min(m, n)

    def vjp(g: Any, _: Any) -> Any:
        packed, pivots = lu_factor(A, pivot=pivot)
        p, low, up = lu_unpack(packed, pivots)
        gl, gu = TABLE["tril"](g[..., :k], -1), TABLE["triu"](g[..., :k, :])
        l1, u1 = low[..., :k, :], up[..., :k]
        lh, uh = adjoint(low), adjoint(up)
        inner = TABLE["tril"](matmul(lh, gl) if m <= n else matmul(lh, gl), -1) + TABLE["triu"](matmul(gu, uh))
        if m <= n:
            if n > m:  # the columns beside the square are L^-1 of A's own
                g2, u2 = gu[..., m:], up[..., m:]
                inner = TABLE["tril"](matmul(lh, gl) - matmul(g2, adjoint(u2)), -1) + TABLE["triu"](matmul(gu[..., :m], adjoint(u1)))
            left = solve_triangular(adjoint(l1), inner, upper=True, unitriangular=True)
            out = adjoint(solve_triangular(u1, adjoint(left), upper=True))
            if n > m:
                out = _C.concat([out, solve_triangular(adjoint(l1), g2, upper=True, unitriangular=True)], A.ndim - 1)
        else:
            gl2, l2 = gl[..., n:, :], low[..., n:, :]
            inner = TABLE["tril"](matmul(adjoint(l1), gl[..., :n, :]), -1) + TABLE["triu"](matmul(gu, uh) - matmul(adjoint(l2), gl2))
            left = solve_triangular(adjoint(l1), inner, upper=True, unitriangular=True)
            out = adjoint(solve_triangular(u1, adjoint(_C.concat([left, gl2], A.ndim - 2)), upper=True))
        return (matmul(p, out),)

    return results("lu_factor", "LU pivots")(*on_host(lambda a: _lu_host(a, pivot), [A], vjp))


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    return results("lu_factor_ex", "LU pivots info")(*lu_factor(A, pivot=pivot), filled(A.shape[:-2], 0.0, _C.int32))


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) of what lu_factor gives."""
    import numpy as np

    m, n = LU_data.shape[-2:]
    k = builtins.min(m, n)
    empty = filled((0,), 0.0, LU_data.dtype)
    p = low = up = empty
    if unpack_pivots:

        def permutation(pivots: Any) -> Any:
            rows = []
            for row in pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1]):
                order = np.arange(m)
                for i, j in enumerate(row):
                    order[[i, j - 1]] = order[[j - 1, i]]
                rows.append(np.eye(m)[order].T)
            return np.asarray(rows).reshape(*pivots.shape[:-1], m, m)

        p = cast_to(on_host(permutation, [LU_pivots]), LU_data.dtype)
    if unpack_data:
        left = TABLE["tril"](LU_data[..., :k], -1)
        low = left + eye_like(filled((*LU_data.shape[:-2], m, m), 0.0, LU_data.dtype))[..., :k]
        up = TABLE["triu"](LU_data[..., :k, :])
    return LU(p, low, up)


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U."""
    if pivot and engines(A) and (A.shape[-2] == A.shape[-1] or not A.requires_grad):
        rows, low, up = _C.lu(A)
        place = _C.arange(0.0, float(A.shape[-2]), 1.0, _C.int64, A.device)
        return LU(_C.cast(_C.equal(_C.unsqueeze(place, 1), _C.unsqueeze(rows, -2)), A.dtype), low, up)
    p, low, up = lu_unpack(*lu_factor(A, pivot=pivot))
    return LU(p if pivot else filled((0,), 0.0, A.dtype), low, up)


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X with A X = B (left=False: X A = B; adjoint: of A^H) from A's lu_factor."""
    p, low, up = lu_unpack(LU, pivots)
    a = matmul(matmul(p, low), up)
    return TABLE["linalg"].solve(a.mH if adjoint else a, B, left=left)


def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """(L below and D on the diagonal, pivots) without exchanging rows."""
    import numpy as np

    square("ldl_factor", A)

    def compute(a: Any) -> Any:
        out = a.copy()
        for x in out.reshape(-1, *a.shape[-2:]):
            for i in range(x.shape[0]):
                c = x[i + 1 :, i] / x[i, i]
                x[i + 1 :, i + 1 :] -= np.outer(c, x[i + 1 :, i].conj() if hermitian else x[i + 1 :, i])
                x[i + 1 :, i] = c
        return np.tril(out), np.tile(np.arange(1, a.shape[-1] + 1, dtype=np.int32), (*a.shape[:-2], 1))

    return results("ldl_factor", "LD pivots")(*on_host(compute, [A]))


def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    return results("ldl_factor_ex", "LD pivots info")(*ldl_factor(A, hermitian=hermitian), filled(A.shape[:-2], 0.0, _C.int32))


def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    d = TABLE["diagonal"](LD, 0, -2, -1).unsqueeze(-1)
    y = solve_triangular(LD, B, upper=False, unitriangular=True) / d
    return solve_triangular(adjoint(LD) if hermitian else LD.mT, y, upper=True, unitriangular=True)
