"""Compiles Numba CUDA kernels for the CPU.

The kernel source that numba-cuda runs on a GPU becomes native, vectorised, multi-threaded code.
``translate`` runs the passes in order:

1. ``canonical`` gives every name one meaning (``names``, ``calls*``), folds constants (``folding``)
   and refuses what cannot be translated (``refuse``);
2. ``flatten`` inlines device functions, gives every declaration, barrier and warp operation a
   statement of its own, and turns early exits into flags (``exits``);
3. ``webs`` gives independent uses of a name names of their own; ``infer`` asks Numba for the types
   (``versions`` keeps them apart where they change);
4. ``loops`` moves loops that all threads share outside the loop over threads;
5. ``regions`` splits the kernel where threads wait for each other, ``nodes`` is the result;
6. ``emit`` writes one readable function for Numba: a loop over the threads per region, with
   ``storage`` for what lives across regions. ``CpuKernel.inspect_cpu`` shows it.

Barriers and warp operations stand between regions, so they cost no waiting: by then every thread
has come there. Conditions that differ between threads become masks. A cooperative kernel becomes a
generator per block that yields at each grid barrier. ``compile`` and ``cache`` make machine code
and keep it on disk; ``launch`` and ``pool`` run the blocks on OS threads, which a ``bell`` wakes.
The functions that generated code calls are Numba intrinsics (``rt_*``).
"""

from __future__ import annotations

from .launch import CpuKernel

__all__ = ["CpuKernel"]
