"""``nnlite info``: what this machine and this installation offer."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from rich.table import Table

from .. import __version__, models
from ..data import available
from ..data.builtin import BUILTIN
from ..kernels.engine import Device, Limits, default_device, devices, reference_gpu
from .terminal import open_console

PACKAGES = ("numba", "numba-cuda", "llvmlite", "numpy", "safetensors", "matplotlib", "torch")


def show() -> None:
    """Print everything."""
    console = open_console()
    console.print(versions())
    console.print(device_table())
    there = available()
    table = Table("setting", "value", title="settings and data", title_justify="left")
    table.add_row("default device", str(default_device()))
    table.add_row("cache of compiled CPU kernels", cache_folder())
    table.add_row("data sets here", ", ".join(there) or "none")
    missing = [name for name in BUILTIN if name not in there]
    if missing:
        table.add_row("data sets to install", ", ".join(missing))
    table.add_row("models", ", ".join(models.names()))
    for name in sorted(k for k in os.environ if k.startswith("NNLITE_")):
        table.add_row(name, os.environ[name])
    console.print(table)


def versions() -> Table:
    """Versions of nnlite, Python and the packages that matter."""
    table = Table("package", "version", title="versions", title_justify="left")
    table.add_row("nnlite", __version__)
    table.add_row("python", f"{platform.python_version()} on {platform.platform()}")
    for name in PACKAGES:
        try:
            table.add_row(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            table.add_row(name, "not installed")
    return table


def device_table() -> Table:
    """One column per device; the CPU shows the limits of its reference GPU."""
    found = devices()
    table = Table("", *(str(d) for d in found), title="devices", title_justify="left")
    for row in zip(LIMITS, *(_limits(d) for d in found)):
        if any(row[1:]):
            table.add_row(*row)
    return table


LIMITS = (
    "model",
    "compute capability",
    "threads per block",
    "shared memory per block",
    "multiprocessors",
    "memory bandwidth",
    "float32 peak",
    "power",
)


def _limits(device: Device) -> tuple[str, ...]:
    limits: Limits = device.limits
    launch = (
        ".".join(map(str, limits.compute_capability)),
        f"{limits.threads_per_block:,}",
        f"{limits.shared_per_block // 1024} KiB",
    )
    if device.is_cpu:
        gpu = reference_gpu().name
        return (f"{cores()} cores; launches have the limits of {gpu}", *launch, *[""] * 4)
    return (
        limits.name,
        *launch,
        f"{limits.sms}",
        f"{limits.bandwidth:,.0f} GB/s",
        f"{limits.float32:.1f} TFLOP/s",
        f"{limits.power} W",
    )


def cores() -> int:
    """Number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> str:
    """Folder where compiled CPU kernels are kept between processes."""
    from ..kernels.engine.cpu import cache

    folder = cache.directory()
    return "none can be written to" if folder is None else str(folder)
