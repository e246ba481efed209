"""One random kernel: its source, its launch and its arguments, all from one seed."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from .expressions import INTEGERS, Typed
from .meetings import ATOMICS, NAMES, WIDE
from .writer import Writer

FEATURES = frozenset(
    {
        "atomics",  # all of cuda.atomic, not only add
        "bits",  # popc, clz, ffs, brev, selp
        "counting",  # syncthreads_count, _and, _or
        "dynamic",  # dynamic shared memory
        "grid",  # cooperative grid barriers
        "match",  # match_any_sync, match_all_sync
        "narrow",  # unsigned indices of 16 and 32 bits beside indices that repeat
        "secret",  # barriers under conditions that are uniform, but do not look it
        "steps",  # device functions with barriers
        "sums",  # of those elements of an array that pass a test
        "views",  # rows of arrays as variables
        "warp",  # shuffles, votes, divergent lanes with masks
    }
)
BLOCKS = (
    *((8, 1, 1), (32, 1, 1), (33, 1, 1), (40, 1, 1), (64, 1, 1), (71, 1, 1), (4, 4, 1)),
    *((8, 3, 1), (5, 7, 1), (16, 3, 1), (3, 2, 5), (2, 3, 11), (1, 9, 1), (1, 1, 12)),
)
GRIDS = ((1, 1, 1), (2, 1, 1), (3, 1, 1), (2, 2, 1), (1, 1, 2))

FULL = "0xFFFFFFFF"
HEAD = """\
import math
import numpy as np
from numba import cuda, float32, int8, int16, int32, int64, uint8, uint16, uint32, uint64
"""


@dataclasses.dataclass(frozen=True)
class RandomKernel:
    """A kernel and one launch of it.

    Attributes:
        seed: makes the same kernel again: ``random_kernel(seed, features)``.
        source: of a Python file with the kernel, named ``kernel``, and its device functions.
        grid, block, shared_bytes: of the launch.
        kinds: element types of the arguments ``y`` and ``total``.
    """

    seed: int
    source: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    kinds: tuple[str, str]

    def load(self, folder: Path) -> Any:
        """Write the source to ``folder`` and import the kernel from there."""
        path = folder / f"kernel_{self.seed}.py"
        path.write_text(self.source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.kernel

    def text(self, outcome: Any = "") -> str:
        """The kernel as text that :func:`read` reads."""
        launch = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del launch["source"]
        said = "".join(f"# {line}\n" for line in str(outcome).splitlines())
        return f"# {json.dumps(launch)}\n{said}{self.source}"

    def arguments(self) -> tuple[Any, ...]:
        """Fresh arguments: x, y, f, out, fout, total, g, n, w."""
        rng = np.random.default_rng(self.seed)
        count = int(np.prod(self.grid) * np.prod(self.block))
        kind = np.dtype(self.kinds[0])
        info = np.iinfo(kind)
        return (
            rng.integers(0, 100, count),
            rng.integers(info.min, info.max, count, kind, endpoint=True),
            rng.integers(0, 32, count).astype(np.float32) / 2,
            np.full((count, 8), -1),
            np.zeros((count, 2), np.float32),
            np.zeros(8, self.kinds[1]),
            np.zeros(count, np.int64),
            np.int32(3),
            -5,
        )


def read(text: str) -> RandomKernel:
    """A kernel from its :meth:`RandomKernel.text`."""
    head, _, source = text.partition("\n")
    given = json.loads(head[2:])
    launch: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return RandomKernel(source=source, **launch)


def random_kernel(
    seed: int, features: frozenset[str] = FEATURES, r: random.Random | None = None
) -> RandomKernel:
    """Write a kernel that is legal and free of races.

    Args:
        seed: of the arguments, and of the kernel where ``r`` is not given.
        features: what the kernel may use, of ``FEATURES``; control flow, barriers, shared and
            local arrays, ``atomic.add`` and device functions are always there.
        r: makes the choices, such as ``hypothesis.strategies.randoms()``.

    Example:
        >>> print(random_kernel(17).source)
    """
    r = r if r is not None else random.Random(seed)
    block, grid = r.choice(BLOCKS), r.choice(GRIDS)
    # A kernel rarely has everything: few features at a time meet in more ways, and compile faster.
    features = frozenset(f for f in sorted(features) if r.random() < 0.5)
    return _Kernel(r, features, block, grid).make(seed)


class _Kernel:
    """The parts of one kernel."""

    def __init__(self, r: random.Random, features: frozenset[str], block: Any, grid: Any) -> None:
        self.r, self.features, self.block, self.grid = r, features, block, grid
        self.threads = block[0] * block[1] * block[2]
        self.blocks = grid[0] * grid[1] * grid[2]
        self.functions: list[str] = []
        self.tid_type = "int32" if block[1:] == (1, 1) else "int64"  # threadIdx.x, or a sum of them

    def make(self, seed: int) -> RandomKernel:
        r = self.r
        w = Writer(r, self.features, r.choice((*range(3, 9), 16)))
        w.threads, w.elements = self.threads, self.threads * self.blocks
        grid_barriers = "grid" in self.features and self.blocks > 1
        if grid_barriers:
            w.may_return, w.total_threads = "", self.threads * self.blocks
            w.leaves = False
        y, operation = r.choice(INTEGERS), r.choice(list(ATOMICS))
        if "atomics" not in self.features:
            operation = "add"
        total = r.choice(ATOMICS[operation])
        w.total = ("total", operation, total)
        scope = w.scope
        for name in r.choice(NAMES)[: r.randint(2, 4)]:
            scope.ints[name] = r.choice(INTEGERS)
        scope.floats, scope.bools = ["f0"], ["p0"]
        scope.uniform = {"n": "int32", "u": "int64", "v": "int64"}
        scope.constants += ["cuda.blockIdx.x", "x[3]", "x.size"]
        scope.local, scope.local_type = "mine", r.choice(INTEGERS)
        w.slots_type = r.choice(WIDE) if r.random() < 0.7 else r.choice(INTEGERS)
        scope.leaves = [
            *(Typed("x[i]", "int64"), Typed("y[i]", y), Typed("w", "int64")),
            *(Typed("cuda.threadIdx.x", "int32"), Typed("s[tid]", w.slots_type)),
            *(Typed("x[i - 3]", "int64"), Typed("y[-(tid % 5) - 1]", y)),
            *(Typed("x[uint32(tid)]", "int64"), Typed("mine[uint8(i) & 3]", scope.local_type)),
        ]
        if "warp" in self.features:
            scope.leaves.append(Typed("cuda.laneid", "int32"))
        self.device_functions(w)
        body = self.prologue(w, y)
        while w.left > 0:
            w.statement(1, 3, "block", FULL)
        parameters = "x, y, f, out, fout, total, g, n, w"
        body += [*w.lines, *self.epilogue(w)]
        text = "\n".join([HEAD, *self.functions, "", "@cuda.jit", f"def kernel({parameters}):"])
        source = text + "\n" + "\n".join(body) + "\n"
        size = np.dtype(w.dynamic_type).itemsize * self.threads if w.dynamic else 0
        return RandomKernel(seed, source, self.grid, self.block, size, (y, total))

    # -- the kernel's first and last lines ---------------------------------------------------------
    def prologue(self, w: Writer, y: str) -> list[str]:
        r, threads, scope = self.r, self.threads, w.scope
        bx, by, bz = self.block
        linear = "cuda.threadIdx.x"
        if by > 1 or bz > 1:
            linear = f"cuda.threadIdx.y * {bx} + cuda.threadIdx.x"
        if bz > 1:
            linear = f"(cuda.threadIdx.z * {by} + cuda.threadIdx.y) * {bx} + cuda.threadIdx.x"
        number = "cuda.blockIdx.x"
        if self.grid[1] > 1:
            number = "(cuda.blockIdx.y * cuda.gridDim.x + cuda.blockIdx.x)"
        if self.grid[2] > 1:
            number = "cuda.blockIdx.z"
        lines = [f"s = cuda.shared.array({threads}, {w.slots_type})"]
        if "views" in self.features:
            lines.append(f"rows = cuda.shared.array((2, {threads}), {w.slots_type})")
        if "dynamic" in self.features:
            w.dynamic, w.dynamic_type = "dyn", r.choice(INTEGERS)
            lines.append(f"dyn = cuda.shared.array(0, {w.dynamic_type})")
        operation = r.choice(list(ATOMICS)) if "atomics" in self.features else "add"
        w.bins = ("bins", operation, r.choice(ATOMICS[operation]))
        lines += [
            f"bins = cuda.shared.array(8, {w.bins[2]})",
            "flags = cuda.shared.array(8, int32)",
            f"mine = cuda.local.array(4, {scope.local_type})",
            f"tid = {linear}",
            f"i = {number} * {threads} + tid" if threads > 1 else f"i = {number} + tid",
            "lane = tid % 32",
        ]
        for n, (name, kind) in enumerate(scope.ints.items()):
            lines.append(f"{name} = {kind}({('x[i]', 'y[i]', 'tid * 3', '0')[n]})")
        lines += ["f0 = f[i]", "p0 = tid % 3 == 1", "u = int64(2)", "v = int64(n)", "z0 = int64(0)"]
        lines += ["for z in range(4):", "    mine[z] = z + tid", "s[tid] = 0"]
        if w.dynamic:
            lines.append("dyn[tid] = tid")
        if "views" in self.features:
            lines.append("rows[0, tid] = rows[1, tid] = tid")
        counters = [f"bins[z1] = {r.choice((0, 5, 100))}", "flags[z1] = 0"]
        lines += [f"for z1 in range(tid, 8, {threads}):", *("    " + c for c in counters)]
        scope.ints.update(tid=self.tid_type, i="int64")
        return ["    " + line for line in [*lines, "cuda.syncthreads()"]]

    def epilogue(self, w: Writer) -> list[str]:
        lines = [f"out[i, {n}] = {name}" for n, name in enumerate(w.variables())]
        lines += ["out[i, 4] = u + v * 100", "fout[i, 0] = f0", "fout[i, 1] = p0"]
        where = self.r.choice(("tid & 3", "0", f"{w.variables()[0]} & 3"))
        lines += [f"out[i, 5] += mine[{where}]", "out[i, 6] += s[tid]"]
        if w.dynamic:
            lines.append("out[i, 7] = dyn[tid]")
        return ["    " + line for line in lines]

    # -- device functions --------------------------------------------------------------------------
    def device_functions(self, kernel: Writer) -> None:
        r = self.r
        for n in range(r.randint(0, 2)):
            kinds, result = tuple(r.choice(INTEGERS) for _ in range(2)), r.choice(INTEGERS)
            w = Writer(r, self.features - {"warp"}, r.randint(1, 4))
            w.slots, w.may_return = "", result
            names = r.choice(("pq", "ab", "bc"))  # at times those of the kernel
            w.scope.ints, w.scope.helpers = dict(zip(names, kinds)), list(kernel.scope.helpers)
            w.body(1, 2, "free", "")
            self.add(w, f"helper{n}({', '.join(names)})", result)
            kernel.scope.helpers.append((f"helper{n}", kinds, result))
        if r.random() < 0.4:
            w = Writer(r, self.features - {"warp"}, r.randint(1, 3))
            w.slots, w.may_return, w.leaves = "", "", False
            w.scope.ints = {"a": "int64", "b": "int32"}
            w.body(1, 1, "free", "")
            results = r.choice(INTEGERS), r.choice(INTEGERS)
            values = ", ".join(f"{t}({w.integer(1).text})" for t in results)
            self.functions += ["", "@cuda.jit(device=True)", "def both(a, b):", *w.lines]
            self.functions.append(f"    return {values}")
            kernel.pairs.append(("both", results))
        for n in range(r.randint(1, 2) if "steps" in self.features else 0):
            w = Writer(r, self.features - {"grid", "steps", "views"}, r.randint(2, 5))
            w.threads, w.slots_type = self.threads, kernel.slots_type
            w.scope.ints = {"a": "int32", "tid": "int64", "lane": "int64"}
            w.scope.uniform = {"u": "int64", "v": "int64"}
            w.put(1, "lane = tid % 32")
            w.put(1, "v = int64(1)")
            if r.random() < 0.4:
                w.put(1, f"if u > {r.randint(1, 6)}:")
                w.put(2, "return a")
            w.may_return, w.leaves, w.scope.helpers = "int32", False, list(kernel.scope.helpers)
            w.body(1, 2, "block", FULL)
            self.add(w, f"step{n}(a, s, tid, u)", "int32")
            kernel.steps.append(f"step{n}")

    def add(self, w: Writer, head: str, result: str) -> None:
        last = f"    return {w.cast(w.integer(1), result)}"
        self.functions += ["", "@cuda.jit(device=True)", f"def {head}:", *w.lines, last]
