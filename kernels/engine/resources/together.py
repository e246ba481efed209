"""Many kernels at once: what the compile gate and ``nnlite resources`` do for every architecture.

What saves most of the time; ``tests/test_compile_gate.py`` holds it to be true:

- NVVM writes the same PTX for every compute capability from 7.5 to 9.0, save the line that names
  it: one run serves six architectures.
- From the same PTX, the assembler makes the same machine code for 8.6 and 8.9, where one
  instruction has another name, and the same for 9.0 and its variant 9.0a, which only has more.
- The assembler takes 4 ms for a text, and nvdisasm 0.3 s for a file, before they see a kernel; and
  of the kernels in one text, it assembles each as if it were alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..errors import CompileError
from ..kernel import Kernel
from .architectures import architecture
from .figures import Resources, Usage, logs, usage_from_log
from .measure import ptx, resources_of
from .sass import called, instructions

SAME_PTX = ("sm_80", "sm_75", "sm_86", "sm_89", "sm_90", "sm_90a")  # the first is compiled for
SAME_CODE = {"sm_89": "sm_86", "sm_90": "sm_90a"}  # from the same PTX
RENAMED = {"sm_89": {"F2FP.BF16.PACK_AB": "F2FP.BF16.F32.PACK_AB"}}  # name there -> name here
Chosen = Sequence[tuple[Kernel, tuple[Any, ...]]]  # kernels and the types of their arguments
Figures = TypeVar("Figures", bound=Usage)

_known: WeakKeyDictionary[Kernel, dict[Any, Any]] = WeakKeyDictionary()  # of SAME_CODE

_HEADER = re.compile(r".*?^\.address_size.*?\n", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"^\.target .*$", re.MULTILINE)
_ENTRY = re.compile(r"\.entry\s+([\w$]+)")
_COMMON = re.compile(r"^\s*\.common .*\n", re.MULTILINE)
SHARED = "_cudapy_smem"  # what numba-cuda's names of shared arrays begin with


def shared_ptx(kernel: Kernel, signature: tuple[Any, ...], arch: str) -> str:
    """:func:`ptx`, from one run of NVVM for all architectures for which it writes the same."""
    if arch not in SAME_PTX:
        return ptx(kernel, signature, arch)
    return _TARGET.sub(f".target {arch}", ptx(kernel, signature, SAME_PTX[0]), count=1)


def usages(chosen: Chosen, arch: str) -> list[Usage]:
    """:func:`~.measure.usage` of many kernels."""
    return _once(_usages, chosen, arch)


def resources_of_all(chosen: Chosen, arch: str) -> list[Resources]:
    """:func:`~.measure.resources` of many kernels."""
    return _once(_resources, chosen, arch)


def _once(make: Callable[[Chosen, str], list[Figures]], chosen: Chosen, arch: str) -> list[Figures]:
    """Figures that ``make`` makes, once for all architectures that have the same machine code."""
    shared = SAME_CODE.get(arch, arch)
    if shared not in SAME_CODE.values():
        return make(chosen, arch)
    lacking = [c for c in chosen if (make, c[1], shared) not in _known.get(c[0], ())]
    for (kernel, signature), figures in zip(lacking, make(lacking, shared) if lacking else ()):
        _known.setdefault(kernel, {})[make, signature, shared] = figures
    found = [_known[kernel][make, signature, shared] for kernel, signature in chosen]
    return [_for(figures, arch) for figures in found]


def _for(figures: Figures, arch: str) -> Figures:
    """The figures of the same machine code, with the names of another architecture."""
    names = RENAMED.get(arch)
    if names is None or not isinstance(figures, Resources):
        return replace(figures, arch=arch)
    opcodes, loop = (
        {names.get(name, name): n for name, n in counted.items()}
        for counted in (figures.opcodes, figures.loop)
    )
    return replace(figures, arch=arch, opcodes=opcodes, loop=loop)


def _usages(chosen: Chosen, arch: str) -> list[Usage]:
    found: list[Usage | None] = [None] * len(chosen)
    for places, names, linked in _assembled(chosen, arch):
        texts = logs(linked.log)
        for place, name in zip(places, names):
            found[place] = usage_from_log(arch, texts[name])
    return [usage for usage in found if usage is not None]


def _resources(chosen: Chosen, arch: str) -> list[Resources]:
    from ..gpu.offline import disassemble

    found: list[Resources | None] = [None] * len(chosen)
    for places, names, linked in _assembled(chosen, arch):
        texts, functions = logs(linked.log), instructions(disassemble(linked.cubin))
        for place, name in zip(places, names):
            usage = usage_from_log(arch, texts[name])
            title = chosen[place][0].__name__
            found[place] = resources_of(title, usage, called(functions, name))
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
