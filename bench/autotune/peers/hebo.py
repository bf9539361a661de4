"""HEBO: knows no conditions, so it is given every parameter."""

from __future__ import annotations

import numpy as np
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from peers.base import Peer


class Hebo(Peer):
    def start(self, trials):
        def spec(p):
            if p.kind == "choice":
                return {"name": p.name, "type": "cat", "categories": list(range(len(p.values)))}
            return {"name": p.name, "type": {"float": "num", "log": "pow", "int": "int"}[p.kind], "lb": p.bounds[0], "ub": p.bounds[1]}

        np.random.seed(self.seed)
        torch.manual_seed(self.seed)
        self.hebo = HEBO(DesignSpace().parse([spec(p) for p in self.space]), scramble_seed=self.seed)

    def ask(self):
        asked = self.hebo.suggest(n_suggestions=1)
        return asked, self.decode_point(asked.iloc[0])

    def tell(self, asked, value):
        self.hebo.observe(asked, np.array([[value]]))
