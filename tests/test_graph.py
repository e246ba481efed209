"""``nl.graph``: replayed steps are those of plain calls, bit for bit, on the pretended GPU."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest

import nnlite as nl
import nnlite.functional as F
from nnlite.kernels.engine import gpu
from nnlite.kernels.engine.gpu.pool import pool
from nnlite.kernels.matmul.launcher import _no_bias
from nnlite.testing.command import succeed
from nnlite.testing.fake_gpu import fake_gpu

OPTIMIZERS = {
    "sgd": lambda p: nl.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "plain sgd": lambda p: nl.optim.SGD(p, lr=0.1),
    "adam": lambda p: nl.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: nl.optim.AdamW(p, lr=0.01),
    "lion": lambda p: nl.optim.Lion(p, lr=0.01),
}


def batches(count, size=10):
    rng = np.random.default_rng(1)
    for _ in range(count):
        x = rng.standard_normal((size, 12)).astype(np.float32)
        yield nl.tensor(x), nl.tensor(rng.integers(0, 4, size))


def mlp(*middle):
    nl.manual_seed(3)
    return nl.nn.Sequential(nl.nn.Linear(12, 16), *middle, nl.nn.ReLU(), nl.nn.Linear(16, 4))


def training(graphed, make_optimizer, middle=(), steps=7, change=None):
    """Losses, parameters and state after a few steps, and the function that made them."""
    model = mlp(*[layer() for layer in middle])
    optimizer = make_optimizer(model.parameters())
    schedule = nl.optim.lr_scheduler.Warmup(
        nl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9), steps=2
    )

    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    run = nl.graph(step) if graphed else step
    losses = []
    for number, (x, y) in enumerate(batches(steps)):
        if change is not None:
            change(number, model, optimizer)
        losses.append(run(x, y).item())
    held = {**model.state_dict(), **optimizer.state_dict(), "lr": np.array(optimizer.lr)}
    held |= {f"grad.{i}": p.grad.numpy() for i, p in enumerate(model.parameters())}
    return losses, held, run


def same(a, b):
    assert a[0] == b[0]
    assert a[1].keys() == b[1].keys()
    for name, value in a[1].items():
        np.testing.assert_array_equal(value, b[1][name], err_msg=name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_replays_are_plain_steps(name):
    """Step counts, rates of a schedule, the first step's lack of dampening, weight decay."""
    with fake_gpu() as driver:
        plain = training(False, OPTIMIZERS[name])
        launched = len(driver.launches)
    with fake_gpu() as driver:
        graphed = training(True, OPTIMIZERS[name])
        assert (graphed[2].captures, graphed[2].replays) == (1, 4)
        assert driver.graphs == 6  # captured, verified, replayed
        assert len(driver.launches) < launched / 2
    same(plain, graphed)


def test_a_graph_on_each_device_of_this_machine(device):
    before = nl.default_device()
    nl.set_default_device(device)
    try:
        layers = [lambda: nl.nn.Dropout(0.3), lambda: nl.nn.BatchNorm1d(16)]
        plain, graphed = (training(g, OPTIMIZERS["adam"], layers) for g in (False, True))
        assert graphed[2].replays == (0 if device.is_cpu else 4)
    finally:
        nl.set_default_device(before)
    same(plain, graphed)


@pytest.mark.parametrize("p", [0.3, 0.9])
def test_dropout_draws_new_masks(p):
    layers = [lambda: nl.nn.Dropout(p), lambda: nl.nn.BatchNorm1d(16), lambda: nl.nn.Dropout(0.1)]
    with fake_gpu():
        plain = training(False, OPTIMIZERS["adam"], layers)
    with fake_gpu():
        graphed = training(True, OPTIMIZERS["adam"], layers)
        assert graphed[2].replays == 4
    same(plain, graphed)


def test_a_convolutional_network_is_captured():
    def run(graphed):
        nl.manual_seed(0)
        model = nl.nn.Sequential(
            *(nl.nn.Conv2d(1, 4, 3, stride=2), nl.nn.Dropout2d(0.2), nl.nn.Flatten()),
            nl.nn.Linear(36, 3),
        )
        optimizer = nl.optim.Adam(model.parameters(), lr=0.01)

        def step(x, y):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            nl.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return {"loss": loss, "sizes": (len(x), [loss + loss])}

        call = nl.graph(step) if graphed else step
        rng, found = np.random.default_rng(0), []
        for _ in range(5):
            x = nl.tensor(rng.standard_normal((6, 1, 8, 8)).astype(np.float32))
            result = call(x, y=nl.tensor(rng.integers(0, 3, 6)))
            found += [result["loss"].item(), result["sizes"][1][0].numpy().tolist()]
            assert result["sizes"][0] == 6
        return found, model.state_dict(), call

    with fake_gpu():
        plain = run(False)
    with fake_gpu():
        graphed = run(True)
        assert (graphed[2].replays, graphed[2].reason) == (2, "")
    assert plain[0] == graphed[0]
    for name, value in plain[1].items():
        np.testing.assert_array_equal(value, graphed[1][name], err_msg=name)


def test_the_machine_replays_ptx():
    """The same with the PTX of each kernel, not its source."""
    results = []
    for graphed in (False, True):
        with fake_gpu("machine"):
            results.append(training(graphed, OPTIMIZERS["adam"], steps=4))
    same(*results)


