"""Wrong solutions of the exercises from map to stencil."""

from __future__ import annotations

from .mutant import SYNC, Mutant

NUMBER = "cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x"
MAP = (
    Mutant("no block", (NUMBER, "cuda.threadIdx.x"), "result", ("out[7] is never written",)),
    Mutant(
        "stride of the grid",
        ("blockDim.x +", "gridDim.x +"),
        "result",
        ("out[13] is never written (8 of 21)",),
    ),
    Mutant("off by one", (NUMBER, NUMBER + " + 1"), "check", ("out of bounds", "x[1]")),
    Mutant("no thread", (NUMBER, "cuda.blockIdx.x"), "result", ("out[1] is never written",)),
    Mutant(
        "neighbours far apart",
        (NUMBER, "cuda.threadIdx.x * cuda.gridDim.x + cuda.blockIdx.x"),
        "traffic",
        (
            "sectors of global memory are read",
            "32 lanes and 16 sectors each, 4 would do",
            "out[i] =",
        ),
    ),
    Mutant(
        "one thread does all",
        (
            "    out[i] = a * x[i] + y[i]\n",
            "    if i == 0:\n        for j in range(out.size):\n"
            "            out[j] = a * x[j] + y[j]\n",
        ),
        "traffic",
        ("512 sectors of global memory are read, at most 64", "out[j] =", "all lanes"),
    ),
    Mutant("no y", ("a * x[i] + y[i]", "a * x[i]"), "result", ("out[0] is",)),
)

MAP2D = (
    Mutant("x is the row", ("c, r =", "r, c ="), "check", ("out of bounds", "axis 0")),
    Mutant(
        "column by column",
        (
            "(2)\n",
            "(2)\n    k = r * x.shape[1] + c\n    r, c = k % x.shape[0], k // x.shape[0]\n",
        ),
        "traffic",
        ("sectors of global memory are", "would do", "out[r, c]"),
    ),
    Mutant("v by row", ("v[c]", "v[r]"), "result", ("out[0, 1] is",)),
    Mutant(
        "no block in y",
        ("c, r = cuda.grid(2)", "c, r = cuda.grid(1), cuda.threadIdx.y"),
        "result",
        ("out[5, 0] is never written (105 of 210)",),
    ),
    Mutant(
        "off by one",
        ("c, r = cuda.grid(2)", "c, r = cuda.grid(2)\n    c += 1"),
        "check",
        ("out of bounds", "axis 1"),
    ),
    Mutant(
        "each thread a row",
        ("    out[r, c]", "    for c in range(x.shape[1]):\n        out[r, c]"),
        "traffic",
        ("147,456 numbers of global memory are written, at most 1,536", "one thread store"),
    ),
)

GUARD = (
    Mutant("no guard", ("i < out.size", "i >= 0"), "check", ("out of bounds", "x[1]")),
    Mutant("guard off by one", ("i < out.size", "i <= out.size"), "check", ("out of bounds",)),
    Mutant(
        "no number before the first",
        ("x[i] - x[i - 1] if i > 0 else x[i]", "x[i] - x[i - 1]"),
        "check",
        ("negative index", "x[-1]"),
    ),
    Mutant(
        "first left out",
        ("i < out.size", "0 < i < out.size"),
        "result",
        ("out[0] is never written",),
    ),
    Mutant(
        "last left out",
        ("i < out.size", "i < out.size - 1"),
        "result",
        ("out[0] is never written", "n = 1"),
    ),
    Mutant(
        "no block",
        ("cuda.grid(1)", "cuda.threadIdx.x"),
        "result",
        ("out[32] is never written", "n = 33"),
    ),
    Mutant(
        "one thread of a block does all",
        (
            "    if i < out.size:\n        out",
            "    first = i if cuda.threadIdx.x == 0 else out.size\n"
            "    for i in range(first, min(first + 32, out.size)):\n        out",
        ),
        "traffic",
        ("sectors of global memory are read", "out[i] ="),
    ),
)

STENCIL = (
    Mutant("no barrier", (SYNC, ""), "check", ("race in a warp", "tile[j] =", "tile[t + k]")),
    Mutant(
        "no halo",
        ("range(t, SPAN, BLOCK)", "range(t, BLOCK, BLOCK)"),
        "check",
        ("uninitialised read", "tile[64]"),
    ),
    Mutant("no left edge", ("0 <= i < x.size", "i < x.size"), "check", ("negative index", "x[-1]")),
    Mutant("no right edge", ("0 <= i < x.size", "0 <= i"), "check", ("out of bounds", "x[61]")),
    Mutant(
        "seven reads of global memory",
        (
            "total += tile[t + k]",
            "i = first + t + k - RADIUS\n"
            "            total += x[i] if 0 <= i < x.size else float32(0)",
        ),
        "traffic",
        ("numbers of global memory are read, at most 280", "total += x[i]"),
    ),
    Mutant("off by one", ("tile[t + k]", "tile[t + k + 1]"), "result", ("out[0] is",)),
    Mutant(
        "barrier for some",
        (
            SYNC,
            "",
            "    if first + t < out.size:\n",
            "    if first + t < out.size:\n        cuda.syncthreads()\n",
        ),
        "check",
        ("divergent barrier", "cuda.syncthreads()"),
    ),
)

MUTANTS = {"map": MAP, "map2d": MAP2D, "guard": GUARD, "stencil": STENCIL}
