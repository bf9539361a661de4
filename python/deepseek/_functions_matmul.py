"""Products of matrices and vectors, and einsum."""

from __future__ import annotations

import builtins
import math
from typing import Any

from . import _C
from ._autocast import autocast_dtype, cast_products
from ._functions import METHODS, TABLE, Error, Tensor, broadcast_shapes, kind, one_dim, op


def _one_dtype(name: str, *xs: Tensor) -> None:
    for x in xs[1:]:
        if x.dtype != xs[0].dtype:
            raise Error(f"[{name}] one dtype is needed, got {xs[0].dtype} and {x.dtype}")


def _ranks(name: str, *wanted: tuple[Tensor, int]) -> None:
    for x, rank in wanted:
        if x.ndim != rank:
            raise Error(f"[{name}] a tensor of {rank} dimensions is needed, got {x.shape}")


@op
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """(..., m, k) x (..., k, n); a vector is a row on the left, a column on the right."""
    if input.ndim == 0 or other.ndim == 0:
        raise Error(f"[matmul] 0-d tensors have no matrix product: got {input.shape} x {other.shape}")
    if autocast_dtype[0] is not None:
        input, other = cast_products(input, other)
    _one_dtype("matmul", input, other)
    k = other.shape[-2 if other.ndim > 1 else 0]
    if input.shape[-1] != k:
        raise Error(f"[matmul] inner dimensions differ: got {input.shape} x {other.shape}")
    if kind(input.dtype) >= 2:
        return _C.matmul(input, other)
    # Whole numbers: exact sums of products.
    a = input if input.ndim > 1 else input.reshape(1, -1)
    b = other if other.ndim > 1 else other.reshape(-1, 1)
    out = _C.cast(_C.sum(_C.unsqueeze(a, -1) * _C.unsqueeze(b, -3), [-2], False), input.dtype)
    if other.ndim == 1:
        out = _C.squeeze(out, -1)
    return _C.squeeze(out, -2 if other.ndim > 1 else -1) if input.ndim == 1 else out


METHODS.__matmul__ = lambda self, other: matmul(self, other) if isinstance(other, Tensor) else NotImplemented


