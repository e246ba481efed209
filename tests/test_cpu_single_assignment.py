"""Single assignment in two walks gives programs that compute what Numba's own pass gives."""

from __future__ import annotations

from collections import Counter

import pytest
from numba.core import ir
from numba.core.compiler import run_frontend
from numba.core.ssa import reconstruct_ssa

from nnlite.kernels.engine.cpu.single_assignment import rename


def straight(a, b):
    c = a + b
    c = c * a
    a = c - b
    return a + c


def branches(a, b):
    if a > b:
        c = a
    elif a == b:
        c = a + 1
        a = c
    else:
        c = b
    return c + a


def nested_loops(n, m):
    total = 0
    for i in range(n):
        part = i
        for j in range(m):
            if j == i:
                continue
            part = part + j
            total = total + part
        total = total + part
    return total


def swapped_each_turn(n):
    a, b = 0, 1
    while n > 0:
        a, b = b, a + b
        n = n - 1
    return a


def assigned_on_one_way(n):
    if n > 3:
        x = n
    if n > 3:
        n = x + 1
    return n


def left_from_within(n):
    last = -1
    for i in range(n):
        last = i * 2
        if last > 7:
            break
        last = last + i
    return last


FUNCTIONS = [
    straight,
    branches,
    nested_loops,
    swapped_each_turn,
    assigned_on_one_way,
    left_from_within,
]


def is_phi(statement):
    return isinstance(statement, ir.Assign) and getattr(statement.value, "op", "") == "phi"


def phis(blocks):
    """How many incoming values each phi node has, by block and variable."""
    return sorted(
        (label, s.target.unversioned_name, len(s.value.incoming_values))
        for label, block in blocks.items()
        for s in block.body
        if is_phi(s)
    )


def reached(blocks):
    """The places of the assignments that the variables of each statement come from."""
    where = {
        s.target.name: (label, "phi" if is_phi(s) else s.loc.line)
        for label, block in blocks.items()
        for s in block.find_insts(ir.Assign)
    }
    return [
        (label, sorted((where[v.name] for v in s.list_vars() if v.name in where), key=str))
        for label, block in blocks.items()
        for s in block.body
        if not is_phi(s)
    ]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_use_is_reached_by_what_reaches_it_in_numbas_own_pass(function):
    ours, theirs = run_frontend(function), reconstruct_ssa(run_frontend(function))
    rename(ours.blocks)
    assert reached(ours.blocks) == reached(theirs.blocks)
    assert phis(ours.blocks) == phis(theirs.blocks)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_variable_is_assigned_once(function):
    program = run_frontend(function)
    rename(program.blocks)
    targets = Counter(
        s.target.name for block in program.blocks.values() for s in block.find_insts(ir.Assign)
    )
    assert set(targets.values()) == {1}


def test_some_functions_need_it():
    assert phis(reconstruct_ssa(run_frontend(nested_loops)).blocks)
    assert not phis(reconstruct_ssa(run_frontend(straight)).blocks)
