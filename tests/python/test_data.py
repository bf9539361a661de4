"""Datasets, samplers and the loader, its threads and its exact resume."""

import os

import numpy as np
import pytest

import deepseek as ds

D = ds.data


class Squares(D.Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError(i)
        return {"x": np.float32(i), "y": (i, float(i * i))}

    def __len__(self):
        return self.n


def test_collation():
    batch = next(iter(D.DataLoader(Squares(5), 3)))
    assert batch["x"].dtype == ds.float32 and batch["y"][0].tolist() == [0, 1, 2] and batch["y"][1].dtype == ds.float64
    with pytest.raises(ds.Error, match="different shapes"):
        D.default_collate([ds.ones(2), ds.ones(3)])
    assert D.default_collate(["a", "b"]) == ["a", "b"]


def test_lengths_and_drop_last():
    data = D.TensorDataset(ds.arange(10), ds.arange(10) * 2)
    for drop, n in ((False, 4), (True, 3)):
        loader = D.DataLoader(data, 3, drop_last=drop)
        batches = list(loader)
        assert len(loader) == len(batches) == n
    assert batches[1][1].tolist() == [6, 8, 10]
    assert [x.tolist() for x, in D.DataLoader(D.TensorDataset(ds.arange(3)), None)] == [0, 1, 2]
    with pytest.raises(ds.Error, match="different lengths"):
        D.TensorDataset(ds.ones(2), ds.ones(3))
    with pytest.raises(ds.Error, match="exclude"):
        D.DataLoader(data, sampler=D.SequentialSampler(data), shuffle=True)


def order(loader):
    return [i for (x,) in loader for i in x.tolist()]


@pytest.mark.parametrize("workers", [0, 3])
def test_shuffle_follows_the_generator(workers):
    data = D.TensorDataset(ds.arange(20))
    make = lambda: D.DataLoader(data, 4, shuffle=True, generator=ds.Generator(5), num_workers=workers)  # noqa: E731
    loader = make()
    first, second = order(loader), order(loader)
    assert sorted(first) == list(range(20)) and first != second != list(range(20))
    again = make()
    assert [order(again), order(again)] == [first, second]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("own", [False, True])
def test_resume_is_exact(workers, own):
    data = D.TensorDataset(ds.arange(30))
    make = lambda: D.DataLoader(data, 4, shuffle=True, generator=ds.Generator(7) if own else None, num_workers=workers)  # noqa: E731
    ds.manual_seed(11)
    loader = make()
    order(loader)
    epoch = iter(loader)
    for _ in range(3):
        next(epoch)
    state, rng = loader.state_dict(), ds.get_rng_state()
    assert state["epoch"] == 1 and state["batches"] == 3
    rest = [x.tolist() for (x,) in epoch]
    following = order(loader)
    other = make()
    ds.set_rng_state(rng)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert [x.tolist() for (x,) in other] == rest and order(other) == following


def test_threads_pass_on_errors_and_keep_the_order():
    assert order(D.DataLoader(D.TensorDataset(ds.arange(50)), 3, num_workers=4)) == list(range(50))

    class Broken(Squares):
        def __getitem__(self, i):
            raise ValueError(f"sample {i} is broken")

    with pytest.raises(ValueError, match="sample 0 is broken"):
        next(iter(D.DataLoader(Broken(4), 2, num_workers=2)))


def test_iterable():
    class Count(D.IterableDataset):
        def __iter__(self):
            return iter(range(7))

    assert [b.tolist() for b in D.DataLoader(Count(), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(list(D.DataLoader(Count(), 3, drop_last=True))) == 2
    with pytest.raises(ds.Error, match="order of its own"):
        D.DataLoader(Count(), shuffle=True)


def test_splits_and_joins():
    data = D.TensorDataset(ds.arange(10))
    a, b = D.random_split(data, [0.7, 0.3], ds.Generator(1))
    assert len(a) == 7 and sorted(order(D.DataLoader(a, 2)) + order(D.DataLoader(b, 2))) == list(range(10))
    both = a + b
    assert len(both) == 10 and both[-1][0].item() == b[2][0].item()
    with pytest.raises(ds.Error, match="do not sum up"):
        D.random_split(data, [5, 6])


def test_samplers():
    ds.manual_seed(2)
    w = D.WeightedRandomSampler([0.0, 1.0, 3.0], 4000)
    drawn = np.bincount(list(w), minlength=3) / 4000
    assert drawn[0] == 0 and abs(drawn[2] - 0.75) < 0.03
    assert sorted(D.WeightedRandomSampler([1.0, 0.0, 2.0], 2, replacement=False)) == [0, 2]
    assert sorted(D.SubsetRandomSampler([3, 5, 7])) == [3, 5, 7]
    assert len(list(D.RandomSampler(range(4), replacement=True, num_samples=9))) == 9
    shares = [list(D.DistributedSampler(range(10), 4, rank)) for rank in range(4)]
    assert {len(s) for s in shares} == {3} and set().union(*shares) == set(range(10))


def test_fashion_mnist():
    root = "/usr/share/datasets/fashion-mnist"
    if not os.path.isdir(root):
        with pytest.raises(FileNotFoundError, match="dataset-fashion-mnist"):
            D.FashionMNIST()
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    data = D.FashionMNIST(train=False)
    x, y = data[3]
    assert len(data) == 10000 and x.shape == (1, 28, 28) and 0 <= y < 10 and float(x.max()) <= 1
    images, labels = next(iter(D.DataLoader(data, 8)))
    assert images.shape == (8, 1, 28, 28) and labels.dtype == ds.int64 and labels[3].item() == y
    np.testing.assert_allclose(images[3].numpy(), x.numpy())
    assert data.data.shape == (10000, 28, 28) and data.data.dtype == ds.uint8
    flipped = D.FashionMNIST(train=False, transform=lambda t: ds.flip(t, [2]))
    np.testing.assert_allclose(next(iter(D.DataLoader(flipped, 2)))[0].numpy(), images[:2].numpy()[..., ::-1])
