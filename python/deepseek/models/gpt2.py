"""GPT-2."""

from __future__ import annotations

from dataclasses import dataclass

import deepseek

from .. import _C, nn
from .._C import Tensor
from ._common import Cache, LanguageModel, activation, attend, heads, seen


@dataclass
class GPT2Config:
    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False


class Conv1D(nn.Module):
    """x W + b with W (in, out), as GPT-2's checkpoints have it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(deepseek.randn(inputs, outputs) * 0.02)
        self.bias = nn.Parameter(deepseek.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return _C.matmul(x, self.weight) + self.bias


class Attention(nn.Module):
    def __init__(self, c: GPT2Config, layer: int) -> None:
        super().__init__()
        if not c.scale_attn_weights or c.scale_attn_by_inverse_layer_idx:
            raise _C.Error("[GPT2] only attention scaled by 1/sqrt(width) is known")
        self.count, self.layer, self.dropout = c.n_head, layer, c.attn_pdrop
        self.c_attn = Conv1D(c.n_embd, 3 * c.n_embd)
        self.c_proj = Conv1D(c.n_embd, c.n_embd)
        self.resid_dropout = nn.Dropout(c.resid_pdrop)

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        q, k, v = (heads(t, self.count) for t in deepseek.chunk(self.c_attn(x), 3, -1))
        out = attend(q, k, v, cache, self.layer, self.dropout if self.training else 0.0)
        return self.resid_dropout(self.c_proj(out))


class MLP(nn.Module):
    def __init__(self, c: GPT2Config) -> None:
        super().__init__()
        inner = c.n_inner or 4 * c.n_embd
        self.c_fc, self.c_proj = Conv1D(c.n_embd, inner), Conv1D(inner, c.n_embd)
        self.act, self.dropout = activation(c.activation_function), nn.Dropout(c.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class Block(nn.Module):
    def __init__(self, c: GPT2Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        self.attn = Attention(c, layer)
        self.ln_2 = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)
        self.mlp = MLP(c)

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, c: GPT2Config) -> None:
        super().__init__()
        self.wte = nn.Embedding(c.vocab_size, c.n_embd)
        self.wpe = nn.Embedding(c.n_positions, c.n_embd)
        self.drop = nn.Dropout(c.embd_pdrop)
        self.h = nn.ModuleList([Block(c, i) for i in range(c.n_layer)])
        self.ln_f = nn.LayerNorm(c.n_embd, eps=c.layer_norm_epsilon)

    def forward(self, input_ids: Tensor, cache: Cache | None) -> Tensor:
        first = seen(cache)
        last = first + input_ids.shape[1]
        if last > self.wpe.weight.shape[0]:
            raise _C.Error(f"[GPT2] {last} positions, the model has {self.wpe.weight.shape[0]}")
        x = self.drop(self.wte(input_ids) + self.wpe(deepseek.arange(first, last)))
        for block in self.h:
            x = block(x, cache)
        return self.ln_f(x)


class GPT2(LanguageModel):
    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.transformer.wte.weight

    def forward(self, input_ids: Tensor, cache: Cache | None = None) -> Tensor:
        return self.lm_head(self.transformer(input_ids, cache))
