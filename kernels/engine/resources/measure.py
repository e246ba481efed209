"""From a kernel and the types of its arguments to figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
from numba.core.types import Type

from ..errors import ArgumentError
from ..kernel import Kernel
from ..memory import Array
from .architectures import Architecture, architecture
from .figures import Resources, Usage, usage_from_log
from .sass import Instruction, instructions, main_loop, opcodes


def resources(kernel: Kernel, signature: Sequence[Any], arch: str = "sm_90") -> Resources:
    """What a kernel takes of a GPU, and what its machine code is made of. Needs no GPU.

    Args:
        kernel: made by ``@kernel``.
        signature: the kernel's arguments: numba types, or examples of them (arrays, scalars).
        arch: GPU architecture: ``"sm_75"``, ``"sm_80"``, ``"sm_86"``, ``"sm_89"``, ``"sm_90"``,
            ``"sm_90a"``, ``"sm_100"`` or ``"sm_120"``.

    Raises:
        ArgumentError: ``kernel`` is not a kernel, or nothing is known of ``arch``.
        CompileError: the extra ``resources`` is not installed, or the architecture lacks an
            instruction that the kernel uses.

    Example:
        >>> found = nl.resources(saxpy, (np.float32(2), x, y, out), "sm_90")
        >>> found.registers, found.spills, found.count("LDG.128"), found.share("FFMA")
    """
    return resources_of_ptx(
        kernel.__name__, ptx(kernel, signature, arch), arch, kernel.max_registers
    )


def resources_of_ptx(
    name: str, text: str, arch: str, max_registers: int | None = None
) -> Resources:
    """What the one kernel in a text of PTX takes, the functions that it calls included."""
    from ..gpu.offline import disassemble, link

    target = str(architecture(arch))
    linked = link(text, target, max_registers)
    functions = instructions(disassemble(linked.cubin))
    return resources_of(name, usage_from_log(target, linked.log), list(functions.values()))


def resources_of(name: str, found: Usage, functions: Sequence[list[Instruction]]) -> Resources:
    """What a kernel takes, with its machine code: the kernel itself and the functions it calls."""
    longest: list[Instruction] = max(map(main_loop, functions), key=len, default=[])
    return Resources(
        **vars(found),
        kernel=name,
        opcodes=opcodes(instruction for code in functions for instruction in code),
        loop=opcodes(longest),
    )


def usage(kernel: Kernel, signature: Sequence[Any], arch: str = "sm_90") -> Usage:
    """Registers, spills and memory of a kernel: :func:`resources` without its machine code.

    Faster than that, and it needs no disassembler.
    """
    return usage_of_ptx(ptx(kernel, signature, arch), arch, kernel.max_registers)


def usage_of_ptx(text: str, arch: str, max_registers: int | None = None) -> Usage:
    """Registers, spills and memory of a kernel in PTX. The same text is assembled only once."""
    from ..gpu.offline import link

    target = architecture(arch)
    return usage_from_log(str(target), link(text, str(target), max_registers).log)


def ptx(kernel: Kernel, signature: Sequence[Any], arch: str = "sm_90") -> str:
    """A kernel as PTX, with arguments as for :func:`resources`."""
    from ..gpu import offline

    if not isinstance(kernel, Kernel):
        raise ArgumentError(f"kernel: {kernel!r} given, expected a function made by @kernel")
    target: Architecture = architecture(arch)
    return offline.ptx(kernel, tuple(_type_of(a) for a in signature), target.capability)


def _type_of(argument: Any) -> Any:
    """The numba type of an argument, unless it is one."""
    if isinstance(argument, Type):
        return argument
    return numba.typeof(argument.data if isinstance(argument, Array) else argument)
