#!/usr/bin/env python3
"""Writes the type stubs of what is made at import: python/deepseek/_C.pyi (Tensor with all its methods) and
_table.pyi (the functions of tensors). Run it after adding functions: PYTHONPATH=python tools/python_stubs.py"""

from __future__ import annotations

import inspect
import pathlib
import re

import deepseek as ds
from deepseek import _C
from deepseek._functions import TABLE

HERE = pathlib.Path(__file__).resolve().parent.parent / "python" / "deepseek"
KNOWN = {"Tensor", "Any", "int", "float", "bool", "str", "None", "tuple", "list", "dict", "complex", "object", "_bool", "_int", "_float", "_complex"}
HEAD = '''"""{what} Written by tools/python_stubs.py."""
{imports}from typing import Any

'''
# Methods called bool, int, ... hide the types' names inside the class.
HIDDEN = {"bool": "_bool", "int": "_int", "float": "_float", "complex": "_complex"}
OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]


def typed(annotation: object) -> str:
    """An annotation as the stub can say it; what it cannot is Any."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")
    names = set(re.findall(r"[A-Za-z_][\w.]*", text))
    if annotation is inspect.Parameter.empty or not names <= KNOWN:
        return "Any"
    return re.sub(r"\b(bool|int|float|complex)\b", lambda m: HIDDEN[m[1]], text)


def signature(name: str, f: object, method: bool) -> str:
    try:
        s = inspect.signature(f)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return f"def {name}({'self, ' if method else ''}*args: Any, **kwargs: Any) -> Any: ..."
    parts, star = [], False
    for i, p in enumerate(s.parameters.values()):
        if method and i == 0 and p.kind is not p.VAR_POSITIONAL:
            parts.append("self")
            continue
        if method and i == 0:
            parts.append("self")
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        star = star or p.kind is p.VAR_POSITIONAL
        if p.name.startswith("_"):
            continue
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(f"{mark}{p.name}: {typed(p.annotation)}" + (" = ..." if p.default is not p.empty else ""))
    if parts and parts[-1] == "*":
        parts.pop()
    if not any(p.startswith("**") for p in parts):
        parts.append("**kwargs: Any")  # axis, keepdims, out, ...
    return f"def {name}({', '.join(parts)}) -> {typed(s.return_annotation)}: ..."


def tensor() -> str:
    lines = [
        "class Tensor:", "    shape: tuple[_int, ...]", "    dtype: dtype", "    device: str", "    ndim: _int",
        "    requires_grad: _bool", "    is_leaf: _bool", "    grad: Tensor | None", "    data: Tensor",
        "    def __init__(self, *args: Any, **kwargs: Any) -> None: ...",
        "    def __getitem__(self, key: Any) -> Tensor: ...", "    def __setitem__(self, key: Any, value: Any) -> None: ...",
        "    def __len__(self) -> _int: ...", "    def __bool__(self) -> _bool: ...", "    def __int__(self) -> _int: ...",
        "    def __float__(self) -> _float: ...", "    def __index__(self) -> _int: ...", "    def __hash__(self) -> _int: ...",
        "    def __iter__(self) -> Iterator[Tensor]: ...", "    def __neg__(self) -> Tensor: ...", "    def __pos__(self) -> Tensor: ...",
        "    def __abs__(self) -> Tensor: ...", "    def __invert__(self) -> Tensor: ...",
    ]  # fmt: skip
    for o in OPERATORS:
        lines += [f"    def __{p}{o}__(self, other: Any) -> Tensor: ..." for p in ("", "r", "i")]
    for o in ("eq", "ne", "lt", "le", "gt", "ge"):
        lines.append(f"    def __{o}__(self, other: Any) -> Tensor: ...{'  # type: ignore[override]' if o in ('eq', 'ne') else ''}")
    done = set(re.findall(r"def (\w+)|    (\w+):", "\n".join(lines)))
    names = {n for pair in done for n in pair}
    for name in sorted(vars(_C.Tensor)):
        f = vars(_C.Tensor)[name]
        if name in names or (name.startswith("_") and name not in ("__array__", "__array_namespace__", "__dlpack__", "__dlpack_device__", "__contains__")):
            continue
        if isinstance(f, property):
            kind = "Any" if name == "size" else "_int" if name in ("nbytes", "itemsize") else "Tensor"
            lines.append(f"    @property\n    def {name}(self) -> {kind}: ...")
        elif callable(f):
            lines.append("    " + signature(name, f, True))
    return "\n".join(lines)


def main() -> None:
    dtypes = [n for n in dir(_C) if isinstance(getattr(_C, n), _C.dtype) and n != "bool"]
    hidden = "\n".join(f"{v} = {k}" for k, v in HIDDEN.items()) + "\n"
    dtype = "class dtype:\n    name: str\n    itemsize: _int\n    is_floating_point: _bool\n    is_complex: _bool\n    is_signed: _bool\n"
    error = "class Error(RuntimeError, ValueError): ...\n"
    rest = "def get_default_dtype() -> dtype: ...\ndef set_default_dtype(t: Any) -> None: ...\ndef get_num_threads() -> _int: ...\ndef set_num_threads(n: _int) -> None: ...\n"
    names = "\n".join(f"{n}: dtype" for n in dtypes) + "\n"
    (HERE / "_C.pyi").write_text(
        HEAD.format(what="The compiled module: Tensor, dtypes and primitives.", imports="from collections.abc import Iterator\n") + hidden + "\n" + dtype + "\n" + error + "\n" + tensor() + "\n\n" + names + "\n" + rest + "\ndef __getattr__(name: str) -> Any: ...\n"
    )
    functions = [signature(n, f, False) for n, f in sorted(TABLE.items()) if callable(f) and n.isidentifier()]
    (HERE / "_table.pyi").write_text(
        HEAD.format(what="The functions of tensors, as `from deepseek import *` has them.", imports="") + "from ._C import Tensor, dtype\n\n" + hidden + "\n" + "\n".join(functions) + "\n" + names
    )
    (HERE / "py.typed").touch()
    print(f"{len(functions)} functions, {sum(callable(f) for f in vars(ds.Tensor).values())} methods")


if __name__ == "__main__":
    main()
