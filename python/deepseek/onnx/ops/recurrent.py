"""RNN, GRU, LSTM."""

from __future__ import annotations

import functools
from typing import Any, Callable

import numpy as np

from ... import _C
from ..table import op
from ..values import Tensor, full, full_like, host
from .math import clip, elu, hard_sigmoid, leaky_relu, softplus, softsign, thresholded_relu
from .shape import cut, reverse_sequence

_DEFAULTS: dict[str, dict[str, float]] = {"leakyrelu": {"alpha": 0.01}, "thresholdedrelu": {"alpha": 1.0}, "elu": {"alpha": 1.0},
                                          "hardsigmoid": {"alpha": 0.2, "beta": 0.5}, "scaledtanh": {}, "affine": {}}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "tanh": _C.tanh, "sigmoid": _C.sigmoid, "relu": _C.relu, "softsign": softsign, "softplus": softplus, "leakyrelu": leaky_relu,
    "thresholdedrelu": thresholded_relu, "elu": elu, "hardsigmoid": hard_sigmoid,
    "scaledtanh": lambda x, alpha=1.0, beta=1.0: _C.tanh(x * beta) * alpha, "affine": lambda x, alpha=1.0, beta=0.0: x * alpha + beta,
}  # fmt: skip


def _activations(names: list[str], alphas: Any, betas: Any) -> list[Callable[[Tensor], Tensor]]:
    alphas, betas = list(alphas or []), list(betas or [])
    out: list[Callable[[Tensor], Tensor]] = []
    for name in names:
        name = name.lower()
        if name not in _FUNCTIONS:
            raise _C.Error(f"[onnx] activation {name!r} is not known; known are {sorted(_FUNCTIONS)}")
        options: dict[str, float] = {}
        if name in _DEFAULTS:
            takes = _DEFAULTS[name] or {"alpha": 1.0, "beta": 1.0}
            if alphas and "alpha" in takes:
                options["alpha"] = alphas.pop(0)
            if betas and "beta" in takes:
                options["beta"] = betas.pop(0)
        out.append(functools.partial(_FUNCTIONS[name], **options))
    return out


class Layer:
    """What the three share: gates of weights, directions, lengths, layout."""

    def __init__(self, x: Tensor, w: Tensor, r: Tensor, b: Any, lengths: Any, hidden: int, direction: str, layout: int, clipped: Any):
        self.layout = layout
        self.x = _C.transpose(x, 0, 1) if layout else x  # (time, batch, features)
        self.w, self.r, self.b, self.lengths, self.hidden = w, r, b, lengths, hidden
        self.steps, self.batch = self.x.shape[0], self.x.shape[1]
        self.backward = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        self.clipped = clipped
        self.mask = None
        if lengths is not None and (host(lengths) < self.steps).any():
            self.mask = np.arange(self.steps)[:, None] < host(lengths).reshape(1, -1)

    def state(self, initial: Any, d: int) -> Tensor:
        if initial is None:
            return full((self.batch, self.hidden), 0.0, self.x.dtype)
        if self.layout:
            initial = _C.transpose(initial, 0, 1)
        return _C.squeeze(cut(initial, 0, d, d + 1), 0)

    def one(self, t: Any, d: int) -> Tensor:
        return _C.squeeze(cut(t, 0, d, d + 1), 0)

    def turn(self, x: Tensor) -> Tensor:
        if self.lengths is None:
            return _C.flip(x, [0])
        return reverse_sequence(x, self.lengths)

    def clip(self, x: Tensor) -> Tensor:
        return clip(x, -self.clipped, self.clipped) if self.clipped else x

    def run(self, states: list[Any], cell: Callable[..., list[Tensor]]) -> tuple[Any, ...]:
        """cell(step's projected input, states, direction) gives the new states, the output first."""
        outputs, lasts = [], []
        for d, back in enumerate(self.backward):
            x = self.turn(self.x) if back else self.x
            now = [self.state(s, d) for s in states]
            projected = _C.matmul(x, _C.transpose(self.one(self.w, d), 0, 1))
            made = []
            for t in range(self.steps):
                new = cell(_C.squeeze(cut(projected, 0, t, t + 1), 0), now, d)
                if self.mask is not None and not self.mask[t].all():
                    keep = _C.from_array(self.mask[t].reshape(-1, 1).copy())
                    made.append(_C.where(keep, new[0], full_like(new[0], 0)))
                    now = [_C.where(keep, n, o) for n, o in zip(new, now)]
                else:
                    made.append(new[0])
                    now = new
            y = _C.concat([_C.unsqueeze(m, 0) for m in made], 0)
            outputs.append(_C.unsqueeze(self.turn(y) if back else y, 1))
            lasts.append(now)
        y = _C.concat(outputs, 1)  # (time, directions, batch, hidden)
        finals = [_C.concat([_C.unsqueeze(n[i], 0) for n in lasts], 0) for i in range(len(states))]
        if self.layout:
            y = _C.permute(y, [2, 0, 1, 3])
            finals = [_C.transpose(f, 0, 1) for f in finals]
        return (y, *finals)

    def biases(self, d: int, gates: int) -> tuple[Any, Any]:
        """Of the input's and of the state's product; zeros where there are none."""
        n = gates * self.hidden
        if self.b is None:
            zero = full((n,), 0.0, self.x.dtype)
            return zero, zero
        b = self.one(self.b, d)
        return cut(b, 0, 0, n), cut(b, 0, n, 2 * n)

    def parts(self, x: Tensor, gates: int) -> list[Tensor]:
        h = self.hidden
        return [cut(x, x.ndim - 1, i * h, (i + 1) * h) for i in range(gates)]


