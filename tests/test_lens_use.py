"""``nl.check``, ``kernel.check``, ``nl.checking``, the command, the plugin and the README."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import cuda, float32

import nnlite as nl
from nnlite.errors import CheckError, DeviceError, LaunchError, UnsupportedKernelError
from nnlite.testing.command import command

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.usefixtures("command_on_the_cpu")

FILE = """\
import numpy as np
from numba import cuda, float32

import nnlite as nl


@nl.kernel
def reverse(x, out):
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    out[t] = tile[63 - t]


@cuda.jit
def fill(x, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i]


def inputs():
    return 1, 64, (np.ones(64, np.float32), np.zeros(64, np.float32))
"""


@nl.kernel
def double(x, out):
    i = cuda.grid(1)
    out[i] = 2 * x[i]


@nl.kernel
def add_up(x, out):
    s = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    if t == 0:
        for k in range(cuda.blockDim.x):
            out[0] += s[k]


def arrays(n, m):
    return nl.array(np.ones(n, np.float32), device="cpu"), nl.zeros(m, device="cpu")


def test_a_clean_launch():
    x, out = arrays(64, 64)
    report = nl.check(double, 2, 32, (x, out))
    assert report.ok
    report.raise_if_errors()
    assert str(report) == "check of double, grid (2, 1, 1), block (32, 1, 1): no mistakes found"
    assert (out.numpy() == 2).all()


def test_kernel_check_with_dynamic_memory():
    x, out = arrays(64, 1)
    report = add_up.check[1, 64, 0, 256](x, out)
    (found,) = report.findings
    assert found.kind == "race in a warp"
    assert found.element == "s[1]"
    with pytest.raises(CheckError, match="race in a warp") as caught:
        report.raise_if_errors()
    assert caught.value.report is report
    assert isinstance(caught.value, AssertionError)


def test_wrong_use_is_refused():
    x, out = arrays(4, 4)
    with pytest.raises(LaunchError, match=r"check: launch configuration 4 given"):
        double.check[4]
    with pytest.raises(LaunchError, match=r"double: grid 'a' given"):
        nl.check(double, "a", 32, (x, out))

    class OnGpu:
        __cuda_array_interface__ = {}

    with pytest.raises(DeviceError, match=r"double: argument 1 is on a GPU"):
        nl.check(double, 1, 4, (x, OnGpu()))
    settings = {}

    @nl.kernel
    def unsupported(x):
        x[0] = settings["a"]

    with pytest.raises(UnsupportedKernelError):
        nl.check(unsupported, 1, 1, (x,))


def test_checking_covers_every_launch():
    x, out = arrays(32, 32)
    with nl.checking() as reports:
        double[1, 32](x, out)
        with pytest.raises(CheckError, match="out of bounds"):
            double[1, 33](x, out)
    assert [r.ok for r in reports] == [True, False]
    with nl.checking(raise_errors=False) as reports:
        nl.functional.softmax(nl.Tensor(nl.zeros((3, 5), device="cpu")), 1)
    assert reports
    assert all(r.ok for r in reports)
    double[1, 32](x, out)
    assert len(reports) == len([r for r in reports if r.kernel != "double"])


def test_exceptions_of_debug_kernels_come_through():
    @nl.kernel(debug=True)
    def refuses(x):
        if x[cuda.grid(1)] > 0:
            raise ValueError("positive")

    with pytest.raises(ValueError, match="positive"):
        nl.check(refuses, 1, 4, (np.ones(4),))


def test_the_command(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text(FILE)
    done = command("check", f"{path}:reverse")
    assert done.exit_code == 1
    assert "race in a block: two threads use tile[" in done.stdout
    assert "kernels.py:12: out[t] = tile[63 - t]" in done.stdout
    assert "1 kernel, 1 launch: 1 kernel with mistakes" in done.stdout
    done = command("check", f"{path}:fill", "softmax", "add_flat")
    assert done.exit_code == 0, done.stdout
    assert "no mistakes found" in done.stdout
    done = command("check", f"{path}:reverse", "--json")
    assert done.exit_code == 1
    (report,) = json.loads(done.stdout)
    assert report["findings"][0]["access"]["line"] in (11, 12)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nothing.py:reverse", "there is no file nothing.py"),
        ("{path}:absent", "has no kernel 'absent'"),
        ("softmaxx", "expected FILE.py:KERNEL or the name of an op or a kernel"),
        ("{bare}:double", "has no function inputs()"),
    ],
)
def test_the_command_refuses(target, said, tmp_path):
    path, bare = tmp_path / "kernels_2.py", tmp_path / "bare.py"
    path.write_text(FILE)
    bare.write_text(FILE.partition("def inputs")[0].replace("reverse", "double"))
    done = command("check", target.format(path=path, bare=bare))
    assert done.exit_code == 2
    assert said in done.stderr


TESTS = """
import numpy as np
import pytest
from numba import cuda
from nnlite.errors import CheckError
import nnlite as nl


@nl.kernel
def shift(x, out):
    i = cuda.grid(1)
    out[i] = x[i + 1]


X, OUT = np.ones(33, np.float32), np.zeros(32, np.float32)


def test_clean(check_kernel):
    assert check_kernel(shift, 1, 32, X, OUT).ok


def test_wrong(check_kernel):
    with pytest.raises(CheckError):
        check_kernel(shift, 1, 32, OUT, X)


def test_launch():
    shift[1, 32](X[:32].copy(), OUT)
"""


def test_the_plugin(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "nnlite.pytest_plugin", "--nnlite-check"]
    # Installed, nnlite registers the plugin by itself; here it is to be the one named.
    env = dict(os.environ, PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "test_it.py:12: out[i] = x[i + 1]" in done.stdout
    assert "x[32]: the index 32 of axis 0 is outside 0 to 31" in done.stdout


@pytest.mark.parametrize("title", ["Find the race", "See the memory traffic"])
def test_the_readme_shows_the_real_output(tmp_path, title):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(f"## {title}")[2]
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", section, re.DOTALL)[:2]
    path = tmp_path / "example.py"
    path.write_text(code)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(path), "exec"), {"__name__": "example", "__file__": str(path)})
    assert printed.getvalue().strip() == shown.strip()
