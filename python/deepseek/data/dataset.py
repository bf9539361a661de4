"""Datasets: things with a length whose elements are samples."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from .. import _C
from .._C import Tensor
from .._random import Generator, default_generator, randperm


class Dataset:
    """Subclasses give __getitem__ and __len__. One that can make a whole batch at once also gives batch(indices)."""

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} has no length")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Subclasses give __iter__: samples come one after the other."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")


def _index(indices: Sequence[int]) -> Tensor:
    import numpy as np

    return _C.from_array(np.asarray(indices, dtype=np.int64))


class TensorDataset(Dataset):
    """Samples are the rows of tensors of one length."""

    def __init__(self, *tensors: Tensor) -> None:
        if len({t.shape[0] for t in tensors}) > 1:
            raise _C.Error(f"[TensorDataset] tensors of different lengths: {[t.shape[0] for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def batch(self, indices: Sequence[int]) -> list[Tensor]:
        index = _index(indices)
        rows = [_C.take(t, index, 0) for t in self.tensors]
        _C.eval(rows)
        return rows

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """Some of another dataset's samples."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices
        if hasattr(dataset, "batch"):
            self.batch = lambda chosen: dataset.batch([self.indices[i] for i in chosen])

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """One dataset after the other."""

    def __init__(self, datasets: Any) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise _C.Error("[ConcatDataset] got no datasets")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"sample {index} is out of range for {len(self)}")
        which = bisect.bisect_right(self.cumulative_sizes, i)
        return self.datasets[which][i - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Disjoint subsets of these lengths, or of these shares of 1, in random order."""
    n = len(dataset)
    sizes = [int(x) for x in lengths]
    if abs(sum(lengths) - 1) < 1e-6 and all(0 <= x <= 1 for x in lengths):
        sizes = [int(n * x) for x in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != n:
        raise _C.Error(f"[random_split] lengths {list(lengths)} do not sum up to {n}")
    order = randperm(n, generator=generator or default_generator).tolist()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends)]


def _idx(path: str) -> Any:
    """The array in an IDX file of bytes."""
    import gzip

    import numpy as np

    try:
        with gzip.open(path) as file:
            data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: install Debian's dataset-fashion-mnist, or pass root=") from None
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


class FashionMNIST(Dataset):
    """60,000 (or, for train=False, 10,000) pictures of clothes: float32 (1, 28, 28) in [0, 1], and a class of ten.

    normalize: less their mean 0.2860, over their deviation 0.3530, as jobs with `data="fashion_mnist"` see them.
    """

    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]

    def __init__(
        self, root: str = "/usr/share/datasets/fashion-mnist", train: bool = True, transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None, normalize: bool = False,
    ) -> None:  # fmt: skip
        import numpy as np

        self._mean, self._deviation = (np.float32(0.2860), np.float32(0.3530)) if normalize else (np.float32(0), np.float32(1))
        self.train, self.transform, self.target_transform = train, transform, target_transform
        kind = "train" if train else "t10k"
        self._images = _idx(os.path.join(root, f"{kind}-images-idx3-ubyte.gz"))
        self._labels = _idx(os.path.join(root, f"{kind}-labels-idx1-ubyte.gz")).astype(np.int64)
        if transform is None and target_transform is None:
            self.batch = self._batch

    @property
    def data(self) -> Tensor:
        """uint8 (count, 28, 28)."""
        return _C.clone(_C.from_array(self._images.copy()))

    @property
    def targets(self) -> Tensor:
        return _C.clone(_C.from_array(self._labels.copy()))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = self._floats(self._images[index][None])
        label: Any = int(self._labels[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def _batch(self, indices: Sequence[int]) -> list[Tensor]:
        import numpy as np

        chosen = np.asarray(indices)
        return [self._floats(self._images[chosen][:, None]), _own(self._labels[chosen])]

    def _floats(self, pixels: Any) -> Tensor:
        import numpy as np

        return _own((pixels.astype(np.float32) / np.float32(255) - self._mean) / self._deviation)

    def __len__(self) -> int:
        return len(self._labels)


def _own(array: Any) -> Tensor:
    """A tensor in memory that NumPy does not see: ops on it may wait."""
    return _C.clone(_C.from_array(array))
