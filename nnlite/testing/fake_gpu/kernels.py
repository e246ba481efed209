"""Kernels of the pretended GPU: parameters as the PTX declares them, and two ways to run them."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np

from ...kernels.engine import Array
from ...kernels.engine.cpu import CpuKernel
from ...kernels.engine.gpu.arrays import ORIGIN
from ...kernels.engine.gpu.driver import Code
from .memory import Blocks, bytes_at

Dim3 = tuple[int, int, int]
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+\d+\s+)?\.\w?(\d+)\s")
_ARRAY_HEAD = 5  # meminfo, parent, items, bytes of one, address; then sizes and strides


class Loaded:
    """A kernel that has been loaded.

    Args:
        code: as the back end made it.
        how: ``"cpu"``: the CPU compiler runs the source; ``"machine"``: the machine runs the PTX.
    """

    def __init__(self, code: Code, how: str) -> None:
        self.code, self.how = code, how
        entry = code.ptx[code.ptx.index(f".entry {code.name}") :]
        head = entry[: entry.index("{")]
        self.sizes = [int(bits) // 8 for bits in _PARAMETER.findall(head)]
        self.shared = 48 * 1024  # dynamic shared memory that launches may ask for
        self._cpu = CpuKernel(code.source) if how == "cpu" else None

    def read(self, table: int) -> list[bytes]:
        """The parameters of a launch, from the table of their addresses."""
        addresses = bytes_at(table, 8 * len(self.sizes)).view(np.uint64) if self.sizes else ()
        return [bytes_at(int(a), size).tobytes() for a, size in zip(addresses, self.sizes)]

    def made(self, values: list[Any]) -> list[bytes]:
        """The parameters of a launch, from values as wide as ``cuda.core`` takes them to be."""
        assert len(values) == len(self.sizes), f"{values} given for parameters of {self.sizes}"
        return [_bytes_of(value, size) for value, size in zip(values, self.sizes)]

    def run(
        self, grid: Dim3, block: Dim3, shared: int, parameters: list[bytes], memory: Any
    ) -> None:
        """Run all blocks of a grid."""
        assert shared <= self.shared, f"{shared} bytes of shared memory, {self.shared} allowed"
        if self._cpu is None:
            run_on_machine(self.code.ptx, grid, block, shared, parameters, memory)
            return
        left = list(parameters)
        args = tuple(_value(kind, left, memory) for kind in self.code.signature)
        assert not left, "the PTX declares more parameters than the signature has"
        self._cpu.launch(grid, block, shared, args)


def _bytes_of(value: Any, size: int) -> bytes:
    """What the driver would read of a parameter of ``size`` bytes that ``cuda.core`` has made.

    Source: cuda-core 1.2, ``_kernel_arg_handler.pyx``.
    """
    if isinstance(value, int):
        made = value.to_bytes(8, "little", signed=True)
    elif isinstance(value, float):
        made = struct.pack("d", value)
    else:
        made = value.tobytes()
    # A bool is as wide as an int; of nothing else is more made than the kernel declares.
    assert len(made) == size or isinstance(value, bool), f"{value!r} given for {size} bytes"
    return made[:size]


def memory_for(how: str) -> Any:
    """Memory of a GPU whose kernels run on ``"cpu"`` or on the ``"machine"``."""
    if how == "cpu":
        return Blocks()
    from ..machine.memory import GlobalMemory

    return GlobalMemory()


def run_on_machine(
    ptx: str, grid: Dim3, block: Dim3, shared: int, parameters: list[bytes], memory: Any
) -> None:
    """Run PTX on the machine; the parameters, as the driver got them, go where the PTX has them."""
    from ..machine import Machine

    machine = Machine(ptx, memory=memory)
    declared = machine.program.parameters
    packed = bytearray(declared[-1].offset + declared[-1].size if declared else 0)
    for place, raw in zip(declared, parameters):
        packed[place.offset : place.offset + place.size] = raw
    machine.run(grid, block, bytes(packed), shared)


def _value(kind: Any, left: list[bytes], memory: Blocks) -> Any:
    """The argument of a Numba type, from the first of the parameters that are left."""
    if hasattr(kind, "ndim"):
        return _array(kind, left, memory)
    if hasattr(kind, "types") or hasattr(kind, "count"):
        items = [_value(inner, left, memory) for inner in kind]
        return kind.instance_class(*items) if hasattr(kind, "instance_class") else tuple(items)
    dtype = np.dtype(str(kind))
    raw = left.pop(0) + (left.pop(0) if dtype.kind == "c" else b"")
    return np.frombuffer(raw, dtype)[0]


def _array(kind: Any, left: list[bytes], memory: Blocks) -> np.ndarray:
    numbers = [int.from_bytes(raw, "little", signed=True) for raw in left[:_ARRAY_HEAD]]
    del left[:_ARRAY_HEAD]
    layout = [int.from_bytes(left.pop(0), "little", signed=True) for _ in range(2 * kind.ndim)]
    shape, strides = tuple(layout[: kind.ndim]), tuple(layout[kind.ndim :])
    dtype = np.dtype(str(kind.dtype))
    meminfo, parent, items, itemsize, pointer = numbers
    assert (meminfo, parent, items, itemsize) == (0, 0, int(np.prod(shape)), dtype.itemsize)
    if items == 0:
        return np.empty(shape, dtype)
    if pointer == ORIGIN:  # of `all_memory`: addresses here are the host's
        return bytes_at(pointer, items * itemsize).view(dtype)
    reach = [(n - 1) * s for n, s in zip(shape, strides)]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    stretch = memory.view(pointer + low, high - low + itemsize)
    found = np.ndarray(shape, dtype, stretch, -low, strides)
    assert kind.layout != "C" or Array(found).is_contiguous, "an array is not of its type's order"
    return found
