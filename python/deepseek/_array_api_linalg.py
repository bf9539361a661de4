"""The linear algebra extension of the array API standard."""

from __future__ import annotations

from typing import Any

from . import linalg as _ours
from ._functions import TABLE, Error, Tensor
from .linalg import (  # noqa: F401
    det,
    diagonal,
    eigh,
    eigvalsh,
    inv,
    matmul,
    matrix_power,
    matrix_transpose,
    outer,
    qr,
    slogdet,
    svdvals,
)


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    return _ours.cholesky(x, upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    rank = max(x1.ndim, x2.ndim)
    x1, x2 = (x.reshape((1,) * (rank - x.ndim) + x.shape) for x in (x1, x2))
    return TABLE["cross"](x1, x2, axis)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    return _ours.matrix_norm(x, ord, keepdim=keepdims)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return _ours.matrix_rank(x, rtol=rtol)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return _ours.pinv(x, rtol=rtol)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """x2 is a vector only where it has one dimension."""
    if x2.ndim == 1:
        return _ours.solve(x1, x2.unsqueeze(-1)).squeeze(-1)
    if x1.ndim == x2.ndim + 1 and x1.shape[:-1] == x2.shape:
        x2 = x2.unsqueeze(0)  # a matrix for every one of the batch
    return _ours.solve(x1, x2)


def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    return _ours.svd(x, full_matrices)


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    return TABLE["tensordot"](x1, x2, axes)


def trace(x: Tensor, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    from ._array_api import sum

    return sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    rank = min(x1.ndim, x2.ndim)
    if not -rank <= axis < 0 or x1.shape[axis] != x2.shape[axis]:
        raise Error(f"[vecdot] axis {axis} of {x1.shape} and {x2.shape} must be negative and have one extent")
    return _ours.vecdot(x1, x2, dim=axis)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    return _ours.vector_norm(x, ord, axis, keepdims)
