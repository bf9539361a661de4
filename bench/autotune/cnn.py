"""A convolutional network found against the default one at no more parameters, on Fashion-MNIST: suite `cnn` of run.py.

The space is that of our `cnn` family and of a job file's optimizer; a search trains on a part of the training set and asks a
validation part of it. Then the default's architecture and recipe, the default's architecture with the found recipe, and what was
found are each trained on more of the training set, from fresh seeds. Each trained model sees the test set once.
"""

from __future__ import annotations

import math

import numpy as np
from figures import emit, interval

import deepseek as ds

VALIDATION = 2000  # the last ones of the training set
SEARCH = {"images": 3000, "epochs": 3, "trials": 30}
FINAL = {"images": 12000, "epochs": 5}
DEFAULT = {"depth": 2, "channels_1": 32, "channels_2": 64, "batch_size": 128, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01}
ARCHITECTURE = ("depth", "channels_1", "channels_2", "channels_3")
SPACE = {"depth": {"int": [2, 3]}, "channels_1": {"ordinal": [8, 16, 24, 32, 48, 64]}, "channels_2": {"ordinal": [16, 32, 48, 64, 96]},
         "channels_3": {"ordinal": [32, 64, 96, 128, 192], "when": {"depth": 3}}, "batch_size": {"ordinal": [32, 64, 128]},
         "optimizer": {"choice": ["adamw", "sgd"]}, "lr": {"log": [3e-4, 1e-2], "when": {"optimizer": "adamw"}},
         "sgd_lr": {"log": [1e-2, 3e-1], "when": {"optimizer": "sgd"}}, "momentum": {"float": [0.0, 0.97], "when": {"optimizer": "sgd"}},
         "weight_decay": {"log": [1e-5, 1e-1]}}  # fmt: skip


def channels(p):
    return [p[f"channels_{i + 1}"] for i in range(p["depth"])]


def parameters(p):
    """As the family counts them: 3x3 convolutions, each halving the image, a hidden layer of 128, ten classes."""
    wide, side, total = 1, 28, 0
    for c in channels(p):
        total, wide, side = total + (9 * wide + 1) * c, c, side // 2
    return total + (wide * side * side + 1) * 128 + 129 * 10


def work(p):
    """Multiplications of a sample's forward pass."""
    wide, side, total = 1, 28, 0
    for c in channels(p):
        total, wide, side = total + 9 * wide * c * side * side, c, side // 2
    return total + wide * side * side * 128 + 1280


def network(p):
    nn, layers, wide, side = ds.nn, [], 1, 28
    for c in channels(p):
        layers += [nn.Conv2d(wide, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        wide, side = c, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(wide * side * side, 128), nn.ReLU(), nn.Linear(128, 10))


def optimizer_of(p, model):
    if p["optimizer"] == "adamw":
        return ds.optim.AdamW(model.parameters(), lr=p["lr"], weight_decay=p["weight_decay"])
    return ds.optim.SGD(model.parameters(), lr=p["sgd_lr"], momentum=p["momentum"], weight_decay=p["weight_decay"])


def images(train):
    data = ds.data.FashionMNIST(train=train)
    x, y = (np.stack([np.asarray(data[i][k]) for i in range(len(data))]) for k in (0, 1))
    return x.reshape(-1, 1, 28, 28).astype(np.float32), y.astype(np.int64)


def accuracy(model, x, y):
    with ds.no_grad():
        right = [int((model(ds.tensor(x[k : k + 500])).numpy().argmax(axis=1) == y[k : k + 500]).sum()) for k in range(0, len(y), 500)]
    return sum(right) / len(y)


def trained(p, x, y, epochs, seed, after=lambda epoch, model: False):
    """A cosine after a warm-up of a twentieth of the steps. Ends early where after() says so."""
    ds.manual_seed(seed)
    order, batch = np.random.default_rng(seed), p["batch_size"]
    model = network(p)
    optimizer = optimizer_of(p, model)
    top, steps = optimizer.param_groups[0]["lr"], epochs * (len(y) // batch)
    step = 0
    for epoch in range(epochs):
        shuffled = order.permutation(len(y))
        for at in range(0, len(y) - batch + 1, batch):
            picked = shuffled[at : at + batch]
            rise = min(1.0, 20 * (step + 1) / steps)
            optimizer.param_groups[0]["lr"] = top * rise * 0.5 * (1 + math.cos(math.pi * step / steps))
            loss = ds.functional.cross_entropy(model(ds.tensor(x[picked])), ds.tensor(y[picked]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        if after(epoch, model):
            break
    return model


def search(x, y, held_x, held_y, seed):
    """What a study finds among networks with no more parameters and work than the default's."""
    most, labour = parameters(DEFAULT), work(DEFAULT)
    study = ds.AutoTune(SPACE, maximize="accuracy", seed=seed, constraints=[lambda p: parameters(p) <= 1.01 * most and work(p) <= 1.5 * labour])
    epochs = 0
    for _ in range(SEARCH["trials"]):
        trial, stopped, value = study.ask(), False, 0.0

        def after(epoch, model, trial=trial):
            nonlocal stopped, value, epochs
            value, epochs = accuracy(model, held_x, held_y), epochs + 1
            trial.report(epoch + 1, value)
            stopped = epoch + 1 < SEARCH["epochs"] and trial.should_stop()
            return stopped

        trained(trial.params, x, y, SEARCH["epochs"], seed, after)
        study.tell(trial, value, stopped=stopped)
    return study.best.params, epochs


def cnn(_, seeds):
    x, y = images(True)
    held_x, held_y = x[-VALIDATION:], y[-VALIDATION:]
    n = SEARCH["images"]
    found, epochs = search(x[:n], y[:n], held_x, held_y, seeds[0])
    recipe = {**{k: v for k, v in DEFAULT.items() if k in ARCHITECTURE}, **{k: v for k, v in found.items() if k not in ARCHITECTURE}}
    test_x, test_y = images(False)
    n = FINAL["images"]
    arms = {"default": DEFAULT, "the default's architecture, found recipe": recipe, "found": found}
    points = {name: [100 * accuracy(trained(p, x[:n], y[:n], FINAL["epochs"], 1000 + s), test_x, test_y) for s in seeds] for name, p in arms.items()}
    for name in ("default", "the default's architecture, found recipe"):
        emit("cnn", f"found, {parameters(found):,} parameters, against {name}", float(np.mean(points["found"])), "test accuracy",
             f"{name}, {parameters(arms[name]):,} parameters", float(np.mean(points[name])), runs=len(seeds), found=found,
             difference_95=interval(np.subtract(points["found"], points[name])))  # fmt: skip
    emit("cnn", "the search", epochs, "epochs", "without stopping", SEARCH["trials"] * SEARCH["epochs"])
