"""Many tensors in one launch on a GPU: the bits of one launch each, tables, graphs."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnlite as nl
from nnlite.kernels.engine import Array, array
from nnlite.kernels.update import many
from nnlite.kernels.update.many_rules import many_kernels
from nnlite.optim import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from nnlite.testing.fake_gpu import fake_gpu

CHUNK = many.CHUNK
SIZES = (1, 3, 4, 0, 37, CHUNK - 1, CHUNK + 5, 64, 2 * CHUNK)
# Kernel -> an optimizer that launches it.
OPTIMIZERS: dict[str, Any] = {
    "sgd_many": lambda p: SGD(p, lr=0.1, weight_decay=0.01),
    "sgd_momentum_many": lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "adam_many": lambda p: Adam(p, lr=0.01, weight_decay=0.1),
    "amsgrad_many": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "rmsprop_many": lambda p: RMSprop(p, lr=0.01),
    "rmsprop_momentum_many": lambda p: RMSprop(p, lr=0.01, momentum=0.9),
    "rmsprop_centered_many": lambda p: RMSprop(p, lr=0.01, centered=True, weight_decay=0.1),
    "rmsprop_centered_momentum_many": lambda p: RMSprop(p, momentum=0.9, centered=True),
    "adagrad_many": lambda p: Adagrad(p, lr=0.1, lr_decay=0.1),
    "lion_many": lambda p: Lion(p, lr=0.01, weight_decay=0.1),
}
OTHERS: dict[str, Any] = {
    "nesterov": lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: AdamW(p, lr=0.01),
}


def numbers(seed: Any, size: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def odd(values: np.ndarray, shift: int) -> Array:
    """An array on the GPU that begins ``shift`` items behind a multiple of 16 bytes."""
    return array(np.concatenate([np.zeros(shift, np.float32), values]), device="cuda")[shift:]


def parameters(sizes: Any, shifts: Any) -> list[nl.nn.Parameter]:
    made = []
    for i, (size, shift) in enumerate(zip(sizes, shifts)):
        p = nl.nn.Parameter(numbers(i, size))
        p.array = odd(numbers(i, size), shift)
        made.append(p)
    return made


def trained(
    make: Any,
    sizes: Any,
    shifts: Any,
    alone: bool,
    steps: int = 3,
    missing: Any = lambda step, i: False,
) -> list[np.ndarray]:
    """Parameters and states after some steps, with gradients elsewhere in each."""
    params = parameters(sizes, shifts)
    optimizer = make(params)
    if alone:
        optimizer._takes_many = lambda: False
    held = [p.detach() for p in params]  # keeps those alone where they are
    for step in range(steps):
        for i, p in enumerate(params):
            g = odd(numbers((step, i), p.size), (shifts[i] + step * i) % 4)
            p.grad = None if missing(step, i) else nl.tensor(g)
        optimizer.step()
    state = optimizer.state_dict()
    assert all(np.array_equal(p.numpy(), h.numpy()) for p, h in zip(params, held))
    return [p.numpy() for p in params] + [
        np.asarray(state[key]) for key in sorted(state) if key.startswith("state.")
    ]


def same_bits(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b):
        assert x.tobytes() == y.tobytes()


@pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools: Linux only")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_code_for_a_gpu_gives_the_bits_of_single_updates(name: str) -> None:
    """Run by the machine, which refuses what is off its alignment or outside of every array."""
    sizes, shifts = (5, 1, CHUNK + 7, 0, 1030), (0, 1, 0, 2, 3)
    with fake_gpu(run="machine") as driver:
        together = trained(OPTIMIZERS[name], sizes, shifts, alone=False, steps=2)
        updates = [k for k, *_ in driver.launches if k.endswith("_many")]
    with fake_gpu(run="machine"):
        alone = trained(OPTIMIZERS[name], sizes, shifts, alone=True, steps=2)
    assert updates == [name] * 2
    same_bits(together, alone)


@pytest.mark.parametrize("make", [OPTIMIZERS["rmsprop_momentum_many"], *OTHERS.values()])
def test_any_tensors(make: Any) -> None:
    """Empty, tiny, unaligned, large; with gradients that are missing now and then."""

    @settings(max_examples=10, deadline=None)
    @given(data=st.data())
    def check(data: Any) -> None:
        sizes = data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=6))
        shifts = [data.draw(st.integers(0, 3)) for _ in sizes]
        gone = data.draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, len(sizes) - 1))))
        same_bits(
            *(
                trained(make, sizes, shifts, alone, missing=lambda step, i: (step, i) in gone)
                for alone in (False, True)
            )
        )

    with fake_gpu():
        check()


def test_more_tensors_than_a_launch_takes() -> None:
    sizes = [1 + i % 7 for i in range(many.MOST + 30)]
    found = []
    for alone in (False, True):
        with fake_gpu() as driver:
            found.append(trained(OPTIMIZERS["sgd_many"], sizes, [0] * len(sizes), alone, steps=1))
            names = [k for k, *_ in driver.launches]
            assert names.count("sgd_many") == (0 if alone else 2)
    same_bits(*found)


def test_one_launch_a_step_and_no_copies() -> None:
    """Tables are written when something has moved, and only what has."""
    with fake_gpu() as driver:
        params = parameters((40, 3, 5000, 1), (0, 1, 0, 0))
        addresses = [p.array.pointer for p in params]
        optimizer = Adam(params, lr=0.1)
        grads = [nl.tensor(numbers(9, p.size)) for p in params]

        def step() -> list[str]:
            for p, g in zip(params, grads):
                p.grad = g
            nl.kernels.engine.gpu.synchronize(params[0].device)
            before = len(driver.launches)
            optimizer.step()
            return [k for k, *_ in driver.launches[before:]]

        assert step() == ["put", "adam_many"]
        inside = driver.inside
        assert step() == ["adam_many"]
        grads[1] = nl.tensor(numbers(8, 3))
        assert step() == ["put", "adam_many"]
        assert step() == ["adam_many"]
        assert driver.inside == inside
        assert [p.array.pointer for p in params] == addresses


def step_function(params: list[Any], optimizer: Any) -> Any:
    def step(x: Any) -> Any:
        loss = sum((p * x).sum() + (p * p).sum() for p in params)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.mark.parametrize("name", ["sgd_momentum_many", "adam_many"])
def test_replays_are_plain_steps_wherever_gradients_lie(name: str) -> None:
    """Eager steps between the replays have gradients elsewhere, and tables of their own."""
    found = []
    for graphed in (False, True):
        with fake_gpu() as driver:
            params = parameters((6, 1, 300), (0, 0, 0))
            optimizer = OPTIMIZERS[name](params)
            step = step_function(params, optimizer)
            run = nl.graph(step) if graphed else step
            for k in range(12):
                x = nl.tensor(np.float32(k))
                step(x) if k in (2, 7, 8) else run(x)
            if graphed:
                assert run.replays >= 3, run.reason
                assert not run.reason
            assert any(k == "put" for k, *_ in driver.launches)
            state = optimizer.state_dict()
            found.append(
                [p.numpy() for p in params] + [np.asarray(state[k]) for k in sorted(state)]
            )
    same_bits(*found)


def test_a_graph_keeps_what_it_works_on() -> None:
    """Its parameters and states are in no launch's arguments, and yet not given to others."""
    with fake_gpu():
        params = parameters((300, 20), (0, 0))
        optimizer = Adam(params, lr=0.1)
        run = nl.graph(step_function(params, optimizer))
        for k in range(4):
            run(nl.tensor(np.float32(k)))
        (captured,) = run._found.values()
        buffers = [p.array.buffer for p in params]
        buffers += [optimizer.state[0]["exp_avg"].buffer, optimizer.state[0]["exp_avg_sq"].buffer]
        assert all(any(g() is captured._graph for g in b.graphs) for b in buffers)


