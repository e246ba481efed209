"""Fixtures and settings of every test: this checkout, Hypothesis profiles, devices, a driver."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist chooses
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Workers of pytest-xdist that have nothing left take tests over, so that all end together."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: none of them shall begin when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test another nnlite than the one beside these tests; choose the profile."""
    try:
        import nnlite
    except ModuleNotFoundError:
        raise pytest.UsageError(
            f"nnlite cannot be imported: run the tests from {ROOT} with `python -m pytest`, or "
            "install it there first (pip install -e .)"
        ) from None

    found = Path(nnlite.__file__).resolve()
    if ROOT not in found.parents and "NNLITE_TEST_INSTALLED" not in os.environ:
        raise pytest.UsageError(
            f"the tests would import nnlite from {found.parent}, not from {ROOT}: run them from "
            f"{ROOT} with `python -m pytest`, or install it there (pip install -e .)"
        )
    # Compiling makes hundreds of thousands of objects, of which few are garbage.
    gc.set_threshold(50_000, 20, 50)
    # For the kernels in bench/collection; last, so that an installed nnlite stays the one found.
    sys.path.append(str(ROOT))
    from hypothesis import HealthCheck, settings

    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    # The time of one example includes a compilation now and then, so no deadline.
    settings.register_profile("dev", deadline=None, suppress_health_check=slow)
    settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
    default = "ci" if "CI" in os.environ else "dev"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a process whose GPU answers no more after a failure: there, all that follows would fail.

    pytest-xdist names the next test as well, and goes on with a new process.
    """
    before = item.session.testsfailed
    done = yield
    if item.session.testsfailed > before and not gpus_answer():
        if "PYTEST_XDIST_WORKER" in os.environ:
            os._exit(1)
        pytest.exit(f"the GPU answers no more after {item.nodeid}", returncode=1)
    return done


def gpus_answer() -> bool:
    """Whether each GPU, if there is one, still finishes its work."""
    from nnlite.errors import DeviceError
    from nnlite.kernels.engine import devices, gpu

    try:
        for device in devices()[1:]:
            gpu.synchronize(device)
    except DeviceError:
        return False
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that take ``device`` on every device present."""
    if "device" in metafunc.fixturenames:
        from nnlite.kernels.engine import devices

        metafunc.parametrize("device", devices(), ids=str, scope="session")


@pytest.fixture
def driver() -> Iterator[Any]:
    """A pretended GPU, the device ``cuda:0`` and the default one; see ``nnlite.testing.fake_gpu``.

    A kernel that numba-cuda has typed and compiled to PTX runs by the CPU compiler, on arrays made
    from the parameters that would go to the hardware.
    """
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from nnlite.testing.fake_gpu import fake_gpu

    with fake_gpu() as fake:
        yield fake


@pytest.fixture
def command_on_the_cpu(monkeypatch):
    """The command's tests: wide lines, on the CPU; also undoes what --device sets."""
    import nnlite as nl

    before = nl.default_device()
    monkeypatch.setenv("COLUMNS", "200")
    nl.set_default_device("cpu")
    yield
    nl.set_default_device(before)


@pytest.fixture
def tuning_folder(tmp_path, monkeypatch) -> Path:
    """An empty place for choices made by measurement, and no tuning by the environment."""
    from nnlite.kernels.engine.tuning import store

    monkeypatch.setattr(store, "directory", lambda: tmp_path / "tuning")
    monkeypatch.delenv("NNLITE_TUNE", raising=False)
    return tmp_path / "tuning"


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory) -> Path:
    """Folder of a training of two epochs on the 8x8 digits; not to be changed."""
    from nnlite.testing.command import QUICK, succeed

    folder = tmp_path_factory.mktemp("digits") / "run"
    output = succeed("train", "digits", "--epochs", 2, "--out", folder, "--device", "cpu", *QUICK)
    assert "1,442 training and 355 test items of shape (N, 1, 8, 8), 10 classes" in output
    return folder


# -- scalar functions of CUDA ----------------------------------------------------------------------
FUNCTIONS_AT_ONCE = 8  # per kernel: compiling takes longer than running


@pytest.fixture
def evaluate() -> Callable[..., dict[str, np.ndarray]]:
    """Calls scalar functions once per element, in a kernel that the CPU compiler runs."""
    return call_each


def call_each(
    functions: dict[str, Any], result: Any, *columns: np.ndarray
) -> dict[str, np.ndarray]:
    """Call each function on the same one, two or three columns.

    Args:
        functions: device functions or functions of numba.cuda, all with as many arguments as there
            are columns.
        result: dtype to which every result is converted.
        columns: arrays of one dimension and equal size.

    Returns:
        the results of each function, by its name.
    """
    from nnlite.kernels.engine.cpu import CpuKernel

    names, size = list(functions), columns[0].size
    out = np.zeros((-(-len(names) // FUNCTIONS_AT_ONCE) * FUNCTIONS_AT_ONCE, size), result)
    for k in range(0, len(names), FUNCTIONS_AT_ONCE):
        chosen = [functions[n] for n in names[k : k + FUNCTIONS_AT_ONCE]]
        chosen += [chosen[-1]] * (FUNCTIONS_AT_ONCE - len(chosen))
        kernel = (_one, _two, _three)[len(columns) - 1](*chosen)
        rows = out[k : k + FUNCTIONS_AT_ONCE]
        CpuKernel(kernel).launch((-(-size // 64), 1, 1), (64, 1, 1), 0, (*columns, rows))
    return dict(zip(names, out))


def _one(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    from numba import cuda

    @cuda.jit
    def kernel(x, out):
        i = cuda.grid(1)
        if i < x.size:
            out[0, i], out[1, i], out[2, i], out[3, i] = a(x[i]), b(x[i]), c(x[i]), d(x[i])
            out[4, i], out[5, i], out[6, i], out[7, i] = e(x[i]), f(x[i]), g(x[i]), h(x[i])

    return kernel


def _two(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    from numba import cuda

    @cuda.jit
    def kernel(x, y, out):
        i = cuda.grid(1)
        if i < x.size:
            u, v = x[i], y[i]
            out[0, i], out[1, i], out[2, i], out[3, i] = a(u, v), b(u, v), c(u, v), d(u, v)
            out[4, i], out[5, i], out[6, i], out[7, i] = e(u, v), f(u, v), g(u, v), h(u, v)

    return kernel


def _three(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    from numba import cuda

    @cuda.jit
    def kernel(x, y, z, out):
        i = cuda.grid(1)
        if i < x.size:
            u, v, w = x[i], y[i], z[i]
            out[0, i], out[1, i], out[2, i] = a(u, v, w), b(u, v, w), c(u, v, w)
            out[3, i], out[4, i], out[5, i] = d(u, v, w), e(u, v, w), f(u, v, w)
            out[6, i], out[7, i] = g(u, v, w), h(u, v, w)

    return kernel
