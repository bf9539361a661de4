"""Recurrent layers over (time, batch, width), a step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import _C
from ... import functional as F
from . import op

Tensor = _C.Tensor
Cell = Callable[..., tuple[Tensor, Any]]


def _steps(x: Tensor) -> list[Tensor]:
    return [_C.squeeze(_C.slice(x, 0, i, i + 1, 1), 0) for i in range(x.shape[0])]


def _parts(x: Tensor, count: int) -> list[Tensor]:
    n = x.shape[-1] // count
    return [_C.slice(x, -1, i * n, (i + 1) * n, 1) for i in range(count)]


def _stacked(xs: list[Tensor]) -> Tensor:
    return _C.concat([_C.unsqueeze(x, 0) for x in xs], 0)


def _lstm(x: Tensor, state: tuple[Tensor, Tensor], w: Tensor, b: Any = None) -> tuple[Tensor, Any]:
    h, c = state
    i, f, g, o = _parts(x + F.linear(h, w, b), 4)
    c = _C.sigmoid(f) * c + _C.sigmoid(i) * _C.tanh(g)
    h = _C.sigmoid(o) * _C.tanh(c)
    return h, (h, c)


def _gru(x: Tensor, h: Tensor, w: Tensor, b: Any = None) -> tuple[Tensor, Any]:
    (xr, xz, xn), (hr, hz, hn) = _parts(x, 3), _parts(F.linear(h, w, b), 3)
    new = _C.tanh(xn + _C.sigmoid(xr + hr) * hn)
    h = new + _C.sigmoid(xz + hz) * (h - new)
    return h, h


def _plain(f: Callable[[Tensor], Tensor]) -> Cell:
    def cell(x: Tensor, h: Tensor, w: Tensor, b: Any = None) -> tuple[Tensor, Any]:
        h = f(x + F.linear(h, w, b))
        return h, h

    return cell


def _direction(x: Tensor, state: Any, cell: Cell, weights: list[Tensor], reverse: bool) -> tuple[Tensor, Any]:
    w_ih, w_hh, *biases = weights
    inputs = _steps(F.linear(x, w_ih, biases[0] if biases else None))
    outputs = []
    for step in reversed(inputs) if reverse else inputs:
        h, state = cell(step, state, w_hh, *biases[1:])
        outputs.append(h)
    return _stacked(outputs[::-1] if reverse else outputs), state


def _layers(x: Tensor, states: list[Any], cell: Cell, params: list[Tensor], biases: bool, layers: int, p: float, training: bool, bidirectional: bool, batch_first: bool) -> tuple[Tensor, list[Any]]:
    per, directions, last = 4 if biases else 2, 1 + bidirectional, []
    x = _C.transpose(x, 0, 1) if batch_first else x
    for layer in range(layers):
        outputs = []
        for k in range(layer * directions, (layer + 1) * directions):
            out, state = _direction(x, states[k], cell, params[k * per : (k + 1) * per], k % directions == 1)
            outputs.append(out)
            last.append(state)
        x = outputs[0] if directions == 1 else _C.concat(outputs, -1)
        if layer + 1 < layers:
            x = F.dropout(x, p, training)
    return (_C.transpose(x, 0, 1) if batch_first else x), last


@op("lstm")
def lstm(x: Tensor, hx: list[Tensor], params: list[Tensor], *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    out, last = _layers(x, list(zip(_steps(hx[0]), _steps(hx[1]), strict=True)), _lstm, params, *rest)
    return out, _stacked([h for h, _ in last]), _stacked([c for _, c in last])


def _one_state(cell: Cell) -> Callable[..., tuple[Tensor, Tensor]]:
    def run(x: Tensor, hx: Tensor, params: list[Tensor], *rest: Any) -> tuple[Tensor, Tensor]:
        out, last = _layers(x, _steps(hx), cell, params, *rest)
        return out, _stacked(last)

    return run


op("gru")(_one_state(_gru))
op("rnn_tanh")(_one_state(_plain(_C.tanh)))
op("rnn_relu")(_one_state(_plain(_C.relu)))
op("lstm_cell")(lambda x, hx, w_ih, w_hh, b_ih=None, b_hh=None: _lstm(F.linear(x, w_ih, b_ih), tuple(hx), w_hh, b_hh)[1])
op("gru_cell")(lambda x, h, w_ih, w_hh, b_ih=None, b_hh=None: _gru(F.linear(x, w_ih, b_ih), h, w_hh, b_hh)[0])
