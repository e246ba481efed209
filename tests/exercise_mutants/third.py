"""Wrong solutions of the exercises from matmul to softmax."""

from __future__ import annotations

from .mutant import SYNC, Mutant

LOADED = "        for q in range(TILE):\n"
MATMUL = (
    Mutant(
        "no barrier after loading",
        (f"    {SYNC}{LOADED}", LOADED),
        "check",
        ("race in a", "total += a_tile[ty, q] * b_tile[q, tx]"),
    ),
    Mutant(
        "no barrier after using",
        (f"    {SYNC}    if row", "    if row"),
        "check",
        ("race in a", "total += a_tile[ty, q] * b_tile[q, tx]"),
    ),
    Mutant(
        "no zeros",
        (
            "a_tile[ty, tx] = a[row, start + tx] if inside else float32(0)",
            "if inside:\n            a_tile[ty, tx] = a[row, start + tx]",
        ),
        "check",
        ("uninitialised read", "a_tile[0, 1]"),
    ),
    Mutant(
        "no tiles",
        (
            "a_tile[ty, q] * b_tile[q, tx]",
            "(a[row, start + q] * b[start + q, column] if row < c.shape[0]\n"
            "                and column < c.shape[1] and start + q < b.shape[0] else float32(0))",
        ),
        "traffic",
        ("numbers of global memory are read, at most 6,144",),
    ),
    Mutant(
        "x is the row",
        (
            "tx, ty = cuda.threadIdx.x, cuda.threadIdx.y",
            "ty, tx = cuda.threadIdx.x, cuda.threadIdx.y",
        ),
        "traffic",
        ("sectors of global memory are read", "16 sectors each, 4 would do"),
    ),
    Mutant(
        "lanes in one bank",
        ("b_tile[ty, tx]", "b_tile[tx, ty]", "b_tile[q, tx]", "b_tile[tx, q]"),
        "traffic",
        ("turns of shared memory are taken", "b_tile"),
    ),
    Mutant(
        "tile turned round",
        ("b_tile[q, tx]", "b_tile[tx, q]"),
        "result",
        ("m = 16, k = 16, n = 16: c[0, 0] is",),
    ),
)

TRANSPOSE = (
    Mutant(
        "no padding",
        ("PADDED = TILE + 1", "PADDED = TILE"),
        "traffic",
        (
            "6,336 turns of shared memory are taken, at most 384",
            "32 wavefronts each",
            "tile[tx, i]",
        ),
    ),
    Mutant(
        "columns written",
        (
            "if column + i < out.shape[0] and row + tx < out.shape[1]",
            "if column + tx < out.shape[0] and row + i < out.shape[1]",
            "out[column + i, row + tx] = tile[tx, i]",
            "out[column + tx, row + i] = tile[i, tx]",
        ),
        "traffic",
        ("sectors of global memory are written", "32 sectors each, 4 would do"),
    ),
    Mutant("no barrier", (SYNC, ""), "check", ("race in a", "tile[tx, i]")),
    Mutant(
        "no guard",
        ("if row + i < x.shape[0] and column + tx < x.shape[1]", "if row >= 0"),
        "check",
        ("out of bounds", "x["),
    ),
    Mutant(
        "guard of the other shape",
        (
            "column + i < out.shape[0] and row + tx < out.shape[1]",
            "column + i < x.shape[0] and row + tx < x.shape[1]",
        ),
        "check",
        ("uninitialised read", "tile["),
    ),
    Mutant(
        "a quarter of the tile",
        (
            "for i in range(ty, TILE, ROWS):\n        if row",
            "for i in range(ty, ROWS, ROWS):\n        if row",
        ),
        "check",
        ("uninitialised read", "tile["),
    ),
    Mutant(
        "block not turned",
        (
            "if column + i < out.shape[0] and row + tx < out.shape[1]",
            "if row + i < out.shape[0] and column + tx < out.shape[1]",
            "out[column + i, row + tx]",
            "out[row + i, column + tx]",
        ),
        "result",
        ("rows = 33, columns = 65",),
    ),
)

