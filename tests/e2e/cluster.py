"""A real cluster of daemons for tests: started by dsctl, driven by dsctl, apart from the user's own."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

Json = Any


class Cluster:
    """A development cluster of its own, apart from the user's."""

    def __init__(self, binaries: pathlib.Path, folder: pathlib.Path, workers: int) -> None:
        self.dsctl = str(binaries / "dsctl")
        self.environment = {**os.environ, "DS_STATE_DIR": str(folder / "state")}
        self.environment.pop("DS_COORDINATOR", None)
        self.started: list[subprocess.Popen[bytes]] = []  # again, after a kill: the record does not know them
        self.restarted = folder / "restarted.log"  # what those said
        self.run("cluster", "up", "--workers", str(workers), "--data", str(folder / "data"))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.dsctl, *arguments], env=self.environment, text=True, capture_output=True)

    def run(self, *arguments: str, check: bool = True) -> str:
        done = self.call(*arguments)
        if check and done.returncode != 0:
            raise RuntimeError(f"dsctl {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def json(self, *arguments: str) -> Json:
        return json.loads(self.run(*arguments, "-o", "json"))

    def submit(self, job_file: pathlib.Path) -> str:
        return str(self.json("job", "submit", str(job_file))["id"])

    def get(self, job: str) -> Json:
        return self.json("job", "get", job)

    def wait_state(self, job: str, states: set[str], seconds: float = 180) -> Json:
        def reached() -> Json:
            now = self.get(job)
            return now if now["state"] in states else None

        return wait_for(f"{job} in {sorted(states)}", seconds, reached)

    def wait_end(self, job: str) -> Json:
        return self.wait_state(job, {"SUCCEEDED", "FAILED", "CANCELLED"})

    def wait_step(self, job: str, step: float) -> Json:
        def reached() -> Json:
            now = self.get(job)
            return now if now["progress"]["step"] >= step else None

        return wait_for(f"step {step:.0f} of {job}", 120, reached)

    def record(self) -> Json:
        return self.json("cluster", "status")

    def down(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait()
        self.run("cluster", "down", check=False)


class Process:
    """A daemon that can be killed and started again as it was."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def start_again(self, cluster: Cluster, replace: dict[str, str]) -> None:
        for flag, value in replace.items():
            self.command[self.command.index(flag) + 1] = value
        quiet = subprocess.DEVNULL
        with cluster.restarted.open("ab") as log:
            started = subprocess.Popen(self.command, env=cluster.environment, stdin=quiet, stdout=quiet, stderr=log)
        cluster.started.append(started)
        self.pid = started.pid


def worker_daemon(name: str, coordinator: str) -> Process:
    """The worker of that name and of the coordinator at that address."""

    def is_it(folder: pathlib.Path) -> bool:
        try:
            command = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            return False
        named = "--name" in command and command[command.index("--name") + 1] == name
        return command[0].endswith("ds-worker") and named and coordinator in command

    folders = (p for p in pathlib.Path("/proc").iterdir() if p.name.isdigit())
    return Process(int(next(p for p in folders if is_it(p)).name))


def wait_for(what: str, seconds: float, condition: Callable[[], Json]) -> Json:
    """The first true value of the condition; RuntimeError after the deadline. Failures meanwhile count as false."""
    deadline = time.monotonic() + seconds
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (RuntimeError, json.JSONDecodeError) as e:
            error = e
        time.sleep(0.05)
    raise RuntimeError(f"{what}: not within {seconds:.0f} s ({error})")


def losses(history: list[Json]) -> dict[int, float]:
    curve: dict[int, float] = {}
    for r in history:
        if "samples_per_second" in r:
            assert r["step"] not in curve, f"step {r['step']} stands twice in the history"
            curve[r["step"]] = r["loss"]
    return curve
