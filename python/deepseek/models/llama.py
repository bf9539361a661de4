"""Llama, and what is built like it (Mistral without a sliding window, Qwen2 with its biases)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .. import _C, nn
from .._C import Tensor
from ._common import Cache, LanguageModel, activation, attend, heads, seen


@dataclass
class LlamaConfig:
    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] = field(default_factory=dict)
    rope_parameters: dict[str, Any] = field(default_factory=dict)  # newer files: rope_theta and rope_scaling in one
    attention_bias: bool = False
    output_bias: bool | None = None  # of o_proj; as attention_bias unless said
    mlp_bias: bool = False
    tie_word_embeddings: bool = False


def inverse_frequencies(c: LlamaConfig) -> Any:
    """The rotations per position of each pair of channels: plain, linear or Llama 3's by parts."""
    import numpy as np

    rope = {**c.rope_scaling, **c.rope_parameters}
    width = c.head_dim or c.hidden_size // c.num_attention_heads
    f = 1.0 / rope.get("rope_theta", c.rope_theta) ** (np.arange(0, width, 2, dtype=np.float64) / width)
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return f
    if kind == "linear":
        return f / rope["factor"]
    if kind != "llama3":
        raise _C.Error(f"[Llama] rope of type {kind!r} is not known; there are default, linear and llama3")
    length = 2 * math.pi / f
    context, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    smooth = np.clip((context / length - low) / (high - low), 0, 1)
    return (1 - smooth) * f / rope["factor"] + smooth * f


class Rotary:
    """Cosines and sines (time, width) for positions from `first` on."""

    def __init__(self, c: LlamaConfig) -> None:
        self.frequencies = inverse_frequencies(c)

    def __call__(self, first: int, count: int, dtype: Any) -> tuple[Tensor, Tensor]:
        import numpy as np

        angles = np.outer(np.arange(first, first + count), np.concatenate([self.frequencies, self.frequencies]))
        cos, sin = (_C.cast(_C.from_array(f(angles).astype(np.float32)), dtype) for f in (np.cos, np.sin))
        return cos, sin


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = _C.concat([-_C.slice(x, -1, half, 2 * half, 1), _C.slice(x, -1, 0, half, 1)], -1)
    return x * cos + turned * sin


class Attention(nn.Module):
    def __init__(self, c: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.shared = layer, c.num_attention_heads, c.num_key_value_heads or c.num_attention_heads
        width = c.head_dim or c.hidden_size // c.num_attention_heads
        self.q_proj = nn.Linear(c.hidden_size, self.heads * width, bias=c.attention_bias)
        self.k_proj = nn.Linear(c.hidden_size, self.shared * width, bias=c.attention_bias)
        self.v_proj = nn.Linear(c.hidden_size, self.shared * width, bias=c.attention_bias)
        self.o_proj = nn.Linear(self.heads * width, c.hidden_size, bias=c.attention_bias if c.output_bias is None else c.output_bias)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        q = rotate(heads(self.q_proj(x), self.heads), *turns)
        k = rotate(heads(self.k_proj(x), self.shared), *turns)
        return self.o_proj(attend(q, k, heads(self.v_proj(x), self.shared), cache, self.layer))


class MLP(nn.Module):
    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=c.mlp_bias)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=c.mlp_bias)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=c.mlp_bias)
        self.act = activation(c.hidden_act)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(c, layer), MLP(c)
        self.input_layernorm = nn.RMSNorm(c.hidden_size, eps=c.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden_size, eps=c.rms_norm_eps)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], cache: Cache | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turns, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, c: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList([Block(c, i) for i in range(c.num_hidden_layers)])
        self.norm = nn.RMSNorm(c.hidden_size, eps=c.rms_norm_eps)
        self.rotary = Rotary(c)

    def forward(self, input_ids: Tensor, cache: Cache | None) -> Tensor:
        x = self.embed_tokens(input_ids)
        turns = self.rotary(seen(cache), input_ids.shape[1], x.dtype)
        for layer in self.layers:
            x = layer(x, turns, cache)
        return self.norm(x)


class Llama(LanguageModel):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids: Tensor, cache: Cache | None = None) -> Tensor:
        return self.lm_head(self.model(input_ids, cache))
