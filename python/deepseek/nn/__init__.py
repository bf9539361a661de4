"""Modules: layers, containers, losses, initialisers and utilities, under torch.nn's names."""

from .. import functional
from . import init, utils
from .attention import (
    MultiheadAttention, Transformer, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
)  # fmt: skip
from .container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .hooks import (
    register_module_forward_hook, register_module_forward_pre_hook, register_module_full_backward_hook,
)  # fmt: skip
from .linear import (
    Bilinear, CosineSimilarity, Embedding, EmbeddingBag, Flatten, Identity, Linear, PairwiseDistance, Unflatten,
)  # fmt: skip
from .loss import *  # noqa: F403
from .module import Module
from .normalization import (
    BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LayerNorm, PReLU,
    RMSNorm, SyncBatchNorm,
)  # fmt: skip
from .parameter import Buffer, Parameter
from .rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNBase, RNNCell
from .simple import *  # noqa: F403
