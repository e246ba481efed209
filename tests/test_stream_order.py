"""``nl.Stream``: what runs in which order, whose memory it takes, and how one is given back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numba import cuda

import nnlite as nl
from nnlite.errors import ArgumentError, DeviceError
from nnlite.kernels.engine import gpu
from nnlite.testing.fake_gpu import fake_gpu


def test_a_stream_runs_in_its_own_order(driver):
    x, side = nl.tensor(np.ones(5, np.float32)), nl.Stream()
    side.wait()
    with side:
        y = x + x
    unordered = y.numpy()  # read in the default stream, which has not waited
    assert not np.array_equal(unordered, [2] * 5)
    side.synchronize()
    assert y.numpy().tolist() == [2] * 5
    assert side.__cuda_stream__() == (0, side.handle)


def test_streams_wait_for_each_other(driver):
    a, b = nl.Stream(), nl.Stream("cuda:0")
    x = nl.tensor(np.ones(5, np.float32))
    a.wait()
    with a:
        y = x + x
        with b:
            b.wait(a)
            z = y + y
            assert z.numpy().tolist() == [4] * 5
        assert (y + z).numpy().tolist() == [6] * 5
    handles = set(driver._streams)
    del a, b, y, z
    assert handles > set(driver._streams) == {0}


def test_memory_of_a_stream_is_not_taken_by_others(driver):
    side = nl.Stream()
    with side:
        x = nl.zeros(5)
    address = x.pointer
    del x
    assert nl.zeros(5).pointer != address
    with side:
        assert nl.zeros(5).pointer == address
    del side
    held = [nl.zeros(5) for _ in range(2)]
    assert address in {h.pointer for h in held}


@nl.kernel
def set_all(out, value):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = value


def test_a_stream_of_a_launch(driver):
    side, out = nl.Stream(), nl.zeros(5)
    gpu.synchronize(out.device)
    for stream in (side, side.handle):
        set_all[1, 32, stream](out, np.float32(3))
        assert out.numpy().tolist() == [0] * 5, "it is still waiting in its stream"
    side.synchronize()
    assert out.numpy().tolist() == [3] * 5
    with pytest.raises(ArgumentError.__mro__[1], match="stream 'x' given"):
        set_all[1, 32, "x"](out, np.float32(3))


def test_a_graph_does_not_leave_its_stream(driver):
    side = nl.Stream()

    def step(x):
        y = x + x
        side.wait()
        with side:
            z = y + y
        side.synchronize()
        return z

    run = nl.graph(step)
    with pytest.warns(RuntimeWarning, match="a stream waits for another"):
        found = [run(nl.tensor(np.full(3, k, np.float32))).numpy().tolist() for k in range(4)]
    assert found == [[4 * k] * 3 for k in range(4)]


def test_streams_of_a_cpu_do_nothing():
    x = nl.tensor(np.ones(3, np.float32), device="cpu")
    side = nl.Stream("cpu")
    with side:
        side.wait()
        y = x + x
    side.synchronize()
    assert y.numpy().tolist() == [2, 2, 2]
    with fake_gpu(), pytest.raises(DeviceError, match="a stream of cuda:0 given, expected one of"):
        side.wait(nl.Stream("cuda"))


def test_a_stream_left_at_the_end_of_the_program_says_nothing(driver, monkeypatch):
    side, raised = nl.Stream(), []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    monkeypatch.setitem(sys.modules, "nnlite.kernels.engine.gpu.pool", None)  # no imports any more
    del side
    assert not raised
