"""Loads, stores, atomic operations, and copies from global to shared memory (``cp.async``).

Source: PTX ISA, sections "Data Movement and Conversion Instructions: ld, st, cp.async", "Parallel
Synchronization and Communication Instructions: atom, red".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .arithmetic import refuse_unknown
from .banks import count_passes
from .machine import Machine, operation
from .memory import LOCAL_WINDOW, SHARED_WINDOW, UNSIGNED, WINDOW, Fault, Space
from .numbers import KINDS
from .operands import Address, Group, Number, Operand, Sink, Symbol
from .program import Instruction
from .threads import Threads

SPACES = ("global", "shared", "local", "const", "param")
HINTS = (
    *("volatile", "relaxed", "acquire", "release", "acq_rel", "weak", "nc", "ca", "cg", "cs"),
    *("lu", "cv", "wb", "wt", "cta", "gpu", "sys", "cluster", "L1::evict_first", "L1::evict_last"),
    *("L1::no_allocate", "L2::128B", "L2::256B", "L2::64B", "unified", "L1::evict_normal"),
)
VECTORS = {"v2": 2, "v4": 4, "v8": 8}


def space_of(i: Instruction) -> str:
    """The space that an instruction names; ``"generic"`` if none."""
    plain = [m.partition("::")[0] for m in i.modifiers]
    return next((m for m in plain if m in SPACES), "generic")


def addresses(t: Threads, operand: Operand) -> np.ndarray:
    """The addresses of an operand in square brackets, of all threads."""
    assert isinstance(operand, Address), operand
    base = np.asarray(t.read(operand.base, "u64"))
    return np.broadcast_to(base.astype(np.int64), t.n) + operand.offset


Part = tuple[Space, np.ndarray, np.ndarray, np.ndarray]


def parts(t: Threads, space: str, address: np.ndarray) -> Iterator[Part]:
    """The spaces that the active threads address: each with threads, addresses and owners."""
    threads = np.flatnonzero(t.active)
    chosen = address[threads]
    if space != "generic":
        yield _part(t, space, threads, chosen)
        return
    for name, start, end in (
        ("shared", SHARED_WINDOW, SHARED_WINDOW + WINDOW),
        ("local", LOCAL_WINDOW, LOCAL_WINDOW + WINDOW),
    ):
        there = (chosen >= start) & (chosen < end)
        if there.any():
            yield _part(t, name, threads[there], chosen[there] - start)
            threads, chosen = threads[~there], chosen[~there]
    if threads.size:
        yield _part(t, "global", threads, chosen)


def _part(t: Threads, space: str, threads: np.ndarray, address: np.ndarray) -> Part:
    if space == "shared":
        return t.shared, threads, address, t.block[threads]
    if space == "local":
        return t.local, threads, address, threads
    return t.machine.memory, threads, address, np.zeros(threads.size, np.int64)


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Group) else (operand,)


@operation("ld", "ldu")
def loads(i: Instruction, machine: Machine) -> Any:
    refuse_unknown(i, *HINTS, *SPACES, *VECTORS, "shared::cta")
    space, kind = space_of(i), i.kind
    targets, item = _items(i.operands[0]), KINDS[kind].itemsize
    if space == "param":
        return _load_parameter(i, machine)

    def act(t: Threads) -> None:
        address = addresses(t, i.operands[1])
        values = np.zeros((t.n, len(targets)), UNSIGNED[item])
        for memory, threads, places, owners in parts(t, space, address):
            values[threads] = memory.load(places, owners, item, len(targets))
            if memory is t.shared:
                count_passes(t, i, threads, places, item * len(targets))
        for k, target in enumerate(targets):
            t.write(target, np.ascontiguousarray(values[:, k]).view(KINDS[kind]), kind)

    return act


def _load_parameter(i: Instruction, machine: Machine) -> Any:
    source = i.operands[1]
    assert isinstance(source, Address)
    assert isinstance(source.base, Symbol)
    name, targets, dtype = source.base.name, _items(i.operands[0]), KINDS[i.kind]
    start = next((p.offset for p in machine.program.parameters if p.name == name), None)
    at = source.offset + source.base.offset
    if start is None:  # of a function: a register that bears its name

        def take(t: Threads) -> None:
            value = t.registers[f"{name}+{at}"]
            t.write(targets[0], value.view(dtype), i.kind)

        return take

    def act(t: Threads) -> None:
        values = np.frombuffer(machine.parameters, dtype, len(targets), start + at)
        for target, value in zip(targets, values):
            t.write(target, value, i.kind)

    return act


@operation("st")
def stores(i: Instruction, machine: Machine) -> Any:
    refuse_unknown(i, *HINTS, *SPACES, *VECTORS, "shared::cta")
    space, item = space_of(i), KINDS[i.kind].itemsize
    sources, raw = _items(i.operands[1]), f"b{8 * KINDS[i.kind].itemsize}"
    if space == "param":
        return _store_parameter(i)

    def act(t: Threads) -> None:
        address = addresses(t, i.operands[0])
        values = np.empty((t.n, len(sources)), UNSIGNED[item])
        for k, source in enumerate(sources):
            values[:, k] = _raw(t, source, i.kind, raw)
        for memory, threads, places, owners in parts(t, space, address):
            written = memory.store(places, owners, values[threads])
            if memory is t.shared:
                count_passes(t, i, threads, places, item * len(sources))
                if machine.proxies is not None:
                    machine.proxies.written(t, threads, written, item)

    return act


def _raw(t: Threads, operand: Operand, kind: str, raw: str) -> np.ndarray:
    """The bits of a number of a kind."""
    if isinstance(operand, Number):
        return t.read(operand, kind).view(KINDS[raw])
    return t.read(operand, raw)


def _store_parameter(i: Instruction) -> Any:
    target = i.operands[0]
    assert isinstance(target, Address)
    assert isinstance(target.base, Symbol)
    name = f"{target.base.name}+{target.offset + target.base.offset}"
    raw = f"b{8 * KINDS[i.kind].itemsize}"

    def act(t: Threads) -> None:
        t.registers[name] = np.array(np.broadcast_to(_raw(t, i.operands[1], i.kind, raw), t.n))

    return act


# -- atomic operations -----------------------------------------------------------------------------
ATOMIC: dict[str, Callable[..., Any]] = {
    "add": lambda old, x: old + x,
    "min": lambda old, x: np.minimum(old, x),
    "max": lambda old, x: np.maximum(old, x),
    "and": lambda old, x: old & x,
    "or": lambda old, x: old | x,
    "xor": lambda old, x: old ^ x,
    "exch": lambda old, x: x,
    "inc": lambda old, x: np.where(old >= x, 0, old + 1).astype(x.dtype),
    "dec": lambda old, x: np.where((old == 0) | (old > x), x, old - 1).astype(x.dtype),
    "cas": lambda old, compared, x: np.where(old == compared, x, old),
}


@operation("atom", "red")
def atomics(i: Instruction, machine: Machine) -> Any:
    refuse_unknown(i, *HINTS, *SPACES, *ATOMIC, "shared::cta")
    function = ATOMIC[next(m for m in i.modifiers if m in ATOMIC)]
    space, kind = space_of(i), i.kind
    target = i.operands[0] if i.name == "atom" else Sink()
    place, *operands = i.operands[i.name == "atom" :]

    def act(t: Threads) -> None:
        address = addresses(t, place)
        values = [np.broadcast_to(t.read(x, kind), t.n) for x in operands]
        before = np.zeros(t.n, KINDS[kind])
        for memory, threads, places, owners in parts(t, space, address):
            before[threads] = _in_turn(memory, places, owners, function, threads, values)
        t.write(target, before, kind)

    return act


def _in_turn(
    memory: Space,
    places: np.ndarray,
    owners: np.ndarray,
    function: Callable[..., Any],
    threads: np.ndarray,
    values: list[np.ndarray],
) -> np.ndarray:
    """Update memory thread by thread; those with different addresses at a time."""
    dtype = values[0].dtype
    found = np.zeros(threads.size, dtype)
    left = np.arange(threads.size)
    while left.size:
        _, first = np.unique(np.stack([owners[left], places[left]]), axis=1, return_index=True)
        now = left[first]
        old = memory.load(places[now], owners[now], dtype.itemsize, 1)[:, 0].view(dtype)
        found[now] = old
        new = np.ascontiguousarray(function(old, *[v[threads[now]] for v in values]), dtype)
        memory.store(places[now], owners[now], new.view(UNSIGNED[dtype.itemsize])[:, None])
        left = np.delete(left, first)
    return found


@operation("prefetch", "prefetchu", "discard", "applypriority")
def hints(i: Instruction, machine: Machine) -> Any:
    return lambda t: None


# -- cp.async --------------------------------------------------------------------------------------
class _Copy:
    """Copies that one instruction began: of each thread the target, the bytes and the group."""

    def __init__(self, threads: np.ndarray, target: np.ndarray, data: np.ndarray, group: Any):
        self.threads, self.target, self.data, self.group = threads, target, data, group

    def finish(self, t: Threads, chosen: np.ndarray) -> None:
        """Write those of the chosen threads, and forget them."""
        owners = t.block[self.threads[chosen]]
        t.shared.store(self.target[chosen], owners, self.data[chosen])
        for name in ("threads", "target", "data", "group"):
            setattr(self, name, getattr(self, name)[~chosen])


def asynchronous_copies(i: Instruction, machine: Machine) -> Any:
    """``cp.async`` of 4, 8 and 16 bytes, and what commits and waits for groups of them.

    Each thread has groups of its own. What is read is read when the copy begins.
    """
    if "commit_group" in i.modifiers:

        def commit(t: Threads) -> None:
            _groups(t)[t.active] += 1

        return commit
    if "wait_group" in i.modifiers or "wait_all" in i.modifiers:
        youngest = int(i.operands[0].value) if i.operands else -1  # type: ignore[union-attr]
        return lambda t: _finish(t, youngest)
    refuse_unknown(i, "async", "ca", "cg", "shared", "global", *HINTS, "shared::cta")
    target, source, size, *read = i.operands
    assert isinstance(size, Number)

    def act(t: Threads) -> None:
        threads = np.flatnonzero(t.active)
        to, origin = addresses(t, target)[threads], addresses(t, source)[threads]
        taken = np.full(t.n, size.value, np.uint32) if not read else t.read(read[0], "u32")
        taken = np.broadcast_to(taken, t.n)[threads]
        if ((taken != 0) & (taken != size.value)).any():
            raise NotImplementedError(f"{i.source}: a part of the bytes")
        data = np.zeros((threads.size, size.value // 4), np.uint32)
        wanted = taken != 0
        nobody = np.zeros(int(wanted.sum()), np.int64)
        data[wanted] = machine.memory.load(origin[wanted], nobody, 4, size.value // 4)
        if (origin[wanted] % size.value).any():
            raise Fault(f"{size.value} bytes of global memory: not aligned")
        count_passes(t, i, threads, to, size.value)
        t.shared.places(to, t.block[threads], size.value)
        copy = _Copy(threads, to, data, _groups(t)[threads])
        if machine.timing == "early":
            copy.finish(t, np.ones(threads.size, bool))
        else:
            t.state.setdefault("copies", []).append(copy)

    return act


def _groups(t: Threads) -> np.ndarray:
    """How many groups each thread has committed."""
    return t.state.setdefault("groups", np.zeros(t.n, np.int64))


def _finish(t: Threads, youngest: int) -> None:
    """Finish the groups of the active threads but the youngest; -1: all, committed or not."""
    committed = _groups(t)
    for copy in t.state.get("copies", []):
        chosen = t.active[copy.threads]
        if youngest >= 0:
            chosen = chosen & (copy.group < committed[copy.threads] - youngest)
        if chosen.any():
            copy.finish(t, chosen)
    t.state["copies"] = [c for c in t.state.get("copies", []) if c.threads.size]
