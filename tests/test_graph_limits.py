"""What ``nl.graph`` cannot capture runs as a plain call would, with one warning; and its memory."""

from __future__ import annotations

import gc
import sys
import warnings

import numpy as np
import pytest

import nnlite as nl
from nnlite import captured
from nnlite.errors import ArgumentError, LaunchError
from nnlite.kernels.engine.gpu.recorder import capture, replay
from nnlite.kernels.engine.replay import here, rebound, repeated
from nnlite.testing.fake_gpu import fake_gpu

WARNS = "runs without a graph from now on: "


def falls_back(step, expected, calls=6, reason=""):
    """Call a step; one warning names the reason, and each result is that of a plain call."""
    run = nl.graph(step)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for k in range(calls):
            found = run(nl.tensor(np.full(3, k, np.float32)))
            assert found.numpy().tolist() == expected(k), k
    assert [str(w.message) for w in seen if WARNS in str(w.message)] == [str(seen[0].message)]
    assert reason in run.reason
    assert reason in str(seen[0].message)
    assert run.replays == 0
    assert here.recorder is None
    assert here.stream == 0


def test_a_result_read_on_the_host_is_no_graph_s(driver):
    total = []

    def step(x):
        y = x + x
        total.append((y * y).sum().item())  # in the middle: y was captured, z is not
        z = y + y
        return z + total[-1] * 0

    falls_back(step, lambda k: [4 * k] * 3, reason="read on the host")
    assert total == [12.0 * k * k for k in range(6)]


def test_data_of_the_host_is_no_graph_s(driver):
    count = [0]

    def step(x):
        count[0] += 1
        return x + nl.tensor(np.full(3, count[0], np.float32))

    falls_back(step, lambda k: [2 * k + 1] * 3, reason="copied from the host")


def test_a_number_that_the_host_counts_is_found(driver):
    count = [0]

    def step(x):
        count[0] += 1
        y = x + x
        return y * float(count[0])

    falls_back(step, lambda k: [2.0 * k * (k + 1)] * 3, reason="the arguments of")


def test_state_that_moves_to_another_array_is_found(driver):
    state = [nl.tensor(np.zeros(3, np.float32))]

    def step(x):
        state[0] = state[0] + x
        return state[0] + x

    falls_back(step, lambda k: [k * (k + 1) / 2 + k] * 3, reason="")


def test_a_step_that_does_other_work_is_found(driver):
    calls = [0]

    def step(x):
        calls[0] += 1
        y = x + x
        return y * y if calls[0] >= 3 else y

    falls_back(step, lambda k: [4 * k * k if k >= 2 else 2 * k] * 3, reason="")


def test_an_exception_leaves_everything_as_a_plain_call_does(driver):
    calls, out = [0], nl.zeros(3)

    def step(x):
        calls[0] += 1
        out.copy_from((x + x).array)
        if calls[0] in (2, 4):  # while it is captured, and while it is verified
            raise RuntimeError("stop")
        return x * x

    run = nl.graph(step)
    for k in range(8):
        x = nl.tensor(np.full(3, k, np.float32))
        if k in (1, 3):
            with pytest.raises(RuntimeError, match="stop"):
                run(x)
        else:
            assert run(x).numpy().tolist() == [k * k] * 3
        assert out.numpy().tolist() == [2 * k] * 3
    assert run.replays


def test_gradients_may_be_cleared_outside(driver):
    """Cleared before each call, they are new ones; left alone, they add up."""
    w = nl.tensor(np.ones(3, np.float32), requires_grad=True)

    def step(x):
        (w * x).sum().backward()

    run, expected = nl.graph(step), 0
    for k, clear in enumerate([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1]):
        if clear:
            w.grad, expected = None, 0
        run(nl.tensor(np.full(3, k, np.float32)))
        expected += k
        assert w.grad.numpy().tolist() == [expected] * 3, k
    assert run.replays


def test_memory_of_a_graph_is_its_own_until_it_is_gone(driver):
    run = nl.graph(lambda x: (x + x) * x)
    for k in range(4):
        result = run(nl.tensor(np.full(200, k, np.float32)))
    others = [nl.tensor(np.full(200, -1, np.float32)) for _ in range(20)]
    result = run(nl.tensor(np.full(200, 5, np.float32)))
    assert set(result.numpy()) == {50}
    assert all(set(o.numpy()) == {-1} for o in others)
    asked = driver.allocated
    del run, result, others
    more = [nl.tensor(np.full(200, 1, np.float32)) for _ in range(20)]
    assert driver.allocated == asked
    assert all(set(o.numpy()) == {1} for o in more)


def test_a_full_gpu_ends_the_capture():
    with fake_gpu(room=4 * 512):
        run = nl.graph(lambda x: (x + x) * x)
        for k in range(3):
            x = nl.tensor(np.full(3, k, np.float32))
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                assert run(x).numpy().tolist() == [2 * k * k] * 3
            assert bool(seen) == (k == 1)
            del x
        assert run.reason == "the memory of the GPU is full"


