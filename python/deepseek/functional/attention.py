"""Scaled dot product attention and the multi-head form of it."""

from __future__ import annotations

import math
from typing import Any

from .. import _C
from ._common import Tensor, cast_products
from .dropout import dropout
from .linear import linear


def causal_mask(rows: int, columns: int, device: str) -> Tensor:
    """(rows, columns) of bool: each row sees the columns up to its own."""
    i = _C.unsqueeze(_C.arange(0.0, float(rows), 1.0, _C.int64, device), 1)
    return _C.arange(0.0, float(columns), 1.0, _C.int64, device) <= i


def masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores where a bool mask is true, -inf elsewhere; floating masks are added."""
    if mask.dtype == _C.bool:
        return _C.where(mask, scores, _C.full((), -math.inf, scores.dtype, scores.device))
    return scores + mask


_BLOCKS_FROM = 512  # keys: below, the whole score matrix is small, and the composition is what ONNX has


def _in_blocks(query: Tensor, key: Tensor, value: Tensor, dropout_p: float, factor: float, enable_gqa: bool) -> bool:
    """Whether the engine's attention serves: its memory grows with the length, not with its square."""
    batched = query.ndim >= 3 and query.shape[:-3] == key.shape[:-3] == value.shape[:-3]
    if not batched or key.shape[-2] < _BLOCKS_FROM or dropout_p or factor <= 0:
        return False
    heads, served = query.shape[-3], key.shape[-3]
    return value.shape[-3] == served and (heads == served or (enable_gqa and served > 0 and heads % served == 0))


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """query (..., heads, L, E), key (..., heads, S, E), value (..., heads, S, Ev) -> (..., heads, L, Ev).

    attn_mask: bool (True takes part) or added to the scores, of a shape that broadcasts to (..., L, S). enable_gqa: key
    and value may have fewer heads, each of which serves as many heads of the query in a row.
    """
    query, key, value = cast_products(query, key, value)
    if query.ndim < 2 or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise _C.Error(f"[scaled_dot_product_attention] query {query.shape}, key {key.shape}, value {value.shape} do not fit")
    if attn_mask is not None and is_causal:
        raise _C.Error("[scaled_dot_product_attention] attn_mask and is_causal exclude each other")
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    if _in_blocks(query, key, value, dropout_p, factor, enable_gqa):
        return _C.attention(query, key, value, attn_mask, is_causal, factor)
    groups = 1
    if enable_gqa and query.shape[-3] != key.shape[-3]:
        groups = query.shape[-3] // key.shape[-3]
        if query.shape[-3] != groups * key.shape[-3]:
            raise _C.Error(f"[scaled_dot_product_attention] {query.shape[-3]} heads do not divide among {key.shape[-3]}")
        query = _C.reshape(query, [*query.shape[:-3], key.shape[-3], groups, *query.shape[-2:]])
        key, value = _C.unsqueeze(key, -3), _C.unsqueeze(value, -3)
    scores = _C.matmul(query * factor, _C.transpose(key, -2, -1))
    if is_causal:
        scores = masked(scores, causal_mask(query.shape[-2], key.shape[-2], query.device))
    elif attn_mask is not None:
        if groups > 1 and attn_mask.ndim > 2:
            heads = attn_mask.shape[-3]
            split = [1, 1] if heads == 1 else [heads // groups, groups]
            attn_mask = _C.reshape(attn_mask, [*attn_mask.shape[:-3], *split, *attn_mask.shape[-2:]])
        scores = masked(scores, attn_mask)
    weights = _C.softmax(scores, -1)
    if attn_mask is not None and attn_mask.dtype == _C.bool:  # rows that see nothing are 0
        weights = _C.where(_C.any(attn_mask, [-1], True), weights, _C.full((), 0.0, weights.dtype, weights.device))
    out = _C.matmul(dropout(weights, dropout_p), value)
    return _C.reshape(out, [*out.shape[:-4], -1, *out.shape[-2:]]) if groups > 1 else out


def _merge_masks(
    attn_mask: Tensor | None, padding: Tensor | None, batch: int, heads: int, length: int, source: int, dtype: Any
) -> Tensor | None:
    """One added mask (batch or 1, heads or 1, L, S) of PyTorch's two, in which True hides."""

    def added(mask: Tensor) -> Tensor:
        if mask.dtype != _C.bool:
            return mask
        zero = _C.full((), 0.0, dtype, mask.device)
        return _C.where(mask, _C.full((), -math.inf, dtype, mask.device), zero)

    merged = None
    if attn_mask is not None:
        if attn_mask.shape == (length, source):
            merged = _C.reshape(added(attn_mask), [1, 1, length, source])
        elif attn_mask.shape == (batch * heads, length, source):
            merged = _C.reshape(added(attn_mask), [batch, heads, length, source])
        else:
            raise _C.Error(
                f"[multi_head_attention] attn_mask {attn_mask.shape} is neither {(length, source)} nor {(batch * heads, length, source)}"
            )
    if padding is not None:
        if padding.shape != (batch, source):
            raise _C.Error(f"[multi_head_attention] key_padding_mask {padding.shape} must be {(batch, source)}")
        hidden = _C.reshape(added(padding), [batch, 1, 1, source])
        merged = hidden if merged is None else merged + hidden
    return merged


def _in_projection(query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v by one packed (3 E, E) weight, or by three."""
    if isinstance(weights, Tensor):
        e = weights.shape[0] // 3
        if query is key and key is value:
            packed = linear(query, weights, bias)
            return tuple(_C.slice(packed, -1, i * e, (i + 1) * e, 1) for i in range(3))  # type: ignore[return-value]
        weights = [_C.slice(weights, 0, i * e, (i + 1) * e, 1) for i in range(3)]
    else:
        e = weights[0].shape[0]
    biases = [None] * 3 if bias is None else [_C.slice(bias, 0, i * e, (i + 1) * e, 1) for i in range(3)]
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))  # type: ignore[return-value]


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """query (L, batch, E), key and value (S, batch, E) -> (L, batch, E) and the weights (batch, L, S)."""
    single = query.ndim == 2
    if single:
        same, shared = key is query, value is key
        query = _C.unsqueeze(query, 1)
        key = query if same else _C.unsqueeze(key, 1)
        value = key if shared else _C.unsqueeze(value, 1)
        if key_padding_mask is not None:
            key_padding_mask = _C.unsqueeze(key_padding_mask, 0)
    length, batch, width = query.shape
    if width != embed_dim_to_check or width % num_heads:
        raise _C.Error(f"[multi_head_attention] width {width} of the query must be {embed_dim_to_check}, a multiple of {num_heads} heads")
    weights = [q_proj_weight, k_proj_weight, v_proj_weight] if use_separate_proj_weight else in_proj_weight
    q, k, v = _in_projection(query, key, value, weights, in_proj_bias)
    if bias_k is not None and bias_v is not None:
        k = _C.concat([k, _C.broadcast_to(bias_k, (1, batch, width))], 0)
        v = _C.concat([v, _C.broadcast_to(bias_v, (1, batch, width))], 0)
    extra = k.shape[0] - key.shape[0]

    def heads(x: Tensor) -> Tensor:  # (length, batch, E) -> (batch, heads, length, E / heads)
        return _C.permute(_C.reshape(x, [x.shape[0], batch, num_heads, width // num_heads]), [1, 2, 0, 3])

    q, k, v = heads(q), heads(k) if static_k is None else _static(static_k, batch), heads(v) if static_v is None else _static(static_v, batch)
    if add_zero_attn:
        nothing = _C.full((batch, num_heads, 1, width // num_heads), 0.0, k.dtype, k.device)
        k, v, extra = _C.concat([k, nothing], 2), _C.concat([v, nothing], 2), extra + 1
    if is_causal and attn_mask is None:
        hidden = _C.logical_not(causal_mask(length, key.shape[0], query.device))
        attn_mask = hidden
    mask = _merge_masks(attn_mask, key_padding_mask, batch, num_heads, length, k.shape[2] - extra, q.dtype)
    if mask is not None and extra:
        mask = _C.concat([mask, _C.full((*mask.shape[:-1], extra), 0.0, mask.dtype, mask.device)], -1)
    p = dropout_p if training else 0.0
    probabilities = None
    if need_weights:
        scores = _C.matmul(q * (1 / math.sqrt(width // num_heads)), _C.transpose(k, -2, -1))
        probabilities = dropout(_C.softmax(scores if mask is None else scores + mask, -1), p)
        out = _C.matmul(probabilities, v)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, p)
    out = linear(_C.reshape(_C.permute(out, [2, 0, 1, 3]), [length, batch, width]), out_proj_weight, out_proj_bias)
    if probabilities is not None and average_attn_weights:
        probabilities = _C.mean(probabilities, [1])
    if single:
        out = _C.squeeze(out, 1)
        probabilities = probabilities if probabilities is None else _C.squeeze(probabilities, 0)
    return out, probabilities


def _static(x: Tensor, batch: int) -> Tensor:
    return _C.reshape(x, [batch, x.shape[0] // batch, *x.shape[1:]])
