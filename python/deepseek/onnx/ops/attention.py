"""Attention and what belongs to it."""

from __future__ import annotations

from typing import Any

from ... import _C
from ..table import op
from ..values import Tensor
from .shape import cut


@op("RotaryEmbedding")
def rotary_embedding(x: Tensor, cos: Tensor, sin: Tensor, position: Any = None, *, interleaved: int = 0, num_heads: int = 0,
                     rotary_embedding_dim: int = 0) -> Tensor:  # fmt: skip
    """Rotates pairs of features: x (batch, heads, time, width) or (batch, time, heads * width)."""
    flat = x.ndim == 3
    y = x
    if flat:
        batch, time, width = x.shape
        y = _C.transpose(_C.reshape(x, [batch, time, num_heads, width // num_heads]), 1, 2)
    n = rotary_embedding_dim or y.shape[3]
    rest = cut(y, 3, n, y.shape[3]) if n < y.shape[3] else None
    y = cut(y, 3, 0, n)
    if position is not None:
        cos, sin = _C.take(cos, position, 0), _C.take(sin, position, 0)
    cos, sin = (_C.unsqueeze(cut(t, 2, 0, n // 2), 1) for t in (cos, sin))
    if interleaved:
        a, b = _C.slice(y, 3, 0, n, 2), _C.slice(y, 3, 1, n, 2)
    else:
        a, b = cut(y, 3, 0, n // 2), cut(y, 3, n // 2, n)
    real, imaginary = a * cos - b * sin, a * sin + b * cos
    if interleaved:
        out = _C.reshape(_C.concat([_C.unsqueeze(real, 4), _C.unsqueeze(imaginary, 4)], 4), list(y.shape))
    else:
        out = _C.concat([real, imaginary], 3)
    if rest is not None:
        out = _C.concat([out, rest], 3)
    return _C.reshape(_C.transpose(out, 1, 2), list(x.shape)) if flat else out
