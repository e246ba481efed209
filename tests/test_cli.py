"""``nnlite train``, end to end: training, resuming, Ctrl-C."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import nnlite as nl
from nnlite.cli import report
from nnlite.cli.settings import Settings
from nnlite.cli.signals import StopOnSignal
from nnlite.testing.command import QUICK, fail, recorded, succeed, tensor_bytes
from nnlite.train import History

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("command_on_the_cpu")


def test_train_reaches_94_percent_on_mnist_5k_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = succeed("train", "mnist-5k", "--device", "cpu")
    folder = tmp_path / "runs" / "mnist-5k-mlp"
    assert sorted(os.listdir(folder)) == [
        "best.safetensors",
        "curves.png",
        "history.json",
        "model.safetensors",
    ]
    assert recorded(folder)[-1]["val_accuracy"] >= 0.94
    assert "Linear" in output
    assert "101,770" in output
    assert "epoch 20/20" in output
    assert "test accuracy 9" in output
    evaluated = succeed("evaluate", folder)
    assert f"accuracy {recorded(folder)[-1]['val_accuracy']:.2%}" in evaluated


def test_train_repeats_with_the_same_seed(digits_run, tmp_path):
    succeed("train", "digits", "--epochs", 2, "--out", tmp_path / "again", *QUICK)
    assert tensor_bytes(tmp_path / "again") == tensor_bytes(digits_run)
    assert recorded(tmp_path / "again") == recorded(digits_run)
    succeed("train", "digits", "--epochs", 2, "--out", tmp_path / "other", "--seed", 1, *QUICK)
    assert tensor_bytes(tmp_path / "other") != tensor_bytes(digits_run)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "lion"])
def test_every_optimizer_and_schedule_learns(tmp_path, optimizer, schedule):
    options = ("--optimizer", optimizer, "--schedule", schedule, "--warmup", 1)
    succeed("train", "digits", "--epochs", 4, "--out", tmp_path, *options, *QUICK)
    history = recorded(tmp_path)
    losses = [e["loss"] for e in history]
    assert losses == sorted(losses, reverse=True)
    assert history[-1]["val_accuracy"] > 0.5
    rates = [e["lr"] for e in history]
    assert rates[0] < rates[1]
    assert rates[1] == pytest.approx(Settings("d", optimizer=optimizer).completed((4,)).lr)
    assert (rates[3] < rates[1]) == (schedule != "constant")


def test_another_training_of_the_same_name_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = Path("runs") / "digits-mlp"
    output = succeed("train", "digits", "--epochs", 1, *QUICK)
    assert f"to {first}\n" in output
    assert "earlier training" not in output
    before = tensor_bytes(first)
    for number in (2, 3):
        output = succeed("train", "digits", "--epochs", 1, "--seed", number, *QUICK)
        assert f"{first} holds an earlier training; this one goes to {first}-{number}" in output
        assert recorded(Path(f"{first}-{number}"))
    assert tensor_bytes(first) == before
    output = succeed("train", "--resume", first, "--epochs", 2)
    assert "earlier training" not in output
    assert len(recorded(first)) == 2
    output = succeed("train", "digits", "--epochs", 1, "--out", first, *QUICK)
    assert f"{first} holds an earlier training, which this one replaces" in output


def test_a_training_that_diverges_leaves_the_earlier_checkpoint(tmp_path):
    options = ("train", "digits", "--out", tmp_path, *QUICK)
    succeed(*options, "--epochs", 1)
    before = tensor_bytes(tmp_path)
    message = fail(*options, "--epochs", 2, "--lr", 1e30)
    assert "training diverged: the loss of epoch 1 is nan; try a smaller learning rate" in message
    assert tensor_bytes(tmp_path) == before


def test_stopping_a_training_that_diverged_does_not_save_it(tmp_path, monkeypatch):
    options = ("train", "digits", "--out", tmp_path, *QUICK)
    succeed(*options, "--epochs", 1)
    before = tensor_bytes(tmp_path)

    def stop_soon(self, state):
        state.stop = self.stopped = state.batch == 9

    monkeypatch.setattr(StopOnSignal, "on_batch_end", stop_soon)
    assert "training diverged: the loss of epoch 1" in fail(*options, "--lr", 1e30)
    assert tensor_bytes(tmp_path) == before


def test_the_result_is_the_last_epoch_and_the_best_one_is_called_what_it_is(tmp_path):

    class Training:
        folder = tmp_path
        data = nl.data.load("digits")
        history = History([{"epoch": i + 1, "val_accuracy": a} for i, a in enumerate((0.9, 0.8))])

    console = Console(width=200, record=True, file=io.StringIO())
    (tmp_path / "best.safetensors").write_text("")
    report.finished(Training, console, 1.0)
    finished = console.export_text().splitlines()
    assert finished[0].startswith("test accuracy 80.00% after 2 epochs; trained in 1.0 s")
    assert finished[1].startswith("best.safetensors is epoch 1 (90.00%), picked by the test items")


def test_resume_continues_a_longer_training(digits_run, tmp_path):
    options = ("--schedule", "constant", *QUICK)
    succeed("train", "digits", "--epochs", 1, "--out", tmp_path / "a", *options)
    first = recorded(tmp_path / "a")
    output = succeed("train", "--resume", tmp_path / "a", "--epochs", 3)
    assert "resuming after epoch 1" in output
    succeed("train", "digits", "--epochs", 3, "--out", tmp_path / "b", *options)
    assert recorded(tmp_path / "a") == recorded(tmp_path / "b")
    assert recorded(tmp_path / "a")[:1] == first
    assert tensor_bytes(tmp_path / "a") == tensor_bytes(tmp_path / "b")


def test_resume_refuses_another_training(digits_run, tmp_path):
    for option, value, text in (
        ("--lr", "0.1", "--lr 0.1 given, but the training to resume has 0.002"),
        ("--hidden", "32", "--hidden (32,) given, but the training to resume has (16,)"),
        ("--optimizer", "sgd", "--optimizer 'sgd' given"),
        ("--seed", "3", "--seed 3 given"),
        ("--epochs", "2", "has run 2 epochs of 2; to go on give more, such as --epochs 4"),
    ):
        assert text in fail("train", "--resume", digits_run, option, value)
    assert "DATA 'mnist-5k' given" in fail("train", "mnist-5k", "--resume", digits_run)
    assert "no such checkpoint" in fail("train", "--resume", tmp_path)


def test_resume_notices_changed_data(tmp_path):
    x = np.random.default_rng(0).random((40, 3))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(40) % 2)
    succeed("train", tmp_path / "d.npz", "--epochs", 1, "--out", tmp_path / "run", *QUICK)
    np.savez(tmp_path / "d.npz", x=x + 1e-9, y=np.arange(40) % 2)
    message = fail("train", "--resume", tmp_path / "run", "--epochs", 2)
    assert "trained on other data" in message


def interrupted(args: list[str], after: str, number: int) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own and signal it after a line that begins so."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnlite", *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(after):
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(args, process.returncode, "".join(lines) + out, err)


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_the_printed_command_resumes_to_the_same_end(tmp_path, number):
    options = ["train", "digits", "--epochs", "60", "--hidden", "16", "--device", "cpu", "--out"]
    result = interrupted([*options, str(tmp_path / "a")], "epoch  2/60", number)
    assert result.returncode == 130, result.stdout + result.stderr
    assert "everything is saved" in result.stdout
    assert result.stderr == ""
    command = shlex.split(result.stdout.splitlines()[-1])
    assert command == ["nnlite", "train", "--resume", str(tmp_path / "a")]
    assert 2 <= len(recorded(tmp_path / "a")) < 60
    assert (tmp_path / "a" / "curves.png").stat().st_size > 1000
    succeed(*command[1:])
    succeed(*options, tmp_path / "b")
    assert tensor_bytes(tmp_path / "a") == tensor_bytes(tmp_path / "b")
    assert recorded(tmp_path / "a") == recorded(tmp_path / "b")


def test_best_checkpoint_is_that_of_the_best_epoch(digits_run):
    _, document, _ = nl.checkpoint.read_checkpoint(digits_run / "best.safetensors")
    values = [e["val_accuracy"] for e in recorded(digits_run)]
    assert document["metadata"]["epoch"] == values.index(max(values)) + 1


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_a_second_ctrl_c_ends_at_once_and_handlers_are_restored(capsys):
    before = signal.getsignal(signal.SIGINT)
    with StopOnSignal(Console()) as stopper:
        assert not stopper.stopped
        os.kill(os.getpid(), signal.SIGINT)
        assert stopper.stopped
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert capsys.readouterr().out.startswith("stopping after this step")
