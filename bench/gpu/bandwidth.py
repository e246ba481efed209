"""What memory bandwidth limits, against a copy inside the GPU, PyTorch, and CUB (through CuPy).

Each array is 1 GiB, more than any cache; the bytes counted are those that must move: every input
read once and every output written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import nnlite as nl
from nnlite.kernels import activations, norm, reduce, softmax
from nnlite.kernels.engine import empty

from . import peers
from .case import OURS, Case, Side
from .place import BIG, Place, host, require_close

EPS = float(np.finfo(np.float32).eps)
ITEM = 4  # bytes
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
TENSORS = 64
ADAM_BYTES = 7 * ITEM  # parameter and both moments read and written, the gradient read
Rows = Callable[[np.ndarray], np.ndarray]


def cases() -> list[Case]:
    """All of them."""
    found = [activation(name) for name in ("relu", "gelu", "silu", "sigmoid", "tanh")]
    found += [rows("softmax", n) for n in (1024, 4096)]
    found += [rows("layer_norm", 4096)]
    found += [reduction(name) for name in ("sum", "row sum", "column sum")]
    return [*found, adam()]


def copy_side(bytes_of_one: float) -> Side:
    """A copy of 1 GiB by the driver: it reads and writes every byte."""

    def make(place: Place, given: Any) -> Callable[[], Any]:
        target = empty(place.big.shape, np.float32, place.device)
        return lambda: target.copy_from(place.big)

    return Side(make, work=bytes_of_one)


def case(
    name: str,
    sides: Mapping[str, Side],
    bytes_of_one: float,
    check: Callable[[Place, Any, str, Any], None],
    inputs: Callable[[Place], Any] = lambda place: None,
) -> Case:
    """A case with the copy among its sides; no result of the copy is checked."""

    def checked(place: Place, given: Any, side: str, found: Any) -> None:
        if side != "copy":
            check(place, given, side, found)

    made = {**sides, "copy": copy_side(2.0 * ITEM * BIG)}
    return Case(
        name, "bandwidth", made, inputs, bytes_of_one, "B", checked, limit="bandwidth", weight=2.0
    )


def torch_side(function: Callable[[Any], Callable[[Any], Any]], shape: Any = None) -> Side:
    """``function(torch)`` gives what runs on the big tensor, in a shape."""

    def make(place: Place, given: Any) -> Callable[[], Any]:
        torch = peers.torch_on(place)
        x = peers.tensor(torch, place, place.numbers)
        x = x if shape is None else x.reshape(shape)
        run = function(torch)
        return lambda: run(x)

    return Side(make)


def ours_side(run: Callable[[Any], Any], shape: Any = None) -> Side:
    """A launcher on the big array, in a shape."""

    def make(place: Place, given: Any) -> Callable[[], Any]:
        x = place.big if shape is None else place.big.reshape(shape)
        return lambda: run(x)

    return Side(make)


def activation(name: str) -> Case:
    """A function of each item."""

    def theirs(torch: Any) -> Callable[[Any], Any]:
        return getattr(torch.nn.functional, name, None) or getattr(torch, name)

    def check(place: Place, given: Any, side: str, found: Any) -> None:
        for part in (slice(0, 4096), slice(place.items - 4096, place.items)):
            require_close(host(found[part]), FORMULAS[name](place.numbers[part]), 8 * EPS)

    sides = {OURS: ours_side(getattr(activations, name)), "torch": torch_side(theirs)}
    return case(name, sides, 2.0 * ITEM * BIG, check)


def _wide(formula: Rows) -> Rows:
    return lambda x: formula(x.astype(np.float64))


def _gelu(x: np.ndarray) -> np.ndarray:
    from math import erf

    return 0.5 * x * (1 + np.array([erf(v / 2**0.5) for v in x]))


FORMULAS: dict[str, Rows] = {
    "relu": _wide(lambda x: np.maximum(x, 0)),
    "gelu": _wide(_gelu),
    "silu": _wide(lambda x: x / (1 + np.exp(-x))),
    "sigmoid": _wide(lambda x: 1 / (1 + np.exp(-x))),
    "tanh": _wide(np.tanh),
}


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64))
    return e / e.sum(1, keepdims=True)


def _layer_norm(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    return (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)


def rows(name: str, n: int) -> Case:
    """Softmax or layer norm of rows of n items."""
    shape, small = (BIG // n, n), (-1, n)

    def theirs(torch: Any) -> Callable[[Any], Any]:
        if name == "softmax":
            return lambda x: torch.softmax(x, -1)
        return lambda x: torch.nn.functional.layer_norm(x, (n,))

    def check(place: Place, given: Any, side: str, found: Any) -> None:
        table = place.numbers.reshape(small)
        formula = {"softmax": _softmax, "layer_norm": _layer_norm}[name]
        for row in (0, len(table) - 1):
            part = slice(row, row + 1)
            require_close(host(found[part]), formula(table[part]), 4 * n**0.5 * EPS)

    def ours(x: Any) -> Any:
        return softmax.softmax(x) if name == "softmax" else norm.layer_norm(x)[0]

    sides = {OURS: ours_side(ours, small), "torch": torch_side(theirs, small)}
    return case(f"{name} {shape[0]}x{n}", sides, 2.0 * ITEM * BIG, check)


def reduction(name: str) -> Case:
    """A sum over everything, over rows or over columns of a square table."""
    axis = {"sum": None, "row sum": 1, "column sum": 0}[name]
    side = int(BIG**0.5)

    def shape(place: Place) -> tuple[int, int]:
        return (int(place.items**0.5),) * 2

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        x = place.big.reshape(shape(place))
        return lambda: reduce.sum(x, axis=axis)

    def theirs(place: Place, given: Any) -> Callable[[], Any]:
        torch = peers.torch_on(place)
        x = peers.tensor(torch, place, place.numbers).reshape(shape(place))
        return lambda: x.sum() if axis is None else x.sum(axis)

    def cub(place: Place, given: Any) -> Callable[[], Any]:
        cupy = peers.cupy_on(place)
        x = cupy.asarray(place.numbers).reshape(shape(place))
        return lambda: x.sum(axis)

    def check(place: Place, given: Any, side_name: str, found: Any) -> None:
        table = place.numbers.reshape(shape(place))
        expected = np.asarray(table.sum(axis, dtype=np.float64))
        size = np.asarray(np.abs(table).sum(axis, dtype=np.float64))
        terms = table.size if axis is None else len(table)
        wrong = np.abs(np.asarray(host(found), np.float64) - expected)
        if not (wrong <= 4 * terms**0.5 * EPS * size).all():
            raise AssertionError(f"off by up to {float(wrong.max()):.3g}")

    sides = {OURS: Side(ours), "CUB (cupy)": Side(cub), "torch": Side(theirs)}
    title = f"{name} of {side}x{side}"
    return case(title, sides, 1.0 * ITEM * BIG, check)


def adam() -> Case:
    """One update of many tensors: more than 1 GiB of parameters, gradients and moments."""
    count = BIG // 4

    def parts(place: Place) -> list[np.ndarray]:
        return np.split(place.numbers[: 2 * (place.items // 4)], 2 * TENSORS)

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        params = [nl.nn.Parameter(nl.tensor(x, device=place.device)) for x in given[:TENSORS]]
        for p, g in zip(params, given[TENSORS:]):
            p.grad = nl.tensor(g, device=place.device)
        update = nl.optim.Adam(params, **ADAM)

        def run() -> Any:
            update.step()
            return params

        return run

    def theirs(place: Place, given: Any) -> Callable[[], Any]:
        torch = peers.torch_on(place)
        params = [torch.nn.Parameter(peers.tensor(torch, place, x)) for x in given[:TENSORS]]
        for p, g in zip(params, given[TENSORS:]):
            p.grad = peers.tensor(torch, place, g)
        update = torch.optim.Adam(params, fused=True, **ADAM)

        def run() -> Any:
            update.step()
            return params

        return run

    def check(place: Place, given: Any, side: str, found: Any) -> None:
        """After the first step each item has moved by lr against the sign of its gradient."""
        for i in (0, TENSORS - 1):
            p, g = given[i].astype(np.float64), given[TENSORS + i].astype(np.float64)
            expected = p - ADAM["lr"] * g / (np.abs(g) + ADAM["eps"])  # type: ignore[operator]
            require_close(host(found[i]), expected, 1e-6)

    sides = {OURS: Side(ours), "torch fused": Side(theirs)}
    title = f"Adam of {TENSORS} tensors, {count >> 20} Mi parameters"
    return case(title, sides, float(ADAM_BYTES * count), check, parts)
