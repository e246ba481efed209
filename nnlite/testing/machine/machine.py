"""A machine that runs the PTX of a kernel, so that code for a GPU can be tested without one.

It knows the instructions that the matrix kernels consist of and raises on every other. All threads
of a block go through an instruction together, those that are furthest behind first. Asynchronous
copies arrive when they are waited for, not before; accesses out of bounds or off their alignment
fail; bank conflicts of shared memory are counted.

Written from the PTX ISA, not from the code under test: in particular the fragments of ``mma`` and
``ldmatrix`` are those of its figures.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .memory import LANES, Memory
from .program import Instruction, Program
from .tensor_cores import bf16_of, f16_of, mma, pack, tf32_of

SPECIAL = (
    *("tid.x", "ntid.x", "ntid.y"),
    *("ctaid.x", "ctaid.y", "ctaid.z", "nctaid.x", "nctaid.y", "nctaid.z"),
)
COMPARE = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
ARITHMETIC: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "min": np.minimum,
    "rem": np.fmod,  # the sign of the dividend, as PTX has it
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "shr": np.right_shift,
    "not": np.invert,
    "neg": np.negative,
}
BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


class Machine:
    """Runs one kernel: ``Machine(ptx).launch(grid, block, *arguments)``.

    Attributes:
        memory: the arrays; also counts bank conflicts.
    """

    def __init__(self, ptx: str) -> None:
        self.program = Program(ptx)
        self.memory = Memory(self.program.shared_size)

    def launch(self, grid: tuple[int, ...], block: int, *arguments: Any) -> None:
        """Run all blocks of a grid of one to three axes; arrays of one axis change in place."""
        self.parameters: list[int] = []
        for a in arguments:
            if isinstance(a, np.ndarray):
                place = self.memory.add(a)
                self.parameters += [0, 0, a.size, a.itemsize, place, a.size, a.itemsize]
            else:
                self.parameters.append(int(a))
        grid = (*grid, 1, 1)[:3]
        for z, y, x in np.ndindex(grid[::-1]):
            self._block((x, y, z), grid, block)

    def _block(self, index: tuple[int, ...], grid: tuple[int, ...], threads: int) -> None:
        self.n = threads
        self.registers: dict[str, np.ndarray] = {}
        self.memory.forget_shared()
        self.groups: list[list[Any]] = [[]]
        t = np.arange(threads, dtype=np.uint64)
        values: tuple[Any, ...] = (t, threads, 1, *index, *grid)
        special = dict(zip(SPECIAL, values))
        self.special = {f"%{k}": np.broadcast_to(np.uint64(v), threads) for k, v in special.items()}
        at = np.zeros(threads, np.int64)
        end = len(self.program.code)
        while (at < end).any():
            here = int(at.min())
            self.active = at == here
            instruction = self.program.code[here]
            if instruction.guard:
                name = instruction.guard.lstrip("!")
                self.active = self.active & (
                    self.registers[name] != instruction.guard[0].count("!")
                )
            at[at == here] += 1
            if instruction.name in ("bra", "ret"):
                at[self.active] = (
                    self.program.labels[instruction.operands[0]] if instruction.operands else end
                )
            elif self.active.any():
                getattr(self, f"op_{instruction.name}", self.arithmetic)(instruction)

    # -- registers ---------------------------------------------------------------------------------
    def read(self, operand: str, kind: str) -> np.ndarray:
        """The value of an operand in every thread."""
        if operand in self.special:
            raw = self.special[operand]
        elif operand.startswith("%"):
            raw = self.registers[operand]
        elif operand.startswith("0f"):
            raw = np.full(self.n, int(operand[2:], 16), np.uint64)
        else:
            place = self.program.shared_at.get(operand)
            number = int(operand, 0) if place is None else place
            raw = np.full(self.n, number & (2**64 - 1), np.uint64)
        if kind == "pred":
            return raw
        if kind.startswith("f"):
            return raw.astype(np.uint32).view(np.float32)
        size = int(kind[1:])
        left = np.uint64(64 - size)
        if kind.startswith("s"):
            return (raw << left).view(np.int64) >> left.astype(np.int64)
        return raw << left >> left

    def write(self, operand: str, value: np.ndarray, kind: str) -> None:
        """Set a register of the active threads."""
        if kind.startswith("f"):
            raw = np.asarray(value, np.float32).view(np.uint32).astype(np.uint64)
        else:
            left = np.uint64(0 if kind == "pred" else 64 - int(kind[1:]))
            raw = np.asarray(value).astype(np.uint64) << left >> left
        old = self.registers.get(operand, np.zeros(self.n, np.uint64))
        self.registers[operand] = np.where(self.active, raw, old)

    def arithmetic(self, i: Instruction) -> None:
        """Everything that takes numbers and gives a number."""
        target, *rest = i.operands
        if i.name not in ARITHMETIC:
            raise NotImplementedError(f"{i.text} {', '.join(i.operands)}")
        values = [self.read(x, i.kind) for x in rest]
        if "wide" in i.modifiers:
            product = values[0].astype(np.int64) * values[1].astype(np.int64)
            self.write(target, product, "b64")
            return
        with np.errstate(over="ignore", invalid="ignore"):
            self.write(target, ARITHMETIC[i.name](*values), i.kind)

    def op_mov(self, i: Instruction) -> None:
        kind = "b64" if i.kind == "pred" else i.kind
        self.write(i.operands[0], self.read(i.operands[1], kind), kind)

    def op_mad(self, i: Instruction) -> None:
        a, b, c = (self.read(x, i.kind) for x in i.operands[1:])
        self.write(i.operands[0], a * b + c, i.kind)

    def op_fma(self, i: Instruction) -> None:
        a, b, c = (self.read(x, "f32").astype(np.float64) for x in i.operands[1:])
        with np.errstate(over="ignore", invalid="ignore"):
            self.write(i.operands[0], (a * b + c).astype(np.float32), "f32")

    def op_setp(self, i: Instruction) -> None:
        a, b = (self.read(x, i.kind) for x in i.operands[1:])  # with a boolean operator: three
        self.write(i.operands[0], COMPARE[i.modifiers[0]](a, b), "pred")

    def op_selp(self, i: Instruction) -> None:
        yes, no = (self.read(x, i.kind) for x in i.operands[1:3])
        self.write(i.operands[0], np.where(self.read(i.operands[3], "pred") != 0, yes, no), i.kind)

    def op_bfi(self, i: Instruction) -> None:
        a, b, start, length = (self.read(x, "b32") for x in i.operands[1:])
        mask = ((np.uint64(1) << length) - np.uint64(1)) << start
        self.write(i.operands[0], (b & ~mask) | ((a << start) & mask), "b32")

    def op_cvta(self, i: Instruction) -> None:
        self.write(i.operands[0], self.read(i.operands[1], "b64"), "b64")

    def op_cvt(self, i: Instruction) -> None:
        if "tf32" in i.modifiers:
            self.write(i.operands[0], tf32_of(self.read(i.operands[1], "f32")), "b32")
        elif "bf16x2" in i.modifiers or "f16x2" in i.modifiers:
            high, low = (self.read(x, "f32") for x in i.operands[1:])
            bits = bf16_of if "bf16x2" in i.modifiers else f16_of
            self.write(i.operands[0], pack(bits(low), bits(high)), "b32")
        else:
            target, source = i.modifiers
            self.write(i.operands[0], self.read(i.operands[1], source), target)

    # -- memory ------------------------------------------------------------------------------------
    def address(self, operand: str) -> np.ndarray:
        base, _, offset = operand.strip("[]").partition("+")
        return self.read(base.strip(), "b64").astype(np.int64) + int(offset or 0)

    def op_ld(self, i: Instruction) -> None:
        space, kind = i.modifiers[0], i.kind
        targets = i.operands[0].strip("{}").replace(",", " ").split()
        if space == "param":
            number = self.parameters[int(i.operands[1].strip("[]").rpartition("_")[2])]
            self.write(targets[0], np.full(self.n, number, np.uint64), kind)
            return
        item = int(kind[1:]) // 8
        size, address = item * len(targets), self.address(i.operands[1])
        values = np.zeros((self.n, len(targets)), BITS[item])
        values[self.active] = self.memory.load(space, address[self.active], size).view(BITS[item])
        self.memory.count_conflicts(i.text, space, address, size, self.active)
        for target, value in zip(targets, values.T):
            self.write(target, value, f"b{8 * item}")

    def op_st(self, i: Instruction) -> None:
        space, item = i.modifiers[0], int(i.kind[1:]) // 8
        sources = i.operands[1].strip("{}").replace(",", " ").split()
        values = [self.read(s, f"b{8 * item}").astype(BITS[item]) for s in sources]
        data = np.stack(values, axis=1)[self.active].view(np.uint8)
        self.memory.store(space, self.address(i.operands[0])[self.active], data)

    def op_bar(self, i: Instruction) -> None:
        assert self.active.all(), "not all threads of the block reach this barrier"

    def op_cp(self, i: Instruction) -> None:
        if "commit_group" in i.modifiers:
            self.groups.append([])
        elif "wait_group" in i.modifiers:
            done = len(self.groups) - 1 - int(i.operands[0])
            for group in self.groups[: max(done, 0)]:
                for target, data in group:
                    self.memory.store("shared", target, data)
            self.groups = self.groups[max(done, 0) :]
        else:
            size, read = int(i.operands[2]), self.read(i.operands[3], "b32") != 0
            target, source = self.address(i.operands[0]), self.address(i.operands[1])
            self.memory.count_conflicts(i.text, "shared", target, size, self.active)
            data = np.zeros((self.n, size), np.uint8)
            read = read & self.active
            data[read] = self.memory.load("global", source[read], size)
            self.groups[-1].append((target[self.active], data[self.active]))

    # -- a warp together ---------------------------------------------------------------------------
    def whole_warps(self) -> None:
        """Fail unless every warp takes part with all its lanes or with none."""
        warps = self.active.reshape(-1, LANES)
        assert (warps.all(axis=1) | ~warps.any(axis=1)).all(), "a part of a warp is missing"

    def op_ldmatrix(self, i: Instruction) -> None:
        self.whole_warps()
        targets = i.operands[0].strip("{}").replace(",", " ").split()
        address = self.address(i.operands[1])
        values = np.zeros((len(targets), self.n), np.uint32)
        for warp in np.flatnonzero(self.active[::LANES]) * LANES:
            for m in range(len(targets)):
                rows = address[warp + 8 * m : warp + 8 * m + 8]
                matrix = self.memory.load("shared", rows, 16).view(np.uint16)
                matrix = matrix.T if "trans" in i.modifiers else matrix
                values[m, warp : warp + LANES] = (
                    np.ascontiguousarray(matrix).view(np.uint32).ravel()
                )
        self.memory.count_conflicts(i.text, "shared", address, 16, self.active)
        for target, value in zip(targets, values):
            self.write(target, value, "b32")

    def op_mma(self, i: Instruction) -> None:
        self.whole_warps()
        d, a, b, c = ([*re.findall(r"%\w+", group)] for group in i.operands)
        a, b, c = ([self.read(x, k) for x in xs] for xs, k in ((a, "b32"), (b, "b32"), (c, "f32")))
        results = mma(i.modifiers[-2], np.array(a), np.array(b), np.array(c))
        for target, value in zip(d, results):
            self.write(target, value, "f32")
