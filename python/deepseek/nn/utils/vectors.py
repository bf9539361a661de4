"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ... import _C
from ..._C import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    return _C.concat([_C.reshape(p, [-1]) for p in parameters], 0)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes consecutive parts of vec into the parameters."""
    start = 0
    on = _C.set_grad_enabled(False)
    try:
        for p in parameters:
            n = p.numel()
            part = _C.slice(_C.detach(vec), 0, start, start + n, 1)
            _C.assign(p, _C.reshape(part, list(p.shape)), "vector_to_parameters")
            start += n
    finally:
        _C.set_grad_enabled(on)
    if start != vec.numel():
        raise _C.Error(f"[vector_to_parameters] a vector of {start} is needed, got {vec.numel()}")
