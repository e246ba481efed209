"""Kernels to machine code for one GPU, kept on disk.

The key of a file is a fingerprint of the kernel (its bytecode, every device function, constant and
global that it reads), the types of its arguments, its options, the architecture and the versions of
all compilers. Files are checksummed and replaced as a whole, as those of the CPU compiler are.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import re
import sys
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numba
import numpy as np

from ..cpu import cache, names
from ..cpu.fingerprint import Fingerprint
from ..kernel import Kernel
from . import offline
from .driver import Code

_ENTRY = re.compile(r"\.entry\s+([\w$]+)")
_TOOLS = (
    *("numba-cuda", "llvmlite", "nvidia-nvvm", "nvidia-nvjitlink"),
    *("nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12"),
)
LIBRARIES = ("builtins", "llvmlite", "math", "numba", "numba_cuda", "numpy", "operator")


def capability_of(capability: tuple[int, int]) -> offline.Capability:
    """What to compile for: on Hopper the variant that has its tensor cores and copies."""
    return (9, 0, "a") if capability == (9, 0) else capability


def compiled(
    kernel: Kernel, signature: tuple[Any, ...], capability: tuple[int, int], machine_code: bool
) -> Code | None:
    """Code of a kernel for Numba types and a compute capability.

    Args:
        machine_code: whether to go on from PTX to machine code.

    Returns:
        None for a kernel that calls functions which numba-cuda's own launcher links to it or
        launches otherwise: ``print``, barriers of the whole grid, memory from the device's heap.

    Raises:
        CompileError: a tool is missing, or refuses the kernel.
        numba.core.errors.TypingError: the kernel does not fit the types.
    """
    target = capability_of(capability)
    key = _key(kernel, signature, target, machine_code)
    record = None if key is None else cache.read(kernel.__name__, key)
    if record is None:
        record = _compile(kernel, signature, target, machine_code)
        if key is not None:
            cache.write(kernel.__name__, key, record)
    if record["linked"]:
        return None
    return Code(record["name"], record["ptx"], record["cubin"], kernel.py_func, signature)


def _compile(
    kernel: Kernel, signature: tuple[Any, ...], target: offline.Capability, machine_code: bool
) -> dict[str, Any]:
    text = offline.ptx(kernel, signature, target)
    linked = ".extern .func" in text
    cubin = b""
    if machine_code and not linked:
        arch = "sm_" + "".join(map(str, target))
        cubin = offline.link(text, arch, kernel.max_registers).cubin
    found = _ENTRY.search(text)
    name = "" if found is None else found[1]
    return {"name": name, "ptx": text, "cubin": cubin, "linked": linked}


def _key(
    kernel: Kernel, signature: tuple[Any, ...], target: offline.Capability, machine_code: bool
) -> str | None:
    """Key of the file; None if something the kernel depends on cannot be told apart."""
    function = names.python_function(kernel.py_func)
    mark = None if function is None else _Fingerprint(function)
    if mark is None or mark.opaque:
        return None
    contents = [hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for a in mark.arrays]
    options = kernel.fastmath, kernel.launch_bounds, kernel.max_registers
    parts = (_versions(), mark.digest, contents, str(signature), options, target, machine_code)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class _Fingerprint(Fingerprint):
    """A fingerprint that covers intrinsics too, and knows whether it covers everything.

    What an intrinsic puts into the code is decided by the functions inside it, which may read any
    closure variable or global.
    """

    opaque = False

    def _function(self, function: FunctionType) -> None:
        known = function in self._seen
        super()._function(function)
        inner = [c for c in function.__code__.co_consts if isinstance(c, CodeType)]
        if known or not inner:
            return
        for cell in function.__closure__ or ():
            self._value(cell.cell_contents)
        while inner:
            code = inner.pop()
            inner += [c for c in code.co_consts if isinstance(c, CodeType)]
            for name in code.co_names:
                if name in function.__globals__:
                    self._value(function.__globals__[name])

    def _callable(self, obj: Any) -> None:
        super()._callable(obj)
        definition = getattr(obj, "_defn", None)  # of one of Numba's intrinsics
        if isinstance(definition, FunctionType):
            self._function(definition)
            return
        module = getattr(obj, "__module__", None) or type(obj).__module__
        library = str(module).split(".")[0] in LIBRARIES
        followed = names.python_function(obj) is not None or names.cuda_name(obj) is not None
        self.opaque = self.opaque or not (library or followed or isinstance(obj, type))


@functools.cache
def _versions() -> str:
    """Everything besides the kernel that decides which code it becomes."""
    own = hashlib.sha256()
    engine = Path(__file__).parents[1]
    for file in sorted([*(engine / "gpu").glob("*.py"), *(engine / "ptx").glob("*.py")]):
        own.update(file.name.encode() + file.read_bytes())
    tools = []
    for name in _TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            tools.append((name, importlib.metadata.version(name)))
    settings = sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_"))
    return repr((own.hexdigest(), numba.__version__, np.__version__, sys.version, tools, settings))