def test_arguments_that_are_no_graph_s(driver):
    x = nl.tensor(np.ones(3, np.float32))
    for args, reason in (
        ((x, np.ones(3)), "neither a tensor nor hashable"),
        ((x, nl.tensor(np.ones(3, np.float32), device="cpu")), "an argument is on cpu"),
        ((nl.tensor(np.ones(3, np.float32), requires_grad=True),), "requires a gradient"),
    ):
        run = nl.graph(lambda x, other=None: x + x)
        with pytest.warns(RuntimeWarning, match=reason):
            assert run(*args).numpy().tolist() == [2, 2, 2]
    with pytest.raises(ArgumentError, match=r"graph: step: 3 given"):
        nl.graph(3)


def test_a_graph_inside_a_graph_belongs_to_it(driver):
    inner = nl.graph(lambda x: x + x)
    outer = nl.graph(lambda x: inner(x) * x)
    for k in range(5):
        assert outer(nl.tensor(np.full(3, k, np.float32))).numpy().tolist() == [2 * k * k] * 3
    assert outer.replays == 2
    assert not inner.captures


def test_a_section_must_launch_what_it_did(driver):
    x, more = nl.tensor(np.ones(3, np.float32)), []

    def section():
        return [x + x for _ in range(1 + len(more))]

    section()
    _, graph, recorder = capture(0, lambda: repeated(section))
    assert not recorder.reason
    replay(graph)
    more.append(1)
    with pytest.raises(LaunchError, match="does what it did not do at first"):
        replay(graph)
    assert here.recorder is None


@pytest.mark.parametrize("how", ["to", "optimizer"])
def test_parameters_that_move_are_followed(driver, how):
    """The first step of an optimizer puts them elsewhere: graphs of other steps read them there."""
    model = nl.nn.Linear(3, 2)
    optimizer = nl.optim.SGD(model.parameters(), lr=0.5)
    run, x = nl.graph(lambda x: model(x)), nl.tensor(np.ones((4, 3), np.float32))
    for k in range(10):
        if k == 5 and how == "to":
            model.to("cpu").to(x.device)
        if k >= 5 and how == "optimizer":
            model(x).sum().backward()
            gc.collect()  # whatever else refers to a parameter has it stay
            optimizer.step()
        np.testing.assert_array_equal(run(x).numpy(), model(x).numpy(), err_msg=str(k))
    assert run.replays > 2, run.reason
    if how == "to":
        assert (run.captures, run.replays) == (2, 2 + 2)


def test_two_steps_may_share_an_optimizer(driver):
    """One of them trains a part of the parameters: the counts of steps grow apart."""

    def train(graphed):
        p, q = (nl.tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(2))
        optimizer = nl.optim.Adam([p, q], lr=0.1)

        def step(both):
            optimizer.zero_grad()
            ((p * p + q * q if both else p * p) * 0.5).sum().backward()
            optimizer.step()

        run = nl.graph(step) if graphed else step
        for both in [True] * 5 + [False] * 5 + [True] * 4:
            run(both)
        return p.numpy(), q.numpy()

    for found, expected in zip(train(True), train(False)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("replays", "given_up"), [(3, True), (4, False)])
def test_captures_that_pay_are_not_counted(driver, monkeypatch, replays, given_up):
    """Here a parameter of the step moves again and again."""
    w, x = (nl.tensor(np.ones(3, np.float32)) for _ in range(2))
    run = nl.graph(lambda x: x + w)
    monkeypatch.setattr(captured, "LASTING", 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for _ in range(6):
            for _ in range(3 + replays):  # run, captured, verified, replayed
                assert run(x).numpy().tolist() == [2] * 3
            rebound(w.array)
    assert bool(run.reason) == given_up
    assert run.replays == replays * (4 if given_up else 6)


def test_a_stream_that_goes_while_a_capture_ends_waits_for_it(driver, monkeypatch):
    """To give it back the GPU is waited for, which ends a capture under way."""
    streams, raised, end = [nl.Stream()], [], driver.end_capture

    def end_capture(index, stream):
        streams.clear()
        return end(index, stream)

    monkeypatch.setattr(driver, "end_capture", end_capture)
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    run = nl.graph(lambda x: x + x)
    for k in range(5):
        assert run(nl.tensor(np.full(3, k, np.float32))).numpy().tolist() == [2 * k] * 3
    assert not raised
    assert run.replays == 2


def test_numbers_beside_tensors_are_no_data_of_the_host(driver):
    def step(x):
        return (1.0 - x) / 4 + (x - 0.5) * 2 + np.float32(3)

    run = nl.graph(step)
    for k in range(5):
        x = nl.tensor(np.full(3, k, np.float32))
        assert run(x).numpy().tolist() == [(1 - k) / 4 + (k - 0.5) * 2 + 3] * 3
    assert run.replays == 2, run.reason
