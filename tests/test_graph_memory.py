"""What memory a graph of ``nl.graph`` keeps, what ends it, and what waits for a capture."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

import nnlite as nl
from nnlite.autograd import mode
from nnlite.kernels.engine import gpu
from nnlite.kernels.engine.gpu.graph import Graph
from nnlite.kernels.engine.replay import here, repeated

ONES = np.ones(3, np.float32)


def x_of(value):
    return nl.tensor(np.full(3, value, np.float32))


def replaying(step, *args):
    """The graph of a step, replayed at least once."""
    run = nl.graph(step)
    for _ in range(4):
        run(*args)
    assert run.replays, run.reason
    return run


def test_memory_that_is_copied_is_kept(driver):
    """A copy inside the GPU is no launch, whose arguments are seen."""
    held = [nl.array(ONES)]

    def step(x):
        y = nl.empty(3)
        y.copy_from(held[0])
        return nl.Tensor(y) + x

    run = replaying(step, x_of(1))
    address = held.pop().pointer
    others = [x_of(9) for _ in range(8)]
    assert address not in [o.array.pointer for o in others]
    assert run(x_of(2)).numpy().tolist() == [3] * 3


# -- tensors with other arrays ---------------------------------------------------------------------
def test_only_graphs_that_use_a_tensor_end_when_it_moves(driver):
    models = [nl.nn.Linear(3, 2) for _ in range(2)]
    x = nl.tensor(np.ones((4, 3), np.float32))
    runs = [replaying(model, x) for model in models]
    models[1].to("cpu").to(x.device)
    for _ in range(4):
        for model, run in zip(models, runs):
            np.testing.assert_array_equal(run(x).numpy(), model(x).numpy())
    assert [run.captures for run in runs] == [1, 2]


def test_a_graph_ends_when_a_tensor_leaves_memory_of_another_graph(driver):
    """One graph works on what another has made; then there is something else in its place."""
    first = replaying(lambda x: x + x, x_of(2))
    shared = first(x_of(2))
    second = replaying(lambda x: shared + x, x_of(1))
    shared.array = nl.array(10 * ONES)
    for _ in range(4):
        assert second(x_of(1)).numpy().tolist() == [11] * 3
    assert second.captures == 2


def test_a_step_that_gives_a_tensor_another_array_is_given_up(driver):
    """What it works on lies elsewhere in each call."""
    state = nl.tensor(np.zeros(3, np.float32))

    def step(x):
        state.array = (state + x).array
        return state + x

    run = nl.graph(step)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(20):
            assert run(x_of(k)).numpy().tolist() == [k * (k + 1) / 2 + k] * 3
    assert [("had to be captured again soon" in str(w.message)) for w in seen] == [True]
    assert run.replays == 0


def test_views_of_one_memory_count(driver):
    whole = nl.array(np.arange(6, dtype=np.float32))
    w = nl.Tensor(whole[3:])
    run = replaying(lambda x: x + w, x_of(0))
    w.array = nl.array(10 * ONES)
    for _ in range(3):
        assert run(x_of(1)).numpy().tolist() == [11] * 3
    assert run.captures == 2


def test_two_threads_may_capture_graphs_of_one_memory(driver, monkeypatch):
    """It stays until both are gone, though one notes its own while the other one does."""
    shared, graphs = nl.array(ONES), [Graph(0), Graph(0)]
    other = threading.Thread(target=shared.buffer.used_by, args=(graphs[1],))

    class Interrupting:
        @staticmethod
        def ref(graph):
            if graph is graphs[0]:
                other.start()
                other.join(0.2)
            return weakref.ref(graph)

    monkeypatch.setattr(sys.modules["nnlite.kernels.engine.gpu.pool"], "weakref", Interrupting)
    shared.buffer.used_by(graphs[0])
    other.join(20)
    assert {known() for known in shared.buffer.graphs} == set(graphs)


def test_an_array_that_a_tensor_has_already_ends_no_graph(driver):
    w = nl.tensor(ONES)
    run = replaying(lambda x: x + w, x_of(0))
    w.array = w.array
    assert run(x_of(1)).numpy().tolist() == [2] * 3
    assert run.captures == 1


# -- while a capture is under way ------------------------------------------------------------------
@pytest.fixture
def raised(monkeypatch):
    """What finalizers raise."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


