"""What each name of ``numba.cuda`` means to the CPU compiler.

A name becomes the dotted path below ``numba.cuda`` (``"shfl_sync"``, ``"atomic.add"``), however the
user wrote it: ``cuda.atomic.add``, ``from numba.cuda import atomic as at``, or a ``numba.cuda``
replaced by the numba-cuda package.  Numba's simulator defines most names only while it runs a
kernel; below the module ``numba.cuda`` they are therefore resolved by path, not by object.
"""

from __future__ import annotations

import cmath
import functools
import inspect
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
from numba import types

from .tree import REDUCTIONS

INDEX_PREFIX = {"threadIdx": "tid", "blockIdx": "bid", "blockDim": "bdim", "gridDim": "gdim"}

_BUILTINS = "range len min max abs int float bool complex round pow divmod"
BUILTINS = frozenset(_BUILTINS.split(" "))

_NAMES = """
    threadIdx blockIdx blockDim gridDim laneid warpsize grid gridsize
    syncthreads syncthreads_count syncthreads_and syncthreads_or syncwarp
    shfl_sync shfl_up_sync shfl_down_sync shfl_xor_sync
    all_sync any_sync eq_sync ballot_sync match_any_sync match_all_sync activemask lanemask_lt
    shared local const atomic cg fp16 libdevice
    popc clz ffs brev fma cbrt selp nanosleep threadfence threadfence_block threadfence_system
    ldca ldcg ldcs ldcv ldlu stcg stcs stwb stwt
"""
_VECTOR_TYPES = {
    **{f"{sign}int{bits}x": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32x": "float32",
    "float64x": "float64",
    "float": "float32",
    "double": "float64",
    **{
        sign + name: np.dtype(sign + kind).name
        for sign in ("", "u")
        for name, kind in zip(
            ("char", "short", "int", "long", "longlong"),
            ("byte", "short", "intc", "long", "longlong"),
        )
    },
}
VECTORS = {f"{name}{n}": (kind, n) for name, kind in _VECTOR_TYPES.items() for n in (1, 2, 3, 4)}
"""``(element type, length)`` of each vector type: ``float32x4`` and ``float4``, and so on."""

TOP = frozenset(_NAMES.split()) | VECTORS.keys()

_SUBMODULES = frozenset({"numba.cuda.libdevice", "numba.cuda.cg"})


class CudaPath(str):
    """A dotted name below ``numba.cuda``."""

    __slots__ = ()


_LATE = ("numba.cuda.fp16", "numba.cuda.libdevice")  # numba-cuda imports them when it needs them


@functools.cache
def _by_object(modules: tuple[str, ...]) -> dict[int, CudaPath]:
    """The path of every object of ``numba.cuda`` that has one, and of what lies one level below.

    ``modules`` are those of ``_LATE`` that are there by now.
    """
    from numba import cuda

    found: dict[int, CudaPath] = {}
    for top in sorted(TOP):
        obj = getattr(cuda, top, None)
        if obj is None:
            continue
        found[id(obj)] = CudaPath(top)
        if inspect.isclass(obj) or isinstance(obj, ModuleType):
            for name in dir(obj):
                inner = getattr(obj, name, None)
                if not name.startswith("_") and is_cuda_object(inner) and callable(inner):
                    found.setdefault(id(inner), CudaPath(f"{top}.{name}"))
                    _keep.append(inner)
        _keep.append(obj)
    return found


_keep: list[Any] = []  # an id is only valid while its object lives


def cuda_name(obj: object) -> str | None:
    """``"shared.array"`` for ``cuda.shared.array``, and so on; None for anything else."""
    if isinstance(obj, CudaPath):
        return obj
    return _by_object(tuple(m for m in _LATE if m in sys.modules)).get(id(obj))


def member(base: object, name: str, missing: Any) -> Any:
    """``base.name`` as a path or an object; ``missing`` when there is none."""
    if isinstance(base, ModuleType) and base.__name__ == "numba.cuda" and name in TOP:
        return CudaPath(name)
    path = cuda_name(base)
    if path is None and isinstance(base, ModuleType) and base.__name__ in _SUBMODULES:
        path = base.__name__.rpartition(".")[2]
    if path is not None:
        return missing if path in INDEX_PREFIX else CudaPath(f"{path}.{name}")
    return getattr(base, name, missing)


def index_prefix(obj: object) -> str | None:
    """``"tid"`` for ``cuda.threadIdx``, and so on."""
    return INDEX_PREFIX.get(cuda_name(obj) or "")


def is_cuda_object(obj: object) -> bool:
    if isinstance(obj, CudaPath):
        return True
    module = str(getattr(obj, "__module__", None) or type(obj).__module__)
    return module.startswith("numba.cuda") or "numba_cuda" in module


def global_array(obj: object) -> np.ndarray | None:
    """The NumPy array of a global array, be it a device array of Numba's simulator."""
    on_device = getattr(obj, "__cuda_ndarray__", False) is True
    array = getattr(obj, "_ary", None) if on_device else obj
    return array if isinstance(array, np.ndarray) else None


def is_jitted(obj: object) -> bool:
    """True for a function that ``jit`` wraps, wherever it is defined: its source is inlined."""
    return not inspect.isfunction(obj) and python_function(obj) is not None


def why_unsupported(text: str) -> str:
    """The reason why a name such as ``cuda.shfl_sync`` is refused."""
    return "this is not translated to the CPU"


def python_function(obj: object) -> Any | None:
    """The plain function below a ``cuda.jit``, ``njit`` or simulator wrapper."""
    if isinstance(obj, type) or inspect.ismodule(obj):
        return None
    for attribute in ("py_func", "fn", "_func"):
        inner = getattr(obj, attribute, None)
        if inspect.isfunction(inner):
            return inner
    return obj if inspect.isfunction(obj) else None


def scalar_type_name(obj: object) -> str | None:
    """``"float32"`` for ``numba.float32``, ``np.float32`` or ``np.dtype("float32")``."""
    if isinstance(obj, types.Type):
        name = str(obj)
        return {"bool": "boolean"}.get(name, name) if isinstance(obj, _SCALARS) else None
    if isinstance(obj, np.dtype) or (isinstance(obj, type) and issubclass(obj, np.generic)):
        name = np.dtype(obj).name
        return {"bool": "boolean"}.get(name, name)
    return None


_SCALARS = (types.Integer, types.Float, types.Boolean, types.Complex)


def is_library(obj: object) -> bool:
    """True for functions of ``math`` and ``cmath`` and NumPy's scalar types and ufuncs."""
    if isinstance(obj, np.ufunc) or (isinstance(obj, type) and issubclass(obj, np.generic)):
        return True
    name = getattr(obj, "__name__", "")
    if {f"np.{name}", f"{name}_of_"} & REDUCTIONS and getattr(np, name, None) is obj:
        return True
    return obj is not None and any(getattr(m, name, None) is obj for m in (math, cmath))


def is_namespace(obj: object) -> bool:
    """Modules and classes through which a dotted name may be resolved."""
    return isinstance(obj, (ModuleType, type)) or is_cuda_object(obj)
