"""Samplers: in which order a loader takes the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import _C, distributed
from .._random import Generator, default_generator, draw, randperm


class Sampler:
    """Subclasses give __iter__ over indices, and __len__. A generator of random numbers is their attribute `generator`."""

    generator: Generator | None = None

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")

    def __len__(self) -> int:
        return len(self.data_source)


class SequentialSampler(Sampler):
    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))


class RandomSampler(Sampler):
    """Every sample once in random order; or num_samples of them, with replacement if asked for."""

    def __init__(self, data_source: Any, replacement: bool = False, num_samples: int | None = None, generator: Generator | None = None) -> None:
        super().__init__(data_source)
        self.replacement, self.generator = replacement, generator
        self._num_samples = num_samples

    def __iter__(self) -> Iterator[int]:
        n, wanted = len(self.data_source), len(self)
        generator = self.generator or default_generator
        if self.replacement:
            u = draw("uniform", (wanted,), _C.float64, "cpu", generator)
            yield from (int(v * n) for v in u.tolist())
            return
        while wanted > 0:
            order = randperm(n, generator=generator).tolist()
            yield from order[:wanted]
            wanted -= n

    def __len__(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples


class SubsetRandomSampler(Sampler):
    """These indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__(indices)
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self.generator or default_generator).tolist():
            yield self.indices[i]


class WeightedRandomSampler(Sampler):
    """Indices with probabilities in proportion to weights."""

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None) -> None:
        import numpy as np

        super().__init__()
        self.weights = np.asarray(weights.tolist() if hasattr(weights, "tolist") else list(weights), np.float64)
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator
        if not replacement and (self.weights > 0).sum() < num_samples:
            raise _C.Error(f"[WeightedRandomSampler] {num_samples} of {int((self.weights > 0).sum())} cannot be drawn without replacement")

    def __iter__(self) -> Iterator[int]:
        import numpy as np

        generator = self.generator or default_generator
        if self.replacement:
            u = np.asarray(draw("uniform", (self.num_samples,), _C.float64, "cpu", generator).tolist())
            total = np.cumsum(self.weights)
            return iter(np.searchsorted(total, u * total[-1], side="right").clip(0, len(total) - 1).tolist())
        u = np.asarray(draw("uniform", (len(self.weights),), _C.float64, "cpu", generator).tolist())
        with np.errstate(divide="ignore"):  # the largest keys u^(1/w) are a sample without replacement
            keys = np.where(self.weights > 0, np.log(np.maximum(u, 1e-300)) / self.weights, -np.inf)
        return iter(np.argsort(-keys, kind="stable")[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of batch_size indices of another sampler."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool) -> None:
        super().__init__()
        if batch_size < 1:
            raise _C.Error(f"[BatchSampler] batch_size {batch_size} must be 1 or more")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for i in self.sampler:
            batch.append(i)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class DistributedSampler(Sampler):
    """The share of one rank: every epoch another order, the same on all ranks. Call set_epoch() before each.
    num_replicas, rank: default, those of deepseek.distributed."""

    def __init__(
        self, dataset: Any, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0, drop_last: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dataset)
        num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
        rank = distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise _C.Error(f"[DistributedSampler] rank {rank} is out of range for {num_replicas}")
        self.num_replicas, self.rank, self.shuffle, self.seed, self.drop_last = num_replicas, rank, shuffle, seed, drop_last
        self.epoch = 0

    def __len__(self) -> int:
        n = len(self.data_source)
        return n // self.num_replicas if self.drop_last else -(-n // self.num_replicas)

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        order = randperm(n, generator=Generator(self.seed + self.epoch)).tolist() if self.shuffle else list(range(n))
        total = len(self) * self.num_replicas
        order = (order * (-(-total // max(n, 1))))[:total]
        return iter(order[self.rank :: self.num_replicas])

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
