"""Models in and out of ONNX files. Needs the `onnx` package, which is imported when one of these is first used."""

from __future__ import annotations

from typing import Any

_PLACES = {"load": "model", "Model": "model", "Backend": "backend", "export": "exporter"}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'deepseek.onnx' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
    globals()[name] = value
    return value
