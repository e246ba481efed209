"""fit, evaluate, predict and the history they make."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import nnlite as nl
from nnlite import models
from nnlite.errors import ArgumentError
from nnlite.train import Callback, History, Meter


@pytest.fixture(autouse=True)
def on_the_cpu():
    before = nl.default_device()
    nl.set_default_device("cpu")
    yield
    nl.set_default_device(before)


def toy(n: int = 96) -> nl.data.ArrayDataset:
    """Four classes of 2x2 images: the brightest pixel is the class."""
    rng = np.random.default_rng(0)
    x = rng.random((n, 1, 2, 2), np.float32)
    return nl.data.ArrayDataset(x, x.reshape(n, 4).argmax(axis=1))


def setup(seed: int = 0, epochs: int = 4):
    """Model, optimizer, schedule (in batches) for :func:`toy`."""
    nl.manual_seed(seed)
    model = models.build("mlp", (1, 2, 2), 4, hidden=(16,))
    optimizer = nl.optim.Adam(model.parameters(), lr=0.02)
    return model, optimizer, nl.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * 6)


def fit(objects, epochs: int = 4, **options) -> History:
    model, optimizer, scheduler = objects
    options = {"batch_size": 16, "seed": 7, "progress": False, "validation": toy(20), **options}
    train = options.pop("train", toy())
    return nl.fit(model, train, epochs=epochs, optimizer=optimizer, scheduler=scheduler, **options)


def bits(model) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in model.state_dict().items()}


def measured(history: History) -> list[dict]:
    """The history without what depends on the clock."""
    clock = ("seconds", "images_per_second")
    return [{k: v for k, v in e.items() if k not in clock} for e in history.epochs]


class StopAt(Callback):
    """Stops after so many batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch_end(self, state) -> None:
        self.left -= 1
        state.stop = self.left == 0


def test_overfits_32_images():
    data = nl.data.load("mnist-5k")
    few = nl.data.ArrayDataset(data.train.x[::125], data.train.y[::125])
    nl.manual_seed(0)
    model = models.build("mlp", data.input_shape, 10)
    optimizer = nl.optim.Adam(model.parameters(), lr=3e-3)
    history = nl.fit(model, few, epochs=60, optimizer=optimizer, batch_size=32, progress=False)
    assert len(few) == 32
    assert history.epochs[-1]["accuracy"] == 1.0
    assert history.epochs[-1]["loss"] < 0.02
    assert nl.evaluate(model, few)["accuracy"] == 1.0


def test_a_seeded_run_repeats_bit_for_bit():
    first, second, other = setup(), setup(), setup()
    a, b = fit(first), fit(second)
    assert bits(first[0]) == bits(second[0])
    assert measured(a) == measured(b)
    fit(other, seed=8)
    assert bits(other[0]) != bits(first[0])


@pytest.mark.parametrize("stop", [1, 5, 6, 11, 18])
def test_resumed_equals_uninterrupted(tmp_path, stop):
    whole = setup()
    expected = fit(whole)
    objects = setup()
    history = fit(objects, callbacks=[StopAt(stop)])
    assert (history.partial is None) == (stop % 6 == 0)
    assert len(history) == stop // 6
    nl.save_checkpoint(tmp_path / "c", *objects, {"history": history.to_dict()})
    resumed = setup(seed=99)
    metadata = nl.load_checkpoint(tmp_path / "c", *resumed)
    continued = fit(resumed, history=History.from_dict(metadata["history"]))
    assert bits(resumed[0]) == bits(whole[0])
    assert measured(continued) == measured(expected)
    assert continued.partial is None


def test_start_epoch_continues_with_that_epoch():
    whole, part = setup(), setup()
    fit(whole)
    fit(part, epochs=2)
    history = fit(part, start_epoch=2)
    assert history["epoch"] == [3, 4]
    assert bits(part[0]) == bits(whole[0])


def test_history_holds_what_evaluate_says():
    objects = setup()
    history = fit(objects)
    result = nl.evaluate(objects[0], toy(20))
    assert history["val_loss"][-1] == result["loss"]
    assert history["val_accuracy"][-1] == result["accuracy"]
    assert history["lr"][0] == 0.02
    assert history["lr"][3] == pytest.approx(0.02 * (1 + np.cos(np.pi * 0.75)) / 2)
    assert all(v > 0 for v in history["images_per_second"])
    assert history["loss"] == sorted(history["loss"], reverse=True)


def test_history_without_validation_best_and_file(tmp_path):
    history = fit(setup(), validation=None)
    assert history["val_accuracy"] == [None] * 4
    assert history.best()["accuracy"] == max(history["accuracy"])
    assert History().best() is None
    history.save(tmp_path / "h.json")
    assert json.loads((tmp_path / "h.json").read_text()) == history.epochs


