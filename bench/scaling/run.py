"""Samples a second of real jobs on a cluster of two workers with a core each: two ranks against one, and what
`deterministic` costs. Prints one JSON object a case; `ratio` is ours over the peer's, here two ranks' samples/s over one's.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from cluster import Cluster  # noqa: E402

sys.path.insert(0, str(ROOT / "bench/train"))

from run import Process  # noqa: E402

ROUNDS = 3
MODELS = {"mlp": {"family": "mlp", "hidden": [512, 256]}, "cnn": {"family": "cnn", "channels": [32, 64]}}
STEPS = {"mlp": 1500, "cnn": 100}


class Bench:
    def __init__(self, cluster: Cluster, folder: pathlib.Path) -> None:
        self.cluster, self.file = cluster, folder / "job.yaml"

    def samples_per_second(self, family: str, ranks: int, deterministic: bool, batch: int = 128) -> float:
        """From the median step of a job, without its first tenth."""
        job = {
            "name": f"scaling-{family}",
            "model": MODELS[family],
            "data": {"dataset": "fashion_mnist"},
            "train": {"epochs": 5, "max_steps": STEPS[family], "batch_size": batch, "deterministic": deterministic, "threads": 1},
            "strategy": {"data_parallel": ranks},
            "checkpoint": {"every_steps": 0, "keep": 1},
        }
        self.file.write_text(json.dumps(job))
        job = self.cluster.submit(self.file)
        self.cluster.call("job", "watch", job)  # one process that waits: polling would take a part of the two cores
        end = self.cluster.get(job)
        if end["state"] != "SUCCEEDED":
            raise RuntimeError(end["reason"])
        history = [r for r in self.cluster.json("job", "metrics", end["id"]) if "step_seconds" in r]
        return batch / statistics.median(r["step_seconds"] for r in history[len(history) // 10 :])

    def compare(self, case: str, ours: tuple[str, int, bool], peer: tuple[str, int, bool], name: str) -> None:
        pairs = [(self.samples_per_second(*ours), self.samples_per_second(*peer)) for _ in range(ROUNDS)]
        mine, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
        ratio = statistics.median(a / b for a, b in pairs)
        row = {"bench": "scaling", "case": case, "ours": round(mine, 1), "peer": name, "peer_value": round(theirs, 1),
               "unit": "samples/s", "ratio": round(ratio, 3)}  # fmt: skip
        print(json.dumps(row), flush=True)


def machine_limit(family: str) -> None:
    """What two cores give that share nothing but the machine: two lone processes on half the batch each, against one on
    the whole. No two ranks can be expected to do better in the same minutes."""
    program, steps = str(ROOT / "build/release/bin/bench_train"), STEPS[family] // 20
    one = Process(["taskset", "-c", "0", program, family, "128", "1"])
    two = [Process(["taskset", "-c", str(core), program, family, "64", "1"]) for core in (0, 1)]
    ratios, wholes, halves = [], [], []
    for _ in range(2 * ROUNDS + 1):
        wholes.append(one.time(steps))
        for process in two:
            process.start(steps)
        halves.append(max(process.finish() for process in two))
        ratios.append(wholes[-1] / halves[-1])
    row = {"bench": "scaling", "case": f"{family}: two lone processes of half the batch over one", "ours": round(128 / statistics.median(halves), 1),
           "peer": "1 process, 1 core", "peer_value": round(128 / statistics.median(wholes), 1), "unit": "samples/s",
           "ratio": round(statistics.median(ratios), 3)}  # fmt: skip
    print(json.dumps(row), flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ds-scaling-") as name:
        folder = pathlib.Path(name)
        cluster = Cluster(ROOT / "build/release/bin", folder, workers=2)
        try:
            bench = Bench(cluster, folder)
            for family in MODELS:
                machine_limit(family)
                bench.compare(f"{family}: 2 ranks over 1", (family, 2, False), (family, 1, False), "1 rank, 1 core")
                bench.compare(f"{family}: deterministic, 2 ranks", (family, 2, True), (family, 2, False), "not deterministic")
        finally:
            cluster.down()


if __name__ == "__main__":
    main()
