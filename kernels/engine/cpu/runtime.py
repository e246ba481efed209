"""The functions that generated code may call, under the names it calls them by.

All of them are Numba intrinsics: they write their machine code into the kernel, so they add no
compile time of their own and LLVM sees through them.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numba import njit, types

from . import (
    rt_angles,
    rt_atomics,
    rt_bits,
    rt_cmath,
    rt_division,
    rt_fp16,
    rt_half,
    rt_libdevice,
    rt_math,
    rt_parallel,
    rt_print,
    rt_reductions,
    rt_storage,
    rt_views,
    rt_votes,
    rt_warp,
)
from .pipeline import KernelPipeline

FAMILIES = (
    rt_angles,
    rt_atomics,
    rt_division,
    rt_bits,
    rt_cmath,
    rt_fp16,
    rt_half,
    rt_libdevice,
    rt_math,
    rt_parallel,
    rt_print,
    rt_reductions,
    rt_storage,
    rt_views,
    rt_votes,
    rt_warp,
)
"""The files that give generated code its functions, each in a table ``FUNCTIONS``."""


def native(fastmath: Any, boundscheck: bool = False) -> Any:
    """Numba's decorator with the options of every kernel; ``boundscheck`` for debugging."""
    return njit(
        nogil=True,
        error_model="numpy",
        fastmath=fastmath,
        boundscheck=boundscheck,
        pipeline_class=KernelPipeline,
        _nrt=False,
    )


def namespace() -> dict[str, Any]:
    """Globals for generated code, which passes for a part of this module.

    Numba imports the module by name when it loads compiled code from disk.
    """
    names: dict[str, Any] = {
        "__name__": __name__,
        "cmath": cmath,
        "math": math,
        "np": np,
        "native": native,
        "types": types,
    }
    for family in FAMILIES:
        names.update(family.FUNCTIONS)
    return names
