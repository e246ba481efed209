"""The CPU compiler against an obvious interpreter, on random race-free kernels.

Kernels compute with integers only, so the results must be equal to the last bit.
"""

from __future__ import annotations

import importlib.util
import random

import numpy as np
import pytest

from nnlite.kernels.engine.cpu import CpuKernel
from nnlite.testing.interpreter import interpret

HEAD = """
from numba import cuda, int64

@cuda.jit(device=True)
def helper(p, q):
    if p > q:
        return p - q
    for k in range(3):
        q += p
        if q > 50:
            return q % 50
    return q

@cuda.jit(device=True)
def pair(p, q):
    return q + 1, p % 7

@cuda.jit
def kernel(x, out, total, n):
    s = cuda.shared.array({threads}, int64)
    bins = cuda.shared.array(8, int64)
    mine = cuda.local.array(4, int64)
    tid = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    i = cuda.blockIdx.x * {threads} + tid
    a = x[i]
    b = tid * 3
    c = 0
    u = 2
    v = n
    for z in range(4):
        mine[z] = z + tid
    s[tid] = 0
    if tid < 8:
        bins[tid] = 0
    cuda.syncthreads()
"""

TAIL = """
    out[i, 0] = a
    out[i, 1] = b
    out[i, 2] = c
    out[i, 3] = u
    out[i, 4] = v
    out[i, 5] = mine[tid & 3]
    out[i, 6] = s[tid]
"""


