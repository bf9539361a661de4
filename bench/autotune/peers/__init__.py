"""AutoTune's peers: name -> the virtual environment beside the bench's that has it (bench/setup), its module and class."""

from __future__ import annotations

import importlib

PEERS = {
    "random": ("bench", "without", "Random"),
    "local": ("bench", "without", "Local"),
    "tpe": ("bench", "optuna", "Tpe"),
    "tpe-group": ("bench", "optuna", "TpeGroup"),
    "gp": ("bench", "optuna", "Gp"),
    "nevergrad": ("autotune-peers", "nevergrad", "Nevergrad"),
    "smac": ("autotune-peers", "smac", "Smac"),
    "smac-black-box": ("autotune-peers", "smac", "SmacBlackBox"),
    "ax": ("autotune-peers", "ax", "Ax"),
    "hebo": ("autotune-hebo", "hebo", "Hebo"),
    "vizier": ("autotune-vizier", "vizier", "Vizier"),
}


def make(name, task, seed, trials):
    _, module, peer = PEERS[name]
    return getattr(importlib.import_module(f"peers.{module}"), peer)(task, seed, trials)
