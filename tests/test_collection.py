"""Every kernel of the collection, compiled for the CPU, against NumPy at odd and at real sizes."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench.collection import ENTRIES
from bench.collection.entry import EXACT, Tolerance, compare
from bench.collection.rates import Rates
from nnlite.kernels.engine.cpu import CpuKernel

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 60


@cache
def compiled(index: int) -> CpuKernel:
    return CpuKernel(ENTRIES[index].kernel)


def cases():
    for index, entry in enumerate(ENTRIES):
        for size in (*entry.test, entry.real):
            shown = "x".join(map(str, size)) if isinstance(size, tuple) else size
            yield pytest.param(index, size, id=f"{entry.name}-{shown}")


@pytest.mark.parametrize(("index", "size"), list(cases()))
def test_agrees_with_numpy(index, size):
    entry = ENTRIES[index]
    launches = entry.launches(size)
    expected = entry.expected(launches)
    for launch in launches:
        compiled(index).launch(*launch.dims, launch.shared, launch.args)
    entry.check(launches, expected)


def test_holds_many_kernels_of_every_kind():
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names) >= 60
    assert all(entry.tiny is not None and entry.test and entry.real for entry in ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_kernels_are_ordinary(entry):
    """Short, with one line that says what it does, launched with whole warps or a few threads."""
    function = entry.kernel.py_func
    source = inspect.getsource(function)
    assert source.count("\n") <= MOST_LINES
    assert function.__doc__
    assert "\n" not in function.__doc__
    assert "nnlite" not in ast.unparse(ast.parse(inspect.cleandoc(source)))
    assert entry.tolerance.why


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_references_notice_a_wrong_result(entry):
    """Outputs that no kernel has written differ from the reference, so no test passes idly."""
    launches = entry.launches(entry.test[-1])
    expected = entry.expected(launches)
    with pytest.raises(AssertionError):
        entry.check(launches, expected)


def test_comparison_fails_where_it_should():
    one = np.ones(4, np.float32)
    near = Tolerance(relative=1e-6)
    compare(one, one.astype(float), near, "equal")
    for wrong in (one + np.float32(1e-4), one * np.nan, one * np.inf, -one):
        with pytest.raises(AssertionError, match="4 of 4 elements differ"):
            compare(wrong, one.astype(float), near, "wrong")
    with pytest.raises(AssertionError, match="shape"):
        compare(one[:3], one.astype(float), near, "short")
    few = Tolerance(outliers=0.25)
    compare(np.array([1, 2, 3, 5]), np.array([1, 2, 3, 4]), few, "one outlier")
    with pytest.raises(AssertionError, match="2 of 4"):
        compare(np.array([1, 2, 4, 5]), np.array([1, 2, 3, 4]), few, "two outliers")
    pairs = np.zeros(2, [("a", "i4"), ("b", "f4")])
    other = pairs.copy()
    other["b"][1] = 1
    with pytest.raises(AssertionError, match=r"records\.b: 1 of 2"):
        compare(other, pairs, EXACT, "records")


@pytest.mark.slow
def test_benchmark_writes_what_it_measured(tmp_path):
    """One small kernel, through every part: NumPy, the simulator, compiling and loading."""
    out = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.collection", "--only", "quantise", "--rounds", "1"]
    done = subprocess.run([*command, "--out", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(out.read_text())["results"]
    assert {"nnlite", f"NumPy {np.__version__}"} == set(row["sides"])
    assert row["simulator"]["seconds"] > row["nnlite_tiny_s"] > 0
    assert row["compile"]["seconds"] > row["load"]["seconds"] > 0
    assert (row["compile"]["from_cache"], row["load"]["from_cache"]) == (False, True)


OTHER = """
import os, pathlib, signal
from nnlite.kernels.engine.cpu import CpuKernel

class Launches(CpuKernel):
    def __getitem__(self, given):
        grid, block, _, shared = given
        return lambda *args: self.launch((grid, 1, 1), (block, 1, 1), shared, args)

def cpu(kernel):
    crashed = pathlib.Path(__file__).with_name("crashed")
    if kernel.__name__ == "triad":
        os.kill(os.getpid(), signal.SIGKILL)
    if not crashed.exists():
        crashed.touch()
        os._exit(3)
    return Launches(kernel)
"""


def test_a_compiler_that_crashes_does_not_end_the_run(tmp_path):
    """The first kernel crashes it once, the second always."""
    (tmp_path / "kf").mkdir()
    (tmp_path / "kf" / "driver.py").write_text(OTHER)
    first, second = (next(e for e in ENTRIES if e.name == name) for name in ("caesar", "triad"))
    rates = Rates(1, tmp_path)
    result, reason = rates.of(first)
    assert (tmp_path / "kf" / "crashed").exists()
    assert reason == ""
    assert set(result.seconds) == {"nnlite", f"NumPy {np.__version__}", "prototype"}
    result, reason = rates.of(second)
    rates.close()
    assert reason == "the process ended (SIGKILL)"
    assert set(result.seconds) == {"nnlite", f"NumPy {np.__version__}"}
    assert result.work == 3 * 4 * second.real
