"""ds.save and ds.load: safetensors for flat dicts of tensors, and a zip of JSON and safetensors for anything nested.

Neither runs code when it is read, as pickles do.
"""

from __future__ import annotations

import json
import os
import struct
from collections import OrderedDict
from typing import Any, BinaryIO

from . import _C
from ._C import Tensor

_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL", "complex64": "C64", "complex128": "C128",
}  # fmt: skip
_DTYPES = {v: k for k, v in _NAMES.items()}


def _bytes(x: Tensor) -> Any:
    """The elements, little-endian and row after row, as an array of bytes."""
    import numpy as np

    array = np.ascontiguousarray(_C.numpy(x.detach(), True))
    if x.dtype.name == "bfloat16":
        array = (array.view(np.uint32) >> 16).astype(np.uint16)
    return array.reshape(-1).view(np.uint8) if array.size else np.zeros(0, np.uint8)


def _tensor(data: Any, name: str, shape: list[int]) -> Tensor:
    import numpy as np

    if name == "bfloat16":
        wide = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
        return _C.cast(_C.from_array(wide), _C.bfloat16)
    return _C.clone(_C.from_array(data.view(np.dtype(name)).reshape(shape).copy()))


def _write_safetensors(file: BinaryIO, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    start = 0
    for key, x in tensors.items():
        size = x.numel() * x.dtype.itemsize
        header[key] = {"dtype": _NAMES[x.dtype.name], "shape": list(x.shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for x in tensors.values():
        file.write(memoryview(_bytes(x)))


def _read_safetensors(data: Any, where: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    import numpy as np

    size = len(data)
    if size < 8:
        raise _C.Error(f"[load] {where}: {size} bytes are no safetensors file")
    (length,) = struct.unpack("<Q", bytes(data[:8]))
    if length > size - 8:
        raise _C.Error(f"[load] {where}: a header of {length} bytes does not fit into {size}: no safetensors file, or a truncated one")
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
    except ValueError as e:
        raise _C.Error(f"[load] {where}: the header is no JSON: {e}") from None
    metadata = header.pop("__metadata__", {})
    body = np.frombuffer(data, np.uint8)[8 + length :]
    out = {}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        name, shape = _DTYPES.get(entry["dtype"]), entry["shape"]
        if name is None or not hasattr(_C, name):
            raise _C.Error(f"[load] {where}: tensor {key!r} has dtype {entry['dtype']}, which is not known")
        count = 1
        for n in shape:
            count *= n
        if not 0 <= begin <= end <= len(body) or end - begin != count * getattr(_C, name).itemsize:
            raise _C.Error(f"[load] {where}: tensor {key!r} of {entry['dtype']} {tuple(shape)} does not fit bytes {begin} to {end} of {len(body)}")
        out[key] = _tensor(body[begin:end].copy(), name, shape)
    return out, metadata


def _encode(value: Any, path: str, tensors: dict[str, Tensor], seen: dict[int, str]) -> Any:
    """JSON of a value; tensors are put aside under names."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        name = seen.setdefault(id(value), path or "tensor")
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        pairs = [[_encode(k, f"{path}.{k}", tensors, seen), _encode(v, f"{path}.{k}" if path else str(k), tensors, seen)] for k, v in value.items()]
        return {"ordered" if isinstance(value, OrderedDict) else "dict": pairs}
    if isinstance(value, (list, tuple)):
        items = [_encode(v, f"{path}.{i}" if path else str(i), tensors, seen) for i, v in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, set):
        return {"set": [_encode(v, path, tensors, seen) for v in sorted(value)]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, _C.dtype):
        return {"dtype": value.name}
    if hasattr(value, "__array_interface__"):
        import numpy as np

        name = seen.setdefault(id(value), path or "array")
        tensors[name] = _C.clone(_C.from_array(np.asarray(value)))
        return {"array": name}
    hint = ": save its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"[save] {path or 'the value'!r} is a {type(value).__name__}, which cannot be saved{hint}")


def _decode(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    if isinstance(value, list):
        return [_decode(v, tensors, where) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("tensor", "array"):
        if content not in tensors:
            raise _C.Error(f"[load] {where}: tensor {content!r} is missing")
        return tensors[content] if kind == "tensor" else _C.numpy(tensors[content], True)
    if kind in ("dict", "ordered"):
        pairs = [(_decode(k, tensors, where), _decode(v, tensors, where)) for k, v in content]
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    if kind in ("tuple", "set"):
        return (tuple if kind == "tuple" else set)(_decode(v, tensors, where) for v in content)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "complex":
        return complex(*content)
    if kind == "dtype":
        return getattr(_C, content)
    raise _C.Error(f"[load] {where}: a value of kind {kind!r} is not known")


def save_file(tensors: dict[str, Tensor], path: Any, metadata: dict[str, str] | None = None) -> None:
    """Writes a flat dict of tensors as safetensors."""
    for key, x in tensors.items():
        if not isinstance(key, str) or not isinstance(x, Tensor):
            raise TypeError(f"[save] {path}: safetensors hold tensors by name, but {key!r} is a {type(x).__name__}")
    _C.eval(list(tensors.values()))
    _replace(path, lambda file: _write_safetensors(file, tensors, metadata))


def load_file(path: Any) -> dict[str, Tensor]:
    """Reads a safetensors file."""
    with open(path, "rb") as file:
        return _read_safetensors(file.read(), str(path))[0]


def _replace(path: Any, write: Any) -> None:
    """Writes beside the file and puts it in its place when it is on the disk: a reader never sees half, nor after a crash."""
    if hasattr(path, "write"):
        write(path)
        return
    part = f"{os.fspath(path)}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise


def save(obj: Any, path: Any) -> None:
    """Tensors, and dicts, lists and tuples of tensors, numbers and strings. A path that ends in .safetensors gives that
    format, which holds a flat dict of tensors."""
    if str(path).endswith(".safetensors"):
        save_file(obj, path)
        return
    import zipfile

    tensors: dict[str, Tensor] = {}
    structure = json.dumps(_encode(obj, "", tensors, {}))
    _C.eval(list(tensors.values()))

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("structure.json", structure)
            with archive.open("tensors.safetensors", "w", force_zip64=True) as part:
                _write_safetensors(part, tensors, None)  # type: ignore[arg-type]

    _replace(path, write)


def load(path: Any, map_location: str | None = None) -> Any:
    """What save() wrote, or any safetensors file; map_location: the device its tensors go to."""
    import io
    import zipfile
    import zlib

    if hasattr(path, "read"):
        data, where = path.read(), "the stream"
    else:
        where = os.fspath(path)
        with open(path, "rb") as file:
            data = file.read()
    if data[:2] != b"PK":
        return _moved(_read_safetensors(data, where)[0], map_location)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "structure.json" not in names:
                hint = ": it looks like a PyTorch checkpoint; deepseek.converter reads those" if any(n.endswith("data.pkl") for n in names) else ""
                raise _C.Error(f"[load] {where}: a zip file that ds.save did not write{hint}")
            tensors, _ = _read_safetensors(archive.read("tensors.safetensors"), where)
            structure = json.loads(archive.read("structure.json"))
    except (zipfile.BadZipFile, EOFError, zlib.error) as e:
        raise _C.Error(f"[load] {where}: the file is damaged or cut short: {e}") from None
    return _decode(structure, _moved(tensors, map_location), where)


def _moved(tensors: dict[str, Tensor], device: str | None) -> dict[str, Tensor]:
    return tensors if device is None else {k: _C.to_device(v, device) for k, v in tensors.items()}
