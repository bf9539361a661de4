"""Mixed precision: autocast, which narrows the inputs of matrix products, and loss scaling for float16."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from . import _C
from ._autocast import autocast_dtype
from ._C import Tensor


class autocast(contextlib.ContextDecorator):
    """Within it linear, matrix products, convolutions and attention compute in `dtype`; normalisations, softmax and
    losses in float32. Parameters stay as they are: gradients arrive in their own dtype.

    autocast(), autocast(dtype), autocast(device_type, dtype); also a decorator. float16 needs a GradScaler.
    """

    def __init__(self, device_type: Any = "cpu", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None) -> None:
        if not (isinstance(device_type, str) and device_type.split(":")[0] in ("cpu", "cuda", "null")):
            device_type, dtype = "cpu", device_type
        self.device_type = device_type
        default = "float16" if device_type.startswith("cuda") else "bfloat16"
        self.dtype = _C.to_dtype(default if dtype is None else dtype)
        if self.dtype.name not in ("float16", "bfloat16", "float32"):
            raise _C.Error(f"[autocast] dtype {self.dtype} is none of bfloat16, float16, float32")
        self.enabled = enabled
        self._before: list[Any] = []

    def __enter__(self) -> autocast:
        self._before.append(autocast_dtype[0])
        autocast_dtype[0] = self.dtype if self.enabled and self.dtype != _C.float32 else None
        return self

    def __exit__(self, *_: Any) -> None:
        autocast_dtype[0] = self._before.pop()


def is_autocast_enabled(device_type: str = "cpu") -> bool:
    return autocast_dtype[0] is not None


def get_autocast_dtype(device_type: str = "cpu") -> Any:
    return autocast_dtype[0]


class GradScaler:
    """Scales losses so that small gradients survive float16, and leaves out steps whose gradients are not finite.

    scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()
    """

    def __init__(
        self, device: str = "cpu", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        self._scale, self._growth_factor, self._backoff_factor = float(init_scale), growth_factor, backoff_factor
        self._growth_interval, self._enabled = growth_interval, enabled
        self._good_steps = 0
        self._finite: dict[int, bool] = {}  # by optimizer: those unscaled since the last update

    def is_enabled(self) -> bool:
        return self._enabled

    def get_scale(self) -> float:
        return self._scale if self._enabled else 1.0

    def scale(self, outputs: Any) -> Any:
        """The loss, or each of several, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        return type(outputs)(self.scale(o) for o in outputs)

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients by the scale, to clip them before the step."""
        if not self._enabled:
            return
        if id(optimizer) in self._finite:
            raise _C.Error("[GradScaler] unscale_() was called twice since the last update()")
        on = _C.set_grad_enabled(False)
        try:
            total = None
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    wide = p.grad if p.grad.dtype.itemsize >= 4 else _C.cast(p.grad, _C.float32)
                    _C.assign(p.grad, wide * (1.0 / self._scale), "unscale_")
                    part = _C.amax(abs(wide * 0.0))  # NaN where anything is infinite or NaN
                    total = part if total is None else total + part
            if total is not None:
                _C.flush([total])
            self._finite[id(optimizer)] = total is None or math.isfinite(_C.item(total))
        finally:
            _C.set_grad_enabled(on)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(), if every gradient is finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if id(optimizer) not in self._finite:
            self.unscale_(optimizer)
        return optimizer.step(*args, **kwargs) if self._finite[id(optimizer)] else None

    def update(self, new_scale: float | None = None) -> None:
        """A smaller scale after gradients that were not finite, a larger one after growth_interval good steps."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not all(self._finite.values()):
            self._scale *= self._backoff_factor
            self._good_steps = 0
        else:
            self._good_steps += 1
            if self._good_steps == self._growth_interval:
                self._scale *= self._growth_factor
                self._good_steps = 0
        self._finite.clear()

    def state_dict(self) -> dict[str, Any]:
        return {
            "scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval, "_growth_tracker": self._good_steps,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scale, self._growth_factor, self._backoff_factor = state["scale"], state["growth_factor"], state["backoff_factor"]
        self._growth_interval, self._good_steps = state["growth_interval"], state["_growth_tracker"]
