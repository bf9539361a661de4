"""Training loops, progress lines and histories of metrics."""

from .history import History
from .progress import Progress
from .trainer import Trainer, accuracy, fit

__all__ = ["History", "Progress", "Trainer", "accuracy", "fit"]
