"""Hugging Face checkpoint directories: config.json and safetensors files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import _C
from ._C import Tensor

_NUMPY = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1", "BOOL": "?",
          "U16": "u2", "U32": "u4", "U64": "u8"}  # fmt: skip


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of one file, over its mapped memory."""
    import numpy as np

    raw = np.memmap(path, dtype=np.uint8, mode="c")
    size = int(raw[:8].view("<u8")[0])
    header = json.loads(raw[8 : 8 + size].tobytes())
    header.pop("__metadata__", None)
    out = {}
    for name, about in header.items():
        first, last = (8 + size + o for o in about["data_offsets"])
        out[name] = _tensor(raw[first:last], about["dtype"], about["shape"], name)
    return out


def _tensor(data: Any, dtype: str, shape: list[int], name: str) -> Tensor:
    import numpy as np

    if dtype == "BF16":  # the upper half of a float32
        wide = (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return _C.cast(_C.from_array(wide.reshape(shape)), _C.bfloat16)
    if dtype not in _NUMPY:
        raise _C.Error(f"[read_safetensors] {name} is of dtype {dtype}, which is not known")
    return _C.from_array(np.asarray(data.view(_NUMPY[dtype]).reshape(shape)))


def read_checkpoint(directory: Path) -> dict[str, Tensor]:
    """Every tensor of model.safetensors, or of the files that model.safetensors.index.json names."""
    index = directory / "model.safetensors.index.json"
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    elif (directory / "model.safetensors").exists():
        files = ["model.safetensors"]
    else:
        raise FileNotFoundError(f"[load_huggingface] {directory} has no model.safetensors and no model.safetensors.index.json")
    return {k: v for f in files for k, v in read_safetensors(directory / f).items()}


def _llama_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Mistral and Qwen2 differ from Llama by settings only; what is more than that is refused."""
    kind = config["model_type"]
    if kind == "qwen2":
        config = {**config, "attention_bias": True, "output_bias": False}
        windowed = config.get("use_sliding_window")
    else:
        windowed = kind == "mistral" and config.get("sliding_window") is not None
    if windowed:
        raise _C.Error(f"[load_huggingface] {kind} with a sliding window of {config['sliding_window']} is not known")
    return config


def load_huggingface(directory: str | os.PathLike[str], dtype: Any = None) -> Any:
    """The GPT-2 or Llama model (also Mistral and Qwen2 without sliding windows) of a checkpoint directory, in evaluation
    mode; `dtype` converts the weights. Names are those of the checkpoint."""
    from .models import GPT2, GPT2Config, Llama, LlamaConfig
    from .models._common import from_config

    directory = Path(directory)
    if not (directory / "config.json").exists():
        raise FileNotFoundError(f"[load_huggingface] {directory} has no config.json")
    config = json.loads((directory / "config.json").read_text())
    kind = config.get("model_type")
    if kind == "gpt2":
        model: Any = GPT2(from_config(GPT2Config, config))
    elif kind in ("llama", "mistral", "qwen2"):
        model = Llama(from_config(LlamaConfig, _llama_settings(config)))
    else:
        raise _C.Error(f"[load_huggingface] model_type {kind!r} is not known; there are gpt2, llama, mistral and qwen2")
    _load(model, read_checkpoint(directory), kind)
    model = model.eval()
    return model if dtype is None else model.to(dtype=dtype)


def _load(model: Any, state: dict[str, Tensor], kind: str) -> None:
    wanted = model.state_dict()
    prefix = "transformer." if kind == "gpt2" else "model."
    named = {k if k in wanted or prefix + k not in wanted else prefix + k: v for k, v in state.items()}
    ignored = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # older files keep masks and angles
    named = {k: v for k, v in named.items() if not k.endswith(ignored)}
    tied = {"lm_head.weight": f"{prefix}{'wte' if kind == 'gpt2' else 'embed_tokens'}.weight"}
    if model.config.tie_word_embeddings:
        for k, other in tied.items():
            if k not in named and other in named:
                named[k] = named[other]
    dtypes = {v.dtype for v in named.values()}
    if len(dtypes) == 1:
        model.to(dtype=dtypes.pop())
    model.load_state_dict(named)
