"""``nnlite.cudasim``: whole programs in processes of their own, as their users start them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).parent / "programs"
KERNEL = """
from numba import cuda
import numpy as np

@cuda.jit
def double(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] *= 2

def doubled(n):
    x = np.arange(n)
    double[1, 32](x)
    return x.tolist()
"""


def python(*arguments, cwd=None, **environment):
    """The finished process ``python ARGUMENTS``."""
    inherited = {k: v for k, v in os.environ.items() if k != "NUMBA_ENABLE_CUDASIM"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def cudasim(*arguments, **options):
    return python("-m", "nnlite.cudasim", *arguments, **options)


def program(folder: Path, text: str, name: str = "program.py") -> Path:
    path = folder / name
    path.write_text(KERNEL + textwrap.dedent(text))
    return path


@pytest.mark.parametrize(
    "command",
    ["streams_and_events.py 100000", "reductions_and_ufuncs.py", "random_walk.py"],
)
def test_program_runs_unchanged_and_compiled(command):
    name, *arguments = command.split()
    done = cudasim(PROGRAMS / name, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ok"
    assert "SimulatedKernelWarning" not in done.stderr


@pytest.mark.parametrize("file", ["semantics.py", "launches.py"])
def test_launches_mean_what_they_mean_on_a_gpu(file):
    tests = PROGRAMS / file
    done = cudasim("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed(, \d+ warnings)? in ", done.stdout, re.MULTILINE), done.stdout


def test_names_imported_from_numba_cuda(tmp_path):
    path = program(
        tmp_path,
        """
        from numba.cuda import all_sync, any_sync, ballot_sync, eq_sync, popc, threadIdx
        from numba.cuda import shfl_down_sync, shfl_sync, shfl_up_sync, shfl_xor_sync

        @cuda.jit
        def warp(x):
            v = x[threadIdx.x]
            v += shfl_down_sync(0xFFFFFFFF, v, 16)
            if any_sync(0xFFFFFFFF, v > 0):
                x[threadIdx.x] = v + popc(ballot_sync(0xFFFFFFFF, v > 40))

        x = np.arange(32)
        warp[1, 32](x)
        print(x.tolist() == [2 * i + (30 if i < 16 else 14) for i in range(32)])
        try:
            shfl_down_sync(1, 2, 3)
        except NotImplementedError as error:
            print("shfl_down_sync" in str(error))
        """,
    )
    done = cudasim(path)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


def test_messages_about_arguments(tmp_path):
    path = program(
        tmp_path,
        """
        @cuda.jit("void(int32[:], int32)")
        def fill(x, v):
            x[0] = v

        @cuda.jit
        def measure(x, s):
            x[0] = len(s)

        try:
            fill[1, 1](np.zeros(1), 1)
        except TypeError as error:
            print(error)
        measure[1, 1](np.zeros(1), "abc")
        """,
    )
    done = cudasim(path)
    assert done.stdout.endswith("declared for (array(int32, 1d, A), int32)\n"), done.stderr
    assert "measure: argument 1 is of type str, expected an array" in done.stderr
    assert "measure: measure:" not in done.stderr


def test_inspect_cpu_shows_compiles_and_explains(tmp_path):
    path = program(
        tmp_path,
        """
        from nnlite.kernels.engine.errors import LaunchError, UnsupportedKernelError

        @cuda.jit
        def lists(x):
            x[0] = len([1, 2])

        lists[1, 1](np.zeros(1))
        for kernel, error in ((double, LaunchError), (lists, UnsupportedKernelError)):
            try:
                kernel.inspect_cpu()
            except error as caught:
                print(caught)
        print("for blocks of (64, 1, 1)" in double.inspect_cpu(64, (np.ones(3),)))
        """,
    )
    done = cudasim(path)
    nothing, refused, compiled = done.stdout.splitlines()
    assert nothing.startswith("double: nothing compiled yet; launch the kernel first")
    assert "program.py" in refused
    assert "kernels have no lists" in refused
    assert compiled == "True"


def test_script_sees_its_own_command_line(tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    path = program(
        tmp_path,
        """
        import os, sys, beside
        assert __name__ == "__main__" and sys.modules["__main__"].doubled is doubled
        assert os.path.samefile(sys.path[0], os.path.dirname(__file__))
        print(beside.VALUE, sys.argv[1:], os.path.basename(sys.argv[0]), doubled(3))
        sys.exit(5)
        """,
    )
    done = cudasim(path, "-x", "a b")
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout == "7 ['-x', 'a b'] program.py [0, 2, 4]\n"


def test_module_with_arguments(tmp_path):
    program(tmp_path, "import sys; print(__name__, sys.argv[1:], doubled(2))", "module.py")
    done = cudasim("-m", "module", "--flag", cwd=tmp_path)
    assert done.stdout == "__main__ ['--flag'] [0, 2]\n", done.stderr


def test_traceback_shows_the_program(tmp_path):
    path = program(
        tmp_path,
        """
        def launch():
            double[1, 2000](np.ones(1))  # HERE

        launch()
        """,
    )
    line = 1 + path.read_text().splitlines().index("    double[1, 2000](np.ones(1))  # HERE")
    done = cudasim(path)
    assert done.returncode == 1
    assert f'program.py", line {line}, in launch' in done.stderr
    assert "threads per block: 2000x1x1 = 2000, limit 1024" in done.stderr.splitlines()[-1]


def test_usage_and_missing_file(tmp_path):
    for wrong in ((), ("--nonsense",), ("-m",)):
        done = cudasim(*wrong)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: python -m nnlite.cudasim SCRIPT")
    assert cudasim("--help").stdout.startswith("usage:")
    done = cudasim(tmp_path / "absent.py")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "absent.py': No such file" in done.stderr


def test_enable_in_a_program_and_disable(tmp_path):
    path = program(
        tmp_path,
        """
        print(doubled(2), nnlite.cudasim.enabled(), os.environ["NUMBA_ENABLE_CUDASIM"])
        nnlite.cudasim.disable()
        print(type(cuda.jit(double.py_func)).__name__, "NUMBA_ENABLE_CUDASIM" in os.environ)
        """,
    )
    enable = "import os, nnlite.cudasim\nnnlite.cudasim.enable()\nnnlite.cudasim.enable()\n"
    path.write_text(enable + path.read_text())
    done = python(path)
    assert done.stdout.splitlines() == ["[0, 2] True 1", "FakeCUDAKernel False"], done.stderr


def test_enabled_under_the_simulator_that_a_user_switched_on(tmp_path):
    path = program(
        tmp_path,
        """
        import nnlite.cudasim
        nnlite.cudasim.enable()
        again = cuda.jit(double.py_func)
        x = np.ones(40)
        again[1, 64](x)
        print(x.sum(), again.inspect_cpu()[:1])
        """,
    )
    done = python(path, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout == "80.0 #\n", done.stderr


def test_kernels_of_a_command_are_compiled():
    text = f"import nnlite.cudasim as s; s.enable()\n{KERNEL}\nprint(doubled(2), s.simulated())"
    done = python("-c", text)
    assert done.stdout == "[0, 2] {}\n", done.stderr


def test_too_late_to_enable_says_what_to_do(tmp_path):
    path = program(tmp_path, "import nnlite.cudasim\nnnlite.cudasim.enable()\n")
    done = python(path)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("nnlite.kernels.engine.errors.DeviceError: nnlite.cudasim.enable():")
    assert "call enable() before the first import of numba.cuda" in last
    assert "python -m nnlite.cudasim SCRIPT" in last


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_compile_too(tmp_path, method):
    path = program(
        tmp_path,
        f"""
        import multiprocessing

        def work(n):
            return doubled(n), "# " in double.inspect_cpu()

        if __name__ == "__main__":
            print(doubled(1))
            with multiprocessing.get_context({method!r}).Pool(2) as pool:
                print(pool.map(work, [2, 3]))
        """,
    )
    done = cudasim(path)
    assert done.stdout.splitlines() == ["[0]", "[([0, 2], True), ([0, 2, 4], True)]"], done.stderr


def test_the_device_has_the_compute_capability_of_the_reference_gpu(tmp_path):
    text = "print(cuda.get_current_device().compute_capability, cuda.gpus[0].compute_capability)"
    shown = {
        gpu: cudasim(program(tmp_path, text), NNLITE_REFERENCE_GPU=gpu).stdout
        for gpu in ("A100", "H100")
    }
    assert shown == {"A100": "(8, 0) (8, 0)\n", "H100": "(9, 0) (9, 0)\n"}
