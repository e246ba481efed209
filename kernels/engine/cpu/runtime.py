"""The functions that generated code may call, under the names it calls them by.

All of them are Numba intrinsics: they write their machine code into the kernel, so they add no
compile time of their own and LLVM sees through them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

from .rt_atomics import atomic_add, plain_add
from .rt_math import MATH, maximum, minimum
from .rt_parallel import region_end, short_region_end, thread_end
from .rt_storage import count_true, scratch_array, stack_array, unsigned

__all__ = ["namespace", "scratch_array", "stack_array"]


def namespace() -> dict[str, Any]:
    """Globals for generated code, which passes for a part of this module.

    Numba imports the module by name when it loads compiled code from disk.
    """
    names: dict[str, Any] = {
        "__name__": __name__,
        "math": math,
        "np": np,
        "njit": njit,
        "types": types,
        "stack_array": stack_array,
        "scratch_array": scratch_array,
        "u_": unsigned,
        "count_true_": count_true,
        "max_": maximum,
        "min_": minimum,
        "atomic_add_": atomic_add,
        "plain_add_": plain_add,
        "thread_end_": thread_end,
        "region_end_": region_end,
        "short_region_end_": short_region_end,
    }
    names.update({f"{name}_": function for name, function in MATH.items()})
    return names
