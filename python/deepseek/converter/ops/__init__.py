"""What each ATen op is in DeepSeek: one table from the op's name to a function with the op's own arguments.

A key is the op's name without its namespace, "conv2d", or with the overload where overloads differ, "max.dim". Most
ops are our functions of the same name and the same arguments (`same`); the others have a small function here. An op
whose name ends in "_" and has no row of its own is the functional op followed by an assignment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import deepseek

from ... import _C
from ... import functional as F

TABLE: dict[str, Callable[..., Any]] = {}
# Where an op says whether it trains: this argument follows the mode of the module that called it.
TRAINING_ARGUMENT = {
    "batch_norm": 5, "native_batch_norm": 5, "_native_batch_norm_legit": 5, "cudnn_batch_norm": 5, "dropout": 2,
    "feature_dropout": 2, "alpha_dropout": 2, "feature_alpha_dropout": 2, "native_dropout": 2, "rrelu": 3, "lstm": 6,
    "count_batches": 2, "gru": 6, "rnn_tanh": 6, "rnn_relu": 6,
}  # fmt: skip
# A probability that only counts while the module trains.
DROPOUT_ARGUMENT = {"scaled_dot_product_attention": 4}


def op(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(f: Callable[..., Any]) -> Callable[..., Any]:
        TABLE.update(dict.fromkeys(names, f))
        return f

    return add


def same(names: str, *homes: Any) -> None:
    """Ops that are ours under the same name (or `theirs=ours`), with the same arguments."""
    for name in names.split():
        theirs, _, ours = name.partition("=")
        f = next((f for home in homes if callable(f := getattr(home, ours or theirs, None))), None)
        if f is not None:
            TABLE[theirs] = f


def _in_place(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(f)
    def g(x: Any, *args: Any, **kwargs: Any) -> Any:
        value = f(x, *args, **kwargs)
        if value is not x:
            _C.assign(x, value if value.shape == x.shape else _C.broadcast_to(value, x.shape), name)
        return x

    return g


@functools.cache
def find(name: str) -> Callable[..., Any] | None:
    """The function for "conv2d.default", or None."""
    base = name.partition(".")[0]
    f = TABLE.get(name) or TABLE.get(base)
    if f is not None:
        return f
    if base.endswith("_") and not base.endswith("__"):
        f = find(base[:-1] + name[len(base) :])
        return f and _in_place(base, f)
    return None


same("""
    abs neg negative=neg exp log sqrt rsqrt sin cos tanh erf floor ceil round sign sgn sigmoid relu tan asin acos atan
    sinh cosh asinh acosh atanh atan2 log1p expm1 log2 log10 exp2 trunc fix=trunc frac erfc erfinv isinf isfinite isnan
    isposinf isneginf reciprocal square lgamma digamma fmod remainder floor_divide hypot logaddexp logaddexp2
    logical_not logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor bitwise_left_shift
    bitwise_right_shift __and__=bitwise_and __or__=bitwise_or __xor__=bitwise_xor nan_to_num real imag conj angle
    complex polar view_as_real view_as_complex xlogy fmax fmin lerp pow add sub rsub div divide=div true_divide maximum
    minimum clamp clip=clamp clamp_min clamp_max where masked_fill addcmul addcdiv logit sinc copysign heaviside
    deg2rad rad2deg float_power isclose signbit
    sum mean prod amax amin argmax argmin var std var_mean std_mean all any count_nonzero nansum nanmean logsumexp
    norm dist aminmax matmul mm bmm mv dot vdot inner outer ger=outer addmm addmv addr baddbmm addbmm tensordot kron
    cross trace chain_matmul matrix_power cdist renorm
    cat concat=cat concatenate=cat stack hstack vstack dstack column_stack block_diag select select_copy=select narrow
    unbind split split_with_sizes split_copy=split unsafe_split=split chunk unsafe_chunk=chunk tensor_split diagonal
    diag diag_embed tril triu tril_indices triu_indices movedim moveaxis=movedim flip fliplr flipud roll rot90 repeat
    tile repeat_interleave cartesian_prod unflatten t adjoint expand_as view_as reshape_as type_as ravel
    unfold broadcast_tensors transpose swapaxes=transpose swapdims=transpose squeeze unsqueeze
    index_select take gather take_along_dim masked_select nonzero nonzero_numpy argwhere masked_scatter scatter
    scatter_add scatter_reduce index_add index_copy index_fill index_reduce index_put _unsafe_index_put=index_put put
    select_scatter slice_scatter diagonal_scatter cumsum cumprod cummax cummin logcumsumexp diff sort argsort msort topk
    kthvalue median nanmedian mode quantile searchsorted bucketize bincount histc unique unique_consecutive isin
    randn rand randperm randn_like rand_like bernoulli full_like zeros_like ones_like empty_like=zeros_like
    """, deepseek, _C.Tensor)  # fmt: skip
same("""
    hardtanh hardswish hardsigmoid selu celu gelu silu mish softplus softsign leaky_relu glu relu6
    log_sigmoid=logsigmoid hardshrink softshrink tanhshrink threshold rrelu
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d=conv_transpose2d conv_transpose3d
    rms_norm scaled_dot_product_attention bilinear linear one_hot cosine_similarity pairwise_distance
    dropout alpha_dropout feature_alpha_dropout feature_dropout=dropout2d
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    _adaptive_avg_pool2d=adaptive_avg_pool2d _adaptive_avg_pool3d=adaptive_avg_pool3d
    pad im2col=unfold col2im=fold pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle=channel_shuffle
    """, F)  # fmt: skip

for _space in ("fft", "linalg", "special"):  # torch.fft.rfft is fft_rfft
    _home = getattr(deepseek, _space)
    TABLE.update({f"{_space}_{_n}": _f for _n in _home.__all__ if callable(_f := getattr(_home, _n))})

from . import elementwise, layers, recurrent, resample, shape  # noqa: E402,F401  fill the rest of the table
