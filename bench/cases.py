"""The cases, one line each at the end of the file, and how each kind of case is set up.

Those of the functions that need no other line than their call are in ``functions.py``, those of
optimizers in ``optimizers.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import nnlite as nl
from nnlite.kernels import activations, elementwise, matmul, reduce
from nnlite.kernels.engine import Array
from nnlite.testing import assert_close

from . import functions, optimizers, peers, training
from .harness import Case, Side, synchronizer


def random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def check(sides: Sequence[Side], reference: np.ndarray, magnitude: np.ndarray, terms: int) -> None:
    """Raise AssertionError unless every side gives the float64 reference within the contract."""
    for side in sides:
        got = side.run()
        if isinstance(got, Array):
            got = got.numpy()
        elif hasattr(got, "cpu"):
            got = got.cpu()
        assert_close(
            np.asarray(got), reference, dtype=np.float32, magnitude=magnitude, terms=terms,
            what=side.name,
        )  # fmt: skip


def op(
    name: str,
    ours: Callable[..., Any],
    shapes: Sequence[tuple[int, ...]],
    numpy: Callable[..., np.ndarray],
    torch: Callable[..., Any] | None,
    work: float,
    unit: str,
    terms: int = 1,
) -> Case:
    """A case of one launcher: against NumPy on the CPU, against PyTorch on any device."""

    def setup(device: Any) -> list[Side]:
        host = [random(shape, seed) for seed, shape in enumerate(shapes)]
        arrays = [nl.array(x, device=device) for x in host]
        sides = [Side("nnlite", lambda: ours(*arrays), synchronizer(device))]
        if device.kind == "cpu":
            sides.append(Side(f"NumPy {np.__version__}", lambda: numpy(*host)))
        if torch is not None and peers.installed("torch"):
            sides.append(peers.torch_side(torch, host, device))
        wide = [x.astype(np.float64) for x in host]
        check(sides, numpy(*wide), numpy(*map(np.abs, wide)), terms)
        return sides

    return Case(name, setup, work, unit)


def gemm(n: int) -> Case:
    """The square matrix product of order n, as the launcher chooses its kernel."""
    return op(
        f"matmul {n}", matmul.matmul, [(n, n), (n, n)], np.matmul, lambda a, b: a @ b,
        2.0 * n**3, "FLOP", n,
    )  # fmt: skip


def tiled_kernel(n: int) -> Case:
    """The 16x16 tiled kernel itself, against the same kernel in Numba's simulator."""

    def setup(device: Any) -> list[Side]:
        a, b = (nl.array(random((n, n), seed), device=device) for seed in range(2))
        c = nl.empty((n, n), device=device)
        blocks = (n + matmul.TILE - 1) // matmul.TILE
        launch = matmul.matmul_tiled[(blocks, blocks), (matmul.TILE, matmul.TILE)]

        def run() -> Array:
            launch(a, b, c)
            return c

        wide = [x.numpy().astype(np.float64) for x in (a, b)]
        side = Side("nnlite", run, synchronizer(device))
        check([side], wide[0] @ wide[1], np.abs(wide[0]) @ np.abs(wide[1]), n)
        return [side, peers.simulator(n)]

    return Case(f"tiled kernel {n}", setup, 2.0 * n**3, "FLOP", rounds=3)


def training_step(name: str, batch: int, optimizer: str) -> Case:
    """One step of a network: forward, cross entropy, backward, update."""
    network = training.NETWORKS[name]

    def setup(device: Any) -> list[Side]:
        x, labels = training.batch_of(network, batch)
        ours, weights = training.nnlite_step(network, x, labels, device, optimizer)
        sides = [Side("nnlite", ours, synchronizer(device))]
        if peers.installed("torch"):
            theirs, wait, version = training.torch_step(
                network, x, labels, device, optimizer, weights
            )
            training.same_losses(ours, theirs)
            sides.append(Side(f"PyTorch {version}", theirs, wait))
        return sides

    work = network.work(batch)
    return Case(f"{name} step, {optimizer}, batch {batch}", setup, work, "FLOP")


def cases(device: Any) -> list[Case]:
    """All cases; arrays of memory-bound ones exceed every cache of the device."""
    n = (1 << 24) if device.kind == "cpu" else (1 << 28)
    side = 4096 if device.kind == "cpu" else 16384
    t = __import__("torch") if peers.installed("torch") else None
    relu = (lambda x: t.relu(x)) if t else None
    row_sum = (lambda x: x.sum(1)) if t else None
    column_sum = (lambda x: x.sum(0)) if t else None
    sq = float(side * side * 4)
    return [
        tiled_kernel(64),
        *(gemm(k) for k in ((256, 512, 1024) if device.kind == "cpu" else (1024, 4096, 8192))),
        op("add", elementwise.add, [(n,), (n,)], np.add, lambda x, y: x + y, 12.0 * n, "B"),
        op("relu", activations.relu, [(n,)], lambda x: np.maximum(x, 0), relu, 8.0 * n, "B"),
        op("row sum", lambda x: reduce.sum(x, axis=1), [(side, side)], lambda x: x.sum(1), row_sum,
           sq, "B", side),
        op("column sum", lambda x: reduce.sum(x, axis=0), [(side, side)], lambda x: x.sum(0),
           column_sum, sq, "B", side),
        *(training_step(name, 64, "sgd") for name in training.NETWORKS),
        training_step("MLP", 64, "adam"),
        *map(functions.case, functions.LINES),
        *optimizers.cases(),
    ]  # fmt: skip
