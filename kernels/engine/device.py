"""Devices and their limits: what a launch may ask for, and how fast the hardware can be at best.

The figures are the vendor's: limits from the CUDA C++ Programming Guide, table "Technical
Specifications per Compute Capability"; bandwidth, float32 rate and power from the data sheets
of each board. A CPU has no such limits, so it borrows those of a *reference GPU*: a kernel that
runs on the CPU then also fits that GPU. Environment variable ``NNLITE_REFERENCE_GPU`` names
another one from :data:`GPUS`.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

from .errors import DeviceError, LaunchError

KIB = 1024
STATIC_SHARED = 48 * KIB  # ptxas refuses more static shared memory on every architecture


@dataclass(frozen=True)
class Limits:
    """Hardware limits of one GPU model.

    Args:
        name: model name.
        compute_capability: (major, minor).
        sms: number of streaming multiprocessors.
        shared_per_block: bytes of shared memory one block may use after opting in.
        bandwidth: peak memory bandwidth in GB/s (10^9 bytes).
        float32: peak float32 rate in TFLOP/s (10^12), a fused multiply-add counted as two.
        power: board power in watts; 0 where a driver was asked, which does not tell it.
    """

    name: str
    compute_capability: tuple[int, int]
    sms: int
    shared_per_block: int
    bandwidth: float
    float32: float
    power: int
    threads_per_block: int = 1024
    block_dim: tuple[int, int, int] = (1024, 1024, 64)
    grid_dim: tuple[int, int, int] = (2**31 - 1, 65535, 65535)
    warp_size: int = 32


GPUS = {
    "T4": Limits("NVIDIA T4", (7, 5), 40, 64 * KIB, 320.0, 8.1, 70),
    "A100": Limits("NVIDIA A100 80GB SXM", (8, 0), 108, 163 * KIB, 2039.0, 19.5, 400),
    "RTX 4090": Limits("NVIDIA GeForce RTX 4090", (8, 9), 128, 99 * KIB, 1008.0, 82.6, 450),
    "H100": Limits("NVIDIA H100 SXM", (9, 0), 132, 227 * KIB, 3350.0, 66.9, 700),
    "H200": Limits("NVIDIA H200", (9, 0), 132, 227 * KIB, 4800.0, 66.9, 700),
}


def reference_gpu() -> Limits:
    """The GPU whose limits apply to launches on the CPU: A100, or ``NNLITE_REFERENCE_GPU``."""
    name = os.environ.get("NNLITE_REFERENCE_GPU", "A100")
    if name not in GPUS:
        raise DeviceError(
            f"NNLITE_REFERENCE_GPU: unknown GPU {name!r}, expected one of {', '.join(GPUS)}"
        )
    return GPUS[name]


@dataclass(frozen=True)
class Device:
    """A place where arrays live and kernels run: ``cpu`` or ``cuda:<index>``.

    Args:
        kind: ``"cpu"`` or ``"cuda"``.
        index: number of the GPU; 0 for the CPU.
    """

    kind: str
    index: int = 0

    def __hash__(self) -> int:
        return hash(self.kind) + self.index  # asked for in every launch

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def is_cpu(self) -> bool:
        return self.kind == "cpu"

    @property
    def limits(self) -> Limits:
        """Limits that launches on this device must respect."""
        return _limits(self)

    @property
    def processors(self) -> int:
        """How many blocks run at a time at least: CPU threads, or multiprocessors of the GPU."""
        if not self.is_cpu:
            return self.limits.sms
        from .cpu.pool import thread_count

        return thread_count()


CPU = Device("cpu")


@functools.cache
def _limits(device: Device) -> Limits:
    if device.is_cpu:
        return reference_gpu()
    from . import gpu

    return gpu.limits(device.index)


@functools.cache
def devices() -> tuple[Device, ...]:
    """Every device of this machine: the CPU first, then each NVIDIA GPU that numba can use."""
    from . import gpu

    return (CPU, *(Device("cuda", i) for i in range(gpu.count())))


def forget() -> None:
    """Ask for the devices anew, and for their limits; the default device is chosen again."""
    global _default
    devices.cache_clear()
    _limits.cache_clear()
    _default = None


_default: Device | None = None


def default_device() -> Device:
    """Device of new arrays: the one set, else ``NNLITE_DEVICE``, else the first GPU, else CPU."""
    global _default
    if _default is None:
        name = os.environ.get("NNLITE_DEVICE")
        present = devices()
        try:
            _default = device(name) if name else present[min(1, len(present) - 1)]
        except DeviceError as e:
            raise DeviceError(f"NNLITE_DEVICE: {e}") from None
    return _default


def set_default_device(value: Device | str) -> None:
    """Make ``value`` the device of new arrays.

    Raises:
        DeviceError: the device is unknown or not present.
    """
    global _default
    _default = device(value)


def device(value: Device | str | None = None) -> Device:
    """Device of a name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; None gives the default device.

    Raises:
        DeviceError: the name is not understood or no such device is present.
    """
    if value is CPU:  # what every array on the CPU carries: the hot path
        return CPU
    if value is None:
        return default_device()
    if isinstance(value, Device):
        found = value
    else:
        kind, _, index = str(value).partition(":")
        if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
            raise DeviceError(f"device: {value!r} given, expected 'cpu', 'cuda' or 'cuda:<index>'")
        found = Device(kind, int(index or 0))
    if found == CPU:
        return CPU  # the one object, so that comparing devices is mostly comparing identities
    if found not in devices():
        present = ", ".join(map(str, devices()))
        raise DeviceError(
            f"device: {str(found)!r} is not present; devices of this machine: {present} "
            "(a GPU needs an NVIDIA driver and the extra cuda12 or cuda13)"
        )
    return found


def shared_size(name: str, given: Any) -> int:
    """Bytes of dynamic shared memory that a launch asks for; LaunchError if no whole number."""
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise LaunchError(f"{name}: shared_bytes: {given!r} given, expected an integer")
    return int(given)


def check_launch(
    limits: Limits,
    name: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    static: int,
    dynamic: int,
    launch_bounds: int | tuple[int, ...] | None,
) -> None:
    """Raise LaunchError naming limit, value and remedy if a launch does not fit.

    Args:
        limits: of the device.
        name: of the kernel.
        grid, block: three sizes each.
        static, dynamic: bytes of shared memory per block.
        launch_bounds: the kernel's own promise of threads per block, or None.
    """
    threads = block[0] * block[1] * block[2]
    shared = static + dynamic
    bounds = launch_bounds if isinstance(launch_bounds, tuple) else (launch_bounds,)
    if bounds[0] and threads > bounds[0]:
        raise LaunchError(
            f"{name}: threads per block: {threads}, limit {bounds[0]}; "
            "the kernel's launch_bounds promise no more"
        )
    if static > STATIC_SHARED:
        raise LaunchError(
            f"{name}: static shared memory: {static} bytes, limit {STATIC_SHARED} on every GPU; "
            "use smaller tiles or dynamic shared memory"
        )
    problems = [
        (
            threads > limits.threads_per_block,
            f"threads per block: {block[0]}x{block[1]}x{block[2]} = {threads}, limit "
            f"{limits.threads_per_block}; use a smaller block and more blocks",
        ),
        (
            shared > limits.shared_per_block,
            f"shared memory per block: {shared} bytes, limit {limits.shared_per_block}; "
            "use smaller tiles or a smaller dtype",
        ),
    ]
    for kind, dims, most, remedy in (
        ("block", block, limits.block_dim, "spread the threads over another dimension"),
        ("grid", grid, limits.grid_dim, "let each thread do more, or use grid dimension x"),
    ):
        for axis, size, limit in zip("xyz", dims, most):
            problems.append(
                (size > limit, f"{kind} dimension {axis}: {size}, limit {limit}; {remedy}")
            )
            problems.append((size < 1, f"{kind} dimension {axis}: {size}, expected at least 1"))
    problems.append((dynamic < 0, f"shared memory per block: {dynamic} bytes, expected at least 0"))
    for wrong, message in problems:
        if wrong:
            raise LaunchError(f"{name}: {message} (limits of {limits.name})")
