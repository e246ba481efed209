"""Every kernel compiles for every GPU architecture, and its machine code is what it should be.

No spills, no float64 in float32, room for a block, and the instructions that the kernel's family
expects (``GpuKernel.expects``). Runs without a GPU: numba-cuda compiles to PTX with NVVM, and
nvJitLink, which holds the assembler ptxas, to machine code. A type error in a kernel, a Python
float that turns a float32 kernel into float64, or a kernel that needs more registers than a thread
has is found here and nowhere else.
"""

from __future__ import annotations

import datetime
import importlib.util
import os
import sys
from functools import cache

import pytest
from numba import cuda, types

import nnlite as nl
from nnlite.kernels import all_kernels, all_specs
from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.device import KIB
from nnlite.kernels.engine.memory import DTYPES
from nnlite.kernels.engine.resources import (
    ARCHITECTURES,
    Usage,
    ptx,
    resources,
    resources_of_all,
    shared_ptx,
    unmet,
    usage,
    usage_of_ptx,
    usages,
)
from nnlite.kernels.opspec import GpuKernel

ROW = types.float32[::1]
TOGETHER = 50  # kernels whose machine code is read in one go
THREADS = 256  # launchers take no larger blocks where a kernel has no launch_bounds
EVERY = 80  # of so many kernels, one is compiled the long way as well: another one each day
DAY = int(os.environ.get("NNLITE_CHECK_DAY", datetime.date.today().toordinal()))


@kernel
def does_little(x):
    x[cuda.grid(1)] = x[0]


@kernel(max_registers=64)
def hoards(x):
    """Eighty numbers that are all needed at once, and 64 registers."""
    kept = cuda.local.array(80, types.float32)
    for i in range(80):
        kept[i] = x[i]
    cuda.syncthreads()
    for i in range(80):
        x[i] = kept[79 - i]


@kernel(launch_bounds=(1024, 2))
def crowds(x):
    kept = cuda.shared.array(32 * 256, types.float32)
    kept[cuda.threadIdx.x] = x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = kept[1023 - cuda.threadIdx.x]


@cache
def why_not() -> str | None:
    """Why nothing can be compiled for a GPU here, or None."""
    if sys.platform != "linux":
        return "NVIDIA's compilers come for Linux only"
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed"
    try:
        usage(does_little, (ROW,), "sm_80")
    except Exception as error:
        return f"numba-cuda finds no NVVM or no nvJitLink: {error}"
    return None


@pytest.fixture(autouse=True)
def _compilers() -> None:
    if why_not():
        pytest.skip(why_not())


def groups() -> dict[str, list[GpuKernel]]:
    """Kernels that are compiled together: those of an op, or some whose machine code is read."""
    found: dict[str, list[GpuKernel]] = {}
    read = [k for k in all_kernels() if k.expects]
    for i in range(0, len(read), TOGETHER):
        some = read[i : i + TOGETHER]
        found[f"{some[0].name} ... {some[-1].name}"] = some
    for k in all_kernels():
        if not k.expects:
            found.setdefault(k.name, []).append(k)
    return found


GROUPS = groups()


def has_float64(signature) -> bool:
    scalars = [getattr(a, "dtype", a) for a in signature]
    return any(s == types.float64 for s in scalars)


def float64_lines(text: str) -> list[str]:
    if ".f64" not in text:
        return []
    return [line.strip() for line in text.splitlines() if ".f64" in line]


def too_much(k: GpuKernel, found: Usage) -> list[str]:
    """What a kernel takes that it must not."""
    bounds = k.kernel.launch_bounds or THREADS
    threads, blocks = bounds if isinstance(bounds, tuple) else (bounds, 1)
    wrong = [f"{found.spills} bytes spilled"] if found.spills else []
    resident = found.occupancy(threads, k.dynamic_shared) * found.room.warps * 32
    if resident < threads * blocks:
        wrong.append(
            f"no room for {blocks} blocks of {threads} threads: {found.registers} registers, "
            f"{found.shared} + {k.dynamic_shared} bytes of shared memory"
        )
    return wrong