class Writer:
    """Writes one random kernel; every choice keeps it free of races."""

    def __init__(self, seed: int, statements: int, depth: int) -> None:
        self.r = random.Random(seed)
        self.lines: list[str] = []
        self.varying, self.uniform = ["a", "b", "c", "tid", "i"], ["n", "u", "v"]
        self.count = 0
        self.block = self.r.choice([(8, 1, 1), (32, 1, 1), (4, 4, 1), (8, 3, 1)])
        self.threads = self.block[0] * self.block[1]
        self.size = statements, depth

    def source(self) -> str:
        for _ in range(self.r.randint(3, self.size[0])):
            self.statement(1, self.size[1], True)
        return HEAD.format(threads=self.threads) + "\n".join(self.lines) + TAIL

    def put(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def pick(self, *options: str) -> str:
        return self.r.choice(options)

    def u(self, depth: int = 2) -> str:
        """A uniform expression."""
        if depth == 0 or self.r.random() < 0.3:
            return self.pick(*self.uniform, "2", "3", "cuda.blockIdx.x", "x.size", "x[3]")
        left, right = self.u(depth - 1), self.u(depth - 1)
        return f"({left} {self.pick(*'+-*&^')} {right}) % {self.pick('5', '7', '11')}"

    def e(self, depth: int = 2) -> str:
        """An expression that varies."""
        if depth == 0 or self.r.random() < 0.25:
            leaves = ["1", "5", "x[i]", "mine[a & 3]", "mine[1]", "cuda.threadIdx.x"]
            return self.pick(*self.varying, *self.varying, *self.uniform, *leaves, "helper(a, b)")
        if self.r.random() < 0.15:
            return f"({self.e(depth - 1)} if {self.test()} else {self.e(depth - 1)})"
        if self.r.random() < 0.1:
            return f"{self.pick('min', 'max')}({self.e(depth - 1)}, {self.e(depth - 1)})"
        left, right = self.e(depth - 1), self.e(depth - 1)
        return f"({left} {self.pick(*'+-*&^')} {right}) % {self.pick('97', '1009', '64')}"

    def test(self) -> str:
        text = f"{self.e(1)} {self.pick('<', '>', '==', '!=')} {self.e(1)}"
        if self.r.random() < 0.3:
            text += f" {self.pick('and', 'or')} {self.e(0)} > 2"
        return f"not ({text})" if self.r.random() < 0.1 else text

    def u_test(self) -> str:
        return f"{self.u(1)} {self.pick('<', '>', '!=')} {self.u(1)}"

    def fresh(self, base: str) -> str:
        self.count += 1
        return f"{base}{self.count}"

    def block_of(self, depth: int, budget: int, uniform: bool) -> None:
        self.put(depth, "pass")
        for _ in range(self.r.randint(1, 4)):
            self.statement(depth, budget, uniform)

    def statement(self, depth: int, budget: int, uniform: bool) -> None:
        plain = [self.assign, self.assign, self.update, self.local, self.swap]
        if uniform:
            plain += [self.exchange, self.exchange, self.assign_uniform, self.histogram]
        plain += [self.add_global, self.leave]
        nested = [self.if_varying, self.loop_varying, self.while_varying]
        if uniform:
            nested += [self.if_uniform, self.for_uniform, self.for_uniform, self.while_uniform]
        self.r.choice(plain if budget == 0 or self.r.random() < 0.6 else nested)(
            depth, budget, uniform
        )

    def assign(self, depth: int, *_: object) -> None:
        self.put(depth, f"{self.pick('a', 'b', 'c')} = {self.e()}")

    def update(self, depth: int, *_: object) -> None:
        self.put(depth, f"{self.pick('a', 'b', 'c')} {self.pick('+=', '-=', '^=')} {self.e(1)}")

    def local(self, depth: int, *_: object) -> None:
        self.put(depth, f"mine[{self.pick('0', '1', 'a & 3', 'tid & 3')}] = {self.e(1)}")

    def swap(self, depth: int, *_: object) -> None:
        self.put(depth, self.pick("a, b = b, a", "c, a = pair(a, b)", "b, mine[2] = a % 9, c"))

    def assign_uniform(self, depth: int, *_: object) -> None:
        self.put(depth, f"{self.pick('u', 'v')} = {self.u()}")

    def exchange(self, depth: int, *_: object) -> None:
        self.put(depth, f"s[tid] = {self.e(1)}")
        self.put(depth, "cuda.syncthreads()")
        self.put(depth, f"{self.pick('a', 'b', 'c')} = s[(tid + {self.u(1)}) % {self.threads}]")
        if self.r.random() < 0.3:
            self.put(depth, f"{self.pick('u', 'v')} = s[{self.r.randrange(self.threads)}] % 6")
        self.put(depth, "cuda.syncthreads()")

    def histogram(self, depth: int, *_: object) -> None:
        self.put(depth, f"cuda.atomic.add(bins, {self.e(1)} % 8, {self.e(1)})")
        self.put(depth, "cuda.syncthreads()")
        self.put(depth, f"{self.pick('a', 'b', 'c')} = bins[tid & 7] % 1009")
        self.put(depth, "cuda.syncthreads()")

    def add_global(self, depth: int, *_: object) -> None:
        self.put(depth, f"cuda.atomic.add(total, ({self.e(1)}) % 8, {self.e(1)})")

    def leave(self, depth: int, budget: int, uniform: bool) -> None:
        if not uniform and self.r.random() < 0.4:
            self.put(depth, "out[i, 7] = a")
            self.put(depth, "return")
        else:
            self.assign(depth)

    def if_varying(self, depth: int, budget: int, uniform: bool) -> None:
        self.put(depth, f"if {self.test()}:")
        self.block_of(depth + 1, budget - 1, False)
        if self.r.random() < 0.4:
            self.put(depth, "else:")
            self.block_of(depth + 1, budget - 1, False)

    def if_uniform(self, depth: int, budget: int, uniform: bool) -> None:
        self.put(depth, f"if {self.u_test()}:")
        self.block_of(depth + 1, budget - 1, True)
        if self.r.random() < 0.4:
            self.put(depth, "else:")
            self.block_of(depth + 1, budget - 1, True)

    def exit_(self, depth: int, budget: int, test: str, uniform: bool) -> None:
        if self.r.random() < 0.35:
            self.put(depth, f"if {test}:")
            self.put(depth + 1, self.pick("break", "continue"))
            self.block_of(depth, budget, uniform)

    def for_uniform(self, depth: int, budget: int, uniform: bool) -> None:
        k = self.fresh("k")
        spans = ["3", "u % 4", "1, 5", "6, 0, -2", "n", "v % 20"]
        self.put(depth, f"for {k} in range({self.pick(*spans)}):")
        self.uniform.append(k)
        self.block_of(depth + 1, budget - 1, True)
        self.exit_(depth + 1, budget - 1, self.u_test(), True)
        self.uniform.remove(k)

    def while_uniform(self, depth: int, budget: int, uniform: bool) -> None:
        k = self.fresh("w")
        self.put(depth, f"{k} = {self.pick('4', 'u % 5', 'cuda.blockDim.x // 2')}")
        self.put(depth, f"while {k} > 0:")
        self.put(depth + 1, f"{k} //= 2")
        self.uniform.append(k)
        self.block_of(depth + 1, budget - 1, True)
        self.exit_(depth + 1, budget - 1, self.u_test(), True)
        self.uniform.remove(k)

    def loop_varying(self, depth: int, budget: int, uniform: bool) -> None:
        k = self.fresh("k")
        spans = ["tid % 4", "(a & 3)", "tid, 20, 7", "tid, n * 9, cuda.blockDim.x", "5", "40"]
        self.put(depth, f"for {k} in range({self.pick(*spans)}):")
        self.varying.append(k)
        self.block_of(depth + 1, budget - 1, False)
        self.exit_(depth + 1, budget - 1, self.test(), False)
        self.varying.remove(k)

    def while_varying(self, depth: int, budget: int, uniform: bool) -> None:
        k = self.fresh("w")
        if self.r.random() < 0.4:
            self.put(depth, f"{k} = tid")
            self.put(depth, f"while {k} < {self.pick('n * 7', '30')}:")
            self.varying.append(k)
            self.block_of(depth + 1, budget - 1, False)
            self.put(depth + 1, f"{k} += {self.pick('cuda.blockDim.x', '5')}")
        else:
            self.put(depth, f"{k} = {self.pick('a & 7', 'tid & 3', 'b & 15')}")
            self.put(depth, f"while {k} > 0:")
            self.put(depth + 1, f"{k} {self.pick('-= 1', '//= 2')}")
            self.varying.append(k)
            self.block_of(depth + 1, budget - 1, False)
            self.exit_(depth + 1, budget - 1, self.test(), False)
        self.varying.remove(k)


def run_both(seed: int, folder, statements: int = 9, depth: int = 3) -> None:  # type: ignore[no-untyped-def]
    writer = Writer(seed, statements, depth)
    path = folder / f"random_{seed}.py"
    path.write_text(writer.source())
    spec = importlib.util.spec_from_file_location(f"random_{seed}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = np.random.default_rng(seed).integers(0, 100, 2 * writer.threads)
    results = []
    for compiled in (False, True):
        out, total = np.full((x.size, 8), -1), np.zeros(8, np.int64)
        args = (x.copy(), out, total, np.int64(3))
        if compiled:
            CpuKernel(module.kernel).launch((2, 1, 1), writer.block, 0, args)
        else:
            interpret(module.kernel, (2, 1, 1), writer.block, args)
        results.append((out, total))
    np.testing.assert_array_equal(results[1][0], results[0][0], err_msg=str(path))
    np.testing.assert_array_equal(results[1][1], results[0][1], err_msg=str(path))


@pytest.mark.parametrize("seed", range(10))
def test_small_random_kernel_equals_interpreter(seed, tmp_path):
    run_both(seed, tmp_path, statements=5, depth=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 321, *range(200, 206)])  # 4, 321: found Undefined phi nodes
def test_random_kernel_equals_interpreter(seed, tmp_path):
    run_both(seed, tmp_path)
