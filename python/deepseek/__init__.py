"""DeepSeek: tensors, autograd and training, define-by-run, on one C++ engine.

Arrays are lazy: an op checks its arguments at once and records; values are computed when something looks at them.
"""

from typing import TYPE_CHECKING

from . import _C
from ._C import Error, Tensor, dtype, get_default_dtype, get_num_threads, set_default_dtype, set_num_threads
from ._creation import (
    _index_tensor, arange, as_tensor, asarray, empty, empty_like, eye, from_dlpack, from_numpy, full, full_like,
    linspace, ones, ones_like, tensor, zeros, zeros_like,
)  # fmt: skip
from ._random import (
    Generator, bernoulli, default_generator, get_rng_state, initial_seed, manual_seed, rand, rand_like, randint, randn,
    randn_like, randperm, seed, set_rng_state,
)  # fmt: skip
from . import _tensor  # noqa: F401  the methods of Tensor
from . import _functions_math, _functions_more, _functions_complex, _functions_reduce, _functions_shape, _functions_index, _functions_order, _functions_matmul, _functions_rare, fft, linalg, masked, signal, special  # noqa: F401, I001
from ._functions import TABLE as _TABLE

_TABLE["linalg"] = linalg
globals().update(_TABLE)
from . import _array_api as array_api
from . import autograd
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled, vmap

for _name in ("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "int8", "int16", "int32", "int64",
              "uint8", "uint16", "uint32", "uint64", "bool"):  # fmt: skip
    if hasattr(_C, _name):
        globals()[_name] = getattr(_C, _name)

__version__ = "0.1.0"


def _new_tensor(*args, **kwargs):
    """Tensor(data) and Tensor(2, 3), as PyTorch has them."""
    if args and all(isinstance(a, int) for a in args):
        return empty(*args, **kwargs)
    return tensor(*args, **kwargs) if args else empty(0)


def _dtype_named(name):
    return getattr(_C, name)


from . import functional, nn, optim, amp  # noqa: E402, I001
from .amp import autocast  # noqa: E402

if TYPE_CHECKING:
    from ._table import *  # noqa: F403
    from . import autotune, data, distributed, job, parallel, utils
    from .autotune import AutoTune
    from .serialization import load, save
    from .utils import Trainer, fit

_LAZY = {"AutoTune": "autotune", "autotune": "", "client": "", "data": "", "distributed": "", "job": "", "parallel": "", "DistributedStrategy": "parallel", "onnx": "", "utils": "", "load": "serialization", "save": "serialization", "Trainer": "utils", "fit": "utils"}


def __getattr__(name):
    """What few programs need is imported when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'deepseek' has no attribute {name!r}")
    import importlib

    home = importlib.import_module(f"{__name__}.{_LAZY[name] or name}")
    value = globals()[name] = getattr(home, name) if _LAZY[name] else home
    return value
