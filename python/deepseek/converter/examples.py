"""Example inputs: as they are given, or guessed from what a model says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import _C
from .state import to_torch


def _tensor(v: Any) -> Any:
    if isinstance(v, _C.Tensor):
        return to_torch(v)
    if isinstance(v, Mapping):
        return {k: _tensor(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return type(v)(map(_tensor, v))
    return to_torch(_C.from_array(v)) if type(v).__module__ == "numpy" else v


def as_arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(args, kwargs) of a tensor, a tuple of arguments or a dict by name."""
    if isinstance(example, Mapping):
        return (), {str(k): _tensor(v) for k, v in example.items()}
    if isinstance(example, (list, tuple)):
        if len(example) == 2 and isinstance(example[0], tuple) and isinstance(example[1], dict):
            return tuple(map(_tensor, example[0])), {k: _tensor(v) for k, v in example[1].items()}
        return tuple(map(_tensor, example)), {}
    return (_tensor(example),), {}


def guess(module: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first guess that the module runs on."""
    import torch

    tried = 0
    modes = {m: m.training for m in module.modules()}
    try:
        module.eval()
        for args, kwargs in _guesses(module):
            tried += 1
            try:
                with torch.no_grad():
                    module(*args, **kwargs)
                return args, kwargs
            except Exception:
                continue
    finally:
        for m, mode in modes.items():
            m.training = mode
    raise _C.Error(f"[from_pytorch] no inputs could be guessed for {type(module).__name__} ({tried} tried): give example_inputs")


def _guesses(module: Any) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    import torch

    main = getattr(module, "main_input_name", None)
    if isinstance(getattr(module, "dummy_inputs", None), Mapping) and main:
        ids = torch.arange(8).reshape(1, 8) % 7 + 1
        if main == "input_ids":
            yield (), {"input_ids": ids}
            yield (), {"input_ids": ids, "decoder_input_ids": ids}
        yield (), dict(module.dummy_inputs)
    size = (getattr(module, "default_cfg", None) or {}).get("input_size")
    if size:
        yield (torch.randn(2, *size),), {}
    config: Any = getattr(module, "config", None)
    side = getattr(config, "image_size", None)
    if main == "pixel_values" and isinstance(side, int):
        yield (), {"pixel_values": torch.randn(2, getattr(config, "num_channels", 3), side, side)}
    for m in module.modules():
        shapes = _shapes_of(m)
        if shapes is not None:
            yield from shapes
            return


def _shapes_of(m: Any) -> list[Any] | None:
    """Inputs for a first layer; None if it says nothing of them."""
    import torch
    from torch import nn

    def all_of(*shapes: tuple[int, ...]) -> list[Any]:
        return [((torch.randn(*s),), {}) for s in shapes]

    if isinstance(m, nn.Embedding):
        return [((torch.arange(16).reshape(2, 8) % m.num_embeddings,), {})]
    if isinstance(m, nn.Linear):
        n = m.in_features
        return all_of((2, n), (2, 8, n))
    if isinstance(m, (nn.RNNBase,)):
        return all_of((2, 8, m.input_size))
    if isinstance(m, (nn.Conv1d, nn.ConvTranspose1d)):
        return all_of((2, m.in_channels, 64), (2, m.in_channels, 1024))
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
        return all_of(*((2, m.in_channels, s, s) for s in (224, 32, 28, 64, 96, 256, 299, 8)))
    if isinstance(m, (nn.Conv3d, nn.ConvTranspose3d)):
        return all_of((2, m.in_channels, 8, 64, 64), (2, m.in_channels, 16, 112, 112))
    if isinstance(m, (nn.BatchNorm1d, nn.LayerNorm)):
        n = m.num_features if isinstance(m, nn.BatchNorm1d) else m.normalized_shape[-1]
        return all_of((2, n), (2, 8, n))
    if isinstance(m, nn.BatchNorm2d):
        return all_of((2, m.num_features, 32, 32))
    return None
