"""The same training steps in PyTorch, at its best documented setting: fused AdamW, gradients set to None."""

from __future__ import annotations

import statistics
import sys
import time

import torch
from torch import nn


def make_model(family: str) -> nn.Module:
    if family == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)
        )
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    try:
        return torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    except (TypeError, RuntimeError):  # before 2.4 there is no fused AdamW on the CPU
        return torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)


def main() -> None:
    family, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = make_model(family)
    optimizer = make_optimizer(model)
    x, target = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))
    loss_function = nn.CrossEntropyLoss()

    def step() -> float:
        start = time.perf_counter()
        loss = loss_function(model(x), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    for _ in range(10):
        step()
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        print(f"{statistics.median(step() for _ in range(int(line))):.9f}", flush=True)


if __name__ == "__main__":
    main()
