"""``python -m bench.gpu.sample``: launches every family of kernels once and compares the results.

Small enough to run under compute-sanitizer::

    compute-sanitizer --tool racecheck python -m bench.gpu.sample
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer

import nnlite as nl
from nnlite.kernels import FAMILIES, matmul
from nnlite.testing.check_op import compare_call
from nnlite.testing.edges import boundary_calls

PER_FAMILY = 2  # ops of each family
LARGE = (200, 160, 96)  # a product that takes the wide tile, with tails


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
    """The large product in each precision, against float64."""
    rng = np.random.default_rng(0)
    m, n, k = LARGE
    a, b = (rng.standard_normal(s, np.float32) for s in ((m, k), (k, n)))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    before = nl.get_float32_matmul_precision()
    try:
        for precision, bound in (("highest", 1e-5), ("high", 2e-3), ("medium", 1.6e-2)):
            nl.set_float32_matmul_precision(precision)
            found = matmul.matmul(*(nl.array(x, device=device) for x in (a, b))).numpy()
            error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
            if not error <= bound:
                raise AssertionError(f"matmul, {precision}: relative error {error:.3g}")
    finally:
        nl.set_float32_matmul_precision(before)


def main(
    device: Annotated[str, typer.Option(help="Where to run.")] = "cuda",
    only: Annotated[str, typer.Option(help="Families whose name holds this word.")] = "",
) -> None:
    """Launch each family of kernels; AssertionError if a result is wrong."""
    count = 0
    for family, spec in samples():
        if only in family:
            run_one(spec, device)
            count += 1
    if only in "matmul":
        run_products(device)
    print(f"{count} ops on {nl.device(device)}: right")


if __name__ == "__main__":
    typer.run(main)
