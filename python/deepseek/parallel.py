"""How a job is spread over ranks, and data parallelism for scripts that run as several: DistributedModel(model)."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

from . import _C, _tensor, distributed
from .autograd import no_grad
from .nn import Module

_models: weakref.WeakSet[DistributedModel] = weakref.WeakSet()
_numbers = itertools.count()


@dataclasses.dataclass
class DistributedStrategy:
    """data_parallel: ranks, each with an equal part of every batch. zero: 1 shares the optimizer's states out, 0 does not."""

    data_parallel: int = 1
    zero: int = 1


class DistributedModel(Module):
    """The model, with each backward() followed by the mean of its gradients over all ranks.

    At the start every rank gets rank 0's parameters and buffers. A loss that is a mean over each rank's part of the
    batch then trains as one process would with the whole batch. Every rank must do the same backward passes; parameters
    that a pass does not reach count as zero.
    """

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module
        self._synchronise = True
        self._number = next(_numbers)
        self._buckets: list[_Bucket] = []
        if distributed.get_world_size() > 1:
            with no_grad():
                for value in [*module.parameters(), *module.buffers()]:
                    distributed.broadcast(value, 0)
            by_dtype: dict[str, list[Any]] = {}
            for p in module.parameters():
                if p.requires_grad:
                    by_dtype.setdefault(p.dtype.name, []).append(p)
            self._buckets = [_Bucket(dtype, parameters) for dtype, parameters in by_dtype.items()]
            self._seen = self._gradients()
            _models.add(self)
            if _average_changed not in _tensor.after_backward:
                _tensor.after_backward.append(_average_changed)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own: names do not change by being distributed."""
        return self.module.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.module.load_state_dict(*args, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Backward passes inside only gather on this rank: for all but the last of an accumulation."""
        before, self._synchronise = self._synchronise, False
        try:
            yield
        finally:
            self._synchronise = before

    def average_gradients(self) -> None:
        """What follows each backward() outside of no_sync()."""
        for bucket in self._buckets:
            bucket.average()

    def _gradients(self) -> list[Any]:
        """What tells whether a gradient has changed: the object, and how often it was written."""
        grads = [p.grad for bucket in self._buckets for p in bucket.parameters]
        return [None if g is None else (id(g), _C.version(g)) for g in grads]


def _average_changed() -> None:
    """After each backward(): the models whose gradients it changed."""
    for model in sorted(_models, key=lambda m: m._number):  # the same order on every rank
        now = model._gradients()
        if now != model._seen and model._synchronise:
            model.average_gradients()
            now = model._gradients()
        model._seen = now


class _Bucket:
    """Gradients of one dtype, side by side in memory that the ranks share; half-precision ones are summed in float32."""

    def __init__(self, dtype: str, parameters: list[Any]) -> None:
        self.parameters = parameters
        self.dtype = dtype if dtype == "float64" else "float32"
        self.words, self.sum = distributed._shared_words(sum(p.numel() for p in parameters), self.dtype)

    def average(self) -> None:
        import numpy as np

        grads = [p.grad for p in self.parameters]
        _C.eval([g for g in grads if g is not None])
        at = 0
        for p, g in zip(self.parameters, grads):
            part = self.words[at : at + p.numel()]
            part[:] = 0 if g is None else np.asarray(_C.numpy(g.detach(), True)).reshape(-1)
            at += p.numel()
        self.sum()
        mean = self.words / distributed.get_world_size()
        at = 0
        for p in self.parameters:
            p.grad = _C.cast(_C.from_array(mean[at : at + p.numel()].reshape(p.shape)), p.dtype)
            at += p.numel()
