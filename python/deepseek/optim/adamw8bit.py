"""AdamW whose states take one byte an element."""

from __future__ import annotations

from typing import Any

from .. import _C
from .._random import default_generator
from .adam import AdamW
from .number import sqrt
from .optimizer import Tensor, count

BLOCK = 256


def _blocks(x: Tensor) -> Tensor:
    """(blocks, BLOCK), filled up with zeros."""
    n = x.numel()
    flat = _C.reshape(x, [n])
    rest = -n % BLOCK
    if rest:
        flat = _C.concat([flat, _C.full((rest,), 0.0, x.dtype, x.device)], 0)
    return _C.reshape(flat, [-1, BLOCK])


def _rounded(x: Tensor) -> Tensor:
    """To one of the whole numbers beside it, by chance, so that the mean is kept: small changes are not lost for ever."""
    return _C.floor(x + _C.random_uniform(x.shape, *default_generator.take(x.numel()), x.dtype, x.device))


def quantize(x: Tensor, levels: int, signed: bool) -> tuple[Tensor, Tensor]:
    """Blocks as bytes and what their largest size is. A byte c stands for (c / levels)^2 of that: finer towards zero.

    Signed bytes are kept with 128 added. What is not 0 does not become 0 when unsigned: it is divided by.
    """
    size = abs(x)
    top = _C.amax(size, [1], True)
    share = size / _C.where(top > 0, top, _C.full((), 1.0, x.dtype, x.device))
    code = _C.minimum(_rounded(_C.sqrt(share) * float(levels)), _C.full((), float(levels), x.dtype, x.device))
    if signed:
        code = code * _C.sign(x) + 128.0
    else:
        code = _C.maximum(code, _C.cast(x > 0, x.dtype))
    return _C.cast(code, _C.uint8), top


def dequantize(code: Tensor, top: Tensor, levels: int, signed: bool) -> Tensor:
    c = _C.cast(code, top.dtype)
    if signed:
        c = c - 128.0
        return c * abs(c) * (1.0 / levels**2) * top
    return c * c * (1.0 / levels**2) * top


class AdamW8bit(AdamW):
    """AdamW with m and sqrt(v) as bytes, in blocks of 256 elements with a scale each: 2.03 instead of 8 bytes a parameter.

    Parameters of less than min_size elements keep float states.
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2, *,
        min_size: int = 4096, maximize: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize, **kwargs)
        self.min_size = min_size

    def _initial(self, group: dict[str, Any], p: Tensor) -> dict[str, Any]:
        if p.numel() < self.min_size:
            return super()._initial(group, p)
        blocks = -(-p.numel() // BLOCK)
        tops = {name: _C.full((blocks, 1), 0.0, _C.float32, p.device) for name in ("exp_avg_top", "exp_avg_sq_top")}
        codes = {name: _C.full((blocks, BLOCK), zero, _C.uint8, p.device) for name, zero in (("exp_avg", 128.0), ("exp_avg_sq", 0.0))}
        return {**codes, **tops}

    def _update(self, group: dict[str, Any], p: Tensor, g: Tensor, state: dict[str, Any]) -> Tensor:
        if p.numel() < self.min_size:
            return super()._update(group, p, g, state)
        t = count(state)
        (b1, b2), lr = group["betas"], group["lr"]
        gradient = _blocks(g if g.dtype == _C.float32 else _C.cast(g, _C.float32))
        m = dequantize(state["exp_avg"], state["exp_avg_top"], 127, True)
        deviation = dequantize(state["exp_avg_sq"], state["exp_avg_sq_top"], 255, False)
        v = deviation * deviation
        m = m * b1 + gradient * (1 - b1)
        v = v * b2 + gradient * gradient * (1 - b2)
        deviation = _C.sqrt(v)
        state["exp_avg"], state["exp_avg_top"] = quantize(m, 127, True)
        state["exp_avg_sq"], state["exp_avg_sq_top"] = quantize(deviation, 255, False)
        step = m * (lr / (1 - b1**t)) / (deviation * (1 / sqrt(1 - b2**t)) + group["eps"])
        flat = _C.slice(_C.reshape(step, [-1]), 0, 0, p.numel(), 1)
        return p * (1 - lr * group["weight_decay"]) - _C.cast(_C.reshape(flat, list(p.shape)), p.dtype)
