"""Random numbers: one counter-based Philox stream, the same bits on every device and in every layout."""

from __future__ import annotations

import secrets
from typing import Any

from . import _C


class Generator:
    """A position in a Philox stream: `seed` names the stream, `offset` counts the counters used so far."""

    def __init__(self, seed: int = 0) -> None:
        self.seed_value, self.offset = seed & (2**64 - 1), 0

    def manual_seed(self, seed: int) -> Generator:
        """Begins the stream of `seed` from its start."""
        self.seed_value, self.offset = seed & (2**64 - 1), 0
        return self

    def seed(self) -> int:
        """Begins a stream nobody can predict, and gives its seed."""
        self.manual_seed(secrets.randbits(63))
        return self.seed_value

    def initial_seed(self) -> int:
        return self.seed_value

    def get_state(self) -> tuple[int, int]:
        return (self.seed_value, self.offset)

    def set_state(self, state: tuple[int, int]) -> None:
        self.seed_value, self.offset = state

    def take(self, numel: int, per_counter: int = 4) -> tuple[int, int]:
        """(seed, offset) for `numel` numbers; the stream moves past them."""
        offset = self.offset
        self.offset += -(-numel // per_counter)
        return self.seed_value, offset


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Begins the stream of random numbers that `seed` names. Every process starts with seed 0."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    return default_generator.seed()


def initial_seed() -> int:
    return default_generator.initial_seed()


def get_rng_state() -> tuple[int, int]:
    return default_generator.get_state()


def set_rng_state(state: tuple[int, int]) -> None:
    default_generator.set_state(state)


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)


def draw(kind: str, shape: tuple[int, ...], dtype: Any = None, device: str = "cpu", generator: Generator | None = None) -> Any:
    """A tensor of `uniform` numbers in [0, 1) or `normal` ones."""
    t = _C.to_dtype(dtype) if dtype is not None else _C.get_default_dtype()
    numel = 1
    for d in shape:
        numel *= d
    stream = (generator or default_generator).take(numel, 2 if t == _C.float64 else 4)
    return getattr(_C, f"random_{kind}")(shape, *stream, t, device)


def _made(x: Any, requires_grad: bool) -> Any:
    if requires_grad:
        _C.require_grad(x, True)
    return x


def rand(*size: Any, dtype: Any = None, device: str = "cpu", requires_grad: bool = False, generator: Generator | None = None) -> Any:
    """Uniform numbers in [0, 1)."""
    return _made(draw("uniform", _shape(size), dtype, device, generator), requires_grad)


def randn(*size: Any, dtype: Any = None, device: str = "cpu", requires_grad: bool = False, generator: Generator | None = None) -> Any:
    """Normal numbers of mean 0 and variance 1."""
    return _made(draw("normal", _shape(size), dtype, device, generator), requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: Any = None, device: str = "cpu", generator: Generator | None = None) -> Any:
    """Integers in [low, high), or in [0, low) when called as randint(high, size)."""
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise _C.Error(f"[randint] low {low} must be below high {high}")
    u = draw("uniform", tuple(size), _C.float64, device, generator)
    return _C.cast(_C.floor(u * float(high - low)) + float(low), dtype if dtype is not None else _C.int64)


def randperm(n: int, *, dtype: Any = None, device: str = "cpu", generator: Generator | None = None) -> Any:
    """The numbers 0 to n - 1 in random order."""
    import numpy as np

    stream = (generator or default_generator).take(n)
    order = np.random.Generator(np.random.Philox(key=stream[0], counter=stream[1])).permutation(n)
    out = _C.from_array(order.astype(np.int64))
    return out if dtype is None else _C.cast(out, dtype)


def bernoulli(p: Any, *, generator: Generator | None = None) -> Any:
    """1 with the probability that each element of p gives, else 0; of p's dtype."""
    return _C.cast(draw("uniform", p.shape, p.dtype, p.device, generator) < p, p.dtype)


def rand_like(x: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Any:
    return rand(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)


def randn_like(x: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Any:
    return randn(x.shape, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad)
