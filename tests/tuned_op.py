"""A pretended op with a choice to make, for the tests of tuning."""

from __future__ import annotations

import numpy as np

import nnlite as nl
from nnlite.kernels.engine import CPU
from nnlite.kernels.engine.tuning import Choice, Tuning

SPEEDS = {"slow": 3.0, "usual": 2.0, "fast": 1.0}


class Op:
    """``out = 2 x`` in several ways; the clock reads how many seconds the last one shall take."""

    def __init__(self, ways=("usual", "slow", "fast"), speeds=SPEEDS, sources=("json",), **more):
        self.speeds, self.asked, self.ran, self.took = speeds, 0, [], 0.0
        self.wrong: dict[str, object] = {}
        self.choice = Choice("way", self.candidates, lambda d, p: "usual", sources=sources, **more)
        self.ways = ways

    def candidates(self, device, problem):
        self.asked += 1
        return self.ways

    def launch(self, x, out, way):
        self.ran.append(way)
        self.took = self.speeds[way]
        fault = self.wrong.get(way)
        if fault == "raises":
            raise RuntimeError("out of registers")
        result = 2 * x.data
        if fault == "hole":
            result[1] = out.data[1]
        elif fault is not None:
            result[0] += fault
        out.data[...] = result

    def __call__(self, x, out):
        run = lambda way: self.launch(x, out, way)  # noqa: E731 (as a launcher writes it)
        run(self.choice(CPU, x.shape, run, (out,)))
        return self.ran[-1]

    def timer(self, device):
        def seconds(run):
            run()
            return self.took

        return seconds


def arrays(n=5):
    return nl.array(np.arange(1.0, n + 1, dtype=np.float32), device="cpu"), nl.empty(n, device=CPU)


def tuned(op, *args, **options):
    with Tuning(timer=op.timer, **options) as found:
        op(*args)
    return found
