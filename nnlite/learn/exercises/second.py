"""Graders of the exercises from dot to softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bounds import Bound, banks, reads, rows, sectors, writes
from .exercise import EPS, Arrays, Exercise, ceil, exact, normal, summed

BLOCKS, STRIDE = 3, 3 * 64


def dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sum of the products, of shape (1,)."""
    return np.array([x @ y])


DOT = Exercise(
    name="dot",
    kernel="dot",
    parameters=("x", "y", "out"),
    sizes=("n",),
    cases=((1,), (63,), (STRIDE,), (STRIDE + 1,), (1000,)),
    traffic=(5 * STRIDE,),
    launch=lambda n: (BLOCKS, 64),
    draw=lambda rng, n: (normal(rng, n), normal(rng, n)),
    reference=dot,
    allowed=summed(dot, lambda x, y: len(x)),
    bounds=(
        reads(lambda n: 2 * n, "Read x[i] and y[i] once, in the loop that adds up the products."),
        sectors("load", lambda n: n / 4),
        Bound(
            "atomic",
            "",
            "lanes",
            lambda n: BLOCKS,
            "Add up the block in shared memory first, and let one thread add the sum to out[0].",
        ),
        Bound(
            "load",
            "shared",
            "requests",
            lambda n: 30 * BLOCKS,
            "Add up the block in a tree: in six steps, not in 64.",
        ),
    ),
    before=0.0,
    recall="Thread i takes i, i + s, i + 2 s, ... below n, with s = cuda.gridsize(1).",
    causes={
        "out of bounds": "The loop of a thread ends before n.",
        "uninitialised read": "A thread without a product writes 0.",
        "race between blocks": "Three blocks change out[0]: only an atomic makes that safe.",
        "race in a block": "A step of the tree reads what the step before has written: wait in "
        "between.",
        "race in a warp": "A step of the tree reads what the step before has written: wait in "
        "between.",
        "divergent barrier": "The barrier is for all threads, the step for some of them.",
    },
)


