"""Many kernels at once: what the compile gate and ``nnlite resources`` do for every architecture.

What saves most of the time; ``tests/test_compile_gate.py`` holds it to be true:

- Save the line that names it, NVVM writes one PTX for compute capability 8.0, 8.9 and 9.0, and one
  for 7.5 and 8.6, another in few kernels: two runs serve six architectures.
- The assembler takes 4 ms for a text, and nvdisasm 0.3 s for a file, before they see a kernel; and
  of the kernels in one text, it assembles each as if it were alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import CompileError
from ..kernel import Kernel
from .architectures import architecture
from .figures import Resources, Usage, logs, usage_from_log
from .measure import ptx, resources_of, resources_of_ptx
from .sass import called, instructions

# Whose PTX an architecture has; the others have their own.
SAME_PTX = {"sm_86": "sm_75", "sm_89": "sm_80", "sm_90": "sm_80", "sm_90a": "sm_80"}
Chosen = Sequence[tuple[Kernel, tuple[Any, ...]]]  # kernels and the types of their arguments

_HEADER = re.compile(r".*?^\.address_size.*?\n", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"^\.target .*$", re.MULTILINE)
_ENTRY = re.compile(r"\.entry\s+([\w$]+)")
_COMMON = re.compile(r"^\s*\.common .*\n", re.MULTILINE)
SHARED = "_cudapy_smem"  # what numba-cuda's names of shared arrays begin with


def shared_ptx(kernel: Kernel, signature: tuple[Any, ...], arch: str) -> str:
    """:func:`ptx`, from one run of NVVM for all architectures for which it writes the same."""
    text = ptx(kernel, signature, SAME_PTX.get(arch, arch))
    return _TARGET.sub(f".target {arch}", text, count=1)


def usages(chosen: Chosen, arch: str) -> list[Usage]:
    """:func:`~.measure.usage` of many kernels."""
    found: list[Usage | None] = [None] * len(chosen)
    for places, names, linked in _assembled(chosen, arch):
        texts = logs(linked.log)
        for place, name in zip(places, names):
            found[place] = usage_from_log(arch, texts[name])
    return [usage for usage in found if usage is not None]


def resources_of_all(chosen: Chosen, arch: str) -> list[Resources]:
    """:func:`~.measure.resources` of many kernels."""
    from ..gpu.offline import disassemble

    found: list[Resources | None] = [None] * len(chosen)
    for places, names, linked in _assembled(chosen, arch):
        texts, functions = logs(linked.log), instructions(disassemble(linked.cubin))
        for place, name in zip(places, names):
            kernel, code = chosen[place][0], functions[name]
            if any(i.name == "CALL" and i.operands.startswith("0x") for i in code):
                # The listing does not name the function; alone, a kernel has its own only.
                text = shared_ptx(*chosen[place], arch)
                found[place] = resources_of_ptx(kernel.__name__, text, arch, kernel.max_registers)
            else:
                usage = usage_from_log(arch, texts[name])
                found[place] = resources_of(kernel.__name__, usage, called(functions, name))
    return [resources for resources in found if resources is not None]


def joined(texts: Sequence[str]) -> str:
    """One text of PTX from several for the same architecture.

    Each has shared arrays of its own. Numba's environments (``.common``) are those of functions,
    which kernels may share; the machine code uses none.
    """
    parts, seen = [], set()
    for i, text in enumerate(texts):
        body = text.replace(SHARED, f"{SHARED}_of_{i}") if len(texts) > 1 else text
        for line in dict.fromkeys(_COMMON.findall(body)):
            if line in seen:
                body = body.replace(line, "")
            seen.add(line)
        parts.append(_HEADER.sub("", body, count=1) if i else body)
    return "\n".join(parts)


def _assembled(chosen: Chosen, arch: str) -> list[tuple[list[int], list[str], Any]]:
    """(places in ``chosen``, names of the entries, machine code) of all, in a few texts."""
    from ..gpu.offline import assemble

    groups: dict[int | None, list[int]] = {}
    for place, (kernel, _) in enumerate(chosen):
        groups.setdefault(kernel.max_registers, []).append(place)
    target = str(architecture(arch))
    made = []
    for most, places in groups.items():
        texts = [shared_ptx(*chosen[place], target) for place in places]
        names = [_ENTRY.findall(text)[0] for text in texts]
        try:
            made.append((places, names, assemble(joined(texts), target, most)))
        except CompileError:  # of the kernel that is wrong, or because of two names that are equal
            made += [
                ([place], [name], assemble(text, target, most))
                for place, name, text in zip(places, names, texts)
            ]
    return made
