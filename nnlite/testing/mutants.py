"""Mutants: kernels with a small mistake, which the checks of an op must notice.

A test-suite that never fails says nothing. :class:`Mutant` names a mistake (a dropped barrier, a
guard that is off by one, a swapped stride, a forgotten epsilon), :func:`mutated` plants it, and
:func:`noticed` runs the checks of the op on it. Kernels with a mistake are compiled with index
checks, so that one which leaves its arrays raises an error instead of harming the process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from nnlite.kernels.engine import Kernel, LaunchError
from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.names import is_jitted, python_function
from nnlite.kernels.engine.cpu.source import environment, execute
from nnlite.kernels.opspec import OpSpec

from .check_op import check_forward
from .gradients import check_gradient
from .interpreter import KernelError, interpret

Dim3 = tuple[int, int, int]
NOTICED = (AssertionError, LaunchError, KernelError, IndexError, ZeroDivisionError)


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Args:
        where: module below ``nnlite.kernels`` and function, ``"bias.bias_add_kernel"``; a kernel
            or a device function.
        old: text of the function, found in it exactly once.
        new: what stands there instead.
        op: name of the op whose checks must notice.
        interpreted: run the kernel in the interpreter, thread after thread. A missing barrier may
            not show on the CPU, where the compiler splits the kernel there for other reasons.
    """

    where: str
    old: str
    new: str
    op: str
    interpreted: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.old!r} -> {self.new!r}"


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Within the block, kernels on the CPU run with the mistake.

    Raises:
        ValueError: no function of that name, or the text is not found in it exactly once, or no
            kernel that ran within the block uses the function.
    """
    planter = _Planter(mutant)
    original = Kernel.__dict__["cpu"]
    planted = functools.cached_property(planter.compiled)
    planted.__set_name__(Kernel, "cpu")
    _forget(planter)
    Kernel.cpu = planted  # type: ignore[assignment]
    try:
        yield
    finally:
        Kernel.cpu = original  # type: ignore[method-assign]
        _forget(planter)
    if not planter.used:
        raise ValueError(f"{mutant}: no kernel that ran uses this function")


def noticed(mutant: Mutant, spec: OpSpec) -> str:
    """What the checks of ``spec`` say about the mistake; "" if they notice nothing."""
    try:
        with mutated(mutant):
            check_forward(spec, device="cpu")
            if spec.vjp is not None:
                check_gradient(spec, device="cpu")
    except NOTICED as error:
        return f"{type(error).__name__}: {error}"
    return ""


class _Planter:
    """Compiles kernels, those that use the function with the mistake in it."""

    def __init__(self, mutant: Mutant) -> None:
        module, _, self.name = mutant.where.rpartition(".")
        self.file = importlib.import_module(f"nnlite.kernels.{module}").__file__
        self.mutant = mutant
        self.used = False

    def compiled(self, kernel: Kernel) -> CpuKernel | _Interpreted:
        changed = self.rewritten(kernel.py_func)  # type: ignore[arg-type]
        if changed is None:
            return CpuKernel(kernel.py_func, fastmath=kernel.fastmath, debug=kernel.debug)
        self.used = True
        if self.mutant.interpreted:
            return _Interpreted(changed)
        return CpuKernel(changed, fastmath=kernel.fastmath, debug=True)

    def rewritten(self, function: FunctionType) -> FunctionType | None:
        """The function with the mistake in it or in what it calls; None if it is not concerned."""
        scope = environment(function)
        target = function.__code__.co_filename == self.file and function.__name__ == self.name
        changed = target
        code = function.__code__
        for name in (*code.co_names, *code.co_freevars):
            value = scope.get(name)
            called = python_function(value) if is_jitted(value) else None
            if called and called is not function and not isinstance(value, Kernel):
                ours = called.__module__.startswith("nnlite.kernels.")
                inner = self.rewritten(called) if ours else None
                if inner is not None:
                    scope[name] = inner.__globals__["cuda"].jit(device=True)(inner)
                    changed = True
        if not changed:
            return None
        text = _definition(function)
        if target:
            if text.count(self.mutant.old) != 1:
                found = text.count(self.mutant.old)
                raise ValueError(f"{self.mutant}: the text is found {found} times, expected once")
            text = text.replace(self.mutant.old, self.mutant.new)
        execute(text, scope)
        return scope[function.__name__]


class _Interpreted:
    """What a launch needs of a compiled kernel."""

    static_shared_bytes = 0

    def __init__(self, function: FunctionType) -> None:
        self.function = function

    def launch(self, grid: Dim3, block: Dim3, shared: int, args: tuple[Any, ...]) -> None:
        interpret(self.function, grid, block, args, shared_bytes=shared, fill=0x5B)


def _definition(function: FunctionType) -> str:
    """The source of a function without its decorators."""
    text = textwrap.dedent(inspect.getsource(function))
    return text[text.index("def ") :] if not text.startswith("def ") else text


def _forget(planter: _Planter) -> None:
    """Drop what kernels that use the function have compiled."""
    for kernel in [o for o in gc.get_objects() if type(o) is Kernel]:
        with contextlib.suppress(ValueError):
            if planter.rewritten(kernel.py_func) is not None:  # type: ignore[arg-type]
                kernel.__dict__.pop("cpu", None)
                kernel._launches.clear()
