"""What one op and one small training step cost from Python, against PyTorch eager, in turn: one JSON object a case.

`a + b` is what Python waits for: ours records it, PyTorch's computes it; with .numpy() both have computed.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROUNDS = 9
CASES = {"a + b": 20000, "(a + b).numpy()": 5000, "((a + b) * a - b).numpy()": 5000, "mlp step, AdamW": 100, "mlp step, SGD": 100}


class Loop:
    def __init__(self, python: str, library: str, threads: int) -> None:
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "build/release/python"))
        self.process = subprocess.Popen(
            [python, str(HERE / "loop.py"), library, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline().split()

    def time(self, case: str, count: int) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{case} {count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    venv = pathlib.Path(os.environ.get("DS_BENCH_VENV", pathlib.Path.home() / ".cache/deepseek/bench"))
    threads = 2 if "--threads=1" not in sys.argv else 1
    peer = Loop(str(venv / "bin/python"), "torch", threads)
    ours = Loop(str(venv / "bin/python"), "deepseek", threads)
    if peer.greeting[:1] != ["ready"] or ours.greeting[:1] != ["ready"]:
        print("both need to import in the bench environment: bench/setup, and a build with DS_PYTHON", file=sys.stderr)
        sys.exit(3)
    for case, count in CASES.items():
        pairs = [(ours.time(case, count), peer.time(case, count)) for _ in range(ROUNDS)]
        mine, theirs = (statistics.median(p[i] for p in pairs) * 1e6 for i in (0, 1))
        row = {"bench": "dispatch", "case": f"{case}, {threads} threads", "ours": round(mine, 3), "peer": f"torch {peer.greeting[1]}",
               "peer_value": round(theirs, 3), "unit": "us", "ratio": round(statistics.median(a / b for a, b in pairs), 3)}  # fmt: skip
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
