"""The record of a training: metrics by name, and their curves."""

from __future__ import annotations

from typing import Any


class History:
    """history["loss"]: the values of every step; history.epochs: a dict of means for each epoch."""

    def __init__(self) -> None:
        self.steps: dict[str, list[float]] = {}
        self.epochs: list[dict[str, float]] = []
        self._figure: Any = None

    def __getitem__(self, name: str) -> list[float]:
        return self.steps[name]

    def __contains__(self, name: str) -> bool:
        return name in self.steps

    def record(self, **values: float) -> None:
        for name, value in values.items():
            self.steps.setdefault(name, []).append(float(value))
        if self._figure is not None and len(self.steps.get("loss", ())) % 25 == 0:
            self._draw()

    def replace(self, steps: dict[str, list[float]]) -> None:
        """Another record in the place of this one, which a live figure shows at once."""
        self.steps = {name: values for name, values in steps.items() if values}
        if self._figure is not None:
            self._draw()

    def end_epoch(self, **values: float) -> None:
        self.epochs.append({k: float(v) for k, v in values.items()})
        if self._figure is not None:
            self._draw()

    def plot(self, live: bool = False, path: Any = None) -> Any:
        """Curves by Matplotlib; live: the figure stays open and follows the training; path: they are saved there."""
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(10, 4))
        self._figure = (figure, axes)
        if live:
            plt.ion()
        self._draw()
        if path is not None:
            figure.savefig(path)
        if not live:
            self._figure = None
        return figure

    def _draw(self) -> None:
        figure, (left, right) = self._figure
        for axis, title in ((left, "step"), (right, "epoch")):
            axis.clear()
            axis.set_xlabel(title)
        for name, values in self.steps.items():
            left.plot(values, label=name, linewidth=0.8)
        for name in sorted({k for e in self.epochs for k in e}):
            points = [(i + 1, e[name]) for i, e in enumerate(self.epochs) if name in e]
            right.plot(*zip(*points), marker="o", label=name)
        for axis in (left, right):
            if axis.lines:
                axis.legend()
        figure.canvas.draw_idle()
        figure.canvas.flush_events()

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "epochs": self.epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.epochs = dict(state["steps"]), list(state["epochs"])

    def __repr__(self) -> str:
        n = max((len(v) for v in self.steps.values()), default=0)
        last = ", ".join(f"{k} {v:.4g}" for k, v in self.epochs[-1].items()) if self.epochs else "none yet"
        return f"History({n} steps, {len(self.epochs)} epochs; last: {last})"
