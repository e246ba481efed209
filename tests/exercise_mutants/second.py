"""Wrong solutions of the exercises from reduction to conv1d."""

from __future__ import annotations

from .mutant import SYNC, Mutant

STEP = "        if t < distance:\n            best[t] = max(best[t], best[t + distance])\n"
REDUCTION = (
    Mutant("no barrier in the tree", (f"    {SYNC}", ""), "check", ("race in a", "best[t] = max(")),
    Mutant(
        "identity 0", ("float32(-math.inf)", "float32(0)"), "result", ("out[0] is 0, expected",)
    ),
    Mutant(
        "no guard",
        ("x[i] if i < x.size else float32(-math.inf)", "x[i]"),
        "check",
        ("out of bounds", "x[1]"),
    ),
    Mutant(
        "no identity",
        (
            "    best[t] = x[i] if i < x.size else float32(-math.inf)\n",
            "    if i < x.size:\n        best[t] = x[i]\n",
        ),
        "check",
        ("uninitialised read", "best["),
    ),
    Mutant("half of the block", ("BLOCK // 2", "BLOCK // 4"), "result", ("n = 127",)),
    Mutant(
        "all store",
        ("if t == 0:", "if t >= 0:"),
        "traffic",
        ("512 numbers of global memory are written, at most 4", "one thread store"),
    ),
    Mutant(
        "one thread does all",
        (
            STEP,
            "        if t == 0 and distance == 1:\n            for j in range(BLOCK):\n"
            "                best[0] = max(best[0], best[j])\n",
        ),
        "traffic",
        ("times a warp's numbers of shared memory are read, at most 80", "best[j]"),
    ),
    Mutant(
        "scattered threads",
        (
            "distance = BLOCK // 2",
            "distance = 1",
            "distance > 0",
            "distance < BLOCK",
            "t < distance",
            "t % (2 * distance) == 0",
            "distance //= 2",
            "distance *= 2",
        ),
        "traffic",
        ("times a warp's numbers of shared memory are read, at most 80", "best[t + distance]"),
    ),
)

SCAN = (
    Mutant(
        "no barrier after writing",
        (f"    {SYNC}        distance *= 2", "        distance *= 2"),
        "check",
        ("race in a", "total[t] += left"),
    ),
    Mutant(
        "no barrier after reading",
        (f"    {SYNC}        total", "        total"),
        "check",
        ("race in a", "left = total[t - distance]"),
    ),
    Mutant(
        "own element left out",
        ("out[i] = total[t]", "out[i] = total[t] - x[i]"),
        "result",
        ("out[0] is 0, expected",),
    ),
    Mutant("off by one", ("if t >= distance", "if t > distance"), "result", ("out[1] is",)),
    Mutant(
        "nothing at the left of the first",
        ("total[t - distance] if t >= distance else float32(0)", "total[t - distance]"),
        "check",
        ("negative index", "total[-1]"),
    ),
    Mutant(
        "one thread does all",
        (
            "        left = total[t - distance] if t >= distance else float32(0)\n"
            f"    {SYNC}        total[t] += left\n",
            "        for j in range(1, BLOCK if t == 0 and distance == 1 else 1):\n"
            "            total[j] += total[j - 1]\n",
        ),
        "traffic",
        ("times a warp's numbers of shared memory are read, at most 128", "total[j] +="),
    ),
    Mutant(
        "each thread reads all before it",
        (
            "out[i] = total[t]",
            "left = float32(0)\n        for j in range(i - t, i + 1):\n            left += x[j]\n"
            "        out[i] = left",
        ),
        "traffic",
        ("numbers of global memory are read, at most 256", "left += x[j]"),
    ),
)

LOOP = "for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):"
DOT = (
    Mutant(
        "no atomic",
        ("cuda.atomic.add(out, 0, partial[0])", "out[0] += partial[0]"),
        "check",
        ("race between blocks", "out[0] +="),
    ),
    Mutant(
        "each thread an atomic",
        ("if t == 0:", "if t >= 0:", "out, 0, partial[0]", "out, 0, total"),
        "traffic",
        ("192 atomic operations are done, at most 3", "cuda.atomic.add"),
    ),
    Mutant(
        "one thread adds up the block",
        (
            "if t < distance:",
            "if t == 0 and distance == 1:\n            for j in range(1, BLOCK):",
            "            partial[t] += partial[t + distance]",
            "                partial[0] += partial[j]",
        ),
        "traffic",
        ("times a warp's numbers of shared memory are read, at most 90", "partial[j]"),
    ),
    Mutant("stride of the block", ("cuda.gridsize(1)", "BLOCK"), "result", ("n = 192",)),
    Mutant(
        "each thread a stretch",
        (
            LOOP,
            "per = (x.size + 191) // 192\n"
            "    for i in range(cuda.grid(1) * per, min(x.size, cuda.grid(1) * per + per)):",
        ),
        "traffic",
        ("sectors of global memory are read", "total += x[i]"),
    ),
    Mutant("no barrier", (f"    {SYNC}", ""), "check", ("race in a", "partial[t] +=")),
    Mutant("no loop", (LOOP, "i = cuda.grid(1)\n    if i < x.size:"), "result", ("n = 193",)),
    Mutant(
        "x read twice",
        (
            "        total += x[i] * y[i]\n",
            "        if x[i] != 0:\n            total += x[i] * y[i]\n",
        ),
        "traffic",
        ("numbers of global memory are read, at most 1,920",),
    ),
)

CONV1D = (
    Mutant("no barrier", (SYNC, ""), "check", ("race in a warp", "weights[j] * tile[t + j]")),
    Mutant(
        "a number for each thread",
        ("range(t, BLOCK + w.size - 1, BLOCK)", "range(t, t + 1)"),
        "check",
        ("uninitialised read", "tile[32]"),
    ),
    Mutant(
        "filter turned round",
        ("weights[j] *", "weights[w.size - 1 - j] *"),
        "result",
        ("n = 31, k = 3",),
    ),
    Mutant(
        "no end",
        ("x[first + j] if first + j < x.size else float32(0)", "x[first + j]"),
        "check",
        ("out of bounds", "x[1]"),
    ),
    Mutant(
        "weights in global memory",
        ("weights[j] *", "w[j] *"),
        "traffic",
        ("numbers of global memory are read, at most 392", "total += w[j]"),
    ),
    Mutant(
        "off by one", ("tile[t + j]", "tile[t + j + 1]"), "result", ("n = 1, k = 1: out[0] is",)
    ),
    Mutant(
        "every other bank",
        (
            "SPAN = BLOCK + WIDEST - 1",
            "SPAN = 2 * (BLOCK + WIDEST)",
            "tile[j] =",
            "tile[2 * j] =",
            "tile[t + j]",
            "tile[2 * (t + j)]",
        ),
        "traffic",
        ("turns of shared memory are taken", "2 wavefronts each, 1 would do"),
    ),
)

MUTANTS = {"reduction": REDUCTION, "scan": SCAN, "dot": DOT, "conv1d": CONV1D}
