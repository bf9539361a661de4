"""Recurrent layers over (time, batch, width), a step at a time, by the steps of deepseek.nn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deepseek

from ... import _C
from ... import functional as F
from ..._C import Tensor
from ...nn.rnn import _gru, _lstm, _plain
from . import op

State = tuple[Tensor, ...]  # (h,) or (h, c)
Step = Callable[..., State]


def _direction(x: Tensor, state: State, step: Step, weights: list[Tensor], reverse: bool) -> tuple[Tensor, State]:
    w_ih, w_hh, *biases = weights
    inputs = deepseek.unbind(F.linear(x, w_ih, biases[0] if biases else None))
    outputs = []
    for now in reversed(inputs) if reverse else inputs:
        state = step(now, state, w_hh, biases[1] if biases else None)
        outputs.append(state[0])
    return deepseek.stack(outputs[::-1] if reverse else outputs), state


def _layers(x: Tensor, states: list[State], step: Step, params: list[Tensor], biases: bool, layers: int, p: float, training: bool, bidirectional: bool, batch_first: bool) -> tuple[Tensor, list[State]]:
    per, directions, last = 4 if biases else 2, 1 + bidirectional, []
    x = _C.transpose(x, 0, 1) if batch_first else x
    for layer in range(layers):
        outputs = []
        for k in range(layer * directions, (layer + 1) * directions):
            out, state = _direction(x, states[k], step, params[k * per : (k + 1) * per], k % directions == 1)
            outputs.append(out)
            last.append(state)
        x = outputs[0] if directions == 1 else _C.concat(outputs, -1)
        if layer + 1 < layers:
            x = F.dropout(x, p, training)
    return (_C.transpose(x, 0, 1) if batch_first else x), last


def _layer_op(step: Step) -> Callable[..., tuple[Tensor, ...]]:
    """(input, hx, params, ...) -> (output, h) or (output, h, c); hx is h, or [h, c]."""

    def run(x: Tensor, hx: Any, params: list[Tensor], *rest: Any) -> tuple[Tensor, ...]:
        given = [hx] if isinstance(hx, Tensor) else hx
        out, last = _layers(x, list(zip(*map(deepseek.unbind, given))), step, params, *rest)
        return (out, *map(deepseek.stack, zip(*last)))

    return run


def _cell_op(step: Step) -> Callable[..., Any]:
    def run(x: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
        one = isinstance(hx, Tensor)
        state = step(F.linear(x, w_ih, b_ih), (hx,) if one else tuple(hx), w_hh, b_hh)
        return state[0] if one else state

    return run


for _name, _step in {"lstm": _lstm, "gru": _gru, "rnn_tanh": _plain(_C.tanh), "rnn_relu": _plain(_C.relu)}.items():
    op(_name)(_layer_op(_step))
    op(f"{_name}_cell")(_cell_op(_step))
