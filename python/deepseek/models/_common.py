"""What language models share: their outputs, attention with a cache, generation."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import deepseek

from .. import _C, nn
from .. import functional as F
from .._C import Tensor

Cache = list[tuple[Tensor, Tensor]]  # keys and values (batch, heads, seen so far, width) of each layer


def from_config(cls: Any, config: dict[str, Any]) -> Any:
    """The dataclass of what a config.json says; what it does not say keeps its default, what is not known is left."""
    known = {f.name for f in fields(cls)}
    return cls(**{k: v for k, v in config.items() if k in known and v is not None})


def activation(name: str) -> Any:
    known = {"gelu": F.gelu, "gelu_new": _tanh_gelu, "gelu_pytorch_tanh": _tanh_gelu, "relu": F.relu, "silu": F.silu, "swish": F.silu}
    if name not in known:
        raise _C.Error(f"[models] the activation {name!r} is not known; there are {', '.join(known)}")
    return known[name]


def _tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def heads(x: Tensor, count: int) -> Tensor:
    """(batch, time, count * width) -> (batch, count, time, width)"""
    return x.reshape(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, cache: Cache | None, layer: int, dropout: float = 0.0) -> Tensor:
    """Causal attention over the cache and what is new: (batch, heads, time, width) -> (batch, time, heads * width).
    The cache takes the new keys and values in."""
    if cache is not None:
        if layer < len(cache):
            k, v = (_C.concat([old, new], 2) for old, new in zip(cache[layer], (k, v)))
            cache[layer] = (k, v)
        else:
            cache.append((k, v))
    new, seen = q.shape[2], k.shape[2]
    mask = None
    if 1 < new < seen:
        rows = deepseek.arange(seen - new, seen).reshape(new, 1)
        mask = deepseek.arange(seen) <= rows
    out = F.scaled_dot_product_attention(q, k, v, mask, dropout, new == seen, enable_gqa=q.shape[1] != k.shape[1])
    return out.transpose(1, 2).reshape(q.shape[0], new, -1)


def seen(cache: Cache | None) -> int:
    """How many positions the cache holds."""
    return cache[0][0].shape[2] if cache else 0


class LanguageModel(nn.Module):
    """forward(input_ids (batch, time) int64, cache=None) -> logits (batch, time, vocabulary)."""

    def generate(self, input_ids: Tensor, max_new_tokens: int, temperature: float = 0.0, top_k: int | None = None, eos_token_id: int | None = None) -> Tensor:
        """input_ids continued: the likeliest token each time at temperature 0, else drawn (among the top_k). Stops
        early when every row has given eos_token_id."""
        cache: Cache = []
        out = new = input_ids
        ended = None
        before = _C.set_grad_enabled(False)
        try:
            for _ in range(max_new_tokens):
                logits = self(new, cache)
                new = _pick(logits[:, -1], temperature, top_k).reshape(-1, 1)
                if eos_token_id is not None:
                    new = new if ended is None else _C.where(ended, deepseek.full_like(new, eos_token_id), new)
                    ended = new == eos_token_id
                out = _C.concat([out, new], 1)
                if ended is not None and bool(_C.all(ended)):
                    break
        finally:
            _C.set_grad_enabled(before)
        return out


def _pick(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """One token a row of logits (batch, vocabulary): drawn by adding Gumbel noise and taking the largest."""
    if temperature <= 0:
        return _C.argmax(logits, -1, False)
    if top_k is not None:
        least = deepseek.topk(logits, min(top_k, logits.shape[-1]))[0][:, -1:]
        logits = _C.where(logits < least, deepseek.full_like(logits, float("-inf")), logits)
    noise = -_C.log(-_C.log(deepseek.rand(*logits.shape) * (1 - 2e-7) + 1e-7))
    return _C.argmax(logits / temperature + noise, -1, False)