def test_parameters_that_share_memory_are_updated_one_by_one() -> None:
    for alone in (False, True):
        with fake_gpu() as driver:
            params = parameters((8, 8, 8, 8), (0, 0, 0, 0))
            params[2].array = params[0].array[2:6]
            params[3].array = params[0].array[5:]
            optimizer = SGD(params, lr=0.5)
            if alone:
                optimizer._takes_many = lambda: False  # type: ignore[method-assign]
            for p in params:
                p.grad = nl.tensor(np.ones(p.shape, np.float32))
            before = params[0].numpy()
            optimizer.step()
            moved = before - params[0].numpy()
            np.testing.assert_allclose(moved, [0.5, 0.5, 1, 1, 1, 1.5, 1, 1], rtol=1e-5)
            assert not any(k == "sgd_many" for k, *_ in driver.launches)


def test_who_overrides_an_update_is_asked() -> None:
    class Mine(SGD):
        calls = 0

        def _update(self, *args: Any) -> None:
            self.calls += 1

    with fake_gpu():
        params = parameters((3, 4), (0, 0))
        optimizer = Mine(params, lr=1.0)
        for p in params:
            p.grad = nl.tensor(np.ones(p.shape, np.float32))
        optimizer.step()
        assert optimizer.calls == 1


def test_a_wrong_option_changes_nothing() -> None:
    with fake_gpu():
        params = parameters((3, 4), (0, 0))
        optimizer = SGD(params, lr=0.1)
        optimizer.param_groups[0]["lr"] = -1.0
        before = [p.numpy() for p in params]
        for p in params:
            p.grad = nl.tensor(np.ones(p.shape, np.float32))
        with pytest.raises(nl.errors.ArgumentError, match="lr: -1.0 given"):
            optimizer.step()
        same_bits(before, [p.numpy() for p in params])


def test_a_gradient_may_have_any_strides() -> None:
    found = []
    for alone in (False, True):
        with fake_gpu():
            params = [nl.nn.Parameter(numbers(i, 12).reshape(3, 4)) for i in range(2)]
            optimizer = SGD(params, lr=0.1, momentum=0.9)
            if alone:
                optimizer._takes_many = lambda: False  # type: ignore[method-assign]
            for step in range(2):
                for i, p in enumerate(params):
                    p.grad = nl.tensor(numbers((step, i), 12).reshape(4, 3))
                    p.grad.array = p.grad.array.transpose()
                    assert not p.grad.array.is_contiguous
                optimizer.step()
            found.append([p.numpy() for p in params])
    same_bits(*found)


def test_every_kernel_is_run_here() -> None:
    """By an optimizer above; averages have a test of their own."""
    assert {*OPTIMIZERS, "average_many"} == set(many_kernels())


def test_averages_are_moved_where_the_weights_lie() -> None:
    found = []
    for gpu in (True, False):
        with fake_gpu() as driver:
            device = "cuda" if gpu else "cpu"
            params = [nl.tensor(numbers(i, n), device=device) for i, n in enumerate((5, CHUNK + 1))]
            average = nl.optim.ExponentialMovingAverage(params, 0.7)
            for step in range(3):
                for i, p in enumerate(params):
                    p.array.copy_from(array(numbers((step, i), p.size), device=device))
                inside = driver.inside
                average.update()
                assert driver.inside == inside
            names = [k for k, *_ in driver.launches]
            assert names.count("average_many") == (3 if gpu else 0)
            found.append([a.numpy() for a in average.averages])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-6)