@op
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    _ranks("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


@op
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """(b, m, k) x (b, k, n)."""
    _ranks("bmm", (input, 3), (mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise Error(f"[bmm] the batches differ: got {input.shape} x {mat2.shape}")
    return matmul(input, mat2)


@op
def mv(input: Tensor, vec: Tensor) -> Tensor:
    _ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@op
def dot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products of two vectors."""
    _ranks("dot", (input, 1), (other, 1))
    if input.shape != other.shape:
        raise Error(f"[dot] one length is needed, got {input.shape} and {other.shape}")
    return matmul(input, other)


@op
def vdot(input: Tensor, other: Tensor) -> Tensor:
    return dot(TABLE["conj"](input) if input.is_complex() else input, other)


@op
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimensions."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise Error(f"[inner] the last dimensions differ: got {input.shape} and {other.shape}")
    return tensordot(input, other, ([-1], [-1]))


@op(names=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    _ranks("outer", (input, 1), (vec2, 1))
    return _C.unsqueeze(input, 1) * vec2


def _scaled(name: str, input: Any, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta * input + alpha * product; input counts for nothing where beta is 0."""
    whole = kind(product.dtype) < 2
    for n, v in (("beta", beta), ("alpha", alpha)):
        if whole and isinstance(v, float) and v != int(v) and name == "addmm":
            raise Error(f"[{name}] {n} {v} is no integer, the tensors are {product.dtype}")
    shape = broadcast_shapes(input.shape, product.shape)
    if shape != product.shape:
        raise Error(f"[{name}] the input {input.shape} does not broadcast to the product {product.shape}")
    product = product if alpha == 1 else product * (int(alpha) if whole else alpha)
    if beta == 0:
        return product
    return (input if beta == 1 else input * (int(beta) if whole else beta)) + product


@op(in_place=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    _one_dtype("addmm", input, mat1, mat2)
    return _scaled("addmm", input, mm(mat1, mat2), beta, alpha)


@op(in_place=True)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _scaled("addmv", input, mv(mat, vec), beta, alpha)


@op(in_place=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _scaled("addr", input, outer(vec1, vec2), beta, alpha)


@op(in_place=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return _scaled("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@op(in_place=True)
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """As baddbmm, with the batch summed."""
    return _scaled("addbmm", input, TABLE["sum"](bmm(batch1, batch2), 0), beta, alpha)


@op(method=False)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, axes: Any = None) -> Tensor:
    """Sums of products over the last `dims` of a and the first of b, or over a pair of lists of dimensions."""
    dims = dims if axes is None else axes
    _one_dtype("tensordot", a, b)
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= builtins.min(a.ndim, b.ndim):
            raise Error(f"[tensordot] {dims} dimensions are outside {a.shape} and {b.shape}")
        da, db = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        da, db = ([one_dim("tensordot", d, x.ndim) for d in ([ds] if isinstance(ds, int) else ds)] for x, ds in zip((a, b), dims))
    if len(da) == len(db):  # an extent of 1 is stretched: the other side is summed
        for i, j in zip(da, db):
            if a.shape[i] == 1 != b.shape[j]:
                b = _C.sum(b, [j], True)
            elif b.shape[j] == 1 != a.shape[i]:
                a = _C.sum(a, [i], True)
    if len(da) != len(db) or builtins.any(a.shape[i] != b.shape[j] for i, j in zip(da, db)):
        raise Error(f"[tensordot] dimensions {da} of {a.shape} do not match {db} of {b.shape}")
    ra, rb = [d for d in range(a.ndim) if d not in da], [d for d in range(b.ndim) if d not in db]
    k = math.prod(a.shape[d] for d in da)
    sa, sb = [a.shape[d] for d in ra], [b.shape[d] for d in rb]
    left = _C.reshape(_C.permute(a, ra + da), [math.prod(sa), k])
    right = _C.reshape(_C.permute(b, db + rb), [k, math.prod(sb)])
    return _C.reshape(matmul(left, right), sa + sb)


@op
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product."""
    rank = builtins.max(input.ndim, other.ndim)
    sa, sb = ((1,) * (rank - x.ndim) + x.shape for x in (input, other))
    a = _C.reshape(input, [n for s in sa for n in (s, 1)])
    b = _C.reshape(other, [n for s in sb for n in (1, s)])
    return _C.reshape(a * b, [m * n for m, n in zip(sa, sb)])


@op
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three along dim (the first dimension of extent 3)."""
    shape = broadcast_shapes(input.shape, other.shape)
    if dim is None:
        dim = next((i for i, n in enumerate(shape) if n == 3), None)
        if dim is None:
            raise Error(f"[cross] no dimension of {shape} has the extent 3")
    d = one_dim("cross", dim, len(shape))
    if input.ndim != other.ndim or input.shape[d] != 3 or other.shape[d] != 3:
        raise Error(f"[cross] vectors of 3 along dimension {dim} are needed, got {input.shape} and {other.shape}")
    a, b = ([_C.slice(_C.broadcast_to(x, shape), d, i, i + 1, 1) for i in range(3)] for x in (input, other))
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return _C.concat(parts, d)


@op
def matrix_power(input: Tensor, n: int) -> Tensor:
    """input @ input @ ... n times; a negative n of the inverse."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise Error(f"[matrix_power] square matrices are needed, got {input.shape}")
    if n < 0:
        return matrix_power(TABLE["linalg"].inv(input), -n)
    if n == 0:
        i = _C.arange(0.0, float(input.shape[-1]), 1.0, _C.int64, input.device)
        return _C.broadcast_to(_C.cast(_C.unsqueeze(i, 1) == i, input.dtype), input.shape)
    out: Any = None
    while n:
        if n & 1:
            out = input if out is None else matmul(out, input)
        n >>= 1
        if n:
            input = matmul(input, input)
    return out


@op(method=False)
def chain_matmul(*matrices: Tensor) -> Tensor:
    return TABLE["linalg"].multi_dot(matrices)


@op
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    _ranks("trace", (input, 2))
    return TABLE["sum"](TABLE["diagonal"](input))


# ---- einsum


@op(method=False)
def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products by named dimensions: "ij,jk->ik"; "..." is the dimensions without a name."""
    if not isinstance(equation, str):  # einsum(x, [0, 1], y, [1, 2], [0, 2])
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise Error(f"[einsum] {equation!r} names {len(terms)} operands, got {len(operands)}")
    rank = builtins.max(x.ndim - len(term.replace("...", "")) if "..." in term else 0 for term, x in zip(terms, operands))
    spare = [chr(0x3B1 + i) for i in range(rank)]
    terms = [_named_dims(equation, term, x, spare) for term, x in zip(terms, operands)]
    if arrow:
        output = right.replace("...", "".join(spare))
    else:
        names = "".join(terms)
        output = "".join(spare) + "".join(sorted(n for n in set(names) if names.count(n) == 1 and n not in spare))
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands):
        for n, s in zip(term, x.shape):
            if sizes.get(n, 1) != 1 and s not in (1, sizes[n]):
                raise Error(f"[einsum] dimension {n!r} of {equation!r} is {sizes[n]} and {s}")
            sizes[n] = builtins.max(sizes.get(n, 1), s) if s else 0
    for n in output:
        if n not in sizes or output.count(n) > 1:
            raise Error(f"[einsum] the output's {n!r} in {equation!r} must stand once and in an operand")
    xs = [_diagonals(term, x) for term, x in zip(terms, operands)]
    term, x = xs[0]
    for i, (other, y) in enumerate(xs[1:], 1):
        later = set(output).union(*(t for t, _ in xs[i + 1 :]))
        term, x = _contract(term, x, other, y, later)
    gone = [i for i, n in enumerate(term) if n not in output]
    if gone:
        x, term = _C.cast(_C.sum(x, gone, False), x.dtype), "".join(n for n in term if n in output)
    return _C.permute(x, [term.index(n) for n in output])


def _from_sublists(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    def term(names: Any) -> str:
        return "".join("..." if n is Ellipsis else chr(97 + n) if n < 26 else chr(39 + n) for n in names)

    xs, names = args[: len(args) // 2 * 2 : 2], [term(n) for n in args[1::2]]
    return ",".join(names) + ("->" + term(args[-1]) if len(args) % 2 else ""), tuple(xs)


def _named_dims(equation: str, term: str, x: Tensor, spare: list[str]) -> str:
    free = x.ndim - len(term.replace("...", ""))
    if free < 0 or (free and "..." not in term):
        raise Error(f"[einsum] the term {term!r} of {equation!r} does not name the {x.ndim} dimensions of {x.shape}")
    out = term.replace("...", "".join(spare[len(spare) - free :]))
    if not builtins.all(n.isalpha() for n in out):
        raise Error(f"[einsum] dimensions are named by letters, got {term!r}")
    return out


def _diagonals(term: str, x: Tensor) -> tuple[str, Tensor]:
    for n in dict.fromkeys(term):
        while term.count(n) > 1:
            a, b = term.index(n), term.rindex(n)
            if x.shape[a] != x.shape[b]:
                raise Error(f"[einsum] dimension {n!r} is {x.shape[a]} and {x.shape[b]} of one operand")
            x = TABLE["diagonal"](x, 0, a, b)
            term = term[:a] + term[a + 1 : b] + term[b + 1 :] + n
    return term, x


def _contract(ta: str, a: Tensor, tb: str, b: Tensor, later: set[str]) -> tuple[str, Tensor]:
    """The product of two operands, summed over the names that nobody needs later: one batched matmul."""
    for term, other in ((ta, tb), (tb, ta)):  # names of one operand only are summed first
        gone = [i for i, n in enumerate(term) if n not in later and n not in other]
        if gone:
            x = a if term is ta else b
            x, kept = _C.cast(_C.sum(x, gone, False), x.dtype), "".join(n for i, n in enumerate(term) if i not in gone)
            if term is ta:
                return _contract(kept, x, tb, b, later)
            return _contract(ta, a, kept, x, later)
    shared = [n for n in ta if n in tb]
    batch = [n for n in shared if n in later]
    inner = [n for n in shared if n not in later]
    # A name of extent 1 on one side is stretched.
    size = {n: builtins.max(a.shape[ta.index(n)], b.shape[tb.index(n)]) for n in shared}
    a = _C.broadcast_to(a, tuple(size.get(n, s) for n, s in zip(ta, a.shape)))
    b = _C.broadcast_to(b, tuple(size.get(n, s) for n, s in zip(tb, b.shape)))
    ra, rb = [n for n in ta if n not in tb], [n for n in tb if n not in ta]
    sizes = {**dict(zip(ta, a.shape)), **dict(zip(tb, b.shape))}
    if not inner:
        order = batch + ra + rb
        wide = [_C.reshape(_C.permute(x, [t.index(n) for n in order if n in t]), [sizes[n] if n in t else 1 for n in order]) for t, x in ((ta, a), (tb, b))]
        return "".join(order), wide[0] * wide[1]
    flat = {k: math.prod(sizes[n] for n in ns) for k, ns in (("b", batch), ("i", inner), ("l", ra), ("r", rb))}
    left = _C.reshape(_C.permute(a, [ta.index(n) for n in batch + ra + inner]), [flat["b"], flat["l"], flat["i"]])
    right = _C.reshape(_C.permute(b, [tb.index(n) for n in batch + inner + rb]), [flat["b"], flat["i"], flat["r"]])
    order = batch + ra + rb
    return "".join(order), _C.reshape(matmul(left, right), [sizes[n] for n in order])

