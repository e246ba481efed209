"""A slow and obvious interpreter of Numba CUDA kernels, to test the CPU compiler against.

Each thread is a Python generator that stops at every barrier, warp operation and grid barrier.
A thread runs alone until it stops; what happens where threads meet is written out in ``meeting``.
Nothing is optimised.  For a kernel without races the result is what CUDA defines, and does not
depend on the order of the threads: run twice, in both orders, to find a race.

Values are NumPy scalars.  ``arithmetic`` gives each operation the type that Numba gives it
(``int32 + int32`` is int64, ``uint8 * uint8`` is uint64, ``float32 * int32`` is float64) and
wraps integers.  A variable has the type of the value assigned last, while Numba gives it one type
for all assignments: kernels that assign several types to one variable may differ.

=============  ====================================================================
arithmetic     types of values, casts, operators, builtins
atomics        ``cuda.atomic``
bits           ``popc``, ``clz``, ``ffs``, ``brev``, ``fma``, ``selp``, ``cbrt``
meeting        barriers, votes, shuffles, matches: what the threads that meet get
rewrite        from a kernel's source to a generator function
schedule       which thread runs, who meets whom, deadlocks
thread         the module ``numba.cuda`` as one thread sees it
=============  ====================================================================
"""

from __future__ import annotations

from typing import Any

from .rewrite import Program
from .schedule import KernelError, run_grid
from .thread import Launch

__all__ = ["KernelError", "interpret"]

Dim3 = tuple[int, int, int]


def interpret(
    kernel: Any,
    grid: Dim3,
    block: Dim3,
    args: tuple[Any, ...],
    *,
    shared_bytes: int = 0,
    backward: bool = False,
    fill: int = 0,
) -> None:
    """Run a kernel on NumPy arrays.

    Args:
        kernel: a ``cuda.jit`` kernel or a plain function that uses the module ``cuda``.
        grid, block: sizes in x, y and z.
        args: arrays and scalars, as the kernel takes them.
        shared_bytes: size of the dynamic shared memory.
        backward: run the threads, and the blocks, in the opposite order.
        fill: the byte that memory holds before it is written, and shuffles give for a lane that
            takes no part.  A result that depends on it is undefined in CUDA.

    Raises:
        KernelError: the kernel is wrong in CUDA: a barrier that not all unfinished threads of the
            block reach, a warp operation whose mask does not name the lanes that reach it, an
            index out of bounds ...; the message names block, thread and line.

    Example:
        >>> out = np.zeros(64, np.int32)
        >>> interpret(kernel, (2, 1, 1), (32, 1, 1), (out,))
    """
    program = Program(kernel)
    launch = Launch(program, grid, block, args, shared_bytes, backward, fill)
    run_grid(launch)
