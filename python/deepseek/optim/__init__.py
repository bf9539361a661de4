"""Optimizers, schedules of learning rates, and averages of parameters."""

from . import averages as swa_utils
from . import lr_scheduler
from .adam import LAMB, Adam, Adamax, AdamW, NAdam, RAdam
from .adamw8bit import AdamW8bit
from .averages import EMA, AveragedModel, update_bn
from .matrix import Adafactor, Muon
from .optimizer import Optimizer
from .sgd import SGD, Adadelta, Adagrad, Lion, RMSprop

setattr(swa_utils, "SWALR", lr_scheduler.SWALR)  # where PyTorch has it  # noqa: B010

__all__ = [
    "EMA", "LAMB", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "AdamW8bit", "Adamax", "AveragedModel", "Lion", "Muon", "NAdam",
    "Optimizer", "RAdam", "RMSprop", "lr_scheduler", "swa_utils", "update_bn",
]  # fmt: skip
