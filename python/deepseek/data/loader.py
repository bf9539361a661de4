"""DataLoader: batches of a dataset, made ahead by threads, with a position that can be kept and taken up again."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from .. import _C
from .._C import Tensor
from .._creation import tensor
from .._random import Generator, default_generator
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler


def default_collate(batch: list[Any]) -> Any:
    """Samples as one: tensors, arrays and numbers are stacked; dicts, tuples and lists element by element."""
    first = batch[0]
    if isinstance(first, Tensor):
        if len({x.shape for x in batch}) > 1:
            raise _C.Error(f"[collate] samples of different shapes cannot be stacked: {sorted({x.shape for x in batch})}; pass collate_fn=")
        out = _C.concat([_C.unsqueeze(x, 0) for x in batch], 0)
        _C.eval([out])
        return out
    if hasattr(first, "__array_interface__"):
        import numpy as np

        return tensor(np.stack(batch))
    if isinstance(first, (bool, int)):
        return tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=_C.float64)
    if isinstance(first, dict):
        return {k: default_collate([sample[k] for sample in batch]) for k in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(list(column)) for column in zip(*batch)))
    if isinstance(first, (tuple, list)):
        if len({len(sample) for sample in batch}) > 1:
            raise _C.Error("[collate] samples with different numbers of elements cannot be stacked; pass collate_fn=")
        return [default_collate(list(column)) for column in zip(*batch)]
    return batch


class DataLoader:
    """Iterating gives an epoch of batches.

    shuffle draws its order from `generator` (else from the process's). num_workers: threads that make batches ahead,
    prefetch_factor for each. state_dict() in the middle of an epoch and load_state_dict() later, elsewhere too, give
    exactly the batches that were left.
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool = False, sampler: Any = None, batch_sampler: Any = None,
        num_workers: int = 0, collate_fn: Callable[[list[Any]], Any] | None = None, pin_memory: bool = False, drop_last: bool = False,
        timeout: float = 0, worker_init_fn: Any = None, generator: Generator | None = None, *, prefetch_factor: int = 2,
        persistent_workers: bool = False,
    ) -> None:  # fmt: skip
        iterable = isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__")
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise _C.Error("[DataLoader] an iterable dataset has an order of its own: no shuffle, sampler or batch_sampler")
        if sampler is not None and shuffle:
            raise _C.Error("[DataLoader] sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size not in (1, None) or shuffle or sampler is not None or drop_last):
            raise _C.Error("[DataLoader] batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        self.dataset, self.batch_size, self.drop_last, self.num_workers = dataset, batch_size, drop_last, num_workers
        self.generator, self.prefetch_factor, self.worker_init_fn = generator, prefetch_factor, worker_init_fn
        self._iterable, self._shuffle = iterable, shuffle
        self._own_collate = collate_fn is not None
        self.collate_fn = collate_fn or (default_collate if batch_size is not None or batch_sampler is not None else lambda x: x)
        if not iterable:
            self.sampler = sampler or (RandomSampler(dataset) if shuffle else SequentialSampler(dataset))
            if batch_sampler is None and batch_size is not None:
                batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        self.epoch = 0
        self._start: Any = None  # the generator's state when the epoch began
        self._given = 0  # batches of this epoch that were handed out
        self._resume: dict[str, Any] | None = None

    def __len__(self) -> int:
        if self._iterable:
            n = len(self.dataset)
            return n if self.batch_size is None else n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        resume, self._resume = self._resume, None
        if resume is not None:
            self.epoch, self._start, self._given = resume["epoch"], resume["generator"], resume["batches"]
        else:
            self._start, self._given = None, 0
        self._begin_order(resumed=resume is not None)
        jobs = self._jobs()
        for _ in range(self._given):  # indices only: nothing is loaded for them
            next(jobs, None)
        return self._run(jobs)

    def _begin_order(self, resumed: bool) -> None:
        """Sets what the epoch's order is drawn from: for shuffle a stream that begins where the generator stands."""
        if self._shuffle:
            source = self.generator or default_generator
            if not resumed:
                self._start = source.get_state()
            elif self.generator is not None:
                source.set_state(self._start)
            if not resumed or self.generator is not None:
                source.take(len(self.dataset))
            self.sampler.generator = Generator()
            self.sampler.generator.set_state(self._start)
            return
        own = getattr(getattr(self, "sampler", None), "generator", None)
        if own is not None and resumed:
            own.set_state(self._start)
        elif own is not None:
            self._start = own.get_state()

    def _run(self, jobs: Iterator[Callable[[], Any]]) -> Iterator[Any]:
        for batch in self._made(jobs):
            self._given += 1
            yield batch
        self.epoch += 1
        self._given, self._start = 0, None

    def _jobs(self) -> Iterator[Callable[[], Any]]:
        """What makes each batch."""
        if self._iterable:
            samples = iter(self.dataset)
            if self.batch_size is None:
                yield from (functools.partial(self.collate_fn, s) for s in samples)
                return
            while chunk := list(itertools.islice(samples, self.batch_size)):
                if len(chunk) == self.batch_size or not self.drop_last:
                    yield functools.partial(self.collate_fn, chunk)
            return
        if self.batch_sampler is None:
            yield from ((lambda i=i: self.collate_fn(self.dataset[i])) for i in self.sampler)
            return
        whole = None if self._own_collate else getattr(self.dataset, "batch", None)
        for indices in self.batch_sampler:
            if whole is not None:
                yield functools.partial(whole, indices)
            else:
                yield functools.partial(self._collated, indices)

    def _collated(self, indices: Any) -> Any:
        return self.collate_fn([self.dataset[j] for j in indices])

    def _made(self, jobs: Iterator[Callable[[], Any]]) -> Iterator[Any]:
        if self.num_workers <= 0:
            yield from (job() for job in jobs)
            return
        from concurrent.futures import ThreadPoolExecutor

        waiting: deque[Any] = deque()
        numbers = itertools.count()
        start = None if self.worker_init_fn is None else lambda: self.worker_init_fn(next(numbers))
        pool = ThreadPoolExecutor(self.num_workers, "DataLoader", initializer=start)
        try:
            ahead: Iterable[Callable[[], Any]] = itertools.islice(jobs, self.num_workers * self.prefetch_factor)
            waiting.extend(pool.submit(job) for job in ahead)
            while waiting:
                batch = waiting.popleft().result()
                for job in itertools.islice(jobs, 1):
                    waiting.append(pool.submit(job))
                yield batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def state_dict(self) -> dict[str, Any]:
        """Which epoch, the generator's state at its start, and how many of its batches were handed out."""
        if self._resume is not None:
            return dict(self._resume)
        return {"epoch": self.epoch, "generator": self._start or (self.generator or default_generator).get_state(), "batches": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on from there."""
        self._resume = {"epoch": state["epoch"], "generator": tuple(state["generator"]), "batches": state["batches"]}