def test_a_graph_that_goes_during_a_capture_waits_for_its_end(driver, raised):
    old, seen = [replaying(lambda x: x + x, x_of(1))], []

    def step(x):
        if here.recorder is not None and here.recorder.doing == "capture" and old:
            old.clear()
            gc.collect()
            seen.append(len(driver._graphs))
        return x * x

    run = replaying(step, x_of(3))
    assert seen == [2], "the graph and what the driver has made ready of it"
    assert run(x_of(3)).numpy().tolist() == [9] * 3
    assert not raised
    assert len(driver._graphs) == 2, "those of the second"
    assert len(driver._streams) == 2, "the default one, and that of the second"


def test_an_exception_at_the_beginning_of_a_capture_leaves_no_recorder(driver, monkeypatch):
    def refuse(index, stream):
        raise MemoryError("GPU: no room for a graph")

    run = nl.graph(lambda x: x + x)
    run(x_of(1))
    monkeypatch.setattr(driver, "begin_capture", refuse)
    with pytest.raises(MemoryError, match="no room"):
        run(x_of(1))
    assert here.recorder is None
    gpu.synchronize(nl.device("cuda"))


# -- what Python code looks at ---------------------------------------------------------------------
@pytest.mark.parametrize("inside", [False, True])
def test_training_and_evaluation_have_graphs_of_their_own(driver, inside):
    """Each is captured once, whether or not the step sets modes of its own, too."""
    layers = nl.nn.Linear(3, 4), nl.nn.BatchNorm1d(4), nl.nn.Dropout(0.5)
    model, x = nl.nn.Sequential(*layers), nl.tensor(np.ones((2, 3), np.float32))

    def step(x):
        if inside:
            model.eval()
            assert model(x).shape == (2, 4)
            model.train()
        return model(x)

    run = nl.graph(step)
    for number in range(20):
        model.train(number % 10 < 5)
        masked = (run(x).numpy() == 0).any()
        assert not masked or model.training or inside
    assert (run.captures, run.replays, run.reason) == (2, 14, "")


def test_settings_choose_the_graph(driver):
    """Those that decide which kernels run, and whether gradients are recorded."""

    def step(x):
        high = nl.get_float32_matmul_precision() == "high"
        return x * (2.0 if high else 3.0) + (1.0 if mode.enabled else 0.0)

    run, before = nl.graph(step), nl.get_float32_matmul_precision()
    try:
        for number in range(24):
            precision = ("highest", "high")[number % 2]
            nl.set_float32_matmul_precision(precision)
            with nl.no_grad() if number % 3 == 0 else nl.enable_grad():
                expected = step(x_of(number)).numpy()
                np.testing.assert_array_equal(run(x_of(number)).numpy(), expected)
    finally:
        nl.set_float32_matmul_precision(before)
    assert (run.captures, run.replays) == (4, 24 - 4 * 3)


# -- numbers of the host ---------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i8", "u4", "?", "c8", "c16"])
@pytest.mark.parametrize("how", ["cpu", "machine"])
def test_filled_arrays_are_no_data_of_the_host(how, dtype):
    values = [0, 1, 77, -1] if np.dtype(dtype).kind not in "?u" else [0, 1]
    if np.dtype(dtype).kind == "c":
        values.append(1.5 - 2j)
    from nnlite.testing.fake_gpu import fake_gpu

    with fake_gpu(how) as fake:
        for value in values:
            for shape in ((), (3,), (0, 2), (2, 300)):
                found = nl.full(shape, value, dtype).numpy()
                np.testing.assert_array_equal(found, np.full(shape, value, dtype))
                assert found.dtype == dtype
        assert fake.to_device == 0
        each = nl.full((2, 2), [1, 2], dtype).numpy()
        np.testing.assert_array_equal(each, np.full((2, 2), [1, 2], dtype))


def test_integers_set_in_a_step_are_captured(driver):
    labels = [3, 1]

    def step(x):
        return [nl.Tensor(nl.full((3,), label, np.int64)) for label in labels], x + x

    run = nl.graph(step)
    for k in range(5):
        found, _ = run(x_of(k))
        assert [t.numpy().tolist() for t in found] == [[3] * 3, [1] * 3]
    assert run.replays == 2, run.reason


def test_what_goes_while_sections_run_is_given_back_then(driver):
    """A stream, whose end waits for the GPU, not only at the next capture."""
    streams = []

    def step(x):
        repeated(streams.clear)
        return x + x

    run = replaying(step, x_of(0))
    streams.append(nl.Stream())
    before = len(driver._streams)
    assert run(x_of(1)).numpy().tolist() == [2] * 3
    assert len(driver._streams) == before - 1
