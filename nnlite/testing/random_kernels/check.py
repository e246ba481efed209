"""Run a random kernel in the interpreter and compiled, and compare bit for bit."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnlite.kernels.engine import UnsupportedKernelError
from nnlite.testing.interpreter import KernelError, interpret

from .kernels import RandomKernel

NAMES = ("x", "y", "f", "out", "fout", "total", "g")


class Outcome(NamedTuple):
    """How a kernel did: ``equal``, ``different``, ``refused``, ``failed`` or ``illegal``.

    ``illegal`` means that the generator is wrong: the interpreter refuses the kernel, or its result
    depends on the order of the threads or on memory that nobody has written.
    """

    kind: str
    message: str = ""


def check(kernel: RandomKernel) -> Outcome:
    """Interpret the kernel twice, compile and run it, compare all arrays."""
    with tempfile.TemporaryDirectory(prefix="nnlite-random-") as folder:
        function = kernel.load(Path(folder))
        return _check(kernel, function)


def _check(kernel: RandomKernel, function: Any) -> Outcome:
    from nnlite.kernels.engine.cpu import CpuKernel

    expected, again, found = (kernel.arguments() for _ in range(3))
    try:
        launch = function, kernel.grid, kernel.block
        size = kernel.shared_bytes
        interpret(*launch, expected, shared_bytes=size)
        interpret(*launch, again, shared_bytes=size, backward=True, fill=0x5B)
    except KernelError as error:
        return Outcome("illegal", str(error))
    told = difference(expected, again)
    if told:
        return Outcome("illegal", f"not determined: {told}")
    try:
        CpuKernel(function).launch(kernel.grid, kernel.block, kernel.shared_bytes, found)
    except UnsupportedKernelError as error:
        return Outcome("refused", str(error))
    except Exception:
        return Outcome("failed", traceback.format_exc(limit=-4))
    told = difference(expected, found)
    return Outcome("different", told) if told else Outcome("equal")


def difference(expected: tuple[Any, ...], found: tuple[Any, ...]) -> str:
    """The first element of the first array whose bits differ, as text; "" for none."""
    for name, a, b in zip(NAMES, expected, found):
        unlike = np.argwhere(a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}"))
        if unlike.size:
            at = tuple(map(int, unlike[0]))
            where = f"{name}[{', '.join(map(str, at))}]"
            return f"{where} is {b[at]}, expected {a[at]}; {len(unlike)} of {a.size} differ"
    return ""
