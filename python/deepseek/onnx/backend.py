"""ONNX's own backend interface, for `onnx.backend.test` and whoever speaks it."""

from __future__ import annotations

from typing import Any

import onnx
from onnx.backend.base import Backend as BackendBase
from onnx.backend.base import BackendRep

from .model import Model
from .values import code_of, to_numpy


def _info(name: str, array: Any) -> Any:
    return onnx.helper.make_tensor_value_info(name, code_of(array), list(array.shape))


class Prepared(BackendRep):
    def __init__(self, model: Model):
        self.model = model

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """NumPy arrays in, NumPy arrays (lists of them for sequences) out."""
        if isinstance(inputs, dict):
            return tuple(to_numpy(v) for v in self.model.run((), inputs))
        inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return tuple(to_numpy(v) for v in self.model.run(inputs))


class Backend(BackendBase):
    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **_: Any) -> Prepared:
        onnx.checker.check_model(model)
        return Prepared(Model(model))

    @classmethod
    def run_node(cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any) -> Any:
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        named = list(zip(node.input, inputs))
        graph = onnx.helper.make_graph(
            [node], "node", [_info(n, v) for n, v in named if n],
            [onnx.helper.make_empty_tensor_value_info(o) for o in node.output if o])  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return tuple(to_numpy(v) for v in Model(model).run([v for n, v in named if n]))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"
