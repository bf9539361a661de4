"""Weights computed from other parameters before each forward: weight and spectral normalisation."""

from __future__ import annotations

from typing import Any

from ... import _C
from ..._C import Tensor
from ..module import Module
from ..parameter import Parameter


def _norm_but(x: Tensor, dim: int | None) -> Tensor:
    """The 2-norm over every dimension but one, which stays; over all if dim is None."""
    dims = [d for d in range(x.ndim) if d != dim]
    return _C.sqrt(_C.sum(x * x, dims, True)) if dim is not None else _C.sqrt(_C.sum(x * x))


class _WeightNorm:
    """weight = g * v / |v|."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def weight(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / _norm_but(v, self.dim))

    def __call__(self, module: Module, args: Any) -> None:
        module.__dict__[self.name] = self.weight(module)


def _replace_hook(module: Module, kind: Any, name: str) -> Any:
    """Takes the hook of that kind and name away, and gives it."""
    hooks = module.__dict__.get("_forward_pre_hooks", {})
    for key, (hook, _) in list(hooks.items()):
        if isinstance(hook, kind) and hook.name == name:
            del hooks[key]
            return hook
    raise _C.Error(f"[{kind.__name__.strip('_')}] {type(module).__name__} has none on {name!r}")


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replaces a parameter by its length name_g and its direction name_v."""
    weight = module._parameters[name]
    if dim is not None and dim < 0:
        dim += weight.ndim
    value = weight.detach()
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(_norm_but(value, dim)))
    module.register_parameter(name + "_v", Parameter(value))
    hook = _WeightNorm(name, dim)
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    hook = _replace_hook(module, _WeightNorm, name)
    value = hook.weight(module).detach()
    module.__dict__.pop(name, None)
    del module._parameters[name + "_g"], module._parameters[name + "_v"]
    module.register_parameter(name, Parameter(value))
    return module


class _SpectralNorm:
    """weight = weight_orig / its largest singular value, which power iteration follows."""

    def __init__(self, name: str, iterations: int, eps: float, dim: int) -> None:
        self.name, self.iterations, self.eps, self.dim = name, iterations, eps, dim

    def _matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = _C.permute(weight, [self.dim, *(d for d in range(weight.ndim) if d != self.dim)])
        return _C.reshape(weight, [weight.shape[0], -1])

    def _unit(self, x: Tensor) -> Tensor:
        return x / _C.maximum(_C.sqrt(_C.sum(x * x)), _C.full((), self.eps, x.dtype, x.device))

    def weight(self, module: Module, update: bool) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        matrix = self._matrix(weight)
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        if update:
            on = _C.set_grad_enabled(False)
            try:
                for _ in range(self.iterations):
                    new_v = self._unit(_C.matmul(_C.transpose(matrix, 0, 1), u))
                    _C.assign(u, self._unit(_C.matmul(matrix, new_v)), "spectral_norm")
                    _C.assign(v, new_v, "spectral_norm")
            finally:
                _C.set_grad_enabled(on)
        sigma = _C.sum(_C.detach(u) * _C.matmul(matrix, _C.detach(v)))
        return weight / sigma

    def __call__(self, module: Module, args: Any) -> None:
        module.__dict__[self.name] = self.weight(module, module.training)


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Divides a weight by its largest singular value; dim: the dimension of the outputs."""
    from ..._random import randn

    weight = module._parameters[name]
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = _SpectralNorm(name, n_power_iterations, eps, dim)
    value = weight.detach()
    rows, columns = hook._matrix(value).shape
    del module._parameters[name]
    module.register_parameter(name + "_orig", Parameter(value))
    module.register_buffer(name + "_u", hook._unit(randn(rows, dtype=value.dtype)))
    module.register_buffer(name + "_v", hook._unit(randn(columns, dtype=value.dtype)))
    module.__dict__[name] = value
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    hook = _replace_hook(module, _SpectralNorm, name)
    value = hook.weight(module, False).detach()
    module.__dict__.pop(name, None)
    del module._parameters[name + "_orig"], module._buffers[name + "_u"], module._buffers[name + "_v"]
    module.register_parameter(name, Parameter(value))
    return module
