"""Convolutions, normalisations, attention, dropout, losses, recurrent layers."""

from __future__ import annotations

import math
from typing import Any

from ... import _C
from ..._random import bernoulli
from . import TABLE, op, same
from .elementwise import number
from .reduce import _triangle
from .shape import pad

Tensor = _C.Tensor
same("conv3d conv_transpose1d conv_transpose2d conv_transpose3d ctc_loss embedding_bag cosine_similarity "
     "pairwise_distance fold col2im im2col local_response_norm mse_loss l1_loss smooth_l1_loss huber_loss kl_div "
     "binary_cross_entropy binary_cross_entropy_with_logits poisson_nll_loss hinge_embedding_loss "
     "margin_ranking_loss triplet_margin_loss soft_margin_loss")  # fmt: skip


def many(v: Any, n: int) -> tuple[int, ...]:
    v = (v,) if isinstance(v, int) else tuple(v)
    return v * n if len(v) == 1 else v


def _same_padding(kernel: Any, dilation: Any) -> list[int]:
    """PyTorch's padding="same": what is odd goes behind. From the last dimension on."""
    out = []
    for k, d in zip(reversed(kernel), reversed(dilation), strict=True):
        total = d * (k - 1)
        out += [total // 2, total - total // 2]
    return out


@op("conv2d", "conv2d.padding")
def conv2d(x: Tensor, w: Tensor, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    stride, dilation = many(stride, 2), many(dilation, 2)
    if isinstance(padding, str):
        if padding == "same":
            x = pad(x, _same_padding(w.shape[2:], dilation))
        padding = 0
    lead = x.ndim == 3
    out = _C.conv2d(_C.unsqueeze(x, 0) if lead else x, w, b, stride, many(padding, 2), dilation, groups)
    return _C.squeeze(out, 0) if lead else out


@op("conv1d", "conv1d.padding")
def conv1d(x: Tensor, w: Tensor, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Tensor:
    stride, dilation = many(stride, 1), many(dilation, 1)
    if isinstance(padding, str):
        if padding == "same":
            x = pad(x, _same_padding(w.shape[2:], dilation))
        padding = 0
    p = many(padding, 1)
    out = conv2d(_C.unsqueeze(x, -2), _C.unsqueeze(w, -2), b, (1, *stride), (0, *p), (1, *dilation), groups)
    return _C.squeeze(out, -2)


@op("convolution", "_convolution")
def convolution(x: Tensor, w: Tensor, b: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any, groups: int, *_: Any) -> Tensor:
    n = w.ndim - 2
    from . import find

    f = find(f"conv_transpose{n}d" if transposed else f"conv{n}d")
    if f is None:
        raise _C.Error(f"[convert] there is no {n}-dimensional {'transposed ' * transposed}convolution")
    if transposed:
        return f(x, w, b, many(stride, n), many(padding, n), many(output_padding, n), groups, many(dilation, n))
    return f(x, w, b, many(stride, n), many(padding, n), many(dilation, n), groups)


def _channels(v: Tensor, x: Tensor) -> Tensor:
    return _C.reshape(v, [1, -1] + [1] * (x.ndim - 2))


@op("batch_norm", "cudnn_batch_norm")
def batch_norm(x: Tensor, w: Any, b: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float, *_: Any) -> Tensor:
    if training or mean is None:
        dims = [0, *range(2, x.ndim)]
        m, v = _C.mean(x, dims, False), _C.var(x, dims, False, 0.0)
        if mean is not None and training:
            n = x.numel() // x.shape[1]
            for old, new in ((mean, m), (var, v * (n / max(n - 1, 1)))):
                _C.assign(old, old * (1 - momentum) + _C.detach(new) * momentum, "batch_norm")
    else:
        m, v = mean, var
    scale = _C.rsqrt(v + eps)
    scale = scale if w is None else scale * w
    shift = -m * scale if b is None else b - m * scale
    return x * _channels(scale, x) + _channels(shift, x)


op("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training")(
    lambda x, w, b, mean, var, *rest: (batch_norm(x, w, b, mean, var, *(rest if len(rest) == 3 else (False, *rest))), None, None))  # fmt: skip
op("_native_batch_norm_legit.no_stats")(
    lambda x, w, b, training, momentum, eps: (batch_norm(x, w, b, None, None, True, momentum, eps), None, None))


@op("layer_norm")
def layer_norm(x: Tensor, shape: Any, w: Any = None, b: Any = None, eps: float = 1e-5, *_: Any) -> Tensor:
    if len(shape) == 1:
        w = _C.full(tuple(shape), 1.0, x.dtype, x.device) if w is None else w
        b = _C.full(tuple(shape), 0.0, x.dtype, x.device) if b is None else b
        return _C.layer_norm(x, w, b, eps)
    dims = list(range(-len(shape), 0))
    centred = x - _C.mean(x, dims, True)
    out = centred * _C.rsqrt(_C.mean(centred * centred, dims, True) + eps)
    out = out if w is None else out * w
    return out if b is None else out + b


op("native_layer_norm")(lambda x, shape, w, b, eps: (layer_norm(x, shape, w, b, eps), None, None))


@op("rms_norm", "_fused_rms_norm")
def rms_norm(x: Tensor, shape: Any, w: Any = None, eps: Any = None) -> Tensor:
    dims = list(range(-len(shape), 0))
    out = x * _C.rsqrt(_C.mean(x * x, dims, True) + (1.1920929e-07 if eps is None else eps))
    return out if w is None else out * w


@op("group_norm")
def group_norm(x: Tensor, groups: int, w: Any = None, b: Any = None, eps: float = 1e-5, *_: Any) -> Tensor:
    flat = _C.reshape(x, [x.shape[0], groups, -1])
    centred = flat - _C.mean(flat, [2], True)
    out = _C.reshape(centred * _C.rsqrt(_C.mean(centred * centred, [2], True) + eps), list(x.shape))
    out = out if w is None else out * _channels(w, x)
    return out if b is None else out + _channels(b, x)


op("native_group_norm")(lambda x, w, b, n, c, hw, groups, eps: (group_norm(x, groups, w, b, eps), None, None))


@op("instance_norm")
def instance_norm(x: Tensor, w: Any, b: Any, mean: Any, var: Any, use_input: bool, momentum: float, eps: float, *_: Any) -> Tensor:
    if not use_input:
        return batch_norm(x, w, b, mean, var, False, momentum, eps)
    return group_norm(x, x.shape[1], w, b, eps)


@op("dropout")
def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    if not training or p == 0:
        return x
    return x * bernoulli(_C.full(x.shape, 1 - p, x.dtype, x.device)) / (1 - p) if p < 1 else x * 0.0


@op("feature_dropout")
def feature_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    if not training or p == 0:
        return x
    shape = (*x.shape[:2], *[1] * (x.ndim - 2))
    return x * bernoulli(_C.full(shape, 1 - p, x.dtype, x.device)) / (1 - p)


op("native_dropout")(lambda x, p, training: (dropout(x, p, bool(training)), None))


@op("alpha_dropout", "feature_alpha_dropout")
def alpha_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    if not training or p == 0:
        return x
    low = -1.7580993408473766
    scale = 1 / math.sqrt((1 - p) * (1 + p * low * low))
    keep = bernoulli(_C.full(x.shape, 1 - p, x.dtype, x.device))
    return (x * keep + low * (1 - keep)) * scale - scale * low * p


@op("scaled_dot_product_attention")
def attention(q: Tensor, k: Tensor, v: Tensor, mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, *, scale: Any = None, enable_gqa: bool = False) -> Tensor:
    if enable_gqa and k.shape[-3] != q.shape[-3]:
        repeats = q.shape[-3] // k.shape[-3]
        k, v = (TABLE["repeat_interleave.self_int"](t, repeats, -3) for t in (k, v))
    scores = _C.matmul(q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale), _C.transpose(k, -2, -1))
    if is_causal:
        scores = _C.where(_triangle(scores, 0), scores, number(scores, -math.inf))
    if mask is not None:
        scores = _C.where(mask, scores, number(scores, -math.inf)) if mask.dtype == _C.bool else scores + mask
    return _C.matmul(dropout(_C.softmax(scores, -1), dropout_p, dropout_p > 0), v)


for _flavour in ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention"):
    op(_flavour)(
        lambda q, k, v, dropout_p=0.0, is_causal=False, attn_mask=None, scale=None: (
            attention(q, k, v, attn_mask, dropout_p, is_causal, scale=scale), None))  # fmt: skip
op("_scaled_dot_product_attention_math")(lambda *a, **k: (attention(*a, **k), None))


@op("cross_entropy_loss")
def cross_entropy(x: Tensor, target: Tensor, weight: Any = None, reduction: int = 1, ignore: int = -100, smoothing: float = 0.0) -> Tensor:
    logs = _C.log_softmax(x, 1 if x.ndim > 1 else 0)
    if target.dtype.is_floating_point:
        losses = -_C.sum(logs * target * (1.0 if weight is None else _channels(weight, x)), [1], False)
        return losses if reduction == 0 else _C.sum(losses) / (losses.numel() if reduction == 1 else 1)
    loss = nll_loss(logs, target, weight, reduction, ignore)
    if smoothing == 0:
        return loss
    uniform = _C.full(logs.shape, 1 / logs.shape[1], logs.dtype, "cpu")
    spread = -_C.sum(logs * uniform, [1], False)
    spread = spread if reduction == 0 else _C.sum(spread) / (spread.numel() if reduction == 1 else 1)
    return loss * (1 - smoothing) + spread * smoothing


@op("nll_loss_nd", "nll_loss", "nll_loss2d")
def nll_loss(logs: Tensor, target: Tensor, weight: Any = None, reduction: int = 1, ignore: int = -100) -> Tensor:
    kept = _C.not_equal(target, number(target, ignore))
    at = _C.where(kept, target, number(target, 0))
    dim = 1 if logs.ndim > 1 else 0
    picked = _C.squeeze(_C.gather(logs, dim, _C.unsqueeze(at, dim)), dim)
    weights = _C.cast(kept, logs.dtype) if weight is None else _C.take(weight, at, 0) * _C.cast(kept, logs.dtype)
    losses = -picked * weights
    if reduction == 0:
        return losses
    return _C.sum(losses) / _C.sum(weights) if reduction == 1 else _C.sum(losses)


def _reduced(losses: Tensor, reduction: int) -> Tensor:
    return losses if reduction == 0 else _C.mean(losses) if reduction == 1 else _C.sum(losses)


op("mse_loss")(lambda x, y, reduction=1: _reduced((x - y) * (x - y), reduction))
op("l1_loss")(lambda x, y, reduction=1: _reduced(_C.abs(x - y), reduction))


def _steps(x: Tensor) -> list[Tensor]:
    return [_C.squeeze(_C.slice(x, 0, i, i + 1, 1), 0) for i in range(x.shape[0])]


def _lstm_cell(x: Tensor, state: tuple[Tensor, Tensor], w_hh: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    h, c = state
    n = h.shape[-1]
    gates = x + _C.matmul(h, _C.transpose(w_hh, 0, 1))
    i, f, g, o = (_C.slice(gates, -1, j * n, (j + 1) * n, 1) for j in range(4))
    c = _C.sigmoid(f) * c + _C.sigmoid(i) * _C.tanh(g)
    h = _C.sigmoid(o) * _C.tanh(c)
    return h, (h, c)


def _layer(x: Tensor, state: Any, cell: Any, weights: list[Tensor], reverse: bool) -> tuple[Tensor, Any]:
    """One direction of one layer over (time, batch, width)."""
    w_ih, w_hh, *biases = weights
    inputs = _steps(_C.linear(x, w_ih, biases[0] if biases else None))
    outputs = []
    for step in reversed(inputs) if reverse else inputs:
        h, state = cell(step, state, w_hh, *biases[1:])
        outputs.append(_C.unsqueeze(h, 0))
    return _C.concat(outputs[::-1] if reverse else outputs, 0), state


def _recurrent(x: Tensor, states: list[Any], cell: Any, params: list[Tensor], has_biases: bool, layers: int, p: float, training: bool, bidirectional: bool) -> tuple[Tensor, list[Any]]:
    per, directions, last = 4 if has_biases else 2, 1 + bidirectional, []
    for layer in range(layers):
        outs = []
        for d in range(directions):
            k = layer * directions + d
            out, state = _layer(x, states[k], cell, params[k * per : (k + 1) * per], d == 1)
            outs.append(out)
            last.append(state)
        x = outs[0] if directions == 1 else _C.concat(outs, -1)
        if layer + 1 < layers:
            x = dropout(x, p, training)
    return x, last


def _time_first(x: Tensor, batch_first: bool) -> Tensor:
    return _C.transpose(x, 0, 1) if batch_first else x


def _stacked(xs: list[Tensor]) -> Tensor:
    return _C.concat([_C.unsqueeze(x, 0) for x in xs], 0)


@op("lstm.input")
def lstm(x: Tensor, hx: list[Tensor], params: list[Tensor], has_biases: bool, layers: int, p: float, training: bool, bidirectional: bool, batch_first: bool) -> tuple[Tensor, ...]:
    def cell(step: Tensor, state: Any, w_hh: Tensor, *bias: Tensor) -> Any:
        return _lstm_cell(step + bias[0] if bias else step, state, w_hh)

    states = list(zip(_steps(hx[0]), _steps(hx[1]), strict=True))
    out, last = _recurrent(_time_first(x, batch_first), states, cell, params, has_biases, layers, p, training, bidirectional)
    return _time_first(out, batch_first), _stacked([h for h, _ in last]), _stacked([c for _, c in last])


def _gru_cell(x: Tensor, h: Tensor, w_hh: Tensor, bias: Any = None) -> tuple[Tensor, Tensor]:
    n = h.shape[-1]
    y = _C.linear(h, w_hh, bias)
    (xr, xz, xn), (hr, hz, hn) = ([_C.slice(t, -1, j * n, (j + 1) * n, 1) for j in range(3)] for t in (x, y))
    r, z = _C.sigmoid(xr + hr), _C.sigmoid(xz + hz)
    new = _C.tanh(xn + r * hn)
    h = new + z * (h - new)
    return h, h


def _plain_cell(f: Any) -> Any:
    def cell(x: Tensor, h: Tensor, w_hh: Tensor, bias: Any = None) -> tuple[Tensor, Tensor]:
        h = f(x + _C.linear(h, w_hh, bias))
        return h, h

    return cell


def _one_state(cell: Any) -> Any:
    def run(x: Tensor, hx: Tensor, params: list[Tensor], has_biases: bool, layers: int, p: float, training: bool, bidirectional: bool, batch_first: bool) -> tuple[Tensor, Tensor]:
        out, last = _recurrent(_time_first(x, batch_first), _steps(hx), cell, params, has_biases, layers, p, training, bidirectional)
        return _time_first(out, batch_first), _stacked(last)

    return run


op("gru.input")(_one_state(_gru_cell))
op("rnn_tanh.input")(_one_state(_plain_cell(_C.tanh)))
op("rnn_relu.input")(_one_state(_plain_cell(_C.relu)))
