"""A launch on Numba's own simulator, where the compiler refuses a kernel."""

from __future__ import annotations

import sys
import threading
import types
import warnings
from typing import TYPE_CHECKING, Any

from numba import cuda
from numba.cuda.simulator import kernel as simulator

from ..kernels.engine.cpu.names import cuda_name
from ..kernels.engine.errors import UnsupportedKernelError
from . import SimulatedKernelWarning, _simulated

if TYPE_CHECKING:
    from .kernel import CompiledKernel, Launch

_one_at_a_time = threading.RLock()  # the simulator runs one kernel at a time


class _KernelNames:
    """``cuda`` inside a simulated kernel, wherever the kernel has the name from."""

    def __getattr__(self, name: str) -> Any:
        return getattr(simulator._get_kernel_context(), name)


def adapted(function: Any) -> Any:
    """The function with every name of ``numba.cuda`` that it sees replaced by the simulator's.

    The simulator replaces only the global name that is the module ``numba.cuda`` itself; a closure
    variable, or ``from numba.cuda import grid``, would still be what means nothing on the host.
    """
    names = _KernelNames()

    def inside(value: Any) -> Any:
        if value is cuda:
            return names
        path = cuda_name(value) if callable(value) else None
        for part in path.split(".") if path else ():
            value = names if value is not names else value
            value = getattr(value, part)
        return value

    used = function.__code__.co_names
    scope = function.__globals__
    known = {n: scope[n] for n in used if n in scope}
    wrong = {n: v for n, v in known.items() if v is not cuda and callable(v) and cuda_name(v)}
    cells = function.__closure__ or ()
    held = [c.cell_contents for c in cells if _filled(c)]
    if not wrong and not any(v is cuda or (callable(v) and cuda_name(v)) for v in held):
        return function
    changed = {**scope, **{n: inside(v) for n, v in wrong.items()}}
    new = tuple(types.CellType(inside(c.cell_contents)) if _filled(c) else c for c in cells)
    return types.FunctionType(
        function.__code__, changed, function.__name__, function.__defaults__, new or None
    )


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


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
    if kernel.__qualname__ not in _simulated or not getattr(kernel, "warned", False):
        kernel.warned = True
        _simulated[f"{kernel.__module__}.{kernel.__qualname__}"] = str(why)
        text = f"kernel {kernel.__name__} runs on Numba's slow simulator: {why}"
        warnings.warn(text, SimulatedKernelWarning, stacklevel=3)
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
            sys.stderr.flush()
            raise why from error
