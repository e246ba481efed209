"""``nl.graph`` called with more shapes than it keeps: few captures, and what goes is freed."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest

import nnlite as nl
from nnlite import captured
from nnlite.graph import RETURNS, SHAPES

WARNS = f"<lambda> is called with more than {SHAPES} shapes or values of arguments in turn"


def in_turn(run, sizes, turns, calls):
    """The texts of the warnings when each size comes so many times, then the next one."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(turns):
            for size in sizes:
                for k in range(calls):
                    x = np.arange(size, dtype=np.float32) + k
                    np.testing.assert_array_equal(run(nl.tensor(x)).numpy(), 2 * x)
    assert all(w.filename == __file__ for w in seen)
    return [str(w.message) for w in seen]


@pytest.mark.parametrize("calls", [1, 2, 4])
def test_shapes_in_turn_are_not_captured_for_ever(driver, calls):
    """Once there is no hope, those that have a graph keep it, and the others do without."""
    run, sizes = nl.graph(lambda x: x + x), range(1, SHAPES + 3)
    (text,) = in_turn(run, sizes, 6, calls)
    assert WARNS in text
    assert not run.reason
    before = run.captures, run.replays
    assert before[0] <= len(sizes) + RETURNS
    assert in_turn(run, sizes, 1, calls) == []
    assert (run.captures, run.replays) == (before[0], before[1] + SHAPES * calls)


def test_shapes_that_come_but_once_are_no_reason_to_stop(driver):
    run = nl.graph(lambda x: x + x)
    assert in_turn(run, range(1, 40), 1, 4) == []
    assert run.captures == 39


def test_captures_that_have_paid_may_go(driver, monkeypatch):
    monkeypatch.setattr(captured, "LASTING", 2)
    run = nl.graph(lambda x: x + x)
    assert in_turn(run, range(1, SHAPES + 2), 4, 5) == []
    assert run.captures == 4 * (SHAPES + 1)


def test_what_goes_is_freed(driver):
    """The graphs, their streams, and their memory, which the next ones take."""
    run = nl.graph(lambda x: x + x)
    in_turn(run, range(1, SHAPES + 1), 1, 4)
    gc.collect()
    held = len(driver._graphs), len(driver._streams), driver.allocated
    assert held[:2] == (2 * SHAPES, 1 + SHAPES)
    in_turn(run, range(SHAPES + 1, 5 * SHAPES), 1, 4)
    gc.collect()
    assert (len(driver._graphs), len(driver._streams)) == held[:2]
    assert driver.allocated <= held[2] + 4, "not anew for each graph"


def test_a_graph_in_use_in_another_mode_is_captured_once(driver):
    """That of the mode that came first is not needed any more, but it leads to the other one."""
    model = nl.nn.BatchNorm1d(3)
    run = nl.graph(model)

    def call(size, times):
        for _ in range(times):
            run(nl.tensor(np.ones((size, 3), np.float32)))

    call(2, 3)
    model.eval()
    call(2, 3)
    for size in range(3, SHAPES + 4):
        call(size, 3)
        call(2, 1)
    captures = run.captures
    call(2, 3)
    assert (captures, run.captures) == (2 + SHAPES + 1, captures)
