"""``python -m bench.prefetch``: what ``DataLoader(prefetch=2)`` costs or gains on the CPU.

Epochs of small networks on data in memory, with and without it in turns, the order changing from
round to round. Its thread and the step take turns at Python's lock, so that both CPU time and wall
time count; their ratios are taken within each round.
"""

from __future__ import annotations

import statistics
import time

import nnlite as nl
import nnlite.functional as F
from nnlite.data import DataLoader, load

AHEAD, BATCH, ROUNDS = 2, 64, 15
CASES = (("digits", 64, 0), ("digits", 64, 1), ("mnist-5k", 784, 0), ("mnist-5k", 784, 2))


def seconds(loader: DataLoader, model: nl.nn.Module, optimizer: nl.optim.Optimizer) -> list[float]:
    """CPU time and wall time of an epoch."""
    cpu, wall = time.process_time(), time.perf_counter()
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [time.process_time() - cpu, time.perf_counter() - wall]


def measure(name: str, width: int, shift: int) -> str:
    """A line for a data set whose images are shifted by up to so many pixels."""
    nl.manual_seed(0)
    linear = nl.nn.Linear(width, 128), nl.nn.Linear(128, 10)
    model = nl.nn.Sequential(nl.nn.Flatten(), linear[0], nl.nn.ReLU(), linear[1])
    optimizer = nl.optim.Adam(model.parameters())
    data = load(name).train
    loaders = [DataLoader(data, BATCH, shuffle=True, shift=shift, prefetch=n) for n in (0, AHEAD)]
    ratios, step = [], []
    for number in range(ROUNDS + 1):
        order = loaders if number % 2 else loaders[::-1]
        found = {loader.prefetch: seconds(loader, model, optimizer) for loader in order}
        ratios.append([ahead / plain for ahead, plain in zip(found[AHEAD], found[0])])
        step.append(found[0][0] / len(loaders[0]))
    cpu, wall = zip(*ratios[1:])  # without the first, which warms up
    return (
        f"{name:10} shift {shift}   step {statistics.median(step) * 1e6:6.0f} us   with / without: "
        f"CPU time {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}), "
        f"wall time {statistics.median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f})"
    )


def main() -> None:
    """Print a line for each case."""
    nl.set_default_device("cpu")
    for case in CASES:
        print(measure(*case), flush=True)


if __name__ == "__main__":
    main()
