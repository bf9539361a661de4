"""The table of ops: (domain, name) to the functions that implement it, each from one opset version on.

An op is a Python function: inputs are positional (None where one is left out), attributes are keywords. A parameter
that older versions give as an attribute and newer ones as an input is simply one parameter. `ctx`, where a function
asks for it, says more about the node (`Context`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any, Callable

from .. import _C


@dataclass
class Context:
    """What an op may want to know of its node."""

    name: str
    domain: str
    version: int  # of the domain's opset
    outputs: list[str]  # "" where nobody asks for one
    model: Any = None
    scope: Any = field(default=None, repr=False)  # the values a subgraph sees


@dataclass
class Entry:
    call: Callable[..., Any]
    since: int
    keywords: set[str] | None  # None: takes any attribute
    wants_context: bool


_table: dict[tuple[str, str], list[Entry]] = {}


def op(*names: str, since: int = 1, domain: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as the named ops, from opset version `since` on."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        parameters = inspect.signature(f).parameters.values()
        keywords = None if any(p.kind == p.VAR_KEYWORD for p in parameters) else {
            p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}  # fmt: skip
        entry = Entry(f, since, keywords, keywords is not None and "ctx" in keywords)
        for name in names:
            _table.setdefault((domain, name), []).append(entry)
            _table[domain, name].sort(key=lambda e: -e.since)
        return f

    return register


def find(domain: str, name: str, version: int) -> Entry | None:
    """The newest entry that is not newer than the version."""
    return next((e for e in _table.get((domain, name), ()) if e.since <= version), None)


def call(entry: Entry, ctx: Context, inputs: list[Any], attributes: dict[str, Any]) -> Any:
    if entry.keywords is not None:
        unknown = attributes.keys() - entry.keywords
        if unknown:
            raise _C.Error(f"[onnx.{ctx.name}] attribute {sorted(unknown)[0]!r} is not known")
    if entry.wants_context:
        return entry.call(*inputs, **attributes, ctx=ctx)
    return entry.call(*inputs, **attributes)


def known() -> list[tuple[str, str]]:
    """Every (domain, name) with an entry."""
    return sorted(_table)
