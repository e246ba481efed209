"""Every shipped kernel runs clean under the checker, forward and backward, on samples of its op.

Three calls of each op, with the largest, the middle and the smallest sizes around a block; the
variable ``NNLITE_CHECK_CALLS`` asks for more, up to all that the spec has (which takes an hour).
"""

from __future__ import annotations

import os

import pytest

from nnlite.kernels import all_specs
from nnlite.testing.lens import check_launches

CALLS = int(os.environ.get("NNLITE_CHECK_CALLS", "3"))


@pytest.mark.parametrize("spec", all_specs(), ids=lambda spec: spec.name)
def test_shipped_kernels_are_clean(spec):
    reports = check_launches(spec, CALLS)
    assert reports, "no launch was seen"
    wrong = [str(f) for report in reports for f in (*report.findings, *report.notes)]
    assert not wrong, "\n".join(wrong)
