"""The checker finds each mistake of a list of wrong kernels: kind, line, array and threads."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from nnlite.kernels.engine.lens import check
from nnlite.kernels.engine.lens.explain import KINDS

FILES = ("bounds", "races", "meetings")
CASES = [
    case for file in FILES for case in importlib.import_module(f"tests.lens_kernels.{file}").CASES
]


def number(access, block):
    """(block, thread) of a one-dimensional grid."""
    if access is None or access.thread is None:
        return None
    x, y, z = access.thread
    width = block if isinstance(block, int) else block[0]
    return access.block[0], x + width * y


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_finds(case):
    report = check(case.kernel, case.grid, case.block, case.args(), case.shared)
    found = report.notes if case.note else report.findings
    assert report.ok == case.note, report
    wanted = [f for f in found if f.kind == case.kind]
    assert wanted, report
    lines = [case.line("# BUG"), case.line("# OTHER") or case.line("# BUG")]
    if case.kind.startswith("race"):  # whichever of the two comes first
        wanted = [f for f in wanted if sorted((f.line, f.other.line)) == sorted(lines)]
    else:
        wanted = [f for f in wanted if f.line == lines[0]]
    assert wanted, report
    finding = wanted[0]
    assert finding.array == case.array
    assert finding.access.source.endswith(("# BUG", "# OTHER"))
    if case.line("# OTHER"):
        assert {finding.line, finding.other.line} == set(lines)
    a, b = number(finding.access, case.block), number(finding.other, case.block)
    assert case.threads(a, b), report
    assert finding.remedy.endswith(".")
    assert finding.kind in KINDS
    text = str(report)
    assert f"{finding.access.place}: {finding.access.source}" in text
    assert finding.remedy in text


def test_all_kinds_are_seeded():
    assert len(CASES) >= 40
    assert {case.kind for case in CASES} == set(KINDS)


def test_an_access_outside_is_not_carried_out():
    whole = np.zeros(96, np.float32)
    x = np.ones(64, np.float32)
    from tests.lens_kernels.bounds import no_guard

    report = check(no_guard, 3, 32, (x, whole[16:80]))
    assert not report.ok
    assert (whole[16:80] == 1).all()
    assert not whole[:16].any()
    assert not whole[80:].any()
