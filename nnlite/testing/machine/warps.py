"""Instructions of a whole warp: shuffles, votes, reductions, ``ldmatrix``, ``mma``.

Source: PTX ISA, sections "shfl.sync", "vote.sync", "match.sync", "activemask", "redux.sync",
"elect.sync", "bar.warp.sync", "Warp Level Matrix Instructions".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .access import addresses
from .arithmetic import refuse_unknown
from .banks import count_passes
from .machine import Machine, operation
from .memory import Fault
from .operands import Group, Number, Operand, Sink
from .program import Instruction
from .tensor_cores import mma
from .threads import LANES, Threads

ALL = 0xFFFFFFFF
BITS = np.uint64(1) << np.arange(LANES, dtype=np.uint64)


def ballot(t: Threads, votes: np.ndarray) -> np.ndarray:
    """Per thread, the bits of the lanes of its warp that vote."""
    words = (votes.reshape(-1, LANES) * BITS).sum(axis=1, dtype=np.uint64)
    return words[t.warp]


def meet(t: Threads, members: Operand) -> np.ndarray | None:
    """Keep those active whose warp's members all stand here; returns the others, if any.

    Lanes that have ended need not come.
    """
    mask = np.broadcast_to(t.read(members, "u32"), t.n).astype(np.uint64)
    if (t.active & (mask >> t.lane.astype(np.uint64) & np.uint64(1) == 0)).any():
        raise Fault("a lane is not a member of its own mask")
    missing = mask & ballot(t, t.live()) & ~ballot(t, t.active)
    held = t.active & (missing != 0)
    if not held.any():
        return None
    t.active = t.active & ~held
    t.everyone = False
    return held


def whole_warps(t: Threads) -> np.ndarray | None:
    """:func:`meet` of all 32 lanes, none of which may have ended."""
    held = meet(t, Number(ALL))
    warps = t.active.reshape(-1, LANES)
    if (warps.any(axis=1) & ~warps.all(axis=1)).any():
        raise Fault("a part of a warp is missing")
    return held


def _pair(operand: Operand) -> tuple[Operand, Operand]:
    if isinstance(operand, Group):
        return operand.items[0], operand.items[1]
    return operand, Sink()


@operation("shfl", collective=True)
def shuffle(i: Instruction, machine: Machine) -> Any:
    """``shfl.sync``: the value of another lane of the segment."""
    mode = i.modifiers[1]
    refuse_unknown(i, "sync", "up", "down", "bfly", "idx")
    value, inside = _pair(i.operands[0])
    source, lane, clamp, members = i.operands[1:]

    def act(t: Threads) -> Any:
        held = meet(t, members)
        x = np.broadcast_to(t.read(source, "b32"), t.n)
        b = np.broadcast_to(t.read(lane, "u32"), t.n).astype(np.int64) & 31
        c = np.broadcast_to(t.read(clamp, "u32"), t.n).astype(np.int64)
        segment = c >> 8 & 31
        most = (t.lane & segment) | (c & 31 & ~segment)
        goal = {
            "up": t.lane - b,
            "down": t.lane + b,
            "bfly": t.lane ^ b,
            "idx": (t.lane & segment) | (b & ~segment),
        }[mode]
        fits = goal >= most if mode == "up" else goal <= most
        goal = np.where(fits, goal, t.lane)
        thread = t.warp * LANES + goal
        if (t.active & ~t.active[thread]).any():
            raise Fault("the value of a lane that does not take part")
        t.write(value, x[thread], "b32")
        t.write(inside, fits, "pred")
        return held

    return act


@operation("vote", collective=True)
def votes(i: Instruction, machine: Machine) -> Any:
    """``vote.sync``: all, any, uni and ballot."""
    mode = i.modifiers[1]
    refuse_unknown(i, "sync", "all", "any", "uni", "ballot")
    target, source, members = i.operands

    def act(t: Threads) -> Any:
        held = meet(t, members)
        yes = np.broadcast_to(t.read(source, "pred"), t.n)
        mask = np.broadcast_to(t.read(members, "u32"), t.n).astype(np.uint64)
        given, asked = ballot(t, t.active & yes) & mask, ballot(t, t.active) & mask
        if mode == "ballot":
            t.write(target, given.astype(np.uint32), "b32")
        else:
            answers = {"all": given == asked, "any": given != 0}
            answer = answers.get(mode, (given == asked) | (given == 0))
            t.write(target, answer, "pred")
        return held

    return act


@operation("match", collective=True)
def matches(i: Instruction, machine: Machine) -> Any:
    """``match.sync``: the lanes that hold the same value."""
    refuse_unknown(i, "sync", "all", "any")
    target, same = _pair(i.operands[0])
    source, members = i.operands[1:]

    def act(t: Threads) -> Any:
        held = meet(t, members)
        x = np.broadcast_to(t.read(source, i.kind), t.n).reshape(-1, LANES)
        mask = np.broadcast_to(t.read(members, "u32"), t.n).astype(np.uint64)
        equal = (x[:, :, None] == x[:, None, :]) & t.active.reshape(-1, 1, LANES)
        found = (equal * BITS).sum(axis=2, dtype=np.uint64).ravel() & mask
        if "all" in i.modifiers:
            together = found == (ballot(t, t.active) & mask)
            found = np.where(together, found, 0)
            t.write(same, together, "pred")
        t.write(target, found.astype(np.uint32), "b32")
        return held

    return act


@operation("redux", collective=True)
def reductions(i: Instruction, machine: Machine) -> Any:
    """``redux.sync``: of integers, over the lanes of the mask."""
    functions: Any = {
        "add": np.add, "min": np.minimum, "max": np.maximum,
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    }  # fmt: skip
    refuse_unknown(i, "sync", *functions)
    function = functions[i.modifiers[1]]
    target, source, members = i.operands

    def act(t: Threads) -> Any:
        held = meet(t, members)
        x = np.broadcast_to(t.read(source, i.kind), t.n)
        mask = np.broadcast_to(t.read(members, "u32"), t.n)
        result = np.zeros(t.n, x.dtype)
        for warp in np.unique(t.warp[t.active]):
            lanes = slice(warp * LANES, (warp + 1) * LANES)
            for m in np.unique(mask[lanes][t.active[lanes]]):
                chosen = np.flatnonzero(t.active[lanes] & (mask[lanes] == m)) + warp * LANES
                result[chosen] = function.reduce(x[chosen])
        t.write(target, result, i.kind)
        return held

    return act


@operation("elect", collective=True)
def election(i: Instruction, machine: Machine) -> Any:
    """``elect.sync``: the lowest lane that is there."""
    leader, won = _pair(i.operands[0])

    def act(t: Threads) -> Any:
        held = meet(t, i.operands[1])
        present = ballot(t, t.active)
        first = np.bitwise_count((present & ~present + np.uint64(1)) - np.uint64(1))
        t.write(leader, first.astype(np.uint32), "b32")
        t.write(won, first == t.lane, "pred")
        return held

    return act


@operation("activemask")
def active_lanes(i: Instruction, machine: Machine) -> Any:
    """``activemask``."""
    return lambda t: t.write(i.operands[0], ballot(t, t.active).astype(np.uint32), "b32")


# -- matrices --------------------------------------------------------------------------------------
def _matrices(i: Instruction) -> int:
    return int(next(m for m in i.modifiers if m in ("x1", "x2", "x4"))[1:])


def rows_of(t: Threads, address: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The addresses of the rows of matrix ``number`` of each active warp, and whose they are."""
    warps = np.flatnonzero(t.active[::LANES])
    threads = (warps[:, None] * LANES + 8 * number + np.arange(8)).ravel()
    return address[threads], threads


