"""``OpSpec``: one op as data, from which its tests, its gradient check and its benchmark are made.

A spec says what the op computes (a NumPy reference in float64), which launchers run it, what its
arguments look like and which wrong arguments it must refuse. ``nnlite.testing.check_op`` turns a
spec into checks; the test-suite runs them for every spec in ``nnlite.kernels.all_specs()``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .engine.resources.architectures import architecture

Signature = tuple[Any, tuple[Any, ...]]  # a kernel and the numba types of its arguments
Signatures = tuple[Signature, ...]
Integer = Callable[[int, int], int]  # draws an integer between two bounds, both included
Configure = Callable[[Integer], tuple[dict[str, int], dict[str, Any]]]


@dataclass(frozen=True)
class GpuKernel:
    """A kernel for a GPU, with what only a GPU has: its instructions, and what they are to be.

    Of kernels that only some GPUs can run, and of those in ``OpSpec.kernels`` whose machine code is
    to be of a certain kind. The compile gate holds all of them to it, for each architecture.

    Args:
        name: what it computes, in a word or two.
        kernel, signature: as in ``OpSpec.kernels``.
        since: the lowest compute capability that has its instructions.
        only: the only architectures that have them, such as ``("sm_90a",)`` for wgmma; empty: all
            from ``since`` on.
        expects: what its machine code holds, as in ``("FFMA >= 88%", "LDS.128")``: see
            ``engine/resources/expectations.py``.
        dynamic_shared: bytes of shared memory that a launch adds.

    Example:
        >>> GpuKernel("add", add_wide, signature, expects=("LDG.128 >= 2", "STG.128 == 1"))
    """

    name: str
    kernel: Any
    signature: tuple[Any, ...]
    since: tuple[int, int] = (7, 5)
    only: tuple[str, ...] = ()
    expects: tuple[str, ...] = ()
    dynamic_shared: int = 0

    def runs_on(self, arch: str) -> bool:
        """Whether GPUs of an architecture such as ``"sm_90a"`` have its instructions."""
        return architecture(arch).capability[:2] >= self.since and arch in (self.only or (arch,))


@dataclass(frozen=True)
class Arg:
    """One array argument of an op.

    Args:
        name: the launcher's parameter name.
        dims: symbolic dimensions separated by spaces, ``"m k"``; equal names have equal sizes and
            a literal number fixes a size. ``"..."`` stands for any shape of rank 0 to 4, the same
            for every argument that has it.
        kind: ``"float"`` (the dtype under test), ``"index"`` (int32 or int64 in ``[0, upper)``)
            or ``"state"`` (like float, kept >= 0: second moments and the like).
        upper: for ``"index"``: the dimension whose size bounds the values.
        optional: the launcher also takes None.
        differentiable: the vjp returns a gradient for it.
        low, high: bounds of the finite values drawn for accuracy checks.
        bounded: special values stay within these bounds too, NaN excepted (an argument that can
            hold nothing else, such as the result of a sigmoid).
    """

    name: str
    dims: str
    kind: str = "float"
    upper: str | None = None
    optional: bool = False
    differentiable: bool = True
    low: float = -4.0
    high: float = 4.0
    bounded: bool = False


@dataclass(frozen=True)
class Wrong:
    """One wrong call: NumPy arguments, the error it must raise and words its message must hold."""

    args: tuple[Any, ...]
    error: type[Exception]
    match: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tolerance:
    """Allowed error against the float64 reference.

    Args:
        ulp: units in the last place, for elementwise ops.
        terms: for reductions: names of the summed dimensions; the bound is
            ``4 * sqrt(n) * eps * scale`` with n the product of their sizes and scale the sum of
            the absolute values of the terms, given by ``OpSpec.magnitude``. Or a function of the
            NumPy arguments and the options that returns n.
        signed_zero: a zero result has the sign of the reference; False where the sign depends on
            the order in which elements are visited (the maximum of -0 and +0).
    """

    ulp: float = 4.0
    terms: str | Callable[..., int] | None = None
    signed_zero: bool = True


@dataclass(frozen=True)
class OpSpec:
    """One op: launchers, reference, arguments, options, wrong inputs, tolerance.

    Args:
        name: name of the op in the launcher, ``nnlite.functional``, tests and benchmark.
        forward: launcher ``forward(*arrays, **options) -> Array | tuple[Array, ...]``.
        reference: the same on NumPy arrays; accumulates in float64, returns float64.
        args: the array arguments, in order.
        options: option name -> the values to test.
        vjp: launcher ``vjp(dy, *arrays, **options)`` returning one gradient (or None) for each
            array argument; ``dy`` has the shape of the output (of the first, if several).
            None for ops without gradient.
        magnitude: like reference, but returns the sum of the absolute values of the summed terms
            (same shapes as the outputs); required where ``tolerance.terms`` is set. For an
            elementwise formula whose terms may cancel, the ulp is taken at this magnitude.
        wrong: at least five wrong calls.
        tolerance: see :class:`Tolerance`.
        mutates: names of the arguments the launcher updates in place; the op then returns these
            arrays, and reference returns their new values, in this order.
        special: special values (NaN, inf, -0, subnormals) go through like the reference.
        kernels: the ``@kernel`` objects behind the op with the signatures the compile gate uses,
            ``((kernel, (numba types...)), ...)``.
        block: a size around which the test shapes are drawn (block-1, block, block+1).
        smooth: options -> False where the function has kinks that a finite difference would hit.
        configure: draws one case whose sizes and options fit together (kernel size, stride and
            padding against the size of the image): called with ``integer(low, high)``, which draws
            an integer with both ends included, it returns the sizes of symbolic dimensions by
            name, and options. Dimensions and options that it does not name are drawn as without
            it: each on its own, around ``block``, from ``options``.

            Example::

                def configure(integer):
                    kernel, stride = integer(1, 5), integer(1, 3)
                    return {"n": kernel + integer(0, 9), "k": kernel}, {"stride": stride}
    """

    name: str
    forward: Callable[..., Any]
    reference: Callable[..., Any]
    args: tuple[Arg, ...]
    wrong: tuple[Wrong, ...]
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    vjp: Callable[..., Any] | None = None
    magnitude: Callable[..., Any] | None = None
    tolerance: Tolerance = Tolerance()
    mutates: tuple[str, ...] = ()
    special: bool = True
    kernels: Signatures = ()
    block: int = 16
    smooth: bool = True
    configure: Configure | None = None
