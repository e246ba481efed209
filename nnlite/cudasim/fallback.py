"""A launch on Numba's own simulator, where the compiler refuses a kernel."""

from __future__ import annotations

import functools
import sys
import threading
import types
import warnings
from typing import TYPE_CHECKING, Any

from numba import cuda
from numba.cuda.simulator import kernel as simulator

from ..kernels.engine.cpu.names import cuda_name
from ..kernels.engine.errors import UnsupportedKernelError
from . import RUN_BY_SIMULATOR, SimulatedKernelWarning

if TYPE_CHECKING:
    from .kernel import CompiledKernel, Launch

_LIBRARIES = (__package__, "numba.cuda.deviceufunc", "numba.cuda.vectorizers")
_one_at_a_time = threading.RLock()  # the simulator runs one kernel at a time


class _Later:
    """A name of ``numba.cuda`` inside a simulated kernel, looked up while the kernel runs."""

    def __init__(self, *path: str) -> None:
        self._path = path

    def _found(self) -> Any:
        return functools.reduce(getattr, self._path, simulator._get_kernel_context())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found(), name)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._found()(*args, **keywords)


def adapted(function: Any) -> Any:
    """The function with every name of ``numba.cuda`` that it sees replaced by the simulator's.

    The simulator replaces only the global name that is the module ``numba.cuda`` itself; a closure
    variable, or ``from numba.cuda import grid``, would still be what means nothing on the host.
    """
    scope = function.__globals__
    used = {n: scope[n] for n in function.__code__.co_names if n in scope}
    names = {n: _inside(v) for n, v in used.items() if v is not cuda and _inside(v) is not v}
    cells = tuple(_cell(c) for c in function.__closure__ or ())
    if not names and cells == (function.__closure__ or ()):
        return function
    return types.FunctionType(
        function.__code__,
        {**scope, **names},
        function.__name__,
        function.__defaults__,
        cells or None,
    )


def _inside(value: Any) -> Any:
    if value is cuda:
        return _Later()
    path = cuda_name(value) if callable(value) else None
    return _Later(*path.split(".")) if path else value


def _cell(cell: types.CellType) -> types.CellType:
    try:
        value = cell.cell_contents
    except ValueError:  # a variable that is not assigned yet
        return cell
    return cell if _inside(value) is value else types.CellType(_inside(value))


def simulate(
    kernel: CompiledKernel, launch: Launch, args: tuple[Any, ...], why: UnsupportedKernelError
) -> None:
    """Run a launch on the simulator; warn when it is the first of this kernel.

    Raises:
        UnsupportedKernelError: the simulator cannot run the kernel either.
    """
    blocks = launch.grid[0] * launch.grid[1] * launch.grid[2]
    if blocks > 1 and "this_grid" in kernel.fn.__code__.co_names:
        raise why  # the simulator would synchronise each block by itself and compute nonsense
    if not kernel.warned:
        kernel.warned = True
        RUN_BY_SIMULATOR[f"{kernel.__module__}.{kernel.__qualname__}"] = str(why)
        text = f"kernel {kernel.__name__} runs on Numba's slow simulator: {why}"
        warnings.warn(text, SimulatedKernelWarning, stacklevel=_user_level())
    with _one_at_a_time:
        plain = simulator.FakeCUDAKernel(
            adapted(kernel.fn), False, fastmath=kernel._fastmath, debug=kernel._debug
        )
        plain.grid_dim, plain.block_dim = launch.grid, launch.block
        plain.stream, plain.dynshared_size = launch.stream, launch.shared
        try:
            plain(*args)
        except AttributeError as error:
            if "FakeCUDAModule" not in str(error):
                raise
            raise why from error


def _user_level() -> int:
    """How many frames ``warnings.warn`` must go up to the program, past Numba's host code."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_LIBRARIES):
        frame, level = frame.f_back, level + 1
    return level
