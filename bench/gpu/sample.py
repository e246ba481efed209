"""``python -m bench.gpu.sample``: launches every family of kernels once and compares the results.

Small enough to run under compute-sanitizer::

    compute-sanitizer --tool racecheck python -m bench.gpu.sample
"""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer

import nnlite as nl
from nnlite.kernels import FAMILIES, matmul
from nnlite.kernels.matmul import cores, large
from nnlite.testing.check_op import compare_call
from nnlite.testing.edges import boundary_calls

from . import products

PER_FAMILY = 2  # ops of each family
LARGE = (200, 160, 96)  # of a product, with tails


def samples() -> Iterator[tuple[str, Any]]:
    """(family, spec) of the first ops of each family."""
    for family in FAMILIES:
        module = importlib.import_module(f"nnlite.kernels.{family}")
        for spec in module.SPECS[:PER_FAMILY]:
            yield family, spec


def run_one(spec: Any, device: str) -> None:
    """One call of an op, of the largest of its boundary sizes that has items."""
    calls = [c for c in itertools.islice(boundary_calls(spec), 40) if _has_items(c)]
    compare_call(spec, max(calls, key=lambda c: sum(v.size for v in c.values)), device)


def _has_items(call: Any) -> bool:
    return all(v is not None and v.size for v in call.values)


def run_products(device: str) -> None:
    """The kernels for large products, in each precision and by each instruction, against float64.

    They are launched whether they pay for a product of this size or not; on a CPU those alone that
    it has for itself, and one of a GPU.
    """
    rng = np.random.default_rng(0)
    m, n, k = LARGE
    a, b = (rng.standard_normal(s, np.float32) for s in ((m, k), (k, n)))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    found = nl.device(device)
    x, y, bias = (nl.array(v, device=found) for v in (a, b, np.zeros(n, np.float32)))
    c = nl.empty((m, n), device=found)
    _require("float32", matmul.matmul(x, y), expected)
    if not found.is_cpu:
        large.launch(x, y, bias, c, False, False, None)
        _require("float32", c, expected)
    hopper = not found.is_cpu and found.limits.compute_capability == (9, 0)
    for way in products.WAYS if hopper else products.WAYS[:1]:
        with products.forced(way):
            for kind in () if found.is_cpu else ("tf32", "bf16"):
                cores.launch(kind, x, y, bias, c, True, False, None)
                _require(kind, c, expected)
            for kind in ("f16",) if found.is_cpu else ("f16", "bf16"):
                halves = (nl.array(products.as_halves(v, kind), device=found) for v in (a, b.T))
                _require(kind, matmul.matmul_halves(*halves, kind=kind), expected)


def _require(kind: str, found: Any, expected: np.ndarray) -> None:
    error = np.linalg.norm(found.numpy() - expected) / np.linalg.norm(expected)
    if not error <= products.bound(kind, LARGE[2]):
        raise AssertionError(f"matmul, {kind}: relative error {error:.3g}")


def main(
    device: Annotated[str, typer.Option(help="Where to run.")] = "cuda",
    only: Annotated[str, typer.Option(help="Families whose name holds this word.")] = "",
) -> None:
    """Launch each family of kernels; AssertionError, after all of them, if a result is wrong."""
    calls = [(spec.name, functools.partial(run_one, spec, device))
             for family, spec in samples() if only in family]  # fmt: skip
    if only in "matmul":
        calls.append(("large products", functools.partial(run_products, device)))
    wrong = []
    for name, call in calls:
        try:
            call()
        except Exception as error:  # whatever it is: the others tell more about it
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    if wrong:
        raise AssertionError(f"{len(wrong)} of {len(calls)} failed\n" + "\n".join(wrong))
    print(f"{len(calls)} samples on {nl.device(device)}: right")


if __name__ == "__main__":
    typer.run(main)