@pytest.mark.parametrize("name", GROUPS)
def test_kernels_compile_for_every_architecture(name):
    wrong = []
    for arch in ARCHITECTURES:
        some = [k for k in GROUPS[name] if k.runs_on(arch)]
        pairs = [(k.kernel, k.signature) for k in some]
        figures = resources_of_all if any(k.expects for k in some) else usages
        for k, found in zip(some, figures(pairs, arch), strict=True):
            problems = too_much(k, found)
            if k.expects:
                problems += unmet(found, k.expects)
            if not has_float64(k.signature):
                problems += float64_lines(shared_ptx(k.kernel, k.signature, arch))[:3]
            title = f"{k.name}: {k.kernel.__name__}{tuple(map(str, k.signature))} for {arch}"
            wrong += [f"{title}: {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_every_op_has_a_kernel_of_float32(spec):
    assert any(not has_float64(signature) for _, signature in spec.kernels)


def test_the_engine_s_own_kernels_are_held_to_it_as_they_are_launched(driver):
    """For every dtype; what a launch adds here would be compiled nowhere else."""
    for dtype in DTYPES:
        x, y = nl.zeros((3, 5, 4), dtype), nl.empty((5, 3), dtype)
        y.T.copy_from(x[:, :, 1])
        for value in (1, 0.75 if dtype.kind in "fc" else 77):
            nl.full((3,), value, dtype)
    launched = {(k.code.source.__name__, k.code.signature) for k in driver._kernels.values()}
    declared = {(k.kernel.__name__, k.signature) for k in all_kernels()}
    assert {name for name, _ in launched} == {"copy_items", "fill_items"}
    assert launched <= declared


SAMPLE = [k for k in all_kernels() if k.expects][DAY % EVERY :: EVERY]
SAMPLE += [k for k in all_kernels() if not k.expects][DAY % EVERY :: EVERY]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_short_way_gives_the_machine_code_of_the_long_one(arch):
    """One run of NVVM for many architectures, one of the assembler for many kernels or for two."""
    pairs = [(k.kernel, k.signature) for k in SAMPLE if k.runs_on(arch)]
    assert len(pairs) >= 8
    for pair, found in zip(pairs, usages(pairs, arch), strict=True):
        text = ptx(*pair, arch)
        assert shared_ptx(*pair, arch) == text
        assert found == usage_of_ptx(text, arch, pair[0].max_registers)
    calls = [k for k in all_kernels() if k.name == "matmul of f16 nn, any" and k.runs_on(arch)]
    few = pairs[:2] + [(k.kernel, k.signature) for k in calls]  # a function of its own, on sm_80
    assert [resources(*pair, arch) for pair in few] == resources_of_all(few, arch)


def test_where_ptx_differs_it_is_written_twice():
    """NVVM makes other code of this kernel for 7.5 and 8.6 than for 8.0, 8.9 and 9.0."""
    kernel, signature = next(
        (k.kernel, k.signature) for k in all_kernels() if k.kernel.__name__ == "transpose_wide"
    )
    for arch in ARCHITECTURES:
        assert shared_ptx(kernel, signature, arch) == ptx(kernel, signature, arch)


@pytest.mark.parametrize("constant", [0.1, 1e-5])
def test_the_gate_finds_a_leak_of_float64(constant):
    @kernel
    def leaks(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] = x[i] + constant

    assert float64_lines(shared_ptx(leaks, (ROW,), "sm_86"))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_gate_finds_what_does_not_fit(arch):
    """Among others, so that each must be told its own figures."""
    signature = (ROW,)
    some = [GpuKernel(k.__name__, k, signature) for k in (does_little, hoards, crowds)]
    little, spills, crowd = usages([(k.kernel, signature) for k in some], arch)
    assert too_much(some[0], little) == []
    assert little.shared == spills.shared == 0
    assert too_much(some[1], spills) == [f"{spills.spills} bytes spilled"]
    assert crowd.shared == 32 * KIB
    fits = crowd.room.warps >= 2 * 32 and crowd.room.shared >= 66 * KIB
    assert bool(too_much(some[2], crowd)) is not fits
    large = GpuKernel("little", does_little, signature, dynamic_shared=228 * KIB)
    assert "no room for 1 blocks of 256" in too_much(large, little)[0]
