"""Every shipped kernel runs clean under the checker, forward and backward, on samples of its op.

A call of each op with the largest sizes around a block, and as many more as it takes until each
kernel of its spec has run. ``NNLITE_CHECK_CALLS`` asks for more, up to all calls around a block.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import nnlite as nl
from nnlite.kernels import all_specs
from nnlite.kernels.elementwise import copy
from nnlite.testing.lens import check_launches, kernel_names

CALLS = int(os.environ.get("NNLITE_CHECK_CALLS", "1"))
ELSEWHERE = {
    "copy": {"transpose"},  # larger matrices than those around a block: the second test
    "batch_norm_statistics": {"backward_rows", "backward_columns"},  # checked for batch_norm
}
"""Kernels that an op's samples do not reach."""
ON_A_GPU = "_wide"
"""Ends the names of kernels that are launched on a GPU only; ``test_wide`` has them checked."""


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_shipped_kernels_are_clean(spec):
    kernels = kernel_names(spec) - ELSEWHERE.get(spec.name, set())
    kernels = {name for name in kernels if not name.endswith(ON_A_GPU)}
    reports = check_launches(spec, CALLS, kernels)
    assert reports, "no launch was seen"
    wrong = [str(f) for report in reports for f in (*report.findings, *report.notes)]
    assert not wrong, "\n".join(wrong)
    assert kernels <= {report.kernel for report in reports}


def test_kernels_checked_elsewhere_are_checked():
    """Except for ``transpose``, which the test below launches."""
    specs = {spec.name: spec for spec in all_specs()}
    assert kernel_names(specs["batch_norm"]) >= ELSEWHERE["batch_norm_statistics"]
    assert all(kernel_names(specs[name]) >= kernels for name, kernels in ELSEWHERE.items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_of_large_transposed_arrays_are_clean(dtype):
    x = nl.kernels.engine.array(np.arange(2 * 67 * 130, dtype=dtype).reshape(2, 67, 130))
    with nl.checking() as reports:
        y = copy(x.transpose((0, 2, 1)))
    assert [(report.kernel, report.ok, report.notes) for report in reports] == [
        ("transpose", True, [])
    ]
    np.testing.assert_array_equal(y.numpy(), x.numpy().transpose(0, 2, 1))
