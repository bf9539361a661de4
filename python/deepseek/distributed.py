"""Collectives between processes that each run the same script: PyTorch's names, over shared memory, TCP or RDMA.

A job of the cluster with `model: {script: ...}` starts one process a rank, and init_process_group() finds its peers by
itself. Started by hand, ranks meet in a folder that all of them see: init_process_group("file:///FOLDER", rank, world_size).
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

from . import _C
from ._C import Tensor

__all__ = [
    "all_gather", "all_reduce", "barrier", "broadcast", "destroy_process_group", "get_rank", "get_world_size",
    "init_process_group", "is_initialized", "recv", "reduce_scatter", "send",
]  # fmt: skip

_group: Any = None  # the Communicator of this process


def init_process_group(init_method: str | None = None, rank: int | None = None, world_size: int | None = None, timeout: float = 60) -> None:
    """Meets the other ranks; collective. Without arguments: as the cluster says (RANK, WORLD_SIZE, DS_RENDEZVOUS).

    init_method: file:///FOLDER, seen by all ranks and new for every run. timeout: seconds until a missing rank is an
    error. A script that was started alone is rank 0 of 1.
    """
    global _group
    if _group is not None:
        raise _C.Error("[init_process_group] this process has a group already; destroy_process_group() leaves it")
    rank = _from_environment("RANK", 0) if rank is None else rank
    world_size = _from_environment("WORLD_SIZE", 1) if world_size is None else world_size
    if not 0 <= rank < world_size:
        raise _C.Error(f"[init_process_group] rank {rank} is outside of a world of {world_size}")
    from . import _comm

    endpoint = _comm.endpoint("ucx" if world_size > 1 else "self")
    addresses = [endpoint.address]
    if world_size > 1:
        addresses = _meet(_folder(init_method), rank, world_size, endpoint.address, time.monotonic() + timeout)
    _group = endpoint.connect(rank, addresses, float(timeout))


def _from_environment(name: str, otherwise: int) -> int:
    text = os.environ.get(name, str(otherwise))
    if not text.isdigit():
        raise _C.Error(f"[init_process_group] {name}={text!r} is not a number")
    return int(text)


def _folder(init_method: str | None) -> pathlib.Path:
    if init_method is None:
        if "DS_RENDEZVOUS" not in os.environ:
            raise _C.Error("[init_process_group] several ranks need an init_method, such as file:///FOLDER on a file system that all see")
        return pathlib.Path(os.environ["DS_RENDEZVOUS"])
    if not init_method.startswith("file://"):
        raise _C.Error(f"[init_process_group] the init_method {init_method!r} is not file:///FOLDER")
    return pathlib.Path(init_method[len("file://") :])


def _meet(folder: pathlib.Path, rank: int, world_size: int, address: bytes, deadline: float) -> list[bytes]:
    """Writes down our address and reads the others' as they come."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f".rank-{rank}"
    new.write_bytes(address)
    new.rename(folder / f"rank-{rank}")
    found: list[bytes] = []
    while len(found) < world_size:
        try:
            found.append((folder / f"rank-{len(found)}").read_bytes())
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise _C.Error(f"[init_process_group] rank {len(found)} of {world_size} did not come to {folder} in time") from None
            time.sleep(0.01)
    return found


def destroy_process_group() -> None:
    """Leaves the group, once every rank has come here."""
    global _group
    _comm().barrier()
    _group = None


def is_initialized() -> bool:
    return _group is not None


def _comm() -> Any:
    if _group is None:
        raise _C.Error("[distributed] call init_process_group() first")
    return _group


def get_rank() -> int:
    """Of this process; 0 without a group."""
    return 0 if _group is None else _group.rank


def get_world_size() -> int:
    return 1 if _group is None else _group.size


def _words(x: Tensor, op: str) -> Any:
    """A copy of the elements as NumPy has them; bfloat16 as 16-bit words."""
    import numpy as np

    if not isinstance(x, Tensor):
        raise TypeError(f"[{op}] a Tensor is needed, got {type(x).__name__}")
    array = np.array(_C.numpy(x.detach(), True), order="C")
    return (array.view(np.uint32) >> 16).astype(np.uint16) if x.dtype.name == "bfloat16" else array


def _tensor(words: Any, dtype: Any) -> Tensor:
    import numpy as np

    if dtype.name == "bfloat16":
        return _C.cast(_C.from_array((words.astype(np.uint32) << 16).view(np.float32)), dtype)
    return _C.from_array(words)


def all_reduce(tensor: Tensor, op: str = "sum") -> Tensor:
    """In place: the sum, "max", "min" or "mean" over all ranks, the same bits on each. Returns the tensor."""
    group = _comm()
    words = _words(tensor, "all_reduce")
    group.all_reduce(words, tensor.dtype.name, "sum" if op == "mean" else op)
    result = _tensor(words, tensor.dtype)
    _C.assign(tensor, result / group.size if op == "mean" else result, "all_reduce")
    return tensor


def broadcast(tensor: Tensor, src: int = 0) -> Tensor:
    """In place: rank src's values. Returns the tensor."""
    words = _words(tensor, "broadcast")
    _comm().broadcast(words, _peer(src, "broadcast"))
    _C.assign(tensor, _tensor(words, tensor.dtype), "broadcast")
    return tensor


def all_gather(tensor: Tensor) -> list[Tensor]:
    """Every rank's tensor, in the order of ranks; all of one shape."""
    import numpy as np

    words = _words(tensor, "all_gather")
    out = np.empty((get_world_size(), *words.shape), words.dtype)
    _comm().all_gather(out, words)
    return [_tensor(part.copy(), tensor.dtype) for part in out]


def reduce_scatter(tensor: Tensor, op: str = "sum") -> Tensor:
    """Of the sum over ranks, the part of this one: dimension 0 is cut evenly."""
    import numpy as np

    words = _words(tensor, "reduce_scatter")
    n = get_world_size()
    if words.ndim == 0 or words.shape[0] % n:
        raise _C.Error(f"[reduce_scatter] shape {tuple(tensor.shape)} does not divide into {n} parts along dimension 0")
    out = np.empty((words.shape[0] // n, *words.shape[1:]), words.dtype)
    _comm().reduce_scatter(out, words, tensor.dtype.name, op)
    return _tensor(out, tensor.dtype)


def send(tensor: Tensor, dst: int, tag: int = 0) -> None:
    """To a rank that calls recv() with a tensor of this shape and dtype."""
    _comm().send(_words(tensor, "send"), _peer(dst, "send"), tag)


def recv(tensor: Tensor, src: int, tag: int = 0) -> Tensor:
    """In place. Returns the tensor."""
    words = _words(tensor, "recv")
    _comm().receive(words, _peer(src, "recv"), tag)
    _C.assign(tensor, _tensor(words, tensor.dtype), "recv")
    return tensor


def _peer(rank: int, op: str) -> int:
    if not 0 <= rank < _comm().size:
        raise _C.Error(f"[{op}] rank {rank} is outside of a world of {_comm().size}")
    return rank


def barrier() -> None:
    """Waits for every rank."""
    _comm().barrier()


def _shared_words(count: int, dtype: str) -> tuple[Any, Callable[[], None]]:
    """An array of `count` numbers, which hold anything yet, in memory that peers reach without a copy, and what sums it over the ranks."""
    import numpy as np

    group = _comm()
    kind = np.dtype(dtype)
    words = np.frombuffer(group.allocate(count * kind.itemsize), kind)
    return words, lambda: group.all_reduce(words, dtype, "sum")
