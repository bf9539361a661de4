"""What python/bind promises: indexing as NumPy's, views that write through, memory shared with NumPy, laziness."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import deepseek as ds
from deepseek import _C


def random_key(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[object, ...]:
    """A key of integers, slices (with negative steps), new axes, an ellipsis, index arrays and masks."""
    key: list[object] = []
    lengths = int(rng.integers(1, 4))
    d = 0
    while d < len(shape):
        n = shape[d]
        kind = rng.integers(0, 8)
        if kind == 0 and n:
            key.append(int(rng.integers(-n, n)))
        elif kind in (1, 2):
            start, stop = (None if rng.random() < 0.3 else int(rng.integers(-n - 2, n + 3)) for _ in range(2))
            key.append(slice(start, stop, int(rng.choice([-3, -2, -1, 1, 2, 3]))))
        elif kind == 3:
            key.append(None)
            continue
        elif kind == 4 and n:
            key.append(rng.integers(-n, n, size=lengths))
        elif kind == 5 and n and d == 0:
            key.append(rng.random(n) < 0.5)
        elif kind == 6 and Ellipsis not in [k if k is Ellipsis else None for k in key]:
            key.append(Ellipsis)
            break
        else:
            key.append(slice(None))
        d += 1
    return tuple(key)


def as_ours(key: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(ds.from_numpy(np.array(k)) if isinstance(k, np.ndarray) else k for k in key)


@pytest.mark.parametrize("seed", range(300))
def test_indexing_is_numpys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(0 if seed % 5 == 0 else 1, 5, size=rng.integers(1, 5)))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    key = random_key(rng, shape)
    try:
        want = array[key]
    except IndexError:
        with pytest.raises(IndexError):
            ds.tensor(array)[as_ours(key)].numpy()
        return
    got = ds.tensor(array)[as_ours(key)]
    assert tuple(got.shape) == want.shape, key
    np.testing.assert_array_equal(got.numpy(), want, err_msg=str(key))
    value = rng.random(want.shape).astype(np.float32)
    ours, theirs = ds.tensor(array), array.copy()
    theirs[key] = value
    ours[as_ours(key)] = value
    repeated = any(isinstance(k, np.ndarray) and k.dtype != bool for k in key)
    if not repeated:  # which of equal indices is written last is NumPy's own business
        np.testing.assert_array_equal(ours.numpy(), theirs, err_msg=str(key))


def test_views_write_through_and_follow() -> None:
    x = ds.zeros(3, 4)
    row, turned = x[1], x.T
    row += 2
    np.testing.assert_array_equal(x.numpy()[1], 2)
    x[1, 0] = 7
    assert row[0].item() == 7 and turned[0, 1].item() == 7
    row[1:].reshape(3)[0] = -1
    assert x[1, 1].item() == -1
    y = x * 1  # no view
    y += 100
    assert x.max().item() == 7


def test_results_keep_the_values_they_were_recorded_with() -> None:
    x = ds.ones(3)
    y = x * 2
    x += 5
    assert y.tolist() == [2, 2, 2] and x.tolist() == [6, 6, 6]


def test_numpy_memory_is_shared_both_ways() -> None:
    array = np.arange(4.0)
    t = ds.from_numpy(array)
    before = t * 1
    array[0] = 50
    assert t[0].item() == 50 and before[0].item() == 0
    t += 1
    assert array.tolist() == [51, 2, 3, 4]
    out = (ds.ones(3) * 2).numpy()
    assert out.flags.writeable
    u = ds.ones(2)
    held = u.reshape(2)
    u.numpy()[0] = 9
    assert u.tolist() == [9, 1] and held.tolist()[1] == 1


def test_memory_outlives_its_tensor() -> None:
    a = (ds.ones(1000) * 3).numpy()
    gc.collect()
    assert a.sum() == 3000


def test_numpy_arrays_of_every_dtype_keep_their_memory_alive() -> None:
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "complex64", "complex128"):
        x = ds.tensor([[0, 1, 2], [3, 4, 5]], dtype=name)
        memory = x.numpy()
        assert memory.dtype == np.dtype(name) and memory.shape == (2, 3) and memory.flags.writeable and memory.flags.aligned
        assert np.shares_memory(memory, x.numpy())
        turned = x.T.numpy()
        np.testing.assert_array_equal(turned, np.asarray([[0, 3], [1, 4], [2, 5]]).astype(name))
        del x
        ds.randn(1000).numpy()
        np.testing.assert_array_equal(memory, np.asarray([[0, 1, 2], [3, 4, 5]]).astype(name))
    assert ds.tensor(2.5).numpy().shape == () and ds.zeros(0, 3).numpy().shape == (0, 3)
    assert ds.tensor([1.5], dtype="bfloat16").numpy().dtype == np.float32
    with pytest.raises(TypeError):
        ds.ones(2).numpy(True)
    with pytest.raises(TypeError):
        ds.ones(2).numpy(copy=True)


def test_writing_to_an_array_of_a_constant_changes_no_other() -> None:
    ds.full((), 3.0).numpy()[...] = 5
    ones = ds.full((3,), 3.0).numpy()
    ones[0] = 7
    assert ones.tolist() == [7, 3, 3]
    assert ds.full((), 3.0).item() == 3 and (ds.zeros(2) + 3.0).tolist() == [3, 3]


def test_a_short_computation_takes_the_short_way() -> None:
    a, b = ds.randn(16) * 1.0, ds.randn(16) * 1.0
    a.tolist(), b.tolist()
    before = _C.executor_stats()
    got = (a + b).numpy()
    after = _C.executor_stats()
    assert after["singles"] == before["singles"] + 1 and after["plans"] == before["plans"]
    np.testing.assert_array_equal(got, a.numpy() + b.numpy())


def test_dlpack_to_and_from_numpy() -> None:
    a = np.from_dlpack(ds.arange(6).reshape(2, 3) * 1)
    assert a.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert ds.from_dlpack(np.arange(3)[::-1]).tolist() == [2, 1, 0]


def test_a_leaf_that_requires_a_gradient_is_not_written_to() -> None:
    w = ds.ones(2, requires_grad=True)
    with pytest.raises(ds.Error, match="leaf"):
        w += 1
    with pytest.raises(ds.Error, match="leaf"):
        w[0] = 1
    with ds.no_grad():
        w += 1
    (w * w).sum().backward()
    assert w.grad.tolist() == [4, 4]


def test_gradients_gather_until_they_are_dropped() -> None:
    w = ds.ones(2, requires_grad=True)
    for _ in range(2):
        (w * 3).sum().backward()
    assert w.grad.tolist() == [6, 6]
    with pytest.raises(ds.Error):
        ds.ones(2).sum().backward()


def test_much_that_nobody_looks_at_is_computed_in_time() -> None:
    x = ds.ones(4)
    for _ in range(20000):
        x = x * 1.0001
    assert np.isfinite(x.numpy()).all()


def test_tensors_hash_pickle_copy_and_are_weakly_referenced() -> None:
    x = ds.randn(2, 3)
    assert x in {x} and len({x, x, ds.randn(1)}) == 2
    again = pickle.loads(pickle.dumps(x))
    deep = copy.deepcopy(x)
    np.testing.assert_array_equal(again.numpy(), x.numpy())
    deep += 1
    assert not np.array_equal(deep.numpy(), x.numpy())
    watch = weakref.ref(deep)
    del deep
    assert watch() is None


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda: ds.ones(2, 3) @ ds.ones(2, 3), "inner dimensions differ"),
        (lambda: ds.ones(2) + ds.ones(3), r"do not broadcast: got \(2,\) and \(3,\)"),
        (lambda: bool(ds.ones(2)), "ambiguous"),
        (lambda: ds.ones(3).reshape(2), "reshape"),
        (lambda: ds.ones(2).item(), "one element"),
    ],
)
def test_errors_name_the_values(run: object, words: str) -> None:
    with pytest.raises(ds.Error, match=words):
        run()  # type: ignore[operator]


def test_an_index_out_of_range_is_an_index_error() -> None:
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        ds.ones(3)[5]
    with pytest.raises(IndexError):
        ds.ones(3)[ds.tensor([1, 7])].numpy()
    with pytest.raises(IndexError):
        ds.ones(3).sum(4)


def test_a_dtype_is_no_none() -> None:
    assert (ds.float32 == None) is False  # noqa: E711
    assert ds.float32 != ds.float64 and ds.float32 == ds.ones(1).dtype


def test_a_view_that_was_taken_again_still_gathers_its_gradient() -> None:
    base = ds.ones(4, requires_grad=True) * 2
    view = base[1:]
    view.retain_grad()
    base += 1
    (view * view).sum().backward()
    assert view.grad.tolist() == [6, 6, 6]


def test_a_number_beside_a_tensor_is_a_scalar_to_matmul() -> None:
    x = ds.ones(3, 3)
    for wrong in (lambda: x @ 2.0, lambda: 2 @ x):
        with pytest.raises((TypeError, ds.Error)):
            wrong()
    assert (x * 2.0).tolist() == (2 * x).tolist() == [[2.0] * 3] * 3 and (x > 0).tolist() == [[True] * 3] * 3
    assert (ds.arange(3) * 1.5).dtype == ds.float32 and (ds.ones(2, dtype="float16") * 3).dtype == ds.float16
