"""``wgmma``: products by the four warps of a warpgroup, from shared memory, that run by themselves.

With ``timing="late"`` a product reads shared memory when it is waited for, with ``"early"`` when it
begins: a tile that is overwritten too soon, or not yet there, is found by one of the two.

Source: PTX ISA, section "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions": the
figures of the fragments of "wgmma.mma_async.m64nNk8" and "m64nNk16", "Shared Memory Matrix Layout",
"Strides", "Swizzling Modes", "Matrix Descriptor Format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arithmetic import refuse_unknown
from .descriptors import DEPTH_BYTES, ROWS, Descriptor, accumulator_places, left_matrix
from .machine import Machine, operation
from .memory import Fault
from .operands import Group, Number, Operand, Register
from .program import Instruction
from .tensor_cores import unpack
from .threads import GROUP, Threads
from .warps import meet


@dataclass
class Product:
    """One ``wgmma.mma_async`` of a warpgroup.

    Attributes:
        sums: what it begins with: numbers, or promises of the product before.
        result: (registers, 128) float32 once it has run.
    """

    t: Threads
    group: int
    kind: str
    columns: int
    a: Any
    b: Descriptor
    sums: list[Any]
    signs: float
    turned: tuple[bool, bool]
    source: str
    result: Any = None

    def run(self) -> None:
        """Compute it, from shared memory as it is now."""
        item = 4 if self.kind == "tf32" else 2
        depth = DEPTH_BYTES // item
        if isinstance(self.a, Descriptor):
            left = self._matrix(self.a, ROWS, depth, item, self.turned[0])
        else:
            left = left_matrix(self.kind, self.a)
        right = self._matrix(self.b, self.columns, depth, item, self.turned[1])
        product = self.signs * (left @ right.T)
        row, column = accumulator_places(self.columns)
        total = product[row, column]
        for k, start in enumerate(self.sums):
            total[k] += start[0].result[start[1]] if isinstance(start, tuple) else start
        self.result = total.astype(np.float32)

    def _matrix(self, d: Descriptor, rows: int, depth: int, item: int, turned: bool) -> Any:
        t, address = self.t, d.places(rows, depth, item, turned).ravel()
        owners = np.full(address.size, t.block[self.group * GROUP])
        try:
            words = t.shared.load(address, owners, item, 1)[:, 0]
            at = t.shared.places(address, owners, item)
            assert t.machine.proxies is not None
            t.machine.proxies.taken(t, at[:, None] + np.arange(item))
        except Fault as error:
            raise Fault(f"{error}, by `{self.source}`") from None
        if item == 4:
            return unpack("tf32", words).reshape(rows, depth)
        return unpack(self.kind, words)[:, 0].reshape(rows, depth)


# -- instructions ----------------------------------------------------------------------------------
def _gather(t: Threads) -> np.ndarray | None:
    """Wait for all four warps of each warpgroup; returns those that still wait."""
    held = meet(t, Number(0xFFFFFFFF))
    if t.padded % GROUP:
        raise Fault("a block whose warps are no whole warpgroups")
    groups = t.active.reshape(-1, GROUP)
    part = groups.any(axis=1) & ~groups.all(axis=1)
    if not part.any():
        return held
    missing = t.active & np.repeat(part, GROUP)
    t.active, t.everyone = t.active & ~missing, False
    return missing if held is None else held | missing


@operation("wgmma", collective=True)
def warpgroup_products(i: Instruction, machine: Machine) -> Any:
    """``wgmma``: fence, mma_async, commit_group, wait_group."""
    watch = machine.watch
    assert watch is not None
    name = i.modifiers[0]
    if name == "mma_async":
        return _multiply(i, machine)
    if name not in ("fence", "commit_group", "wait_group"):
        raise NotImplementedError(i.source)
    refuse_unknown(i, name, "sync", "aligned")

    def act(t: Threads) -> Any:
        held = _gather(t)
        for group in watch.groups(t) if t.active.any() else ():
            under_way = t.state.setdefault(("products", group), [[]])
            if name == "fence":
                watch.fenced[group] = machine.steps
            elif name == "commit_group":
                under_way.append([])
            else:
                youngest = i.operands[0]
                assert isinstance(youngest, Number)
                done = max(len(under_way) - 1 - youngest.value, 0)
                _retire(t, group, [p for g in under_way[:done] for p in g])
                del under_way[:done]
        return held

    return act


def _retire(t: Threads, group: int, products: list[Product]) -> None:
    """Write the results of products to the registers that were promised them."""
    assert t.machine.watch is not None
    promises = t.machine.watch.promises.get(group, {})
    for product in products:
        if product.result is None:
            product.run()
    threads = slice(group * GROUP, (group + 1) * GROUP)
    for name, (product, number) in list(promises.items()):
        if any(product is p for p in products):
            value = t.registers[name].copy()
            value[threads] = product.result[number].view(np.uint32)
            t.registers[name] = value
            del promises[name]
    if not promises:
        t.machine.watch.promises.pop(group, None)


def _multiply(i: Instruction, machine: Machine) -> Any:
    kind, columns, a, b, keep, signs, turned = _operands(i)
    assert isinstance(i.operands[0], Group)
    names = [x.name for x in i.operands[0].items if isinstance(x, Register)]
    if len(names) != columns // 2:
        raise Fault(f"{len(names)} registers, expected {columns // 2}")

    def act(t: Threads) -> Any:
        held = _gather(t)
        if not t.active.any():
            return held
        assert machine.watch is not None
        kept = np.broadcast_to(t.read(keep, "pred"), t.n)
        for group in machine.watch.groups(t):
            first = group * GROUP
            threads = slice(first, first + GROUP)
            left: Any
            if isinstance(a, Group):
                _check_fence(t, group, [x.name for x in a.items if isinstance(x, Register)])
                left = np.array([t.read(x, "b32")[threads] for x in a.items])
            else:
                left = Descriptor.of(_same(t, a, threads))
            sums = _begin(t, group, names, threads) if kept[first] else []
            _check_fence(t, group, [n for n in names if not _promised(t, group, n)])
            right = Descriptor.of(_same(t, b, threads))
            source = f"{i.text} …"
            made = Product(t, group, kind, columns, left, right, sums, signs, turned, source)
            if machine.timing == "early":
                made.run()
            t.state.setdefault(("products", group), [[]])[-1].append(made)
            promises = machine.watch.promises.setdefault(group, {})
            for number, name in enumerate(names):
                if name not in t.registers:
                    t.unset(Register(name, 32))
                promises[name] = made, number
        return held

    return act


def _operands(i: Instruction) -> Any:
    """Kind, columns, a, b, scale-d, sign of the product, which are turned."""
    shape = re.fullmatch(r"m64n(\d+)k(\d+)", i.modifiers[3])
    kind = i.modifiers[5]
    depths = {"tf32": "8", "bf16": "16", "f16": "16"}
    if shape is None or depths.get(kind) != shape[2] or i.modifiers[4] != "f32":
        raise NotImplementedError(i.source)
    columns = int(shape[1])
    if columns % 8 or not 8 <= columns <= 256:
        raise Fault(f"{columns} columns, expected a multiple of 8 up to 256")
    _, a, b, keep, *numbers = i.operands
    values = [_immediate(x) for x in numbers]
    turned = [False, False]
    if kind != "tf32":
        given = [x == 1 for x in values[2:]]
        turned = [False, *given] if isinstance(a, Group) else given
    return kind, columns, a, b, keep, float(values[0] * values[1]), tuple(turned)


def _immediate(operand: Operand) -> int:
    if not isinstance(operand, Number) or operand.value not in (-1, 0, 1):
        raise Fault(f"{operand}: expected -1, 0 or 1")
    return operand.value


def _same(t: Threads, operand: Operand, threads: slice) -> int:
    """A descriptor, which all threads of a warpgroup must agree on."""
    found = np.unique(np.broadcast_to(t.read(operand, "b64"), t.n)[threads])
    if found.size != 1:
        raise Fault("the threads of a warpgroup name different matrices")
    return int(found[0])


def _promised(t: Threads, group: int, name: str) -> bool:
    assert t.machine.watch is not None
    return name in t.machine.watch.promises.get(group, {})


def _begin(t: Threads, group: int, names: list[str], threads: slice) -> list[Any]:
    """The sums that a product starts from: numbers of registers, or promises."""
    assert t.machine.watch is not None
    promises = t.machine.watch.promises.get(group, {})
    found: list[Any] = []
    for name in names:
        if name in promises:
            found.append(promises[name])
        else:
            found.append(t.registers[name][threads].view(np.float32).astype(np.float64))
    return found


def _check_fence(t: Threads, group: int, names: list[str]) -> None:
    watch = t.machine.watch
    assert watch is not None
    changed, fenced = watch.changed.get(group, {}), watch.fenced.get(group, -1)
    late = [n for n in names if changed.get(n, -1) > fenced]
    if late or fenced < 0:
        raise Fault(f"no wgmma.fence since {late[0] if late else 'the beginning'} changed")
