"""Mutants: kernels with a small mistake, which the checks of an op must notice.

A test-suite that never fails says nothing. :class:`Mutant` names a mistake (a dropped barrier, a
guard that is off by one, a swapped stride, a forgotten epsilon), :func:`mutated` plants it, and
:func:`noticed` runs some calls of the op's checks on it. Kernels with a mistake run in the
interpreter: that takes a moment where compiling takes seconds, an index outside its array is an
error instead of harming the process, and a missing barrier shows (the CPU compiler splits a kernel
there for other reasons).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from nnlite.kernels.engine import Kernel, LaunchError
from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.kernels.engine.cpu.names import is_jitted, python_function
from nnlite.kernels.engine.cpu.source import environment, execute
from nnlite.kernels.engine.kernel import made_kernels
from nnlite.kernels.opspec import OpSpec

from .check_op import compare_call
from .edges import boundary_calls, special_calls
from .gradients import check_gradient
from .interpreter import KernelError, interpret
from .seeded import seeded_calls
from .strategies import Call

Dim3 = tuple[int, int, int]
# Calls after which a kernel that has not run yet seems to be one of the gradient.
FIRST_CALLS = 8
FORWARD_CALLS = (40, 20, 20)  # around a block, special, seeded
# The first cases are one of each combination of options, one block-sized, and those at its edges.
GRADIENT_CASES = 12
MOST_ELEMENTS = 3000  # of a call: the interpreter runs some 100,000 lines a second
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
    """

    where: str
    old: str
    new: str
    op: str

    def __str__(self) -> str:
        return f"{self.where}: {self.old!r} -> {self.new!r}"


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[Planter]:
    """Within the block, kernels on the CPU run with the mistake; ``used`` says if one has run.

    Raises:
        ValueError: no function of that name, or the text is not found in it exactly once, or no
            kernel that ran within the block uses the function.
    """
    planter = Planter(mutant)
    original = Kernel.__dict__["cpu"]
    planted = functools.cached_property(planter.compiled)
    planted.__set_name__(Kernel, "cpu")
    _forget(planter)
    Kernel.cpu = planted  # type: ignore[assignment]
    try:
        yield planter
    finally:
        Kernel.cpu = original  # type: ignore[method-assign]
        _forget(planter)
    if not planter.used:
        raise ValueError(f"{mutant}: no kernel that ran uses this function")


def noticed(mutant: Mutant, spec: OpSpec) -> str:
    """What the checks of ``spec`` say about the mistake; "" if they notice nothing."""
    calls = _forward_calls(spec)
    try:
        with mutated(mutant) as planter:
            _compare(spec, itertools.islice(calls, FIRST_CALLS))
            forward = planter.used
            if forward:
                _compare(spec, calls)
            if spec.vjp is not None:
                check_gradient(spec, device="cpu", cases=GRADIENT_CASES)
            if not forward:  # unless it is a kernel of large sizes
                _compare(spec, calls)
    except NOTICED as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _forward_calls(spec: OpSpec) -> Iterator[Call]:
    """Calls of the forward check that take the interpreter a moment."""
    kinds = (boundary_calls(spec), special_calls(spec) if spec.special else (), seeded_calls(spec))
    for calls, most in zip(kinds, FORWARD_CALLS):
        small = (
            c for c in calls if sum(v.size for v in c.values if v is not None) <= MOST_ELEMENTS
        )
        yield from itertools.islice(small, most)


def _compare(spec: OpSpec, calls: Iterator[Call]) -> None:
    for call in calls:
        compare_call(spec, call, "cpu")


class Planter:
    """Hands out kernels: compiled, or interpreted if they use the function with the mistake.

    Attributes:
        used: one of the latter has run.
    """

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
        return _Interpreted(changed)

    def rewritten(self, function: FunctionType) -> FunctionType | None:
        """The function with the mistake in it or in what it calls; None if it is not concerned."""
        scope = environment(function)
        code = function.__code__  # its name is the one in the source; factories rename kernels
        target = code.co_filename == self.file and code.co_name == self.name
        changed = target
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
        return scope[code.co_name]


class _Interpreted:
    """What a launch needs of a compiled kernel."""

    static_shared_bytes = 0

    def __init__(self, function: FunctionType) -> None:
        self.function = function

    def launch(
        self, grid: Dim3, block: Dim3, shared: int, args: tuple[Any, ...], key: Any = None
    ) -> None:
        interpret(self.function, grid, block, args, shared_bytes=shared, fill=0x5B)


def _definition(function: FunctionType) -> str:
    """The source of a function without its decorators."""
    text = textwrap.dedent(inspect.getsource(function))
    return text[text.index("def ") :] if not text.startswith("def ") else text


def _forget(planter: Planter) -> None:
    """Drop what kernels that use the function have compiled."""
    for kernel in list(made_kernels):
        with contextlib.suppress(ValueError):
            if planter.rewritten(kernel.py_func) is not None:  # type: ignore[arg-type]
                kernel.__dict__.pop("cpu", None)
                kernel._launches.clear()
