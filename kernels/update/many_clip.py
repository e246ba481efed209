"""Norm and clipping of many gradients where they lie, for float32 on a GPU; see :mod:`.many`.

- ``partial_norm_many``: a block adds up a chunk of one gradient; ``clip.combine_norms`` the rest.
- ``clip_scale_many``, ``clip_value_many``: in place, by the functions of ``clip``.

A thread adds up the same items in the same order whether or not access is by 128 bits. So the norm
depends on sizes and values only, not on alignment.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..checks import FLOAT32
from ..elementwise.wide import RUN, fetch, put_back
from ..engine import Array, Kernel, empty, kernel
from ..engine.replay import works_on
from ..reduce.tree import add, block_tree, larger
from . import clip
from .common import BLOCK
from .many import chunk_of, constant_table, in_parts, moving_table


@functools.cache
def norm_many_kernel(norm_type: float) -> Kernel:
    """``partial_norm_many`` for p = 1, 2 or inf."""
    combine = larger if norm_type == math.inf else add
    combined = block_tree(combine)
    squared = norm_type == 2.0

    @kernel
    def partial_norm_many(memory, table, places, tensors, out):
        """out (blocks,)."""
        tree = cuda.shared.array(BLOCK, float32)
        v = cuda.local.array(RUN, float32)
        t = uint32(cuda.threadIdx.x)
        which, first, count = chunk_of(table, tensors)
        at = uint64(places[which] + first)
        aligned = uint64(at & uint64(RUN - 1)) == uint64(0)
        acc = float32(0.0)
        i = uint32(t * uint32(RUN))
        while i < count:
            if aligned and uint32(i + uint32(RUN)) <= count:
                fetch(v, memory, uint64(at + uint64(i)))
            else:
                for j in range(RUN):
                    inside = uint32(i + uint32(j)) < count
                    v[j] = memory[uint64(at + uint64(i + uint32(j)))] if inside else float32(0.0)
            for j in range(RUN):
                a = abs(v[j])
                if squared:
                    a = a * a
                acc = combine(acc, a)
            i = uint32(i + uint32(RUN * BLOCK))
        acc = combined(tree, acc)
        if t == 0:
            out[cuda.blockIdx.x] = acc

    return partial_norm_many


@functools.cache
def clip_many_kernel(name: str) -> Kernel:
    """``clip_scale_many`` or ``clip_value_many``."""
    scale, limit_to = clip.scale_step(FLOAT32), clip.limit_step()
    scales = name == "clip_scale_many"

    @cuda.jit(device=True)
    def change(x, i, norm, limit):
        if scales:
            scale(x, i, norm, limit)
        else:
            limit_to(x, i, limit)

    def clip_many(memory, table, places, tensors, norm, limit):
        v = cuda.local.array(RUN, float32)
        t = uint32(cuda.threadIdx.x)
        which, first, count = chunk_of(table, tensors)
        at = uint64(places[which] + first)
        runs = uint32(0)
        if uint64(at & uint64(RUN - 1)) == uint64(0):
            runs = uint32(count // uint32(RUN))
        r = t
        while r < runs:
            i = uint64(at + uint64(uint64(r) * uint64(RUN)))
            fetch(v, memory, i)
            for j in range(RUN):
                change(v, j, norm, limit)
            put_back(memory, i, v)
            r = uint32(r + uint32(BLOCK))
        r = uint32(uint32(runs * uint32(RUN)) + t)
        while r < count:
            change(memory, uint64(at + uint64(r)), norm, limit)
            r = uint32(r + uint32(BLOCK))

    clip_many.__name__ = clip_many.__qualname__ = name
    return kernel(clip_many)


class Listed:
    """Arrays that few launches read or change where they lie.

    Args:
        arrays: contiguous, float32, of one GPU; no two may share memory.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._work = []
        self.blocks = 0
        for numbers, begins_and_sizes, blocks in in_parts(arrays):
            some = tuple(arrays[i] for i in numbers)
            table = constant_table(begins_and_sizes, some[0].device)
            self._work.append((some, table, moving_table(some), self.blocks, blocks))
            self.blocks += blocks

    def partial_norm(self, norm_type: float, out: Array) -> None:
        """The parts of the norm of all items, for :func:`~.clip.combine_norms`.

        Args:
            norm_type: 1, 2 or inf.
            out: (blocks,), written.

        Raises:
            ArgumentError: another ``norm_type``.
        """
        clip.check_type("partial_norm", norm_type)
        for place, (_, _, _, start, blocks) in enumerate(self._work):
            self._launch(norm_many_kernel(float(norm_type)), place, out[start : start + blocks])

    def scale(self, norm: Array, max_norm: float) -> None:
        """``clip.clip_scale`` of all arrays."""
        for place in range(len(self._work)):
            given = norm.reshape((1,)), np.float32(max_norm)
            self._launch(clip_many_kernel("clip_scale_many"), place, *given)

    def limit(self, limit: float) -> None:
        """``clip.clip_value`` of all arrays."""
        unused = empty((1,), FLOAT32, self._work[0][1].device) if self._work else None
        for place in range(len(self._work)):
            self._launch(clip_many_kernel("clip_value_many"), place, unused, np.float32(limit))

    def _launch(self, found: Kernel, place: int, *given: Any) -> None:
        from ..engine.gpu.arrays import all_memory

        arrays, table, places, _, blocks = self._work[place]
        works_on(arrays)
        memory = all_memory(FLOAT32, table.device)
        found[blocks, BLOCK](memory, table, places, np.uint32(len(arrays)), *given)
