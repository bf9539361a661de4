"""The ops, by topic. Importing this fills the table."""

from . import (  # noqa: F401
    attention,
    control,
    detection,
    image,
    learning,
    math,
    nn,
    normalize,
    pool,
    quantize,
    recurrent,
    reduction,
    scatter,
    shape,
    signal,
    text,
)  # fmt: skip
