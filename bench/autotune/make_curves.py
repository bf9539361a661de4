"""The table of learning curves, made once by our own engine and kept: make_curves.py FILE.

A full grid of perceptrons on Fashion-MNIST (1,000 training images, halved in both directions; 2,000 others of the
training set after each of 20 epochs; two seeds a row), as a numpy archive: `space` (JSON), `correct` of the 2,000 and
their mean `loss`; axes: the parameters in order, seed, epoch. A training that diverges stays at chance. What is done
lies in FILE.rows, and is not done again.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import random
import sys

import numpy as np

import deepseek as ds

EPOCHS, SEEDS, IMAGES, HELD = 20, 2, 1000, 2000
MOST_LOSS = 10.0
SPACE = {"lr": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1], "batch_size": [20, 100, 500], "width": [16, 48, 128], "depth": [1, 2, 3],
         "optimizer": ["sgd", "momentum", "adamw"], "schedule": ["constant", "cosine"]}  # fmt: skip
OPTIMIZERS = {"sgd": ds.optim.SGD, "momentum": lambda p, lr: ds.optim.SGD(p, lr, momentum=0.9), "adamw": ds.optim.AdamW}


def halved(images):
    small = np.asarray(images, np.float32).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(len(images), -1)
    return ds.tensor((small - small.mean()) / small.std())


def samples():
    """Training and validation, both of the training set."""
    data = ds.data.FashionMNIST()
    images, labels = (np.stack([np.asarray(data[i][k]) for i in range(IMAGES + HELD)]) for k in (0, 1))
    x, y = halved(images), ds.tensor(labels.astype(np.int64))
    return (x[:IMAGES], y[:IMAGES]), (x[IMAGES:], labels[IMAGES:])


def network(width, depth):
    nn, layers, wide = ds.nn, [], 196
    for _ in range(depth):
        layers += [nn.Linear(wide, width), nn.ReLU()]
        wide = width
    return nn.Sequential(*layers, nn.Linear(wide, 10))


def measured(model, held):
    """How many of the held images are right, and their mean loss."""
    x, y = held
    with ds.no_grad():
        scores = model(x).numpy().astype(np.float64)
    if not np.isfinite(scores).all():
        return None
    scores -= scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(y)), y] - np.log(np.exp(scores).sum(axis=1))
    return int((scores.argmax(axis=1) == y).sum()), round(min(float(-own.mean()), MOST_LOSS), 4)


def curves(row, seed, train, held):
    """(correct, loss) after each epoch."""
    (x, y), batch = train, row["batch_size"]
    ds.manual_seed(seed)
    order = np.random.default_rng(seed)
    model = network(row["width"], row["depth"])
    optimizer = OPTIMIZERS[row["optimizer"]](model.parameters(), lr=row["lr"])
    out = []
    for epoch in range(EPOCHS):
        if row["schedule"] == "cosine":
            optimizer.param_groups[0]["lr"] = row["lr"] * 0.5 * (1 + math.cos(math.pi * epoch / EPOCHS))
        shuffled = ds.tensor(order.permutation(IMAGES))
        for at in range(0, IMAGES, batch):
            picked = shuffled[at : at + batch]
            loss = ds.functional.cross_entropy(model(x[picked]), y[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        now = measured(model, held)
        if now is None:
            return out + [(HELD // 10, MOST_LOSS)] * (EPOCHS - epoch)
        out.append(now)
    return out


def main(path):
    train, held = samples()
    rows = list(itertools.product(*(range(len(v)) for v in SPACE.values())))
    random.Random(0).shuffle(rows)  # so that a part of them is a fair one
    part = pathlib.Path(f"{path}.rows")
    done = [json.loads(line) for line in part.read_text().splitlines()] if part.exists() else []
    with open(part, "a") as file:
        for row in rows[len(done) :]:
            values = {n: SPACE[n][i] for n, i in zip(SPACE, row, strict=True)}
            done.append([row, [curves(values, s, train, held) for s in range(SEEDS)]])
            file.write(json.dumps(done[-1]) + "\n")
            file.flush()
    table = np.zeros((*(len(v) for v in SPACE.values()), SEEDS, EPOCHS, 2))
    for row, values in done:
        table[tuple(row)] = values
    np.savez_compressed(path, space=json.dumps(SPACE), correct=table[..., 0].astype(np.uint16), loss=table[..., 1].astype(np.float32))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
