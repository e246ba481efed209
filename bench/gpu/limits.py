"""How fast a GPU can be at best, by its name.

Bandwidth and float32 rate are those of ``engine.device``. Rates of tensor cores, dense and with
float32 sums, are the vendor's: NVIDIA, "A100 Tensor Core GPU Architecture" (2020), "H100 Tensor
Core GPU Architecture" (2022), "NVIDIA Ada GPU Architecture" (2022), and the data sheets of T4 and
H200. Of other GPUs the driver tells bandwidth and float32 rate, and nothing of tensor cores.
"""

from __future__ import annotations

from nnlite.kernels.engine import Limits
from nnlite.kernels.engine.device import GPUS

TERA, GIGA = 1e12, 1e9
# Name in ``GPUS`` -> TFLOP/s by the numbers that are multiplied.
TENSOR_CORES = {
    "T4": {"f16": 65.0},
    "A100": {"tf32": 156.0, "bf16": 312.0, "f16": 312.0},
    "RTX 4090": {"tf32": 82.6, "bf16": 165.2, "f16": 165.2},
    "H100": {"tf32": 494.7, "bf16": 989.4, "f16": 989.4},
    "H200": {"tf32": 494.7, "bf16": 989.4, "f16": 989.4},
}


def known_as(name: str) -> str | None:
    """The key in ``GPUS`` of the name that a driver gives, the longest that fits."""
    fitting = [key for key in GPUS if key.lower() in name.lower()]
    return max(fitting, key=len, default=None)


def limits_of(found: Limits) -> dict[str, float]:
    """Limits of a device: operations or bytes per second."""
    key = known_as(found.name)
    board = found if key is None else GPUS[key]
    made = {"float32": board.float32 * TERA, "bandwidth": board.bandwidth * GIGA}
    if key is not None:
        made |= {kind: rate * TERA for kind, rate in TENSOR_CORES[key].items()}
    return made


def source_of(found: Limits) -> str:
    """Where these limits are from, for the record."""
    key = known_as(found.name)
    if key is None:
        return "clocks and bus width that the driver reports; tensor cores not known"
    return f"data sheet of {GPUS[key].name} (kernels/engine/device.py, bench/gpu/limits.py)"
