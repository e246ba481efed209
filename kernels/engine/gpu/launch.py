"""Kernels on a GPU: numba-cuda compiles and queues them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from numba import cuda

from ..device import STATIC_SHARED, Device
from ..errors import DeviceError

if TYPE_CHECKING:
    from ..kernel import Kernel

Dim3 = tuple[int, int, int]


def dispatcher(kernel: Kernel) -> Any:
    """numba-cuda's dispatcher of a kernel with its options."""
    options: dict[str, Any] = {"fastmath": kernel.fastmath}
    if kernel.launch_bounds is not None:
        options["launch_bounds"] = kernel.launch_bounds
    if kernel.max_registers is not None:
        options["max_registers"] = kernel.max_registers
    if kernel.debug:
        options |= {"debug": True, "opt": False}
    try:
        return cuda.jit(**options)(kernel.py_func)
    except (TypeError, ValueError) as error:
        raise DeviceError(
            f"{kernel.__name__}: numba's CUDA target refuses the options {options}: {error}; "
            "install the extra cuda12 or cuda13"
        ) from error


def configure(
    kernel: Kernel, device: Device, grid: Dim3, block: Dim3, stream: Any, shared: int
) -> Any:
    """A kernel with its launch configuration, to be called with the arguments."""
    with cuda.gpus[device.index], warnings.catch_warnings():
        # numba warns of every grid below 128 blocks; in a small network most are. By the message,
        # as numba and numba-cuda have a class of warning each.
        warnings.filterwarnings("ignore", message="Grid size")
        configured = kernel.gpu[grid, block, stream, shared]
    if shared > STATIC_SHARED:
        if not hasattr(configured, "pre_launch_callbacks"):
            raise DeviceError(
                f"{kernel.__name__}: {shared} bytes of dynamic shared memory need numba-cuda; "
                "install the extra cuda12 or cuda13"
            )
        configured.pre_launch_callbacks.append(_allow_shared)
    return configured


def _allow_shared(compiled: Any, configured: Any) -> None:
    """Raise a kernel's limit of dynamic shared memory, which is 48 KiB unless one asks for more."""
    from numba.cuda.cudadrv.driver import binding, driver

    attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    function = compiled.library.get_cufunc()
    driver.cuKernelSetAttribute(
        attribute, configured.sharedmem, function.handle, function.device.id
    )


def launch(configured: Any, device: Device, args: Any) -> None:
    """Run a configured kernel on GPU ``device``; returns as soon as it is queued."""
    with cuda.gpus[device.index]:
        configured(*args)


def synchronize(device: Device) -> None:
    """Wait until GPU ``device`` has finished all queued work."""
    with cuda.gpus[device.index]:
        cuda.synchronize()
