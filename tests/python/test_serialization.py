"""ds.save and ds.load."""

import io
import json
import struct
from collections import OrderedDict

import numpy as np
import pytest

import deepseek as ds


def same(a, b):
    assert type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


DTYPES = [n for n in "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64".split() if hasattr(ds, n)]


@pytest.mark.parametrize("name", ["x.safetensors", "x.ds"])
def test_every_dtype(tmp_path, name):
    rng = np.random.default_rng(0)
    state = {t: ds.tensor(rng.integers(0, 2, (2, 3))).to(getattr(ds, t)) for t in DTYPES}
    state["empty"], state["scalar"] = ds.ones(0, 3), ds.tensor(2.5)
    ds.save(state, tmp_path / name)
    back = ds.load(tmp_path / name)
    assert list(back) == list(state)
    for k in state:
        same(back[k], state[k])


def test_other_readers(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is the reference")
    state = {"a": ds.randn(3, 4), "b": ds.arange(5)}
    ds.save(state, tmp_path / "x.safetensors")
    theirs = safetensors.load_file(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(theirs["a"], state["a"].numpy())
    safetensors.save_file({"c": np.ones((2, 2), np.float16)}, tmp_path / "y.safetensors")
    assert ds.load(tmp_path / "y.safetensors")["c"].tolist() == [[1, 1], [1, 1]]


def test_layout(tmp_path):
    ds.save({"a": ds.tensor([1.0, 2.0])}, tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    assert n % 8 == 0 and json.loads(data[8 : 8 + n])["a"] == {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    assert data[8 + n :] == struct.pack("<ff", 1.0, 2.0)


def test_nested(tmp_path):
    model = ds.nn.Linear(2, 2)
    o = ds.optim.AdamW(model.parameters())
    model(ds.ones(1, 2)).sum().backward()
    o.step()
    shared = ds.ones(2)
    value = {
        "model": model.state_dict(), "optimizer": o.state_dict(), "list": [1, (2.5, None, True), "text"], 3: {"x": shared, "y": shared}, "set": {1, 2},
        "bytes": b"\x00\x01", "inf": float("inf"), "z": 1 + 2j, "dtype": ds.float32, "array": np.arange(3),
    }  # fmt: skip
    ds.save(value, tmp_path / "x.ds")
    back = ds.load(tmp_path / "x.ds")
    assert isinstance(back["model"], OrderedDict) and back["list"] == value["list"] and back["bytes"] == value["bytes"] and back["z"] == value["z"]
    assert back["inf"] == float("inf") and back["dtype"] == ds.float32 and back["set"] == {1, 2} and back["array"].tolist() == [0, 1, 2]
    assert back[3]["x"] is back[3]["y"]
    model.load_state_dict(back["model"])
    o.load_state_dict(back["optimizer"])
    assert o.state[model.weight]["step"] == 1
    stream = io.BytesIO()
    ds.save([ds.ones(1)], stream)
    stream.seek(0)
    same(ds.load(stream)[0], ds.ones(1))


def test_errors_name_file_and_key(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(TypeError, match=r"x\.safetensors.*'a' is a int"):
        ds.save({"a": 1}, path)
    with pytest.raises(TypeError, match=r"'net\.f' is a function"):
        ds.save({"net": {"f": lambda: 0}}, tmp_path / "x.ds")
    with pytest.raises(TypeError, match=r"save its state_dict\(\)"):
        ds.save({"net": ds.nn.ReLU()}, tmp_path / "x.ds")
    assert list(tmp_path.iterdir()) == []
    ds.save({"a": ds.ones(4)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(ds.Error, match=r"x\.safetensors: tensor 'a' of F32 \(4,\) does not fit"):
        ds.load(path)
    path.write_bytes(b"junk")
    with pytest.raises(ds.Error, match="no safetensors"):
        ds.load(path)
    path.write_bytes(whole.replace(b"F32", b"F99"))
    with pytest.raises(ds.Error, match="dtype F99"):
        ds.load(path)
