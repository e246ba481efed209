"""One launch that updates many tensors where they lie, for float32 on a GPU.

The kernel takes all memory of the GPU as one array (``engine.gpu.arrays.all_memory``) and two
tables, which say where in it the tensors are::

    table     n first blocks; n sizes; places of n parameters; of n first states; ...
    grads     places of n gradients

A block updates up to ``CHUNK`` items of one tensor. To find the tensor, thread t compares the first
block of tensor t with the number of its own block: the tensors that begin at or before it are
counted by ``syncthreads_count``, and the last of them is the one. If all arrays of the tensor are
aligned to 16 bytes, a thread takes four items at a time by 128-bit access, else one at a time.

Nothing has to be gathered first: each parameter and state is read once and written once, each
gradient read once. The fused optimizers of apex and PyTorch work by such tables, too.

The table of gradients is not copied from the host but written by ``put``, a short kernel with the
numbers among its arguments: a launch can be part of a CUDA graph, and the host does not wait for
it. A table is never changed. When a gradient is at another place, there is another table; the last
few are kept.

Each item is computed by the device function of the optimizer's other kernels, to the same bits.
The speed has NOT been measured on a GPU.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda, float32, uint32, uint64

from ..checks import FLOAT32
from ..elementwise import copy
from ..elementwise.wide import RUN, fetch, put_back
from ..engine import Array, Device, Kernel, array, cached_constant, empty, kernel
from ..engine.constants import forgotten_with_driver
from ..engine.replay import here, works_on
from .common import BLOCK

CHUNK = 2048  # items of a block, two runs of four for each thread; not measured on a GPU
MOST = BLOCK  # tensors of a launch: a thread for each
NUMBERS = 8  # arguments of a kernel, such as lr; an optimizer ignores those it does not need
GROUP = 16  # numbers that one launch of `put` writes
REMEMBERED = 64  # tables kept: gradients alternate between a few places of the caching pool


@kernel
def put(table: Any, first: Any, values: Any) -> None:
    """Write a tuple of ``GROUP`` numbers to table (n,), from ``first`` on up to its end.

    One thread.
    """
    for j in range(GROUP):
        if first + j < table.size:
            table[first + j] = values[j]


@cuda.jit(device=True)
def chunk_of(table, tensors):
    """What the block works on: (number of the tensor, first item in it, count of items).

    All threads of the block call it.
    """
    t, block = uint32(cuda.threadIdx.x), uint64(cuda.blockIdx.x)
    begun = 0
    if t < tensors and table[t] <= block:
        begun = 1
    which = uint32(cuda.syncthreads_count(begun) - 1)
    first = uint64(uint64(block - table[which]) * uint64(CHUNK))
    left = uint64(table[uint32(tensors + which)] - first)
    return which, first, uint32(min(uint64(CHUNK), left))


@cuda.jit(device=True)
def fetch_one(kept, source, i):
    """Item ``i``, into a local array; as ``fetch`` does with four."""
    kept[0] = source[i]


@cuda.jit(device=True)
def put_one(target, i, kept):
    """The other way round."""
    target[i] = kept[0]


def update_of(step: Any, states: int, count: int) -> Any:
    """A device function that updates ``count`` items of a tensor, 4 or 1.

    Args:
        step, states: as of :func:`many_kernel`.

    Returns:
        A function of (m, at, of, at_a, at_b, at_c, i, n0, ..., n7): all memory, the places in it of
        the parameter, the gradient and the states, the first item, and the numbers.
    """
    one, two, three = states > 0, states > 1, states > 2
    read, write = (fetch, put_back) if count == RUN else (fetch_one, put_one)

    @cuda.jit(device=True)
    def update(m, at, of, at_a, at_b, at_c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        p, g = cuda.local.array(count, float32), cuda.local.array(count, float32)
        a, b = cuda.local.array(count, float32), cuda.local.array(count, float32)
        c = cuda.local.array(count, float32)
        read(p, m, uint64(at + i))
        read(g, m, uint64(of + i))
        if one:
            read(a, m, uint64(at_a + i))
        if two:
            read(b, m, uint64(at_b + i))
        if three:
            read(c, m, uint64(at_c + i))
        for j in range(count):
            step(p, g, a, b, c, j, n0, n1, n2, n3, n4, n5, n6, n7)
        write(m, uint64(at + i), p)
        if one:
            write(m, uint64(at_a + i), a)
        if two:
            write(m, uint64(at_b + i), b)
        if three:
            write(m, uint64(at_c + i), c)

    return update


def many_kernel(name: str, step: Any, states: int) -> Kernel:
    """A kernel that updates many tensors.

    Args:
        name: of the kernel.
        step: device function of (param, grad, a, b, c, i, n0, ..., n7); updates item ``i`` of the
            first, and of as many of a, b, c as there are states.
        states: 0 to 3.

    Returns:
        A kernel of (memory, table, grads, tensors, n0, ..., n7).
    """
    one, two, three = states > 0, states > 1, states > 2
    four, single = update_of(step, states, RUN), update_of(step, states, 1)

    def update_many(memory, table, grads, tensors, n0, n1, n2, n3, n4, n5, n6, n7):
        t = uint32(cuda.threadIdx.x)
        which, first, count = chunk_of(table, tensors)
        row = uint32(uint32(2) * tensors + which)
        at, of = uint64(table[row] + first), uint64(grads[which] + first)
        at_a, at_b, at_c = at, at, at
        if one:
            at_a = uint64(table[uint32(row + tensors)] + first)
        if two:
            at_b = uint64(table[uint32(row + uint32(2) * tensors)] + first)
        if three:
            at_c = uint64(table[uint32(row + uint32(3) * tensors)] + first)
        runs = uint32(0)
        if uint64((at | of | at_a | at_b | at_c) & uint64(RUN - 1)) == uint64(0):
            runs = uint32(count // uint32(RUN))
        r = t
        while r < runs:
            i = uint64(uint64(r) * uint64(RUN))
            four(memory, at, of, at_a, at_b, at_c, i, n0, n1, n2, n3, n4, n5, n6, n7)
            r = uint32(r + uint32(BLOCK))
        r = uint32(uint32(runs * uint32(RUN)) + t)
        while r < count:
            single(memory, at, of, at_a, at_b, at_c, uint64(r), n0, n1, n2, n3, n4, n5, n6, n7)
            r = uint32(r + uint32(BLOCK))

    update_many.__name__ = update_many.__qualname__ = name
    return kernel(update_many)


def written_table(values: Sequence[int], device: Device) -> Array:
    """A new array of uint64 on a GPU, written by launches."""
    table = empty((len(values),), np.uint64, device)
    for first in range(0, len(values), GROUP):
        some = tuple(values[first : first + GROUP])
        put[1, 1](table, np.uint32(first), some + (0,) * (GROUP - len(some)))
    return table


@forgotten_with_driver
@functools.lru_cache(REMEMBERED)
def _remembered_table(values: tuple[int, ...], device: Device, stream: int) -> Array:
    """The same for one stream: others do not know when it is written."""
    return written_table(values, device)


@cached_constant(REMEMBERED)
def constant_table(values: tuple[int, ...], device: Device) -> Array:
    """An array of uint64 on a GPU, of numbers that change seldom."""
    return array(np.array(values, np.uint64), device=device)


def moving_table(arrays: Sequence[Any]) -> Array:
    """The table of the places of some arrays that may be elsewhere the next time."""
    places, device = tuple([x.place for x in arrays]), arrays[0].device
    if here.recorder is not None:  # a graph writes its own, whenever it runs
        return written_table(places, device)
    return _remembered_table(places, device, here.stream if here.index == device.index else 0)


def in_parts(arrays: Sequence[Array]) -> list[tuple[list[int], tuple[int, ...], int]]:
    """Arrays that are not empty, by up to ``MOST``: their numbers, their table, their blocks.

    The table has the first block of each array, then the sizes.
    """
    filled = [i for i, x in enumerate(arrays) if x.size]
    found = []
    for first in range(0, len(filled), MOST):
        some = filled[first : first + MOST]
        sizes = [arrays[i].size for i in some]
        begins = list(itertools.accumulate((-(-n // CHUNK) for n in sizes), initial=0))
        blocks = begins.pop()
        found.append((some, (*begins, *sizes), blocks))
    return found


class Tensors:
    """Parameters and their state, to be updated by few launches.

    Args:
        params: contiguous, float32, of one GPU; no two may share memory.
        states: for each array of the state, one for each parameter, as long and contiguous.
    """

    def __init__(self, params: Sequence[Any], states: Sequence[Sequence[Any]]) -> None:
        self.states = len(states)
        self.parts = []
        for some, begins_and_sizes, blocks in in_parts(params):
            arrays = tuple(one[i] for one in (params, *states) for i in some)
            values = (*begins_and_sizes, *(x.place for x in arrays))
            table = constant_table(values, params[0].device)
            self.parts.append((some, arrays, table, blocks))

    def with_grads(self, grads: Sequence[Array]) -> Batch:
        """The same with a gradient for each parameter, of any strides."""
        return Batch(self, [g if g.is_contiguous else copy(g) for g in grads])


class Batch:
    """Tensors and gradients, ready to be updated; a graph may update them again and again.

    Args:
        tensors: the parameters.
        grads: a contiguous array for each.
    """

    def __init__(self, tensors: Tensors, grads: Sequence[Array]) -> None:
        self.states = tensors.states
        self._work = []
        for numbers, arrays, table, blocks in tensors.parts:
            some = [grads[i] for i in numbers]
            self._work.append(((*arrays, *some), table, moving_table(some), len(some), blocks))

    def launch(self, found: Kernel, numbers: Sequence[float]) -> None:
        """Update all of them.

        Args:
            found: of :func:`many_kernel`, for so many states.
            numbers: rounded to float32.
        """
        from ..engine.gpu.arrays import all_memory

        values = [np.float32(x) for x in numbers] + [np.float32(0)] * (NUMBERS - len(numbers))
        for arrays, table, grads, count, blocks in self._work:
            works_on(arrays)
            memory = all_memory(FLOAT32, table.device)
            found[blocks, BLOCK](memory, table, grads, np.uint32(count), *values)
