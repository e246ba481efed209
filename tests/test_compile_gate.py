"""Every kernel compiles for every GPU architecture, and float32 kernels hold no float64.

Runs without a GPU: numba-cuda compiles to PTX with NVVM. A type error in a kernel, or a Python
float that turns a float32 kernel into float64, is found here and nowhere else.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from unittest import mock

import pytest
from numba import cuda, types

from nnlite.kernels import all_specs

ARCHITECTURES = ((7, 5), (8, 0), (9, 0), (10, 0))
SPECS = all_specs()


@cache
def why_not() -> str | None:
    """Why nothing can be compiled to PTX here, or None."""
    if sys.platform != "linux":
        return "PTX is compiled on Linux only"
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed"
    try:
        ptx_of(_nothing, (types.float32[::1],), (8, 0))
    except Exception as error:
        return f"numba-cuda finds no NVVM: {error}"
    return None


def _nothing(x) -> None:
    x[cuda.grid(1)] = x[0]


@dataclass(frozen=True)
class Pretended:
    """What numba-cuda asks of a device when a kernel calls a device function."""

    compute_capability: tuple[int, int]


@cache
def library_of(function, signature):
    """The kernel as numba-cuda's code library: NVVM IR, from which each architecture's PTX comes.

    ``cuda.compile`` would repeat type inference, four fifths of the time, for each architecture.
    """
    from numba.cuda import compiler, dispatcher

    # The device functions that a kernel calls are compiled for the current device, and there may
    # be none here.
    lowest = Pretended(ARCHITECTURES[0])
    with mock.patch.object(dispatcher, "get_current_device", return_value=lowest):
        library, _ = compiler._compile_pyfunc_with_fixup(
            function, signature, device=False, cc=ARCHITECTURES[0], abi="numba"
        )
    return library


def ptx_of(function, signature, architecture) -> str:
    return library_of(function, signature).get_asm_str(cc=architecture)


def has_float64(signature) -> bool:
    scalars = [getattr(a, "dtype", a) for a in signature]
    return any(s == types.float64 for s in scalars)


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_kernels_compile_to_ptx_without_stray_float64(spec):
    if why_not():
        pytest.skip(why_not())
    assert spec.kernels, f"{spec.name} lists no kernel"
    for kernel, signature in spec.kernels:
        for architecture in ARCHITECTURES:
            text = ptx_of(kernel.py_func, tuple(signature), architecture)
            name = f"{kernel.__name__}{tuple(map(str, signature))} for {architecture}"
            assert ".entry" in text, name
            if not has_float64(signature):
                lines = [line.strip() for line in text.splitlines() if ".f64" in line]
                assert not lines, f"{name}: float64 instructions: {lines[:5]}"


@pytest.mark.parametrize("constant", [0.1, 1e-5])
def test_the_gate_finds_a_leak_of_float64(constant):
    if why_not():
        pytest.skip(why_not())

    def leaks(x) -> None:
        i = cuda.grid(1)
        if i < x.size:
            x[i] = x[i] + constant

    assert ".f64" in ptx_of(leaks, (types.float32[::1],), (8, 0))
