"""Clipping of gradients, parameters as vectors, and parametrisations of weights."""

from . import rnn
from .clip import clip_grad_norm_, clip_grad_value_, get_total_norm
from .reparametrize import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from .vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "remove_spectral_norm", "remove_weight_norm",
    "rnn", "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip
