"""Functions over tensors, under the names of torch.nn.functional."""

from .activation import (
    celu, elu, gelu, glu, gumbel_softmax, hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, log_softmax, logsigmoid,
    logsumexp, mish, prelu, relu, relu6, relu_, rrelu, selu, sigmoid, silu, softmax, softmin, softplus, softshrink, softsign,
    tanh, tanhshrink, threshold,
)  # fmt: skip
from .attention import multi_head_attention_forward, scaled_dot_product_attention
from .conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from .linear import (
    bilinear, cosine_similarity, embedding, embedding_bag, linear, normalize, one_hot, pairwise_distance, pdist,
)  # fmt: skip
from .loss import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss, cross_entropy, ctc_loss, gaussian_nll_loss,
    hinge_embedding_loss, huber_loss, kl_div, l1_loss, margin_ranking_loss, mse_loss, multi_margin_loss, multilabel_margin_loss,
    multilabel_soft_margin_loss, nll_loss, poisson_nll_loss, smooth_l1_loss, soft_margin_loss, triplet_margin_loss,
    triplet_margin_with_distance_loss,
)  # fmt: skip
from .normalization import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from .padding import pad
from .pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d,
    avg_pool1d, avg_pool2d, avg_pool3d, lp_pool1d, lp_pool2d, lp_pool3d, max_pool1d, max_pool2d, max_pool3d, max_unpool1d,
    max_unpool2d, max_unpool3d,
)  # fmt: skip
from .vision import (
    affine_grid, channel_shuffle, fold, grid_sample, interpolate, pixel_shuffle, pixel_unshuffle, unfold, upsample, upsample_bilinear,
    upsample_nearest,
)  # fmt: skip

__all__ = [_n for _n in dir() if not _n.startswith("_") and callable(globals()[_n])]
