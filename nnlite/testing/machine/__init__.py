"""A machine for PTX: runs the code that a GPU would be given, on NumPy arrays, without a GPU.

A kernel of your own, for an architecture that need not be there::

    from numba import types
    from nnlite.kernels.engine.resources import ptx
    from nnlite.testing.machine import Machine

    machine = Machine(ptx(my_kernel, (types.float32[::1], types.uint32), "sm_90a"))
    machine.launch(grid, block, x, n)          # x, a NumPy array, changes in place
    print(machine.ways)                        # bank conflicts of each kind of instruction

Arguments are those of the Numba kernel. Tensor maps for TMA come from ``machine.tensor_map(x, box,
swizzle)``. To run whole ops, launchers included, see :mod:`nnlite.testing.fake_gpu`.

It models
    integers, floats with the rounding of each instruction, predicates, divergent branches; global,
    shared, local and constant memory; atomic operations; shuffles, votes, ``ldmatrix``, ``mma``;
    ``cp.async``, barriers by number and count; ``mbarrier``, bulk copies and tensor maps (TMA),
    ``wgmma`` for tf32, bf16 and f16 with all swizzles. What runs by itself takes effect as late as
    the program allows, or with ``timing="early"`` at once: a kernel must be right with both. An
    instruction or a modifier that it does not know is a NotImplementedError, never passed over.

It finds, as a :class:`Fault` that names instruction, warps and block
    accesses off their alignment, outside of every array, or of memory that nobody wrote; barriers
    that a part of a warp reaches; deadlocks, with who waits for what; shuffles from lanes that are
    not there; ``wgmma`` without its fences, or whose sums are used before they are waited for;
    stores that the async proxy may not see; an ``mbarrier`` with too many arrivals.

It does not model
    time; the order in which other blocks and warps run, of which it takes one (threads furthest
    behind go first); memory that is not in order between threads, so a missing ``fence`` or
    ``threadfence`` does not show, nor does a race whose outcome is right in its order
    (:mod:`nnlite.kernels.engine.lens` finds those); approximate instructions (``ex2.approx``),
    which it computes exactly; clusters of more than one block.
"""

from . import access, arithmetic, barriers, bits, bulk, comparisons, mbarriers, warps, wgmma
from .machine import Machine
from .memory import Fault, GlobalMemory
from .tensor_maps import TensorMap

# Each of these gives the machine its instructions.
INSTRUCTIONS = (access, arithmetic, barriers, bits, bulk, comparisons, mbarriers, warps, wgmma)

__all__ = ["Fault", "GlobalMemory", "Machine", "TensorMap"]