def test_new_shapes_are_captured_anew(driver):
    double = nl.graph(lambda x: x + x)
    sizes = [4, 4, 4, 4, 7, 7, 7, 7, 4]
    for k, size in enumerate(sizes):
        x = np.arange(size, dtype=np.float32) + k
        np.testing.assert_array_equal(double(nl.tensor(x)).numpy(), 2 * x)
    assert (double.captures, double.replays) == (2, 3)
    for size in range(20, 40):
        double(nl.tensor(np.zeros(size, np.float32)))
    assert len(double._found) == 8


def test_values_choose_the_graph(driver):
    scale = nl.graph(lambda x, factor, arrays: (x * factor, arrays[0]))
    for factor in (2.0, 3.0, 2.0, 2.0, 2.0, 3.0):
        x, a = nl.tensor(np.ones(3, np.float32)), nl.zeros(2)
        out, b = scale(x, factor, [a])
        assert out.numpy().tolist() == [factor] * 3
        assert b.numpy().tolist() == [0, 0]
    assert scale.captures == 2


def test_outputs_are_overwritten(driver):
    """What the documentation says: copy what is to be kept."""
    double = nl.graph(lambda x: x + x)
    results = [double(nl.tensor(np.full(3, k, np.float32))) for k in range(5)]
    assert results[0].numpy().tolist() == [0, 0, 0]
    assert results[1].numpy().tolist() == results[4].numpy().tolist() == [8, 8, 8]


def test_options_of_an_optimizer_are_seen():
    def change(number, model, optimizer):
        if number == 5:
            optimizer.param_groups[0]["weight_decay"] = 0.5

    with fake_gpu():
        plain = training(False, OPTIMIZERS["adamw"], steps=9, change=change)
    with fake_gpu():
        graphed = training(True, OPTIMIZERS["adamw"], steps=9, change=change)
        assert graphed[2].captures == 2
    same(plain, graphed)


def test_a_loaded_state_of_an_optimizer_is_seen():
    saved = {}

    def change(number, model, optimizer):
        if number == 2:
            saved.update(optimizer.state_dict())
        if number == 5:
            optimizer.load_state_dict(saved)

    with fake_gpu():
        plain = training(False, OPTIMIZERS["adam"], steps=9, change=change)
    with fake_gpu():
        graphed = training(True, OPTIMIZERS["adam"], steps=9, change=change)
        assert (graphed[2].captures, graphed[2].reason) == (2, "")
    same(plain, graphed)


@pytest.mark.parametrize("where", ["cpu", "gpu"])
def test_fit_with_a_graph_is_fit(where):
    """Two shapes of batches, a schedule, validation between the epochs."""

    def run(graph):
        nl.manual_seed(1)
        model = mlp(nl.nn.BatchNorm1d(16), nl.nn.Dropout(0.2))
        optimizer = nl.optim.Adam(model.parameters(), lr=0.01)
        schedule = nl.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
        rng = np.random.default_rng(5)
        data = rng.standard_normal((23, 12)).astype(np.float32), rng.integers(0, 4, 23)
        history = nl.fit(
            *(model, data),
            epochs=4,
            optimizer=optimizer,
            scheduler=schedule,
            batch_size=5,
            validation=data,
            progress=False,
            graph=graph,
        )
        for record in history.epochs:
            del record["seconds"], record["images_per_second"]
        return history.epochs, model.state_dict()

    found = []
    for graph in (False, True):
        with fake_gpu() as driver:
            if where == "cpu":
                nl.set_default_device("cpu")
            found.append(run(graph))
            assert bool(driver.graphs) == (graph and where == "gpu")
    assert found[0][0] == found[1][0]
    for name, value in found[0][1].items():
        np.testing.assert_array_equal(value, found[1][1][name], err_msg=name)


def test_the_command_trains_with_a_graph(tmp_path, command_on_the_cpu):
    """The same figures with and without; on the pretended GPU, the default one there."""
    found = []
    for number, options in enumerate(([], ["--graph"])):
        with fake_gpu() as driver:
            folder = tmp_path / str(number)
            small = "--epochs", 1, "--hidden", 8, "--batch-size", 300, "--shift", 0
            succeed("train", "digits", *small, "--out", folder, *options)
            assert bool(driver.graphs) == bool(options)
        (record,) = json.loads((folder / "history.json").read_text())
        found.append({k: v for k, v in record.items() if "second" not in k})
    assert found[0] == found[1]


def test_on_a_cpu_the_step_is_called():
    calls = []

    def step(x):
        calls.append(1)
        return x + x

    run = nl.graph(step)
    for k in range(4):
        x = nl.tensor(np.full(3, k, np.float32), device="cpu")
        assert run(x).numpy().tolist() == [2 * k] * 3
    assert len(calls) == 4
    assert run.__name__ == "step"
    assert not gpu.count() or not run.captures


def test_constants_that_a_launcher_forgets_stay(driver):
    """A product without bias adds zeros from a cache, whose memory others get when it is full."""
    w = nl.tensor(np.ones((3, 2), np.float32))
    run, x = nl.graph(lambda x: x @ w), nl.tensor(np.ones((4, 3), np.float32))
    for _ in range(4):
        assert (run(x).numpy() == 3).all()
    assert run.replays == 1
    address = _no_bias(2, w.array.dtype, w.array.device).pointer
    _no_bias.cache_clear()
    others = [nl.tensor(np.full(2, 9, np.float32)) for _ in range(8)]
    assert (run(x).numpy() == 3).all(), others
    del run  # and with it the graph
    gc.collect()
    assert any(address in blocks for blocks in pool(0).free.values())
