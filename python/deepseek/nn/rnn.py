"""Recurrent layers and cells: RNN, LSTM and GRU."""

from __future__ import annotations

import math
from typing import Any, Callable

from .. import _C
from .. import functional as F
from .._C import Tensor
from . import init
from .linear import new_parameter
from .module import Module
from .utils.rnn import PackedSequence


def _chunks(x: Tensor, n: int) -> list[Tensor]:
    width = x.shape[-1] // n
    return [_C.slice(x, -1, i * width, (i + 1) * width, 1) for i in range(n)]


def _plain(activation: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    def step(x: Tensor, state: tuple[Tensor, ...], w_hh: Tensor, b_hh: Tensor | None) -> tuple[Tensor, ...]:
        return (activation(x + F.linear(state[0], w_hh, b_hh)),)

    return step


def _lstm(x: Tensor, state: tuple[Tensor, ...], w_hh: Tensor, b_hh: Tensor | None) -> tuple[Tensor, ...]:
    i, f, g, o = _chunks(x + F.linear(state[0], w_hh, b_hh), 4)
    c = _C.sigmoid(f) * state[1] + _C.sigmoid(i) * _C.tanh(g)
    return _C.sigmoid(o) * _C.tanh(c), c


def _gru(x: Tensor, state: tuple[Tensor, ...], w_hh: Tensor, b_hh: Tensor | None) -> tuple[Tensor, ...]:
    (xr, xz, xn), (hr, hz, hn) = _chunks(x, 3), _chunks(F.linear(state[0], w_hh, b_hh), 3)
    r, z = _C.sigmoid(xr + hr), _C.sigmoid(xz + hz)
    n = _C.tanh(xn + r * hn)
    return (n + z * (state[0] - n),)


_STEPS = {"RNN_TANH": _plain(_C.tanh), "RNN_RELU": _plain(_C.relu), "LSTM": _lstm, "GRU": _gru}
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _uniform(module: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size) if hidden_size else 0.0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNBase(Module):
    """Layers of cells over time: (length, batch, input) -> (length, batch, directions * output), and the last states."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: str | None = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 0 <= dropout <= 1:
            raise _C.Error(f"[{mode}] dropout {dropout} is not in [0, 1]")
        if proj_size < 0 or proj_size >= hidden_size:
            raise _C.Error(f"[{mode}] proj_size {proj_size} must be in [0, hidden_size {hidden_size})")
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional, self.proj_size = bias, batch_first, dropout, bidirectional, proj_size
        directions, gates = 2 if bidirectional else 1, _GATES[mode] * hidden_size
        out = proj_size or hidden_size
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                width = input_size if layer == 0 else out * directions
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, width), "weight_hh": (gates, out)}
                if bias:
                    shapes.update(bias_ih=(gates,), bias_hh=(gates,))
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    setattr(self, name + suffix, new_parameter(*shape, dtype=dtype, device=device))
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def reset_parameters(self) -> None:
        _uniform(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing to do: weights need not lie one after the other."""

    @property
    def all_weights(self) -> list[list[Any]]:
        names = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if self.bias else []) + (["weight_hr"] if self.proj_size else [])
        return [[getattr(self, n + s) for n in names] for layer in range(self.num_layers) for s in self._suffixes(layer)]

    def _direction(self, x: Tensor, suffix: str, state: tuple[Tensor, ...], reverse: bool, alive: list[Tensor] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction over x (length, batch, width); `alive`: which samples still run at each time."""
        get = self._parameters.get
        w_hh, b_hh, w_hr = get("weight_hh" + suffix), get("bias_hh" + suffix), get("weight_hr" + suffix)
        step = _STEPS[self.mode]
        gates = F.linear(x, get("weight_ih" + suffix), get("bias_ih" + suffix))
        length, batch, width = gates.shape
        outputs: list[Any] = [None] * length
        for t in range(length - 1, -1, -1) if reverse else range(length):
            at = _C.reshape(_C.slice(gates, 0, t, t + 1, 1), [batch, width])
            new = step(at, state, w_hh, b_hh)
            if w_hr is not None:
                new = (F.linear(new[0], w_hr), *new[1:])
            out = new[0]
            if alive is not None:
                out = _C.where(alive[t], out, _C.full((), 0.0, out.dtype, out.device))
                new = tuple(_C.where(alive[t], n, old) for n, old in zip(new, state))
            state, outputs[t] = new, _C.unsqueeze(out, 0)
        return _C.concat(outputs, 0), state

    def _layers(self, x: Tensor, state: list[tuple[Tensor, ...]], alive: list[Tensor] | None) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        last: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for k, suffix in enumerate(self._suffixes(layer)):
                y, end = self._direction(x, suffix, state[len(last)], k == 1, alive)
                outputs.append(y)
                last.append(end)
            x = _C.concat(outputs, -1) if len(outputs) > 1 else outputs[0]
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, last

    def forward(self, input: Any, hx: Any = None) -> Any:
        packed = input if isinstance(input, PackedSequence) else None
        if packed is not None:
            x, lengths = packed.padded(), packed.lengths
        else:
            x, lengths = input, None
        single = x.ndim == 2
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise _C.Error(f"[{self.mode}] input (length, batch, {self.input_size}) or (length, {self.input_size}) is needed, got {x.shape}")
        if single:
            x = _C.unsqueeze(x, 1)
        elif self.batch_first and packed is None:
            x = _C.transpose(x, 0, 1)
        if x.shape[0] == 0:
            raise _C.Error(f"[{self.mode}] a sequence of one step or more is needed, got {input.shape}")
        state = self._first_states(x, hx, single, packed)
        y, last = self._layers(x, state, None if lengths is None else _alive(x, lengths))
        ends = [_C.concat([_C.unsqueeze(s[i], 0) for s in last], 0) for i in range(len(last[0]))]
        if packed is not None:
            output: Any = packed.with_data(y)
            ends = [packed.unsort(e) for e in ends]
        elif single:
            output, ends = _C.squeeze(y, 1), [_C.squeeze(e, 1) for e in ends]
        else:
            output = _C.transpose(y, 0, 1) if self.batch_first else y
        return output, tuple(ends) if self.mode == "LSTM" else ends[0]

    def _first_states(self, x: Tensor, hx: Any, single: bool, packed: Any) -> list[tuple[Tensor, ...]]:
        count = self.num_layers * (2 if self.bidirectional else 1)
        widths = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.mode == "LSTM" else [])
        if hx is None:
            states = [_C.full((count, x.shape[1], w), 0.0, x.dtype, x.device) for w in widths]
        else:
            states = [_C.unsqueeze(h, 1) if single else h for h in (hx if self.mode == "LSTM" else (hx,))]
            if packed is not None:
                states = [packed.sort(h) for h in states]
        for s, w in zip(states, widths):
            if s.shape != (count, x.shape[1], w):
                raise _C.Error(f"[{self.mode}] a first state of shape {(count, x.shape[1], w)} is needed, got {s.shape}")
        return [tuple(_C.reshape(_C.slice(s, 0, i, i + 1, 1), list(s.shape[1:])) for s in states) for i in range(count)]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0), ("bidirectional", False), ("proj_size", 0)):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


def _alive(x: Tensor, lengths: list[int]) -> list[Tensor]:
    import numpy as np

    n = np.asarray(lengths)[:, None]
    return [_C.from_array(n > t) for t in range(x.shape[0])]


class RNN(RNNBase):
    """h' = tanh or relu of (W_ih x + b_ih + W_hh h + b_hh)."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", *args: Any, **kwargs: Any) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise _C.Error(f"[RNN] nonlinearity {nonlinearity!r} is neither 'tanh' nor 'relu'")
        super().__init__("RNN_" + nonlinearity.upper(), input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """output, (h, c) = lstm(input, (h0, c0))."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """output, h = gru(input, h0)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("proj_size"):
            raise _C.Error("[GRU] proj_size is the LSTM's only")
        super().__init__("GRU", *args, **kwargs)


class _Cell(Module):
    mode = ""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = _GATES[self.mode or "RNN_TANH"] * hidden_size
        self.weight_ih = new_parameter(gates, input_size, dtype=dtype, device=device)
        self.weight_hh = new_parameter(gates, hidden_size, dtype=dtype, device=device)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, new_parameter(gates, dtype=dtype, device=device) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _uniform(self, self.hidden_size)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        single = input.ndim == 1
        x = _C.unsqueeze(input, 0) if single else input
        states = 2 if self.mode == "LSTM" else 1
        if hx is None:
            state = tuple(_C.full((x.shape[0], self.hidden_size), 0.0, x.dtype, x.device) for _ in range(states))
        else:
            given = hx if states == 2 else (hx,)
            state = tuple(_C.unsqueeze(h, 0) if single else h for h in given)
        new = _STEPS[self.mode](F.linear(x, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)
        if single:
            new = tuple(_C.squeeze(n, 0) for n in new)
        return new if states == 2 else new[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class RNNCell(_Cell):
    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: str | None = None, dtype: Any = None
    ) -> None:
        self.__dict__["mode"] = "RNN_" + nonlinearity.upper()
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(_Cell):
    mode = "LSTM"


class GRUCell(_Cell):
    mode = "GRU"
