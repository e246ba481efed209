"""Bulk copies between global and shared memory by the tensor memory accelerator (TMA).

A load takes effect when somebody waits for it (``timing="late"``) or at once (``"early"``).

Source: PTX ISA, sections "cp.async.bulk", "cp.async.bulk.tensor", "cp.async.bulk.commit_group",
"cp.async.bulk.wait_group", "Tensors: Swizzling Modes".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .access import HINTS, addresses
from .arithmetic import refuse_unknown
from .copies import asynchronous_copies
from .machine import Machine, operation
from .mbarriers import find, keys
from .memory import UNSIGNED, Fault
from .operands import Address, Number
from .program import Instruction
from .tensor_maps import WORDS, TensorMap, swizzled
from .threads import Threads

KNOWN = (
    *("async", "bulk", "tensor", "tile", "global", "shared::cluster", "shared::cta", "bulk_group"),
    *("mbarrier::complete_tx::bytes", "1d", "2d", "3d", "4d", "5d", "L2::cache_hint", "read"),
    *("commit_group", "wait_group", *HINTS),
)
UNIT, BOX_ALIGN, MAP_ALIGN = 16, 128, 64  # bytes


@operation("cp")
def copies(i: Instruction, machine: Machine) -> Any:
    """``cp.async``, ``cp.async.bulk`` and what commits them and waits for them."""
    if "bulk" not in i.modifiers:
        return asynchronous_copies(i, machine)
    if "prefetch" in i.modifiers:
        return lambda t: None
    refuse_unknown(i, *KNOWN)
    if "commit_group" in i.modifiers:
        return _commit
    if "wait_group" in i.modifiers:
        youngest = i.operands[0]
        assert isinstance(youngest, Number)
        return lambda t: _wait(t, youngest.value)
    if "mbarrier::complete_tx::bytes" in i.modifiers:
        return _load(i, machine)
    return _store(i, machine)


# -- loads -----------------------------------------------------------------------------------------
def _load(i: Instruction, machine: Machine) -> Any:
    tensor = "tensor" in i.modifiers
    barriers = i.operands[2] if tensor else i.operands[3]

    def act(t: Threads) -> None:
        target = addresses(t, i.operands[0])
        for thread, key in keys(t, barriers):
            find(t, key, asynchronous=True)
            to = int(target[thread])
            if tensor:
                box, start = _box(t, i.operands[1], thread)
                _check(to, BOX_ALIGN, "the target of a box")
                finish = partial(_fill_box, t, thread, to, box, start, key)
            else:
                origin = int(addresses(t, i.operands[1])[thread])
                size = int(np.broadcast_to(t.read(i.operands[2], "u32"), t.n)[thread])
                for value in (to, origin, size):
                    _check(value, UNIT, "an address or size of a bulk copy")
                finish = partial(_fill, t, thread, to, origin, size, key)
            if machine.timing == "early":
                finish()
            else:
                t.state.setdefault("pending", []).append(finish)

    return act


def _check(value: int, multiple: int, what: str) -> None:
    if value % multiple:
        raise Fault(f"{what}: {value}, expected a multiple of {multiple}")


def _box(t: Threads, operand: Any, thread: int) -> tuple[TensorMap, tuple[int, ...]]:
    """The map and the first coordinates that an operand ``[map, {x, y}]`` names."""
    assert isinstance(operand, Address)
    address = int(addresses(t, operand)[thread])
    _check(address, MAP_ALIGN, "the address of a tensor map")
    raw = t.machine.memory.read(address, 8 * WORDS)
    try:
        found = TensorMap.from_words(raw)
    except ValueError as error:
        raise Fault(f"{error}, at {t.machine.memory.describe(address)}") from None
    start = tuple(int(np.broadcast_to(t.read(x, "s32"), t.n)[thread]) for x in operand.coordinates)
    if len(start) != len(found.box):
        raise Fault(f"{len(start)} coordinates of a tensor of {len(found.box)} axes")
    return found, start


def _fill_box(
    t: Threads, thread: int, to: int, box: TensorMap, start: tuple[int, ...], key: Any
) -> None:
    address, inside = box.items(start)
    values = np.zeros(address.shape, UNSIGNED[box.itemsize])
    wanted = address[inside]
    nobody = np.zeros(wanted.size, np.int64)
    values[inside] = t.machine.memory.load(wanted, nobody, box.itemsize, 1)[:, 0]
    _put(t, thread, box_places(to, box), values.reshape(-1, 1))
    _arrived(t, key, box.nbytes)


def box_places(to: int, box: TensorMap) -> np.ndarray:
    """Where the items of a box go in shared memory, in their order."""
    if box.swizzle and box.box[0] * box.itemsize != box.swizzle:
        raise NotImplementedError("a box whose rows are shorter than the swizzle")
    return swizzled(to + np.arange(int(np.prod(box.box))) * box.itemsize, box.swizzle)


def _fill(t: Threads, thread: int, to: int, origin: int, size: int, key: Any) -> None:
    words = np.arange(0, size, 4)
    values = t.machine.memory.load(origin + words, np.zeros(words.size, np.int64), 4, 1)
    _put(t, thread, to + words, values)
    _arrived(t, key, size)


def _put(t: Threads, thread: int, address: np.ndarray, values: np.ndarray) -> None:
    owners = np.full(address.size, t.block[thread])
    written = t.shared.store(address, owners, values)
    assert t.machine.proxies is not None
    t.machine.proxies.replaced(t, written[:, :, None] + np.arange(values.itemsize))


def _arrived(t: Threads, key: Any, nbytes: int) -> None:
    barrier = find(t, key)
    barrier.expect(-nbytes)
    barrier.turn(t)


# -- stores ----------------------------------------------------------------------------------------
class _Stores:
    """The stores that each thread has begun, by the group they are of."""

    def __init__(self, t: Threads) -> None:
        self.committed = np.zeros(t.n, np.int64)
        self.begun: list[tuple[int, int, Callable[[], None]]] = []


def _stores(t: Threads) -> _Stores:
    return t.state.setdefault("stores", _Stores(t))


def _commit(t: Threads) -> None:
    _stores(t).committed[t.active] += 1


def _wait(t: Threads, youngest: int) -> None:
    stores = _stores(t)
    left = []
    for thread, group, finish in stores.begun:
        if t.active[thread] and group < stores.committed[thread] - youngest:
            finish()
        else:
            left.append((thread, group, finish))
    stores.begun = left


def _store(i: Instruction, machine: Machine) -> Any:
    if "tensor" not in i.modifiers or "bulk_group" not in i.modifiers:
        raise NotImplementedError(i.source)

    def act(t: Threads) -> None:
        origin = addresses(t, i.operands[1])
        for thread in np.flatnonzero(t.active).tolist():
            box, start = _box(t, i.operands[0], thread)
            _check(int(origin[thread]), BOX_ALIGN, "the source of a box")
            finish = partial(_empty_box, t, thread, int(origin[thread]), box, start)
            stores = _stores(t)
            if machine.timing == "early":
                finish()
            else:
                stores.begun.append((thread, int(stores.committed[thread]), finish))

    return act


def _empty_box(
    t: Threads, thread: int, origin: int, box: TensorMap, start: tuple[int, ...]
) -> None:
    address, inside = box.items(start)
    places = box_places(origin, box)
    owners = np.full(places.size, t.block[thread])
    values = t.shared.load(places, owners, box.itemsize, 1)
    assert t.machine.proxies is not None
    at = t.shared.places(places, owners, box.itemsize)
    t.machine.proxies.taken(t, at[:, None] + np.arange(box.itemsize))
    wanted = inside.ravel()
    nobody = np.zeros(int(wanted.sum()), np.int64)
    t.machine.memory.store(address.ravel()[wanted], nobody, values[wanted])
