"""Numbers that change from step to step: floats where a step is computed, and scalars where one is written down."""

from __future__ import annotations

import math
from typing import Any, Callable

from .. import _C
from .._C import Tensor


class Number:
    """Stands for a float of any step in a recording. Beside a tensor it takes the tensor's dtype, as a float does."""

    __slots__ = ("value",)

    def __init__(self, value: Tensor) -> None:
        self.value = value  # float64, of no dimension

    def _with(self, other: Any, op: Callable[[Tensor, Tensor], Tensor], turned: bool) -> Any:
        if isinstance(other, Tensor):
            mine, theirs = _C.cast(self.value, other.dtype), other
        else:
            mine, theirs = self.value, constant(other).value
        result = op(theirs, mine) if turned else op(mine, theirs)
        return result if isinstance(other, Tensor) else Number(result)

    def __add__(self, other: Any) -> Any:
        return self._with(other, _C.add, False)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, _C.add, True)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, _C.sub, False)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, _C.sub, True)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, _C.mul, False)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, _C.mul, True)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, _C.div, False)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, _C.div, True)

    def __pow__(self, other: Any) -> Any:
        return self._with(other, _C.pow, False)

    def __rpow__(self, other: Any) -> Any:
        return self._with(other, _C.pow, True)

    def __neg__(self) -> Number:
        return Number(_C.neg(self.value))

    def __le__(self, other: Any) -> Any:
        return _C.less_equal(self.value, constant(other).value)

    def __bool__(self) -> bool:
        raise _C.Error("[trace] the optimizer's Python asks for the value of lr or of the step's number: a recording serves all of "
                       "them; use choose()")  # fmt: skip

    __float__ = __int__ = __bool__  # type: ignore[assignment]


def number(value: Any) -> Any:
    """Of a state that was loaded, too, which may be a tensor."""
    return value if isinstance(value, Number) else float(value)


def constant(value: Any) -> Number:
    return value if isinstance(value, Number) else Number(_C.full((), float(value), _C.float64, "cpu"))


def sqrt(x: Any) -> Any:
    return Number(_C.sqrt(x.value)) if isinstance(x, Number) else math.sqrt(x)


def least(a: Any, b: Any) -> Any:
    if isinstance(a, Number) or isinstance(b, Number):
        return Number(_C.minimum(constant(a).value, constant(b).value))
    return min(a, b)


def choose(condition: Any, yes: Callable[[], Tensor], no: Callable[[], Tensor]) -> Tensor:
    """One of two tensors; a recording holds both."""
    if isinstance(condition, Tensor):
        return _C.where(condition, yes(), no())
    return yes() if condition else no()