def test_a_history_that_diverged_is_still_json(tmp_path):
    history = History([{"epoch": 1, "loss": float("nan"), "val_loss": float("inf"), "lr": 0.1}])
    history.save(tmp_path / "h.json")
    expected = [{"epoch": 1, "loss": None, "val_loss": None, "lr": 0.1}]

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    text = (tmp_path / "h.json").read_text()
    assert json.loads(text, parse_constant=refuse) == expected


def test_evaluate_and_predict_agree_with_numpy():
    model, data = setup()[0], toy(23)
    x, y = data[:]
    scores = nl.predict(model, x, batch_size=5)
    w = model.state_dict()
    hidden = np.maximum(x.reshape(23, 4) @ w["1.weight"].T + w["1.bias"], 0)
    expected = hidden.astype(np.float64) @ w["3.weight"].T + w["3.bias"]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(nl.predict(model, data), scores)
    log_sum = np.log(np.exp(expected).sum(axis=1))
    result = nl.evaluate(model, data, batch_size=5)
    assert result["loss"] == pytest.approx(np.mean(log_sum - expected[np.arange(23), y]), rel=1e-5)
    assert result["accuracy"] == np.mean(scores.argmax(axis=1) == y)


def test_evaluate_and_predict_restore_the_mode_and_keep_gradients_away():
    model = setup()[0]
    for mode in (True, False):
        model.train(mode)
        nl.evaluate(model, toy(20))
        nl.predict(model, toy(20))
        assert model.training is mode
    assert all(p.grad is None for p in model.parameters())


def test_evaluate_leaves_a_frozen_layer_frozen():
    model = setup()[0]
    model.train()
    model[1].eval()
    nl.evaluate(model, toy(20))
    assert model.training
    assert not model[1].training
    assert model[3].training


def test_a_loss_and_a_loader_of_ones_own():
    def loss(output, y):
        target = np.eye(4, dtype=np.float32)[y.numpy()]
        return nl.functional.mse_loss(output, nl.tensor(target))

    loader = nl.data.DataLoader(toy(), 32, shuffle=True, seed=3)
    history = fit(setup(), train=loader, loss=loss)
    assert history["loss"][-1] < history["loss"][0] < 1


def test_callbacks_are_called_in_order():
    calls = []

    class Noting(Callback):
        def on_train_begin(self, state):
            calls.append("begin")

        def on_batch_end(self, state):
            calls.append(state.batch)

        def on_epoch_end(self, state):
            calls.append(f"epoch {len(state.history)}")

        def on_train_end(self, state):
            calls.append("end")

    fit(setup(), epochs=2, batch_size=48, callbacks=[Noting()])
    assert calls == ["begin", 1, 2, "epoch 1", 1, 2, "epoch 2", "end"]


def test_on_train_end_comes_after_a_failure_too():
    ended = []

    class Failing(Callback):
        def on_batch_end(self, state):
            raise RuntimeError("stop here")

        def on_train_end(self, state):
            ended.append(True)

    with pytest.raises(RuntimeError, match="stop here"):
        fit(setup(), callbacks=[Failing()])
    assert ended == [True]


def test_progress_prints_a_line_per_epoch_when_there_is_no_terminal(capsys):
    fit(setup(), epochs=2, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert re.fullmatch(
        r"epoch 2/2  loss \d\.\d{3}  acc [\d ]\d\.\d\d%  "
        r"test loss \d\.\d{3}  acc [\d ]\d\.\d\d%  [\d,]+ img/s",
        lines[1],
    )


def test_meter_sums_do_not_depend_on_when_one_asks():
    values = np.random.default_rng(0).random(600)
    often, once = Meter(), Meter()
    for v in values:
        often.add(np.float64(v), np.int64(1), 3)
        often.collect()
        once.add(np.float64(v), np.int64(1), 3)
    assert often.loss == once.collect().loss == pytest.approx(values.mean())
    assert once.accuracy == pytest.approx(1 / 3)


def test_wrong_calls():
    with pytest.raises(ArgumentError, match="epochs -1"):
        fit(setup(), epochs=-1)
    with pytest.raises(ArgumentError, match=r"epochs 2.5 .* whole number of epochs"):
        fit(setup(), epochs=2.5)
    with pytest.raises(ArgumentError, match="batch_size: 0 given, expected 1 or more"):
        nl.predict(setup()[0], toy(), batch_size=0)
    with pytest.raises(ArgumentError, match="evaluate: data: no item given"):
        nl.evaluate(setup()[0], nl.data.DataLoader(toy(20), 30, drop_last=True))
    for wrong in (nl.optim.Adam, "adam"):
        with pytest.raises(ArgumentError, match=r"fit: optimizer: .*[aA]dam.* given, expected one"):
            nl.fit(setup()[0], toy(), epochs=1, optimizer=wrong, progress=False)
    with pytest.raises(ArgumentError, match="0 batches"):
        fit(setup(), train=nl.data.DataLoader(toy(), 200, drop_last=True))
    with pytest.raises(ArgumentError, match="no item given"):
        nl.predict(setup()[0], np.zeros((0, 1, 2, 2), np.float32))
