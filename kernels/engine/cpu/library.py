"""How LLVM compiles a kernel: Numba's own library of code with one mistake of LLVM mended.

LLVM 22.1.0 writes too many bytes where a vector of integers is narrowed and stored under a mask of
which exactly one lane is set and LLVM knows which (https://github.com/llvm/llvm-project/issues/
179489, mended in February 2026; needs AVX-512)::

    if tid % 5 == 1:
        bytes_[tid] = a % 3          # int64 -> uint8: eight bytes are written instead of one

The mistake is made when machine instructions are chosen, after all optimisation.  So it is there
that known masks become unknown: they pass through an assembly statement without instructions.
"""

from __future__ import annotations

import re
from typing import Any

import llvmlite.binding as llvm
from numba.core.codegen import JITCodeLibrary

NARROW_STORE = re.compile(
    r"""^\ \ .*(?:@llvm\.masked\.store\.v\d+i(?:8|16|32)\.
             |\ =\ select\ <\d+\ x\ i1>\ <[^>]*>,\ <\d+\ x\ i(?:8|16|32)>).*$""",
    re.MULTILINE | re.VERBOSE,
)
KNOWN_MASK = re.compile(r"<(\d+) x i1> <(i1 \w+(?:, i1 \w+)*)>")


class KernelLibrary(JITCodeLibrary):
    """The code of one kernel."""

    _final_module: Any

    def _optimize_final_module(self) -> None:
        super()._optimize_final_module()
        old = self._final_module
        text = str(old)
        mended = hide_masks(text)
        if mended != text:
            self._final_module = llvm.parse_assembly(mended)
            self._final_module.name = old.name


def hide_masks(text: str) -> str:
    """LLVM assembly in which no narrow masked store knows its mask."""
    count = 0

    def hidden(line: re.Match[str]) -> str:
        nonlocal count
        mask = KNOWN_MASK.search(line[0])
        if mask is None:
            return line[0]
        lanes = int(mask[1])
        width = max(lanes, 8)
        bits = sum(1 << i for i, lane in enumerate(mask[2].split(", ")) if lane == "i1 true")
        name = f"%known.mask.{count}"
        count += 1
        before = [f'{name}.bits = call i{width} asm "", "=r,0"(i{width} {bits})']
        if width > lanes:
            before.append(f"{name}.lanes = trunc i{width} {name}.bits to i{lanes}")
        last = "lanes" if width > lanes else "bits"
        before.append(f"{name} = bitcast i{lanes} {name}.{last} to <{lanes} x i1>")
        shown = line[0].replace(mask[0], f"<{lanes} x i1> {name}")
        return "".join(f"  {one}\n" for one in before) + shown

    return NARROW_STORE.sub(hidden, text)
