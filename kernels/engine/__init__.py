"""How a kernel runs: devices, arrays, ``@kernel``, its two compilers. Knows no neural network."""

from .constants import cached_constant
from .device import (
    CPU,
    Device,
    Limits,
    default_device,
    device,
    devices,
    reference_gpu,
    set_default_device,
)
from .errors import (
    ArgumentError,
    CheckError,
    CompileError,
    DeviceError,
    DtypeError,
    LaunchError,
    NnliteError,
    ShapeError,
    UnsupportedKernelError,
)
from .kernel import Kernel, kernel
from .memory import Array, array, empty, full, zeros
from .streams import Stream

__all__ = [
    "CPU",
    "Array",
    "ArgumentError",
    "CheckError",
    "CompileError",
    "Device",
    "DeviceError",
    "DtypeError",
    "Kernel",
    "LaunchError",
    "Limits",
    "NnliteError",
    "ShapeError",
    "Stream",
    "UnsupportedKernelError",
    "array",
    "cached_constant",
    "default_device",
    "device",
    "devices",
    "empty",
    "full",
    "kernel",
    "reference_gpu",
    "set_default_device",
    "zeros",
]
