"""Equal parameters on CIFAR-10, by the table of NAS-Bench-201: suite cifar10."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import tasks
from figures import emit, interval, study_of


def cifar10(_, seeds):
    """100 trials in each parameter count that at least 90 cells of NAS-Bench-201 share."""
    task = tasks.make(("nb201", "cifar10"), 0)
    names = list(task.space)
    strata = collections.defaultdict(list)
    for cell in itertools.product(*(task.space[n]["choice"] for n in names)):
        size = 73306 + 243040 * cell.count("nor_conv_3x3") + 28000 * cell.count("nor_conv_1x1")
        strata[size].append(-task.true(dict(zip(names, cell, strict=True))))
    gains, ceilings, resnet = [], [], []
    for size, values in strata.items():
        if len(values) < 90:
            continue
        for seed in seeds:
            own = tasks.make(("nb201", "cifar10"), seed)
            rule = lambda p, size=size: 73306 + 243040 * list(p.values()).count("nor_conv_3x3") + 28000 * list(p.values()).count("nor_conv_1x1") == size  # noqa: E731
            study = study_of(own, seed, constraints=[rule])
            study.optimize(lambda trial, own=own: own.noisy(trial.params), 100 if len(values) > 100 else len(values) - 5)
            found = -own.true(study.best.params)
            gains.append(found - float(np.median(values)))
            ceilings.append(max(values) - float(np.median(values)))
            if size == 559386:
                resnet.append(found)
    emit("cifar10", "gain over the median cell of the same size", float(np.mean(gains)), "points", "the stratum's best", float(np.mean(ceilings)),
         difference_95=interval(np.subtract(gains, ceilings)))  # fmt: skip
    cell = dict(zip(names, ("nor_conv_3x3", "none", "nor_conv_3x3", "skip_connect", "none", "skip_connect"), strict=True))
    emit("cifar10", "at the ResNet cell's 559,386 parameters", float(np.mean(resnet)), "accuracy", f"a ResNet cell {'+'.join(cell.values())}",
         -task.true(cell))  # fmt: skip
