"""Checkpoints: what comes back, and that a wrong file changes nothing."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import nnlite as nl
from nnlite import checkpoint
from nnlite.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint, write_atomically
from nnlite.errors import ArgumentError, CheckpointError


def make(hidden: int = 6, kind: str = "Adam", seed: int = 0):
    """A small model, its optimizer and schedule, on the CPU."""
    nl.manual_seed(seed)
    model = nl.nn.Sequential(nl.nn.Linear(4, hidden), nl.nn.ReLU(), nl.nn.Linear(hidden, 3))
    model.to("cpu")
    optimizer = getattr(nl.optim, kind)(model.parameters(), lr=0.01)
    return model, optimizer, nl.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)


def step(model, optimizer, scheduler) -> None:
    """One training step, so that the optimizer has state."""
    rng = np.random.default_rng(0)
    x = nl.tensor(rng.standard_normal((5, 4)).astype(np.float32), device="cpu")
    optimizer.zero_grad()
    nl.functional.cross_entropy(model(x), np.arange(5) % 3).backward()
    optimizer.step()
    scheduler.step()


def state(*objects) -> str:
    """Everything the objects hold, to the bit, as text to compare."""
    return json.dumps(
        [
            {k: v.tobytes().hex() if isinstance(v, np.ndarray) else v for k, v in o.items()}
            for o in (x.state_dict() for x in objects)
        ],
        sort_keys=True,
        default=str,
    )


@pytest.fixture
def saved(tmp_path):
    """A checkpoint after one step, and the three objects it was made from."""
    objects = make()
    step(*objects)
    path = save_checkpoint(tmp_path / "a" / "model.safetensors", *objects, {"epoch": 3, "n": "é"})
    return path, objects


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "SGD"])
def test_everything_comes_back_bit_for_bit(tmp_path, kind):
    objects = make(kind=kind)
    step(*objects)
    save_checkpoint(tmp_path / "c", *objects, {"epoch": np.int64(3), "loss": 0.1})
    others = make(kind=kind, seed=1)
    assert state(*others) != state(*objects)
    assert load_checkpoint(tmp_path / "c", *others) == {"epoch": 3, "loss": 0.1}
    assert state(*others) == state(*objects)
    step(*objects)
    step(*others)
    assert state(*others) == state(*objects)


def test_a_folder_stands_for_its_model_file(saved):
    path, _ = saved
    assert load_checkpoint(path.parent) == {"epoch": 3, "n": "é"}


def test_weights_alone(saved):
    path, (model, _, _) = saved
    other, _, _ = make(seed=1)
    load_checkpoint(path, other)
    assert state(other) == state(model)


@pytest.mark.parametrize("cut", [0, 3, 8, 100, 1000, -1])
def test_truncated(saved, cut):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="not a whole safetensors file") as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


def test_every_flipped_byte_is_noticed(saved):
    path, _ = saved
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 97)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def test_missing_and_foreign_files(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"model.safetensors: no such checkpoint"):
        load_checkpoint(tmp_path)
    (tmp_path / "text").write_text("hello, this is no checkpoint")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_checkpoint(tmp_path / "text")
    save_file({"w": np.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="format None found.*not an nnlite checkpoint"):
        load_checkpoint(tmp_path / "foreign")


def test_a_shape_that_does_not_fit_names_the_parameter_and_changes_nothing(saved):
    path, _ = saved
    others = make(hidden=7, seed=1)
    before = state(*others)
    message = r"parameter '0.weight' has shape \(6, 4\), expected \(7, 4\)"
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path, *others)
    assert state(*others) == before


def test_missing_and_unknown_parameters_are_named(saved):
    path, _ = saved
    longer = nl.nn.Sequential(*make()[0], nl.nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=r"parameter '3.weight' not found"):
        load_checkpoint(path, longer)
    shorter = nl.nn.Sequential(*list(make()[0])[:2])
    with pytest.raises(CheckpointError, match=r"parameter '2.bias' is not in the model"):
        load_checkpoint(path, shorter)


def test_state_of_another_optimizer_changes_nothing(saved):
    path, _ = saved
    others = make(kind="SGD", seed=1)
    before = state(*others)
    with pytest.raises(CheckpointError, match="state of SGD does not fit"):
        load_checkpoint(path, *others)
    assert state(*others) == before


def test_a_late_failure_undoes_what_was_loaded(saved):
    path, _ = saved
    model, optimizer, scheduler = make(seed=1)
    before = state(model, optimizer, scheduler)
    real = model.load_state_dict
    calls = []

    def failing(weights):
        calls.append(weights)
        if len(calls) == 1:
            raise ValueError("as if the device were full")
        return real(weights)

    object.__setattr__(model, "load_state_dict", failing)
    with pytest.raises(CheckpointError, match="as if the device were full"):
        load_checkpoint(path, model, optimizer, scheduler)
    assert state(model, optimizer, scheduler) == before


def test_state_that_was_not_saved(tmp_path):
    model, optimizer, scheduler = make()
    save_checkpoint(tmp_path / "c", model)
    with pytest.raises(CheckpointError, match="holds no optimizer state"):
        load_checkpoint(tmp_path / "c", model, optimizer)
    with pytest.raises(CheckpointError, match="holds no learning-rate schedule"):
        load_checkpoint(tmp_path / "c", model, None, scheduler)


def test_metadata_that_json_cannot_hold(tmp_path):
    with pytest.raises(CheckpointError, match="metadata does not fit into JSON"):
        save_checkpoint(tmp_path / "c", make()[0], metadata={"model": object()})
    assert list(tmp_path.iterdir()) == []


def test_arguments_in_the_wrong_order(tmp_path):
    with pytest.raises(ArgumentError, match=r"path: Sequential and model: \w+Path given"):
        save_checkpoint(make()[0], tmp_path / "c")
    with pytest.raises(ArgumentError, match="model: dict given, expected .* a Module"):
        save_checkpoint(tmp_path / "c", make()[0].state_dict())
    assert list(tmp_path.iterdir()) == []


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "file", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    for broken in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.os, broken, full)
            with pytest.raises(CheckpointError, match="cannot be written: No space left"):
                write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["file"]
    assert write_atomically(path, b"new").read_bytes() == b"new"


def test_ctrl_c_while_writing_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = write_atomically(tmp_path / "file", b"old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_path_without_a_name():
    with pytest.raises(CheckpointError, match="not the name of a file"):
        save_checkpoint("", make()[0])


def test_the_file_is_synced_before_it_takes_its_name(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*args, name=name, real=real):
            events.append(name)
            return real(*args)

        monkeypatch.setattr(checkpoint.os, name, noted)
    write_atomically(tmp_path / "file", b"x")
    assert events == (["fsync", "replace", "fsync"] if os.name == "posix" else ["fsync", "replace"])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "c", make()[0])
