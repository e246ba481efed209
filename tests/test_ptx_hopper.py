"""Barriers, bulk copies and wgmma: machine code for the GPUs that have them, an error elsewhere."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba import types

from nnlite.errors import CompileError, UnsupportedKernelError
from nnlite.kernels.engine.resources import ptx, resources
from tests.ptx_kernels.hopper import copy_in_bulk, multiply_boxes, multiply_own

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
FLOATS, WORDS = types.Array(types.float32, 1, "C"), types.Array(types.uint64, 1, "C")
BOXES = (WORDS, FLOATS, types.int32)


@linux
@pytest.mark.parametrize("arch", ["sm_90", "sm_90a", "sm_100", "sm_120"])
def test_bulk_copies(arch):
    found = resources(copy_in_bulk, (FLOATS, FLOATS), arch)
    assert found.count("UBLKCP") == 1
    assert found.count("SYNCS") >= 4
    assert found.spills == found.stack == 0
    assert found.shared == 4096 + 2 * 8


@linux
def test_a_producer_and_a_consumer_of_boxes():
    found = resources(multiply_boxes, BOXES, "sm_90a")
    products = sum(n for name, n in found.loop.items() if name.startswith("HGMMA"))
    assert found.count("UTMALDG") > 0
    assert products > 0
    assert products % 4 == found.count("UTMALDG") % 2 == 0  # two boxes and four products a turn
    assert found.spills == found.stack == 0
    text = ptx(multiply_boxes, BOXES, "sm_90a")
    assert "setmaxnreg.inc.sync.aligned.u32 232;" in text
    assert "setmaxnreg.dec.sync.aligned.u32 40;" in text


@linux
def test_wgmma_of_tf32():
    found = resources(multiply_own, (FLOATS,), "sm_90a")
    assert found.count("HGMMA") == 4
    assert any("TF32" in name for name in found.opcodes)
    assert "fence.proxy.async.shared::cta;" in ptx(multiply_own, (FLOATS,), "sm_90a")


@linux
@pytest.mark.parametrize(
    ("kernel", "signature", "arch"),
    [
        (copy_in_bulk, (FLOATS, FLOATS), "sm_80"),
        (multiply_boxes, BOXES, "sm_90"),
        (multiply_own, (FLOATS,), "sm_100"),
    ],
)
def test_other_architectures_are_refused(kernel, signature, arch):
    with pytest.raises(CompileError, match=f"ptxas refuses the PTX for {arch}"):
        resources(kernel, signature, arch)


def test_the_cpu_refuses_them_by_name_and_line():
    x = np.zeros(1024, np.float32)
    with pytest.raises(UnsupportedKernelError, match=r"hopper\.py:\d+: mbarrier_init") as found:
        copy_in_bulk[1, 128](x, x)
    assert found.value.construct == "mbarrier_init"
    with pytest.raises(UnsupportedKernelError, match="fence_async"):
        multiply_own[1, 128](x)
