"""What each name of ``numba.cuda`` means to the CPU compiler.

Objects are compared by identity, looked up in ``numba.cuda`` when a kernel is compiled, so that
``cuda.threadIdx``, ``from numba.cuda import threadIdx as t`` and a ``numba.cuda`` replaced by the
numba-cuda package all work.
"""

from __future__ import annotations

import functools
import inspect
import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..errors import DeviceError

INDEX_PREFIX = {"threadIdx": "tid", "blockIdx": "bid", "blockDim": "bdim", "gridDim": "gdim"}

BUILTINS = frozenset({"range", "len", "min", "max", "abs", "int", "float", "bool", "round", "pow"})

ARRAY_ATTRIBUTES = frozenset({"shape", "size", "ndim", "strides", "itemsize", "nbytes", "dtype"})

_REASONS = {
    "shfl": "warp shuffles are not translated to the CPU yet",
    "ballot": "warp votes are not translated to the CPU yet",
    "any_sync": "warp votes are not translated to the CPU yet",
    "all_sync": "warp votes are not translated to the CPU yet",
    "match": "warp votes are not translated to the CPU yet",
    "activemask": "warp votes are not translated to the CPU yet",
    "lanemask": "warp votes are not translated to the CPU yet",
    "laneid": "warp operations are not translated to the CPU yet",
    "warpsize": "warp operations are not translated to the CPU yet",
    "syncwarp": "warp operations are not translated to the CPU yet",
    "syncthreads_": "barriers that count or vote are not translated to the CPU yet",
    "cg": "cooperative groups are not translated to the CPU yet",
    "libdevice": "libdevice functions have no CPU counterpart; use the math module",
}


class CudaNames(NamedTuple):
    """The objects of ``numba.cuda`` that the compiler knows, by what they become."""

    indices: dict[int, str]
    functions: dict[int, str]
    objects: tuple[Any, ...]


@functools.cache
def cuda_names() -> CudaNames:
    """Look the known objects up in ``numba.cuda``."""
    from numba import cuda

    if not hasattr(cuda, "threadIdx"):
        raise DeviceError(
            "numba.cuda is the simulator (NUMBA_ENABLE_CUDASIM is set), in which kernels cannot be "
            "compiled; unset the variable"
        )
    indices: dict[int, str] = {}
    functions: dict[int, str] = {}
    keep = []
    for name, prefix in INDEX_PREFIX.items():
        keep.append(getattr(cuda, name))
        indices[id(keep[-1])] = prefix
    known = {
        "grid": cuda.grid,
        "gridsize": cuda.gridsize,
        "syncthreads": cuda.syncthreads,
        "shared.array": cuda.shared.array,
        "local.array": cuda.local.array,
        "atomic.add": cuda.atomic.add,
    }
    for name, obj in known.items():
        keep.append(obj)
        functions[id(obj)] = name
    return CudaNames(indices, functions, tuple(keep))


def index_prefix(obj: object) -> str | None:
    """``"tid"`` for ``cuda.threadIdx``, and so on."""
    return cuda_names().indices.get(id(obj))


def cuda_function(obj: object) -> str | None:
    """``"shared.array"`` for ``cuda.shared.array``, and so on."""
    return cuda_names().functions.get(id(obj))


def is_cuda_object(obj: object) -> bool:
    module = str(getattr(obj, "__module__", None) or type(obj).__module__)
    return module.startswith("numba.cuda") or "numba_cuda" in module


def why_unsupported(text: str) -> str:
    """The reason why a name such as ``cuda.shfl_sync`` is refused."""
    for part, reason in _REASONS.items():
        if any(piece.startswith(part) for piece in text.split(".")):
            return reason
    return "this part of numba.cuda is not translated to the CPU yet"


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


_SCALARS = (types.Integer, types.Float, types.Boolean)


def is_library(obj: object) -> bool:
    """True for ``math`` functions and NumPy's scalar types and ufuncs."""
    if isinstance(obj, np.ufunc) or (isinstance(obj, type) and issubclass(obj, np.generic)):
        return True
    return getattr(math, getattr(obj, "__name__", ""), None) is obj


def is_namespace(obj: object) -> bool:
    """Modules and classes through which a dotted name may be resolved."""
    return isinstance(obj, (ModuleType, type)) or is_cuda_object(obj)
