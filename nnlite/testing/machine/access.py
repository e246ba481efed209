"""Loads, stores and atomic operations.

Source: PTX ISA, sections "Data Movement and Conversion Instructions: ld, st", "Parallel
Synchronization and Communication Instructions: atom, red".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .arithmetic import refuse_unknown
from .banks import count_passes
from .machine import Machine, operation
from .memory import LOCAL_WINDOW, SHARED_WINDOW, UNSIGNED, WINDOW, Space
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
    """``ld``: one number or a vector, from the space that is named or that the address is of."""
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
            value = t.registers[f"{name}+{at}:{dtype.itemsize}"]
            t.write(targets[0], value.view(dtype), i.kind)

        return take

    def act(t: Threads) -> None:
        values = np.frombuffer(machine.parameters, dtype, len(targets), start + at)
        for target, value in zip(targets, values):
            t.write(target, value, i.kind)

    return act


@operation("st")
def stores(i: Instruction, machine: Machine) -> Any:
    """``st``: as :func:`loads`."""
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
    size = KINDS[i.kind].itemsize
    name, raw = f"{target.base.name}+{target.offset + target.base.offset}:{size}", f"b{8 * size}"

    def act(t: Threads) -> None:
        value = np.array(np.broadcast_to(_raw(t, i.operands[1], i.kind, raw), t.n))
        old = t.registers.get(name, value)
        t.registers[name] = value if t.everyone else np.where(t.active, value, old)

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
    """``atom`` and ``red``: thread by thread, in their order."""
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
    """``prefetch`` and its kin: nothing to see of them in the results."""
    return lambda t: None