def conv1d(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sums of w[j] x[i + j], zeros beyond the end."""
    padded = np.pad(x, (0, len(w) - 1))
    return np.lib.stride_tricks.sliding_window_view(padded, len(w)) @ w


def conv1d_sectors(n: int, k: int) -> int:
    """Each block's numbers, its weights, and a sector more for each where they end in one."""
    return ceil(n, 32) * (ceil(32 + k - 1, 8) + ceil(k, 8) + 2)


CONV1D = Exercise(
    name="conv1d",
    kernel="conv1d",
    parameters=("x", "w", "out"),
    sizes=("n", "k"),
    cases=((1, 1), (31, 3), (33, 33), (64, 32), (100, 5)),
    traffic=(256, 9),
    launch=lambda n, k: (ceil(n, 32), 32),
    draw=lambda rng, n, k: (normal(rng, n), normal(rng, k)),
    reference=conv1d,
    allowed=summed(conv1d, lambda x, w: len(w)),
    bounds=(
        reads(
            lambda n, k: n + ceil(n, 32) * (2 * k - 1),
            "Load numbers and weights into shared memory once, and slide the filter there.",
        ),
        writes(lambda n, k: n),
        *rows(conv1d_sectors, lambda n, k: n / 8),
        banks("Let neighbouring threads read neighbouring numbers of the tile."),
    ),
    recall="Weight j stands by x[i + j]; the tile has 32 + k - 1 numbers.",
    causes={
        "out of bounds": "The tile of the last block hangs over the end of x, and its threads over "
        "the end of out.",
        "uninitialised read": "32 threads load 32 + k - 1 numbers: each loads more than one. Zeros "
        "beyond the end.",
        "race in a warp": "The sum reads what other threads have loaded: wait for them.",
        "divergent barrier": "Threads without an element of out still load for the others.",
    },
)

TILE = 16


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a b."""
    return a @ b


MATMUL = Exercise(
    name="matmul",
    kernel="matmul",
    parameters=("a", "b", "c"),
    sizes=("m", "k", "n"),
    cases=((1, 1, 1), (16, 16, 16), (17, 33, 20), (35, 5, 18)),
    traffic=(32, 48, 32),
    launch=lambda m, k, n: ((ceil(n, TILE), ceil(m, TILE)), (TILE, TILE)),
    draw=lambda rng, m, k, n: (normal(rng, m, k), normal(rng, k, n)),
    reference=matmul,
    allowed=summed(matmul, lambda a, b: a.shape[1]),
    bounds=(
        reads(
            lambda m, k, n: 2 * m * k * n / TILE,
            "Multiply from the tiles: each thread loads one number of a and one of b for a step "
            "of 16.",
        ),
        writes(lambda m, k, n: m * n),
        *rows(lambda m, k, n: m * k * n / TILE / 4, lambda m, k, n: m * n / 8),
        banks(
            "Let threadIdx.x be the last index of the tile that a warp walks along, and the other "
            "tile's number the same for all."
        ),
    ),
    recall="Tile of a: rows of c, columns from start on. Tile of b: rows from start on, columns "
    "of c.",
    causes={
        "out of bounds": "Tiles hang over the edges of a, b and c: zeros there.",
        "uninitialised read": "Every thread writes both tiles in each step, zeros outside.",
        "race in a block": "Two barriers: tiles complete, tiles used up.",
        "race in a warp": "Two barriers: tiles complete, tiles used up.",
        "divergent barrier": "Threads outside c still load for the others and wait with them.",
    },
)

TRANSPOSE = Exercise(
    name="transpose",
    kernel="transpose",
    parameters=("x", "out"),
    sizes=("rows", "columns"),
    cases=((1, 1), (32, 32), (33, 65), (70, 31)),
    traffic=(64, 96),
    launch=lambda rows, columns: ((ceil(columns, 32), ceil(rows, 32)), (32, 8)),
    draw=lambda rng, rows, columns: (normal(rng, rows, columns),),
    reference=lambda x: x.T,
    allowed=exact,
    bounds=(
        reads(lambda r, c: r * c, "Move each element through the tile once."),
        writes(lambda r, c: r * c),
        *rows(lambda r, c: r * c / 8, lambda r, c: r * c / 8),
        banks(
            "Lanes that read a column of a tile of 32 columns meet in one bank: give each row of "
            "the tile one element more than needed."
        ),
    ),
    recall="The tile from row and column of x goes to column and row of out.",
    causes={
        "out of bounds": "The tile hangs over the edges; x and out have different shapes.",
        "uninitialised read": "8 rows of threads fill 32 rows of the tile: in four turns.",
        "race in a block": "A thread reads what others have written: wait for them.",
        "race in a warp": "A thread reads what others have written: wait for them.",
        "divergent barrier": "Threads outside the matrix come to the barrier, too.",
    },
)


def warp_sum(x: np.ndarray) -> np.ndarray:
    """The sum of each 32."""
    return np.add.reduceat(x, np.arange(0, len(x), 32))


SHUFFLE = Exercise(
    name="shuffle",
    kernel="warp_sum",
    parameters=("x", "out"),
    sizes=("n",),
    cases=((1,), (32,), (33,), (64,), (97,), (200,)),
    traffic=(256,),
    launch=lambda n: (ceil(n, 64), 64),
    draw=lambda rng, n: (normal(rng, n),),
    reference=warp_sum,
    allowed=summed(warp_sum, lambda x: 32),
    bounds=(
        reads(lambda n: n, "Read one number in each lane, and pass on what the registers hold."),
        writes(lambda n: n / 32),
        *rows(lambda n: n / 8, lambda n: n / 32),
        Bound("", "shared", "lanes", lambda n: 0, "A shuffle reads a register of another lane."),
        Bound("atomic", "", "lanes", lambda n: 0, "Five shuffles need no atomics."),
    ),
    forbidden=("absent lane",),
    recall="Distances 16, 8, 4, 2 and 1; warp i // 32 of the grid has its sum in lane 0.",
    causes={
        "out of bounds": "The last block has lanes without a number, and may have a warp without "
        "an element of out.",
        "absent lane": "All 32 lanes come to a shuffle, those without a number with a 0.",
        "divergent warp operation": "All 32 lanes come to a shuffle, those without a number with "
        "a 0.",
        "race in a warp": "One lane stores the sum.",
        "race between blocks": "The warp has a number in the whole grid.",
        "race in a block": "The warp has a number in the whole grid.",
    },
)


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax of each row."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_allowed(inputs: Arrays, expected: np.ndarray) -> Any:
    """A rounded difference of size d changes its exponential by d eps; a few ulp for the rest."""
    (x,) = inputs
    return 8 * EPS * (4 + np.ptp(x, axis=1, keepdims=True)) * expected


SOFTMAX = Exercise(
    name="softmax",
    kernel="softmax",
    parameters=("x", "out"),
    sizes=("rows", "columns", "around"),
    cases=((1, 1, 0), (3, 63, 0), (2, 65, 1000), (2, 64, -1000), (2, 200, 0)),
    traffic=(3, 128, 0),
    launch=lambda rows, columns, around: (rows, 64),
    draw=lambda rng, rows, columns, around: (
        np.float32(around) + np.float32(3) * normal(rng, rows, columns),
    ),
    reference=softmax,
    allowed=softmax_allowed,
    bounds=(
        reads(
            lambda r, c, around: 2 * r * c,
            "Keep the row in shared memory, or find largest number and sum in one pass.",
        ),
        *rows(None, None),
        Bound(
            "load",
            "shared",
            "requests",
            lambda r, c, around: 2 * r * c,
            "Let each thread reduce its own numbers, then reduce the 64 results in a tree.",
        ),
    ),
    recall="Subtract the largest number of the row, which may be far below 0 or far above.",
    causes={
        "out of bounds": "The loop of a thread ends before columns.",
        "uninitialised read": "Threads without a number write the identity of the reduction.",
        "race in a block": "A barrier between two steps of a tree, and before its array is used "
        "again: the result has to be read by all.",
        "race in a warp": "A barrier between two steps of a tree, and before its array is used "
        "again: the result has to be read by all.",
        "divergent barrier": "The barrier is for all threads, the step for some of them.",
    },
)

SECOND = (DOT, CONV1D, MATMUL, TRANSPOSE, SHUFFLE, SOFTMAX)