@operation("ldmatrix", collective=True)
def load_matrices(i: Instruction, machine: Machine) -> Any:
    """``ldmatrix``: 8x8 matrices of 16-bit numbers."""
    refuse_unknown(i, "sync", "aligned", "m8n8", "x1", "x2", "x4", "trans", "shared", "shared::cta")
    targets = i.operands[0].items if isinstance(i.operands[0], Group) else i.operands[:1]

    def act(t: Threads) -> Any:
        held = whole_warps(t)
        address = addresses(t, i.operands[1])
        for number, target in enumerate(targets):
            rows, threads = rows_of(t, address, number)
            words = t.shared.load(rows, t.block[threads], 4, 4)
            if (rows % 16).any():
                raise Fault("ldmatrix: a row that is not at a multiple of 16 bytes")
            count_passes(t, i, threads, rows, 16)
            matrix = np.ascontiguousarray(words).view(np.uint16).reshape(-1, 8, 8)
            if "trans" in i.modifiers:
                matrix = matrix.transpose(0, 2, 1)
            result = np.zeros(t.n, np.uint32)
            result[t.active] = np.ascontiguousarray(matrix).view(np.uint32).ravel()
            t.write(target, result, "b32")
        return held

    return act


@operation("stmatrix", collective=True)
def store_matrices(i: Instruction, machine: Machine) -> Any:
    """``stmatrix``: the reverse of :func:`load_matrices`."""
    refuse_unknown(i, "sync", "aligned", "m8n8", "x1", "x2", "x4", "trans", "shared", "shared::cta")
    sources = i.operands[1].items if isinstance(i.operands[1], Group) else i.operands[1:]

    def act(t: Threads) -> Any:
        held = whole_warps(t)
        address = addresses(t, i.operands[0])
        for number, source in enumerate(sources):
            rows, threads = rows_of(t, address, number)
            words = np.ascontiguousarray(t.read(source, "b32")[t.active])
            matrix = words.view(np.uint16).reshape(-1, 8, 8)
            if "trans" in i.modifiers:
                matrix = matrix.transpose(0, 2, 1)
            values = np.ascontiguousarray(matrix).view(np.uint32).reshape(-1, 4)
            written = t.shared.store(rows, t.block[threads], values)
            count_passes(t, i, threads, rows, 16)
            if machine.proxies is not None:
                machine.proxies.written(t, threads, written, 4)
        return held

    return act


@operation("mma", collective=True)
def multiply(i: Instruction, machine: Machine) -> Any:
    """``mma.sync`` of tf32, bf16 and f16 with sums of float32."""
    kind = i.modifiers[-2]
    shape = {"tf32": "m16n8k8", "bf16": "m16n8k16", "f16": "m16n8k16"}.get(kind)
    if shape not in i.modifiers or i.modifiers[-4] != "f32" or i.kind != "f32":
        raise NotImplementedError(i.source)
    d, a, b, c = (g.items if isinstance(g, Group) else (g,) for g in i.operands)

    def act(t: Threads) -> Any:
        held = whole_warps(t)
        left, right = (np.array([t.read(x, "b32")[t.active] for x in xs]) for xs in (a, b))
        sums = np.array([np.broadcast_to(t.read(x, "f32"), t.n)[t.active] for x in c])
        results = np.zeros((len(d), t.n), np.float32)
        results[:, t.active] = mma(kind, left, right, sums)
        for target, value in zip(d, results):
            t.write(target, value, "f32")
        return held

    return act
