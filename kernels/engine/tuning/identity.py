"""What a stored choice is good for: the device, what compiles for it, and the kernels' source."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from ..device import Device

# Distributions that decide what machine code a kernel becomes.
COMPILERS = ("numba", "llvmlite")
GPU_COMPILERS = (*COMPILERS, "numba-cuda", "nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-nvjitlink")

# Modules of this package that decide it, too, by kind of device: intrinsics among them.
_ENGINE = __package__.rpartition(".")[0]
ENGINE = {
    "cpu": (f"{_ENGINE}.cpu",),
    "cuda": (f"{_ENGINE}.ptx", f"{_ENGINE}.gpu.compile", f"{_ENGINE}.gpu.offline"),
}


@functools.cache
def of_device(device: Device) -> dict[str, str]:
    """Model, driver and compilers: figures of one are not those of another."""
    found = {"kind": device.kind}
    if device.is_cpu:
        import llvmlite.binding as llvm

        found |= {"model": llvm.get_host_cpu_name(), "threads": str(device.processors)}
    else:
        from ..gpu.timing import driver_version

        limits = device.limits
        found |= {
            "model": limits.name,
            "compute capability": ".".join(map(str, limits.compute_capability)),
            "driver": driver_version(),
        }
    return found | versions(COMPILERS if device.is_cpu else GPU_COMPILERS)


def versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def of_sources(names: tuple[str, ...]) -> str:
    """A hash of the source of modules; of a package, of all modules directly in it."""
    total = hashlib.sha256()
    for name in sorted(names):
        for path in _files(name):
            total.update(f"{name} {path.name} ".encode() + path.read_bytes())
    return total.hexdigest()[:32]


def _files(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of module {name!r}: name an importable module")
    path = Path(spec.origin)
    return sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
