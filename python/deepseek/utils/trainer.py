"""The training loop: gradient accumulation, mixed precision, clipping, schedules, validation, progress and a history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, Callable

from .. import _C, job
from .._C import Tensor
from ..amp import GradScaler, autocast
from ..nn.utils import clip_grad_norm_
from .history import History
from .progress import Progress


class Trainer:
    """fit() trains, evaluate() measures; a batch is (inputs..., target), and loss(output, target) what is made small.

    metrics: functions of (output, target) by name. scheduler: stepped after each update, or after each epoch if
    scheduler_every="epoch". precision: a dtype for autocast; float16 brings loss scaling. In a script job every update is
    a line of the job's history.
    """

    def __init__(
        self, model: Any, optimizer: Any, loss: Callable[[Any, Any], Tensor], *, gradient_accumulation_steps: int = 1, precision: Any = None,
        clip_grad_norm: float | None = None, scheduler: Any = None, scheduler_every: str = "step",
        metrics: dict[str, Callable[[Any, Any], Any]] | None = None, ema: Any = None, progress: bool = True,
    ) -> None:  # fmt: skip
        if gradient_accumulation_steps < 1:
            raise _C.Error(f"[Trainer] gradient_accumulation_steps {gradient_accumulation_steps} must be 1 or more")
        if scheduler_every not in ("step", "epoch"):
            raise _C.Error(f"[Trainer] scheduler_every {scheduler_every!r} is neither 'step' nor 'epoch'")
        self.model, self.optimizer, self.loss, self.metrics = model, optimizer, loss, metrics or {}
        self.accumulate, self.clip, self.scheduler, self.scheduler_every = gradient_accumulation_steps, clip_grad_norm, scheduler, scheduler_every
        self.precision = None if precision is None else _C.to_dtype(precision)
        self.scaler = GradScaler() if self.precision is not None and self.precision.name == "float16" else None
        self.ema, self.progress = ema, progress
        self.history = History()
        self.epoch = self.updates = 0

    def _forward(self, batch: Any) -> tuple[Any, Any, Tensor]:
        if not isinstance(batch, (list, tuple)) or len(batch) < 2:
            raise TypeError("Trainer: a batch must be (inputs..., target); pass a loader whose batches are")
        *inputs, target = batch
        with autocast(self.precision) if self.precision is not None else contextlib.nullcontext():
            output = self.model(*inputs)
            return output, target, self.loss(output, target)

    def _update(self) -> None:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.clip is not None:
            clip_grad_norm_(_parameters(self.optimizer), self.clip)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.updates += 1
        if self.ema is not None:
            self.ema.update()
        if self.scheduler is not None and self.scheduler_every == "step":
            self.scheduler.step()

    def train_epoch(self, loader: Iterable[Any], label: str = "train") -> dict[str, float]:
        """One pass over the loader. The last update may be of fewer batches: it is divided by how many they are."""
        self.model.train()
        bar = Progress(loader, label) if self.progress else None
        steps = bar.total if bar else _length(loader)
        total, count, pending = 0.0, 0, 0
        self.optimizer.zero_grad()
        for i, batch in enumerate(bar or loader):
            if pending == 0:
                share = min(self.accumulate, steps - i) if steps else self.accumulate
            output, target, loss = self._forward(batch)
            scaled = loss / share if share > 1 else loss
            (scaled if self.scaler is None else self.scaler.scale(scaled)).backward()
            pending += 1
            if pending == share:
                self._update()
                pending = 0
            else:
                _C.flush([])  # the gradients so far, so that this batch's graph goes
            value = loss.item()
            total, count = total + value, count + 1
            self.history.record(loss=value)
            if pending == 0:
                job.report(self.updates, loss=value, epoch=max(self.epoch - 1, 0))
            if bar:
                bar.set(loss=total / count, lr=self.optimizer.param_groups[0]["lr"])
        if pending:
            self._update()
        if self.scheduler is not None and self.scheduler_every == "epoch":
            self.scheduler.step()
        return {"loss": total / max(count, 1)}

    def evaluate(self, loader: Iterable[Any], label: str = "evaluate") -> dict[str, float]:
        """Means of loss and metrics over the loader's samples, without gradients."""
        training = self.model.training
        self.model.eval()
        sums: dict[str, float] = {}
        samples = 0
        on = _C.set_grad_enabled(False)
        try:
            for batch in Progress(loader, label) if self.progress else loader:
                output, target, loss = self._forward(batch)
                n = target.shape[0] if getattr(target, "ndim", 0) else 1
                values = {"loss": loss, **{k: f(output, target) for k, f in self.metrics.items()}}
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * n
                samples += n
        finally:
            _C.set_grad_enabled(on)
            self.model.train(training)
        return {k: v / max(samples, 1) for k, v in sums.items()}

    def fit(self, loader: Iterable[Any], epochs: int = 1, validation: Iterable[Any] | None = None, live_plot: bool = False) -> History:
        """Trains for so many epochs; the history tells of each."""
        if live_plot:
            self.history.plot(live=True)
        for _ in range(epochs):
            self.epoch += 1
            label = f"epoch {self.epoch}"
            values = self.train_epoch(loader, label)
            if validation is not None:
                values.update({f"val_{k}": v for k, v in self.evaluate(validation, f"{label} validation").items()})
                job.report(self.updates, epoch=self.epoch - 1, test_loss=values["val_loss"], test_accuracy=values.get("val_accuracy"))
                if self.progress:
                    print("  ".join(f"{k} {v:.4f}" for k, v in values.items()))
            self.history.end_epoch(**values)
        return self.history

    def state_dict(self) -> dict[str, Any]:
        """All it takes to go on: model, optimizer, schedule, scaler, averages and history."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "scaler": self.scaler, "ema": self.ema, "history": self.history}
        out = {k: v.state_dict() for k, v in parts.items() if v is not None}
        return {**out, "epoch": self.epoch, "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("model", "optimizer", "scheduler", "scaler", "ema", "history"):
            part = getattr(self, name)
            if part is not None:
                if name not in state:
                    raise _C.Error(f"[Trainer] the state lacks {name!r}")
                part.load_state_dict(state[name])
        self.epoch, self.updates = state["epoch"], state["updates"]


def _parameters(optimizer: Any) -> list[Tensor]:
    return [p for g in optimizer.param_groups for p in g["params"]]


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The share of rows whose largest output is the target class."""
    return _C.mean(_C.cast(_C.argmax(output, 1, False) == target, _C.float32))


def fit(
    model: Any, loader: Iterable[Any], optimizer: Any, loss: Callable[[Any, Any], Tensor], *, epochs: int = 1, validation: Iterable[Any] | None = None,
    live_plot: bool = False, **options: Any,
) -> History:  # fmt: skip
    """Trainer(model, optimizer, loss, **options).fit(loader, epochs, validation, live_plot)."""
    return Trainer(model, optimizer, loss, **options).fit(loader, epochs, validation, live_plot)