SHUFFLES = (
    "    for distance in (16, 8, 4, 2, 1):\n"
    "        total += cuda.shfl_down_sync(ALL, total, distance)\n"
)
SHUFFLE = (
    Mutant(
        "shuffle for some",
        (
            SHUFFLES,
            "    if i < x.size:\n" + "".join(f"    {line}\n" for line in SHUFFLES.splitlines()),
        ),
        "check",
        ("absent lane", "shfl_down_sync"),
    ),
    Mutant("a shuffle too few", ("(16, 8, 4, 2, 1)", "(8, 4, 2, 1)"), "result", ("n = 32",)),
    Mutant(
        "all lanes store",
        ("if i % 32 == 0 and i < x.size", "if i < x.size"),
        "check",
        ("race in a warp", "out[i // 32] = total"),
    ),
    Mutant(
        "no element for the last warp",
        ("if i % 32 == 0 and i < x.size", "if i % 32 == 0"),
        "check",
        ("out of bounds", "out[1]"),
    ),
    Mutant(
        "no guard",
        ("x[i] if i < x.size else float32(0)", "x[i]"),
        "check",
        ("out of bounds", "x[1]"),
    ),
    Mutant(
        "shared memory",
        (
            "    i = cuda.grid(1)\n",
            "    i = cuda.grid(1)\n    t = cuda.threadIdx.x\n"
            "    tile = cuda.shared.array(64, float32)\n",
            SHUFFLES,
            "    tile[t] = total\n    cuda.syncthreads()\n    for k in range(1, 32):\n"
            "        total += tile[t + k] if t % 32 == 0 else float32(0)\n",
        ),
        "traffic",
        ("numbers of shared memory are used, none should be",),
    ),
    Mutant(
        "each lane reads all",
        (
            SHUFFLES,
            "    total = float32(0)\n"
            "    for k in range(i - i % 32, min(i - i % 32 + 32, x.size)):\n"
            "        total += x[k]\n",
        ),
        "traffic",
        ("numbers of global memory are read, at most 256", "total += x[k]"),
    ),
)

EXP = "math.exp(row[j] - best)"
TREE = "        cuda.syncthreads()\n        distance //= 2\n    best"
SOFTMAX = (
    Mutant(
        "each thread adds up the row",
        (
            "    partial[t] = total\n",
            "    for j in range(columns):\n"
            "        total += row[j] if j % BLOCK != t else float32(0)\n"
            "    partial[t] = total / BLOCK\n",
            "total += row[j]\n    for",
            f"total += row[j]\n{SYNC}    for",
        ),
        "traffic",
        ("times a warp's numbers of shared memory are read, at most 768", "total += row[j] if"),
    ),
    Mutant(
        "largest number left in", (EXP, "math.exp(row[j])"), "result", ("is nan", "around = 1000")
    ),
    Mutant(
        "identity 0",
        ("best = float32(-math.inf)", "best = float32(0)"),
        "result",
        ("ZeroDivisionError",),
    ),
    Mutant(
        "array used again too early",
        (f"best = partial[0]\n{SYNC}", "best = partial[0]\n"),
        "check",
        ("race in a", "best = partial[0]"),
    ),
    Mutant(
        "no barrier in the tree",
        (TREE, TREE.partition("\n")[2]),
        "check",
        ("race in a", "partial[t] = max("),
    ),
    Mutant(
        "three reads",
        (
            EXP,
            "math.exp(x[r, j] - best)",
            "out[r, j] = row[j] /",
            "out[r, j] = math.exp(x[r, j] - best) /",
        ),
        "traffic",
        ("1,152 numbers of global memory are read, at most 768",),
    ),
    Mutant(
        "each thread a stretch",
        ("range(t, columns, BLOCK)", "range(4 * t, min(4 * t + 4, columns))"),
        "traffic",
        ("sectors of global memory are", "16 sectors each, 4 would do"),
    ),
)

MUTANTS = {"matmul": MATMUL, "transpose": TRANSPOSE, "shuffle": SHUFFLE, "softmax": SOFTMAX}
