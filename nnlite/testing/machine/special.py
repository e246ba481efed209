"""The registers that say who a thread is: ``%tid``, ``%ctaid``, ``%laneid`` and the like.

Source: PTX ISA, section "Special Registers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .threads import Threads

AXES = {"x": 0, "y": 1, "z": 2}
LANE_MASKS = {
    "eq": lambda lane: 1 << lane,
    "lt": lambda lane: (1 << lane) - 1,
    "le": lambda lane: (2 << lane) - 1,
    "gt": lambda lane: 0xFFFFFFFF & ~((2 << lane) - 1),
    "ge": lambda lane: 0xFFFFFFFF & ~((1 << lane) - 1),
}


def special_register(threads: Threads, name: str) -> np.ndarray:
    """Its value in every thread, as int64."""
    base, _, axis = name.partition(".")
    n, k = threads.n, AXES.get(axis, 0)
    x, y, _ = threads.shape
    if base == "tid":
        return np.array((threads.rank % x, threads.rank // x % y, threads.rank // (x * y))[k])
    if base == "ctaid":
        return np.array([b[k] for b in threads.blocks])[threads.block]
    same = {
        "ntid": threads.shape[k],
        "nctaid": threads.machine.grid[k],
        "nwarpid": threads.padded // 32,
        "nsmid": 1,
        "smid": 0,
        "gridid": 0,
        "dynamic_smem_size": threads.machine.dynamic_shared,
        "total_smem_size": threads.shared.size,
        "cluster_ctarank": 0,
        "cluster_nctarank": 1,
        "cluster_ctaid": 0,
        "cluster_nctaid": 1,
    }
    if base in same:
        return np.full(n, same[base], np.int64)
    if base == "laneid":
        return threads.lane
    if base == "warpid":
        return threads.rank // 32
    if base.startswith("lanemask_"):
        return np.array([LANE_MASKS[base[9:]](i) for i in range(32)])[threads.lane]
    raise NotImplementedError(f"%{name}")