@op("RNN")
def rnn(x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h0: Any = None, *, hidden_size: int = 0, activations: Any = None,
        activation_alpha: Any = None, activation_beta: Any = None, direction: str = "forward", clip: Any = None, layout: int = 0,
        output_sequence: int = 1) -> tuple[Any, ...]:  # fmt: skip
    layer = Layer(x, w, r, b, lengths, hidden_size or r.shape[-1], direction, layout, clip)
    f = _activations(activations or ["Tanh"] * len(layer.backward), activation_alpha, activation_beta)

    def cell(xt: Tensor, states: list[Tensor], d: int) -> list[Tensor]:
        wb, rb = layer.biases(d, 1)
        return [f[d](layer.clip(xt + wb + _C.matmul(states[0], _C.transpose(layer.one(r, d), 0, 1)) + rb))]

    return layer.run([h0], cell)


@op("GRU")
def gru(x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h0: Any = None, *, hidden_size: int = 0, activations: Any = None,
        activation_alpha: Any = None, activation_beta: Any = None, direction: str = "forward", clip: Any = None, layout: int = 0,
        linear_before_reset: int = 0, output_sequence: int = 1) -> tuple[Any, ...]:  # fmt: skip
    layer = Layer(x, w, r, b, lengths, hidden_size or r.shape[-1], direction, layout, clip)
    f = _activations(activations or ["Sigmoid", "Tanh"] * len(layer.backward), activation_alpha, activation_beta)

    def cell(xt: Tensor, states: list[Tensor], d: int) -> list[Tensor]:
        h = states[0]
        weights = layer.parts(_C.transpose(layer.one(r, d), 0, 1), 3)
        wb, rb = (layer.parts(p, 3) for p in layer.biases(d, 3))
        xz, xr, xh = layer.parts(xt, 3)
        z = f[2 * d](layer.clip(xz + wb[0] + _C.matmul(h, weights[0]) + rb[0]))
        reset = f[2 * d](layer.clip(xr + wb[1] + _C.matmul(h, weights[1]) + rb[1]))
        if linear_before_reset:
            inner = xh + wb[2] + reset * (_C.matmul(h, weights[2]) + rb[2])
        else:
            inner = xh + wb[2] + _C.matmul(reset * h, weights[2]) + rb[2]
        new = f[2 * d + 1](layer.clip(inner))
        return [(1.0 - z) * new + z * h]

    return layer.run([h0], cell)


@op("LSTM")
def lstm(x: Tensor, w: Tensor, r: Tensor, b: Any = None, lengths: Any = None, h0: Any = None, c0: Any = None, peepholes: Any = None, *,
         hidden_size: int = 0, activations: Any = None, activation_alpha: Any = None, activation_beta: Any = None,
         direction: str = "forward", clip: Any = None, layout: int = 0, input_forget: int = 0, output_sequence: int = 1) -> tuple[Any, ...]:  # fmt: skip
    layer = Layer(x, w, r, b, lengths, hidden_size or r.shape[-1], direction, layout, clip)
    f = _activations(activations or ["Sigmoid", "Tanh", "Tanh"] * len(layer.backward), activation_alpha, activation_beta)

    def cell(xt: Tensor, states: list[Tensor], d: int) -> list[Tensor]:
        h, c = states
        wb, rb = layer.biases(d, 4)
        i, o, forget, inner = layer.parts(xt + wb + _C.matmul(h, _C.transpose(layer.one(r, d), 0, 1)) + rb, 4)
        peep = layer.parts(layer.one(peepholes, d), 3) if peepholes is not None else None
        if peep is not None:
            i, forget = i + peep[0] * c, forget + peep[2] * c
        i = f[3 * d](layer.clip(i))
        forget = 1.0 - i if input_forget else f[3 * d](layer.clip(forget))
        new_c = forget * c + i * f[3 * d + 1](layer.clip(inner))
        if peep is not None:
            o = o + peep[1] * new_c
        return [f[3 * d](layer.clip(o)) * f[3 * d + 2](new_c), new_c]

    return layer.run([h0, c0], cell)
