"""Every kernel compiles for every GPU architecture; in float32 without float64 and without spills.

Runs without a GPU: numba-cuda compiles to PTX with NVVM, and nvJitLink, which holds the assembler
ptxas, to machine code. A type error in a kernel, a Python float that turns a float32 kernel into
float64, or a kernel that needs more registers than a thread has is found here and nowhere else.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache

import pytest
from numba import cuda, types

from nnlite.kernels import all_specs
from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.resources import Usage, ptx, usage_of_ptx

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
SPECS = all_specs()
ROW = types.float32[::1]


@kernel
def does_little(x):
    x[cuda.grid(1)] = x[0]


@cache
def why_not() -> str | None:
    """Why nothing can be compiled for a GPU here, or None."""
    if sys.platform != "linux":
        return "NVIDIA's compilers come for Linux only"
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed"
    try:
        found(does_little, (ROW,), "sm_80")
    except Exception as error:
        return f"numba-cuda finds no NVVM or no nvJitLink: {error}"
    return None


@pytest.fixture(autouse=True)
def _compilers() -> None:
    if why_not():
        pytest.skip(why_not())


@cache  # some ops share kernels
def found(kernel, signature, architecture) -> tuple[list[str], Usage]:
    """Lines of PTX with float64, and what the assembler says."""
    text = ptx(kernel, signature, architecture)
    assert ".entry" in text
    lines = [line.strip() for line in text.splitlines() if ".f64" in line]
    return lines, usage_of_ptx(text, architecture, kernel.max_registers)


def has_float64(signature) -> bool:
    scalars = [getattr(a, "dtype", a) for a in signature]
    return any(s == types.float64 for s in scalars)


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_kernels_compile_for_every_architecture(spec):
    assert any(not has_float64(signature) for _, signature in spec.kernels), "no float32 kernel"
    for compiled, signature in spec.kernels:
        for architecture in ARCHITECTURES:
            name = f"{compiled.__name__}{tuple(map(str, signature))} for {architecture}"
            if has_float64(signature):
                assert ".entry" in ptx(compiled, signature, architecture), name
                continue
            lines, usage = found(compiled, tuple(signature), architecture)
            assert not lines, f"{name}: float64 instructions: {lines[:5]}"
            assert usage.spills == 0, f"{name}: {usage.spills} bytes spilled"


@pytest.mark.parametrize("constant", [0.1, 1e-5])
def test_the_gate_finds_a_leak_of_float64(constant):
    @kernel
    def leaks(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] = x[i] + constant

    lines, _ = found(leaks, (ROW,), "sm_80")
    assert lines


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gate_finds_a_spill(architecture):
    """Eighty numbers that are all needed at once, and 64 registers."""

    @kernel(max_registers=64)
    def hoards(x):
        kept = cuda.local.array(80, types.float32)
        for i in range(80):
            kept[i] = x[i]
        cuda.syncthreads()
        for i in range(80):
            x[i] = kept[79 - i]

    _, usage = found(hoards, (ROW,), architecture)
    assert usage.spills > 0
