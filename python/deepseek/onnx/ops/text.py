"""Strings. They live on the host."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..table import op
from ..values import Tensor, from_numpy, host


def _each(x: Any, f: Any, dtype: Any = object) -> Any:
    return np.array([f(v) for v in x.reshape(-1)], dtype=dtype).reshape(x.shape)


@op("StringConcat")
def string_concat(a: Any, b: Any) -> Any:
    return np.asarray(a + b, dtype=object)


@op("StringNormalizer")
def string_normalizer(x: Any, *, case_change_action: str = "NONE", is_case_sensitive: int = 0, locale: str = "en_US", stopwords: Any = None) -> Any:
    stop = set(stopwords or []) if is_case_sensitive else {s.lower() for s in stopwords or []}
    rows = x.reshape(-1, x.shape[-1])
    change = {"LOWER": str.lower, "UPPER": str.upper}.get(case_change_action, lambda s: s)
    kept = [[change(s) for s in row if (s if is_case_sensitive else s.lower()) not in stop] or [""] for row in rows]
    return np.array(kept if x.ndim > 1 else kept[0], dtype=object)


@op("StringSplit")
def string_split(x: Any, *, delimiter: Any = None, maxsplit: Any = None) -> tuple[Any, Any]:
    parts = [s.split(delimiter or None, -1 if maxsplit is None else maxsplit) for s in x.reshape(-1)]
    widest = max((len(p) for p in parts), default=0)
    table = np.array([p + [""] * (widest - len(p)) for p in parts], dtype=object).reshape(*x.shape, widest)
    return table, from_numpy(np.array([len(p) for p in parts], dtype=np.int64).reshape(x.shape))


@op("RegexFullMatch")
def regex_full_match(x: Any, *, pattern: str) -> Tensor:
    compiled = re.compile(pattern)
    return from_numpy(_each(x, lambda s: compiled.fullmatch(s) is not None, bool))


@op("TfIdfVectorizer")
def tf_idf(x: Any, *, max_gram_length: int, max_skip_count: int, min_gram_length: int, mode: str, ngram_counts: list[int], ngram_indexes: list[int],
           pool_int64s: Any = None, pool_strings: Any = None, weights: Any = None) -> Tensor:  # fmt: skip
    """Counts of n-grams of a pool in each row, with up to `max_skip_count` elements left out between neighbours."""
    pool = list(pool_strings if pool_strings is not None else pool_int64s)
    grams: dict[tuple[Any, ...], int] = {}
    bounds = [*ngram_counts, len(pool)]
    for n in range(1, len(ngram_counts) + 1):
        for at in range(bounds[n - 1], bounds[n], n):
            grams[tuple(pool[at : at + n])] = len(grams)
    values = host(x)
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    out = np.zeros((len(rows), max(ngram_indexes) + 1), np.float32)
    factor = np.ones(len(grams), np.float32) if weights is None else np.array(weights, np.float32)
    for row, counts in zip(rows.tolist(), out):
        for gram in _grams(row, min_gram_length, max_gram_length, max_skip_count):
            if gram in grams:
                counts[ngram_indexes[grams[gram]]] += 1
    for gram, place in zip(range(len(grams)), ngram_indexes):
        column = out[:, place]
        if mode == "IDF":
            out[:, place] = np.where(column > 0, factor[gram], 0)
        elif mode == "TFIDF":
            out[:, place] = column * factor[gram]
    return from_numpy(out.reshape(*values.shape[:-1], -1) if values.ndim > 1 else out.reshape(-1))


def _grams(row: list[Any], shortest: int, longest: int, skips: int) -> Any:
    for n in range(shortest, longest + 1):
        for step in range(1, (skips + 1 if n > 1 else 1) + 1):
            for start in range(len(row) - (n - 1) * step):
                yield tuple(row[start : start + n * step : step])
