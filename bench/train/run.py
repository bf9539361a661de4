"""Training step of the built-in MLP and CNN against PyTorch, in turn, in one run: prints one JSON object a case.

Peers: PyTorch of the bench environment (bench/setup) and Debian's python3-torch, each where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = 9


class Process:
    """A process that times steps when it is told how many."""

    def __init__(self, command: list[str]) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline().split()

    @property
    def ready(self) -> bool:
        return self.greeting[:1] == ["ready"]

    def start(self, steps: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()

    def finish(self) -> float:
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())

    def time(self, steps: int) -> float:
        self.start(steps)
        return self.finish()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def peers() -> dict[str, str]:
    """Interpreters that may have PyTorch."""
    venv = pathlib.Path(os.environ.get("DS_BENCH_VENV", pathlib.Path.home() / ".cache/deepseek/bench"))
    return {"torch": str(venv / "bin/python"), "torch-debian": "/usr/bin/python3"}


def measure(family: str, batch: int, threads: int, binary: str) -> list[dict[str, object]]:
    size = [family, str(batch), str(threads)]
    steps = 30 if family == "mlp" else 6
    ours = Process([binary, *size])
    rows: list[dict[str, object]] = []
    for peer, python in peers().items():
        if not pathlib.Path(python).exists():
            continue
        other = Process([python, str(HERE / "peer_torch.py"), *size])
        if not other.ready:
            other.close()
            continue
        pairs = [(ours.time(steps), other.time(steps)) for _ in range(ROUNDS)]
        other.close()
        mine, theirs = (statistics.median(p[i] for p in pairs) * 1e3 for i in (0, 1))
        rows.append(
            {
                "bench": "train",
                "case": f"{family} batch={batch} threads={threads}",
                "ours": round(mine, 4),
                "peer": f"{peer} {other.greeting[1]}",
                "peer_value": round(theirs, 4),
                "unit": "ms/step",
                "ratio": round(statistics.median(a / b for a, b in pairs), 4),
            }
        )
    if not rows:
        mine = statistics.median(ours.time(steps) for _ in range(ROUNDS)) * 1e3
        rows.append(
            {"bench": "train", "case": f"{family} batch={batch} threads={threads}", "ours": round(mine, 4),
             "peer": None, "peer_value": None, "unit": "ms/step", "ratio": None}
        )  # fmt: skip
    ours.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=str(HERE.parent.parent / "build/release/bin/bench_train"))
    parser.add_argument("--threads", type=int, nargs="*", default=[2, 1])
    parser.add_argument("--json", action="store_true", help="(the only format; accepted for symmetry)")
    arguments = parser.parse_args()
    for threads in arguments.threads:
        for family in ("mlp", "cnn"):
            for row in measure(family, 128, threads, arguments.bin):
                print(json.dumps(row), flush=True)
    if not any(pathlib.Path(p).exists() for p in peers().values()):
        print("no PyTorch found: run bench/setup", file=sys.stderr)


if __name__ == "__main__":
    main()
