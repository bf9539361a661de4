"""Small ops and a small training step from Python, for bench/dispatch/run.py: loop.py deepseek|torch THREADS

Reads "CASE COUNT" lines and prints the seconds of one iteration.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def ops(lib: object) -> dict[str, Callable[[int], None]]:
    a, b = lib.randn(16), lib.randn(16)  # type: ignore[attr-defined]
    a.numpy(), b.numpy()
    a, b = a * 1.0, b * 1.0
    a.tolist(), b.tolist()

    def record(n: int) -> None:
        for _ in range(n):
            a + b

    def read_back(n: int) -> None:
        for _ in range(n):
            (a + b).numpy()

    def chain(n: int) -> None:
        for _ in range(n):
            ((a + b) * a - b).numpy()

    return {"a + b": record, "(a + b).numpy()": read_back, "((a + b) * a - b).numpy()": chain}


def step(lib: object, optimizer: object) -> Callable[[int], None]:
    nn = lib.nn  # type: ignore[attr-defined]
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    x, y = lib.randn(64, 784), lib.randint(0, 10, (64,))  # type: ignore[attr-defined]
    loss_of, update = nn.CrossEntropyLoss(), optimizer(model.parameters())  # type: ignore[operator]

    def run(n: int) -> None:
        for _ in range(n):
            update.zero_grad()
            loss_of(model(x), y).backward()
            update.step()

    return run


def main() -> None:
    library, threads = sys.argv[1], int(sys.argv[2])
    lib = __import__(library)
    lib.set_num_threads(threads)
    cases = ops(lib)
    fused = {"fused": True} if library == "torch" else {}
    cases["mlp step, AdamW"] = step(lib, lambda p: lib.optim.AdamW(p, lr=1e-3, **fused))
    cases["mlp step, SGD"] = step(lib, lambda p: lib.optim.SGD(p, lr=1e-2))
    for run in cases.values():
        run(20)
    print("ready", lib.__version__, flush=True)
    for line in sys.stdin:
        case, count = line.rsplit(maxsplit=1)
        start = time.perf_counter()
        cases[case](int(count))
        print((time.perf_counter() - start) / int(count), flush=True)


if __name__ == "__main__":
    main()
