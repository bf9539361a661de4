"""Tensors from PyTorch and to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from .. import _C
from .._C import Tensor


def from_torch(t: Any) -> Tensor:
    """A copy of a torch tensor, with gradients off."""
    import torch

    t = t.detach().to("cpu").contiguous()
    if t.dtype == torch.bool:  # older DLPack has none
        return _C.cast(_C.from_array(t.to(torch.uint8)), _C.bool)
    return _C.clone(_C.from_array(t.resolve_conj()))


def to_torch(x: Tensor) -> Any:
    """A torch tensor with the values of x, in memory of its own."""
    import torch

    array = _C.numpy(_C.detach(x), True)
    name = array.dtype.name
    if not array.size:
        return torch.empty(array.shape, dtype=getattr(torch, name))
    out = torch.frombuffer(bytearray(array.tobytes()), dtype=getattr(torch, name)).reshape(array.shape)
    return out.to(torch.bfloat16) if x.dtype == _C.bfloat16 else out


def dtype_of(t: Any) -> Any:
    """Our dtype for a torch.dtype."""
    name = str(t).removeprefix("torch.")
    dtype = getattr(_C, name, None)
    if dtype is None:
        raise _C.Error(f"[convert] there is no dtype {name}")
    return dtype


def to_pytorch(model: Any) -> dict[str, Any]:
    """The state_dict of `model` (or a dict of tensors) as PyTorch's load_state_dict takes it. Tied weights stay tied."""
    state: Mapping[str, Tensor] = model if isinstance(model, Mapping) else model.state_dict(keep_vars=True)
    done: dict[int, Any] = {}
    for v in state.values():
        if id(v) not in done:
            done[id(v)] = to_torch(v)
    return {k: done[id(v)] for k, v in state.items()}


def load_pytorch(model: Any, state: Mapping[str, Any]) -> Any:
    """Loads a PyTorch state_dict into a model that was converted from the same architecture."""
    import torch

    return model.load_state_dict({k: from_torch(v) if isinstance(v, torch.Tensor) else v for k, v in state.items()})


@contextlib.contextmanager
def unwrapped(module: Any) -> Iterator[Any]:
    """The module within DataParallel, DistributedDataParallel, FSDP and torch.compile wrappers, its parameters whole."""
    with contextlib.ExitStack() as stack:
        while True:
            kind = type(module).__name__
            if kind == "FullyShardedDataParallel":
                stack.enter_context(type(module).summon_full_params(module, writeback=False))
            if kind in ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"):
                module = module.module
            elif kind == "OptimizedModule":
                module = module._orig_mod
            else:
                break
        yield module
