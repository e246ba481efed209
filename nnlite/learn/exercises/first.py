"""Graders of the exercises on maps, guards and shared memory: map to scan."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bounds import Bound, reads, rows, writes
from .exercise import Exercise, ceil, exact, normal, rounded, summed

ONCE = "Read each number into a variable once, in the thread that needs it."


def saxpy(a: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """a x + y."""
    return a * x + y


MAP = Exercise(
    name="map",
    kernel="saxpy",
    parameters=("a", "x", "y", "out"),
    sizes=("blocks", "threads"),
    cases=((1, 1), (1, 32), (3, 7), (5, 64)),
    traffic=(4, 64),
    launch=lambda blocks, threads: (blocks, threads),
    draw=lambda rng, blocks, threads: (
        np.float32(rng.standard_normal()),
        *(normal(rng, blocks * threads) for _ in range(2)),
    ),
    reference=saxpy,
    allowed=summed(saxpy, lambda a, x, y: 1),
    bounds=(
        reads(lambda blocks, threads: 2 * blocks * threads, ONCE),
        writes(lambda blocks, threads: blocks * threads),
        *rows(lambda blocks, threads: blocks * threads / 4, lambda b, t: b * t / 8),
    ),
    recall="blockIdx.x blocks of blockDim.x threads come before this one's block.",
    causes={
        "out of bounds": "The threads are numbered from 0 to n - 1, without gaps.",
        "race between blocks": "Each thread has a number of its own in the grid, not just in its "
        "block, and writes one element.",
    },
)


MAP2D = Exercise(
    name="map2d",
    kernel="add_row",
    parameters=("x", "v", "out"),
    sizes=("gx", "gy", "bx", "by"),
    cases=((1, 1, 1, 1), (1, 1, 5, 3), (3, 2, 7, 5), (2, 3, 32, 4)),
    traffic=(3, 4, 32, 4),
    launch=lambda gx, gy, bx, by: ((gx, gy), (bx, by)),
    draw=lambda rng, gx, gy, bx, by: (normal(rng, gy * by, gx * bx), normal(rng, gx * bx)),
    reference=lambda x, v: x + v,
    allowed=rounded,
    bounds=(
        reads(lambda gx, gy, bx, by: 2 * gx * gy * bx * by, ONCE),
        writes(lambda gx, gy, bx, by: gx * gy * bx * by),
        *rows(
            lambda gx, gy, bx, by: gx * gy * bx * by / 4,
            lambda gx, gy, bx, by: gx * gy * bx * by / 8,
        ),
    ),
    recall="x runs along a row: it gives the column. The column chooses the number of v.",
    causes={
        "out of bounds": "x of the grid belongs to columns, y to rows.",
        "race between blocks": "Row and column are numbers in the whole grid, not in the block.",
        "race in a block": "Each thread has one element of its own.",
        "race in a warp": "Each thread has one element of its own.",
    },
)


def difference(x: np.ndarray) -> np.ndarray:
    """Each number minus the one before."""
    return np.diff(x, prepend=0)


GUARD = Exercise(
    name="guard",
    kernel="difference",
    parameters=("x", "out"),
    sizes=("n",),
    cases=((1,), (31,), (32,), (33,), (100,)),
    traffic=(256,),
    launch=lambda n: (ceil(n, 32), 32),
    draw=lambda rng, n: (normal(rng, n),),
    reference=difference,
    allowed=rounded,
    bounds=(
        reads(lambda n: 2 * n, ONCE),
        writes(lambda n: n),
        # A warp's x[i - 1] begin one before a sector, so they are in five; thread 0 may be alone.
        *rows(lambda n: n * 9 / 32 + 1, lambda n: n / 8 + 1),
    ),
    recall="All elements of out are written, the first and the last, too.",
    causes={
        "out of bounds": "The last block has threads with an i beyond the end: they do nothing.",
        "negative index": "Thread 0 has no number before its own.",
        "race between blocks": "Each thread writes its own element, with i in the whole grid.",
    },
)

RADIUS = 3


def box_sum(x: np.ndarray) -> np.ndarray:
    """Sums of 7 neighbours, zeros beyond the ends."""
    padded = np.pad(x, RADIUS)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * RADIUS + 1).sum(axis=1)


STENCIL = Exercise(
    name="stencil",
    kernel="box_sum",
    parameters=("x", "out"),
    sizes=("n",),
    cases=((1,), (63,), (64,), (65,), (200,)),
    traffic=(256,),
    launch=lambda n: (ceil(n, 64), 64),
    draw=lambda rng, n: (normal(rng, n),),
    reference=box_sum,
    allowed=summed(box_sum, lambda x: 2 * RADIUS + 1),
    bounds=(
        reads(
            lambda n: n + 2 * RADIUS * ceil(n, 64),
            "Load each number into the tile once, and take the seven from the tile.",
        ),
        writes(lambda n: n),
        # A tile begins within a sector: 5 sectors for each of two warps, and the halo.
        *rows(lambda n: 12 * ceil(n, 64), lambda n: n / 8),
    ),
    recall="tile[j] is x[first - 3 + j], so thread t adds up tile[t] to tile[t + 6].",
    causes={
        "out of bounds": "The halo hangs over both ends of x, and the last block over the end of "
        "out.",
        "negative index": "The halo of the first block begins before x.",
        "uninitialised read": "Every element of the tile needs a value: 64 + 6, zeros beyond the "
        "ends.",
        "race in a block": "The sum reads what other threads have loaded: wait for them.",
        "race in a warp": "The sum reads what other threads have loaded: wait for them.",
        "divergent barrier": "Threads without an element of out still load for the others.",
    },
)


def block_max(x: np.ndarray) -> np.ndarray:
    """The largest of each 128."""
    return np.maximum.reduceat(x, np.arange(0, len(x), 128))


REDUCTION = Exercise(
    name="reduction",
    kernel="block_max",
    parameters=("x", "out"),
    sizes=("n",),
    cases=((1,), (127,), (128,), (129,), (300,)),
    traffic=(512,),
    launch=lambda n: (ceil(n, 128), 128),
    draw=lambda rng, n: (-1 - rng.random(n, dtype=np.float32),),  # so that 0 is no identity
    reference=block_max,
    allowed=exact,
    bounds=(
        reads(lambda n: n, ONCE),
        writes(lambda n: n / 128),
        *rows(lambda n: n / 8, lambda n: n / 128),
        Bound(
            "load",
            "shared",
            "requests",
            lambda n: 20 * n / 128,
            "Halve the number of threads in each step, the first ones staying: threads 0 to "
            "distance - 1, each with the element at this distance.",
        ),
        Bound("atomic", "", "lanes", lambda n: 0, "A tree needs no atomics."),
    ),
    recall="All numbers here are negative: what is the largest of none?",
    causes={
        "out of bounds": "The last block has threads without a number.",
        "uninitialised read": "Threads without a number write the identity.",
        "race in a block": "A step reads what the step before has written: wait in between. One "
        "thread stores the result.",
        "race in a warp": "A step reads what the step before has written: wait in between. One "
        "thread stores the result.",
        "divergent barrier": "The barrier is for all threads, the step for some of them.",
    },
)


def block_scan(x: np.ndarray) -> np.ndarray:
    """Running totals of each 128."""
    parts = [np.cumsum(x[i : i + 128]) for i in range(0, len(x), 128)]
    return np.concatenate(parts)


SCAN = Exercise(
    name="scan",
    kernel="block_scan",
    parameters=("x", "out"),
    sizes=("n",),
    cases=((1,), (127,), (128,), (129,), (300,)),
    traffic=(256,),
    launch=lambda n: (ceil(n, 128), 128),
    draw=lambda rng, n: (normal(rng, n),),
    reference=block_scan,
    allowed=summed(block_scan, lambda x: 128),
    bounds=(
        reads(lambda n: n, "Load the block's numbers into shared memory and add them up there."),
        writes(lambda n: n),
        *rows(lambda n: n / 8, lambda n: n / 8),
        Bound(
            "load",
            "shared",
            "requests",
            lambda n: 64 * n / 128,
            "Let all threads add at once, at distances 1, 2, 4, ...: seven steps for all of them.",
        ),
        Bound("atomic", "", "lanes", lambda n: 0, "A scan needs no atomics."),
    ),
    recall="out[i] has x[i] in it, and starts anew with each block.",
    causes={
        "out of bounds": "The last block has threads without a number.",
        "negative index": "Thread t has an element at its left only if t >= distance.",
        "uninitialised read": "Threads without a number write 0.",
        "race in a block": "All read, all wait, all write, all wait.",
        "race in a warp": "All read, all wait, all write, all wait.",
        "divergent barrier": "The barriers are for all threads, the addition for some of them.",
    },
)

FIRST = (MAP, MAP2D, GUARD, STENCIL, REDUCTION, SCAN)
