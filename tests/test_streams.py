"""Memory and several streams: what one has freed while another still works on it."""

from __future__ import annotations

import gc
import sys
from collections import deque

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.kernels.engine import gpu
from nnlite.kernels.engine.replay import beside, here
from nnlite.kernels.update.many import moving_table

pool = sys.modules["nnlite.kernels.engine.gpu.pool"]


@nl.kernel
def double(x, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] + x[i]


def doubled(x, stream=0):
    """2 x, by one launch."""
    out = nl.empty(x.shape)
    double[1, 32, stream](x, out)
    return out


def filled(value):
    return nl.array(np.full(5, value, np.float32))


def copied(x, stream=0):
    """2 x, by copies: of the GPU, and of strided items by a kernel."""
    out = nl.empty((5,))
    out.copy_from(x)
    assert out.numpy().tolist() == [2] * 5
    wide = nl.empty((2, 5))
    wide.T.copy_from(doubled(out).broadcast_to((2, 5)).T)
    return wide[0]


@pytest.fixture
def side(driver):
    """A stream; every kernel is compiled, as that leaves references to what it has seen."""
    made = nl.Stream()
    copied(doubled(filled(1)))
    gpu.synchronize(nl.device("cuda"))
    gc.collect()
    yield made
    assert here.stream == 0


def assert_reused_after(side, x, y, expected):
    """The memory of x goes to another array, which is written in the default stream, then y read.

    Args:
        side: the stream that y is computed in.
        x: a list that holds x alone.
    """
    address = x[0].pointer
    x.clear()
    others = [filled(7) for _ in range(3)]
    assert address in [o.pointer for o in others], "the memory is not kept for ever"
    for other in others:
        assert other.numpy().tolist() == [7] * 5
    with side:
        assert y.numpy().tolist() == expected
    for other in others:
        assert other.numpy().tolist() == [7] * 5


def test_its_own_stream_waits_for_another_one(side):
    x = [filled(2)]
    side.wait()
    with side:
        y = doubled(x[0])
    assert_reused_after(side, x, y, [4] * 5)


def test_a_launch_in_a_given_stream_counts(side):
    x = [filled(2)]
    side.wait()
    with side:
        out = nl.empty(5)
    double[1, 32, side](x[0], out)
    assert_reused_after(side, x, out, [4] * 5)


def test_copies_count(side):
    x = [filled(2)]
    side.wait()
    with side:
        out = nl.empty(5)
        out.copy_from(x[0])
    assert_reused_after(side, x, out, [2] * 5)


def test_what_another_stream_writes_counts(side):
    """Not only what is read: the write would come after that of the next owner."""
    x = [filled(2)]
    side.wait()
    with side:
        x[0].copy_from(np.full(5, 3, np.float32))
        y = doubled(x[0])
    assert_reused_after(side, x, y, [6] * 5)


def test_memory_of_a_side_stream_read_in_the_default_one(side):
    with side:
        x = [filled(2)]
    side.synchronize()
    y = doubled(x[0])
    address = x[0].pointer
    x.clear()
    with side:
        other = filled(7)
        assert other.pointer == address
        assert other.numpy().tolist() == [7] * 5
    assert y.numpy().tolist() == [4] * 5


def test_streams_that_are_gone_need_no_wait(driver):
    first, second = nl.Stream(), nl.Stream()
    with first:
        x = filled(2)
    first.synchronize()
    with second:
        y = doubled(x)
    second.synchronize()
    assert y.numpy().tolist() == [4] * 5
    address = x.pointer
    del first, second
    assert not beside
    del x
    others = [filled(7) for _ in range(4)]
    assert address in [o.pointer for o in others]


def test_memory_that_outlives_its_stream_belongs_to_the_default_one(driver):
    first, second = nl.Stream(), nl.Stream()
    with first:
        x = [filled(2)]
        doubled(x[0])
    first.synchronize()
    gc.collect()
    del first
    second.wait()
    with second:
        y = doubled(x[0])
    assert_reused_after(second, x, y, [4] * 5)


def test_a_graph_replayed_in_another_stream(side):
    w, x = nl.tensor(np.full(5, 2, np.float32)), nl.tensor(np.ones(5, np.float32))
    held, run = [w.array], nl.graph(lambda x: nl.Tensor(doubled(held[0])) + x)
    del w
    side.wait()
    with side:
        for _ in range(4):
            y = run(x)
    assert run.replays == 1
    assert_reused_by_graph(side, held, run, y)


def assert_reused_by_graph(side, held, run, y):
    """As long as there is the graph, others do not get what it reads."""
    address = held[0].pointer
    held.clear()
    others = [filled(7) for _ in range(4)]
    assert address not in [o.pointer for o in others]
    with side:
        assert y.numpy().tolist() == [5] * 5


def test_two_graphs_in_different_streams(side):
    """What both read goes with the last of them, after its work in the stream that it ran in."""
    held = [filled(2)]
    runs = [nl.graph(lambda: nl.Tensor(doubled(held[0]))) for _ in range(2)]
    for _ in range(4):
        ys = [run() for run in runs]  # hold the memory of the graphs: nobody waits when they go
    address = held.pop().pointer
    side.wait()
    with side:
        runs[1]()
    runs.pop(0)
    gc.collect()
    runs.clear()
    gc.collect()
    others = [filled(7) for _ in range(4)]
    assert address in [o.pointer for o in others], "the memory is not kept for ever"
    for other in others:
        assert other.numpy().tolist() == [7] * 5
    with side:
        assert ys[1].numpy().tolist() == [4] * 5


def test_tables_of_places_are_written_in_each_stream(side):
    """Both may read the same arrays; neither knows when the other has its table."""
    arrays = [filled(1), filled(2)]
    with side:
        moving_table(arrays)
    assert moving_table(arrays).numpy().tolist() == [a.place for a in arrays]


def test_nothing_is_noted_without_other_streams(driver):
    x = filled(2)
    doubled(x)
    assert not x.buffer.others
    assert not beside


def test_another_thread_may_have_given_the_last_stream_back(driver, monkeypatch):
    """Both have seen that one is left."""

    class Taken(deque):
        def popleft(self):
            self.clear()
            return super().popleft()

    left = Taken()
    monkeypatch.setattr(pool, "_waiting", left)
    pool.retire(0, driver, driver.create_stream(0))
    assert not left
