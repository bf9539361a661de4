"""Averages of parameters over time: exponential ones, and those of stochastic weight averaging."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from .. import _C
from .._C import Tensor
from ..nn.module import Module


class EMA:
    """Exponential moving averages: update() after each step, then `with ema.average_parameters():` to evaluate."""

    def __init__(self, parameters: Any, decay: float = 0.999) -> None:
        if not 0 <= decay <= 1:
            raise _C.Error(f"[EMA] decay {decay} is not in [0, 1]")
        self.parameters = list(parameters.parameters() if isinstance(parameters, Module) else parameters)
        self.decay, self.updates = decay, 0
        self.averages = [p.detach().clone() for p in self.parameters]

    def update(self) -> None:
        """average = d * average + (1 - d) * parameter; d grows from 0.1 to decay over the first updates."""
        self.updates += 1
        d = min(self.decay, (1 + self.updates) / (10 + self.updates))
        on = _C.set_grad_enabled(False)
        try:
            self.averages = [a * d + p.detach() * (1 - d) for a, p in zip(self.averages, self.parameters)]
            _C.flush(self.averages)
        finally:
            _C.set_grad_enabled(on)

    def copy_to(self) -> None:
        """Writes the averages into the parameters."""
        _write(self.parameters, self.averages)

    @contextlib.contextmanager
    def average_parameters(self) -> Iterator[None]:
        """The parameters are the averages within."""
        kept = [p.detach() for p in self.parameters]
        self.copy_to()
        try:
            yield
        finally:
            _write(self.parameters, kept)

    def state_dict(self) -> dict[str, Any]:
        return {"decay": self.decay, "updates": self.updates, "averages": list(self.averages)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.decay, self.updates = state["decay"], state["updates"]
        self.averages = [a.detach().clone() for a in state["averages"]]


def _write(parameters: list[Tensor], values: list[Tensor]) -> None:
    on = _C.set_grad_enabled(False)
    try:
        for p, v in zip(parameters, values):
            _C.assign(p, v, "average")
        _C.eval(parameters)
    finally:
        _C.set_grad_enabled(on)


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, int], Tensor]:
    return lambda average, p, count: average * decay + p * (1 - decay)


class AveragedModel(Module):
    """A copy of a model that holds the average of its parameters over the calls of update_parameters()."""

    def __init__(self, model: Module, device: str | None = None, avg_fn: Callable[[Tensor, Tensor, int], Tensor] | None = None, use_buffers: bool = False) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", _C.full((), 0.0, _C.int64, "cpu"))
        self.avg_fn, self.use_buffers = avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        n = int(_C.item(self.n_averaged))
        own: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(model.parameters())
        if self.use_buffers:
            own += list(self.module.buffers())
            theirs += list(model.buffers())
        on = _C.set_grad_enabled(False)
        try:
            for a, p in zip(own, theirs):
                now, new = a.detach(), p.detach()
                if n == 0 or not a.dtype.is_floating_point:
                    value = new
                else:
                    value = self.avg_fn(now, new, n) if self.avg_fn else now + (new - now) * (1 / (n + 1))
                _C.assign(a, value, "average")
            if not self.use_buffers:
                for b, c in zip(self.module.buffers(), model.buffers()):
                    _C.assign(b, c.detach(), "average")
            _C.assign(self.n_averaged, self.n_averaged + 1, "average")
            _C.eval([*own, self.n_averaged])
        finally:
            _C.set_grad_enabled(on)


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Batch norms' running statistics anew, from the whole of the data."""
    norms = [m for m in model.modules() if hasattr(m, "reset_running_stats") and getattr(m, "track_running_stats", False)]
    if not norms:
        return
    momenta, training = [m.momentum for m in norms], model.training
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    on = _C.set_grad_enabled(False)
    try:
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
            _C.flush([])
    finally:
        _C.set_grad_enabled(on)
        for m, momentum in zip(norms, momenta):
            m.momentum = momentum
        model.train(training)
