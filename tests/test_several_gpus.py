"""Several GPUs and several threads: what one of them does leaves the others alone."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

import nnlite as nl
from nnlite.kernels.engine.gpu.launch import Launcher
from nnlite.testing.fake_gpu import fake_gpu


@pytest.fixture
def driver():
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    with fake_gpu(gpus=2) as fake:
        yield fake


@nl.kernel
def store(value, out):
    out[0] = value


def test_no_thread_takes_back_what_another_is_allowed(driver, monkeypatch):
    """Of shared memory: a launch that asks for less may come between."""
    args = np.float32(2), nl.zeros(1)
    store[1, 1](*args)
    other = threading.Thread(target=store[1, 1, 0, 1000], args=args)
    allowed, allow = [], driver.allow_shared

    def allow_shared(index, kernel, nbytes):
        allow(index, kernel, nbytes)
        allowed.append(nbytes)
        if nbytes == 2000:
            other.start()
            other.join(0.2)

    monkeypatch.setattr(driver, "allow_shared", allow_shared)
    store[1, 1, 0, 2000](*args)
    other.join(20)
    assert allowed == [2000]


def test_a_launch_goes_to_the_gpu_of_its_arrays(driver, monkeypatch):
    """Though another thread makes the same launch on another GPU, and keeps its launcher there."""
    theirs, seen = Launcher(store[1, 1], nl.device("cuda:1")), []

    class Shared(type(store[1, 1])):
        on_gpu = property(lambda self: theirs, lambda self, mine: None)

    monkeypatch.setattr(driver, "launch", lambda index, *rest: seen.append(index))
    Shared(store, (1, 1))(np.float32(2), nl.zeros(1, device="cuda:0"))
    assert seen == [0]


@pytest.mark.parametrize("work", ["copies", "fills"])
def test_a_graph_holds_the_work_of_one_gpu(driver, work):
    """Without a launch, too, the work of another one would be missing in a replay."""
    source, target = (nl.zeros(3, device="cuda:1") for _ in range(2))
    made = []

    def step(x):
        if work == "copies":
            target.copy_from(source)
        else:
            made.append(nl.zeros(3, device="cuda:1"))
        return x + x

    run = nl.graph(step)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(6):
            x = np.full(3, k, np.float32)
            source.copy_from(x)
            assert run(nl.tensor(x, device="cuda:0")).numpy().tolist() == [2 * k] * 3
            assert work == "fills" or target.numpy().tolist() == [k] * 3
    assert ["it uses several GPUs" in str(w.message) for w in seen] == [True]
    assert work == "copies" or [m.numpy().tolist() for m in made] == [[0] * 3] * 6
