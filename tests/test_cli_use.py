"""``nnlite evaluate``, ``predict`` and ``info``, and what the command says to wrong input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import nnlite as nl
from nnlite.cli import options
from nnlite.cli.inference import open_model
from nnlite.cli.settings import OPTIMIZERS, Settings, parse_hidden
from nnlite.errors import ArgumentError
from nnlite.kernels.engine.cpu import cache
from nnlite.testing.command import QUICK, command, fail, succeed

ROOT = Path(__file__).parents[1]


pytestmark = pytest.mark.usefixtures("command_on_the_cpu")


def test_predict_images_and_archives(digits_run, tmp_path):
    from PIL import Image

    data = nl.data.load("digits")
    model, metadata = open_model(digits_run, "cpu")
    inputs, _ = data.standardised(**metadata["normalisation"]).test[:5]
    expected = nl.predict(model, inputs).argmax(axis=1)
    files = []
    for i in range(5):
        pixels = np.rint(data.test.x[i, 0] * (255 / 16)).astype(np.uint8)
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    lines = succeed("predict", digits_run, *files).splitlines()
    assert [line.split()[0] for line in lines] == [str(f) for f in files]
    assert [int(line.split()[1]) for line in lines] == expected.tolist()
    assert all(line.endswith("%") for line in lines)

    np.savez(tmp_path / "x.npz", x=(data.test.x[:5, 0] / 16).astype(np.float32))
    lines = succeed("predict", digits_run, tmp_path / "x.npz", "--top", 10).splitlines()
    assert [int(line.split()[1]) for line in lines] == expected.tolist()
    assert lines[4].startswith(f"{tmp_path / 'x.npz'}[4]  ")
    assert sum(float(p.rstrip("%")) for p in lines[0].split()[2::2]) == pytest.approx(100, abs=0.1)


def test_predict_invert_and_resize(digits_run, tmp_path):
    from PIL import Image

    pixels = np.kron(nl.data.load("digits").test.x[0, 0], np.ones((4, 4), np.uint8)) * 15
    Image.fromarray(pixels).save(tmp_path / "light.png")
    Image.fromarray(255 - pixels).convert("RGB").save(tmp_path / "dark.png")
    light = succeed("predict", digits_run, tmp_path / "light.png").split()[1:]
    dark = succeed("predict", digits_run, tmp_path / "dark.png", "--invert").split()[1:]
    assert dark[0] == light[0]
    shares = [float(text[1].rstrip("%")) for text in (dark, light)]
    assert shares[0] == pytest.approx(shares[1], abs=0.5)  # resizing rounds light and dark apart


def test_csv_from_training_to_evaluation(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((200, 2))
    lines = [f"{a},{b},{'big' if a > b else 'small'}" for a, b in x]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,size", *lines]))
    out = tmp_path / "run"
    options = ("--epochs", 40, "--lr", 0.02, "--out", out, *QUICK)
    succeed("train", tmp_path / "t.csv", "--label", "size", *options)
    text = succeed("evaluate", out, "--part", "all")
    shares = [float(line.split()[-1].rstrip("%")) for line in text.splitlines()]
    assert len(shares) == 2
    assert min(shares) > 90
    np.savez(tmp_path / "x.npz", x=np.array([[0.9, 0.1], [0.1, 0.9]], np.float32))
    lines = succeed("predict", out, tmp_path / "x.npz").splitlines()
    assert [line.split()[1] for line in lines] == ["big", "small"]
    assert "not images; give a .csv" in fail("predict", out, tmp_path / "x.png")
    (tmp_path / "new.csv").write_text("a,b\n0.9,0.1\n0.1,0.9\n")
    (tmp_path / "labelled.csv").write_text("a,b,size\n0.9,0.1,\n0.1,0.9,big\n")
    for name in ("new.csv", "labelled.csv"):
        rows = succeed("predict", out, tmp_path / name).splitlines()
        assert [row.split()[1] for row in rows] == ["big", "small"]
    np.savez(tmp_path / "t.npz", x=x, y=np.where(x[:, 0] > x[:, 1], "big", "small"))
    assert "t, test part" in succeed("evaluate", out, tmp_path / "t.npz")


def test_image_folders_from_training_to_prediction(tmp_path):
    from PIL import Image

    for name, value in (("dark", 20), ("light", 220)):
        for i, side in enumerate((8, 9, 10, 11, 12)):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            pixels = np.full((side, side), value + i, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    out = tmp_path / "run"
    options = ("--resize", 8, "--epochs", 20, "--lr", 0.05, "--out", out)
    succeed("train", tmp_path / "set", *options)
    shutil.copytree(tmp_path / "set", tmp_path / "copy")
    assert "copy, test part, 2 items" in succeed("evaluate", out, tmp_path / "copy")
    lines = succeed("predict", out, tmp_path / "copy" / "light").splitlines()
    assert [line.split()[0] for line in lines] == [
        str(tmp_path / "copy" / "light" / f"{i}.png") for i in range(5)
    ]
    assert [line.split()[1] for line in lines] == ["light"] * 5
    assert "no images found in this folder" in fail("predict", out, tmp_path / "copy")


def test_brackets_in_a_path_are_no_markup(tmp_path):
    out = tmp_path / "[red]" / "[" / "x]"
    output = succeed("train", "digits", "--epochs", 1, "--out", out, *QUICK)
    assert f"to {out}\n" in output
    assert "[red]" in succeed("predict", out, _image(tmp_path / "[red].png"))


def _image(path: Path) -> Path:
    from PIL import Image

    Image.new("L", (8, 8), 100).save(path)
    return path


def test_wrong_data_and_checkpoints_give_one_line(digits_run, tmp_path):
    assert "no such file or folder" in fail("train", tmp_path / "nothing")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(20))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + bytes(4))
    assert "expected 16 for uint8 values of shape (0, 0, 0)" in fail("train", tmp_path)
    (tmp_path / "t.csv").write_text("1,2,0\n3,?,1\n")
    assert "line 2, column 2: '?' found" in fail("train", tmp_path / "t.csv")
    damaged = tmp_path / "damaged.safetensors"
    whole = (digits_run / "model.safetensors").read_bytes()
    damaged.write_bytes(whole[:-10])
    assert "not a whole safetensors file" in fail("evaluate", damaged)
    damaged.write_bytes(whole[:-10] + b"0123456789")
    for start in (("evaluate",), ("train", "--resume")):
        assert "the file is damaged" in fail(*start, damaged)
    assert "the file is damaged" in fail("predict", damaged, tmp_path / "a.png")
    nl.save_checkpoint(tmp_path / "own", nl.nn.Linear(2, 2))
    assert "was not written by 'nnlite train'" in fail("evaluate", tmp_path / "own")
    assert "a.png: no such file" in fail("predict", digits_run, tmp_path / "a.png")
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 7)))
    message = fail("predict", digits_run, tmp_path / "x.npz")
    assert "inputs of shape (7,) found, the model expects (1, 8, 8)" in message
    np.savez(tmp_path / "x.npz", x=np.zeros((30, 8, 9)), y=np.arange(30) % 3)
    message = fail("evaluate", digits_run, tmp_path / "x.npz")
    assert "inputs of shape (1, 8, 9) found, the model expects (1, 8, 8)" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", 0), "--epochs 0 given, expected 1 or more"),
        (("--lr", -1), "--lr -1.0 given, expected a number above 0"),
        (("--batch-size", 0), "--batch-size 0 given"),
        (("--optimizer", "ada"), "--optimizer 'ada' given, expected one of adam, adamw, sgd, rms"),
        (("--augment", "crop:x"), "augment: 'crop:x' given, expected some of crop, crop:PIXELS"),
        (("--schedule", "up"), "--schedule 'up' given, expected one of cosine, step, constant"),
        (("--hidden", "a"), "--hidden 'a' given, expected widths such as 128"),
        (("--hidden", "²"), "--hidden '²' given, expected widths such as 128"),
        (("--hidden", 10**12), "not enough memory: Unable to allocate"),
        (("--warmup", 3, "--epochs", 2), "--warmup 3 given, expected at most the 2 of --epochs"),
        (("--model", "resnet"), "model 'resnet' given, expected one of "),
        (("--model", "lenet", "--hidden", 9), "--hidden given, which only mlp has"),
        (("--device", "tpu"), "tpu"),
        (("--shift", -1), "--shift -1 given"),
        (("--channels", 2), "--channels 2 given, expected 1"),
        (("--lr", 1e30, "--epochs", 2), "training diverged"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    assert message in fail("train", "digits", "--out", tmp_path / "o", *options)


def test_out_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be made" in fail("train", "digits", "--out", tmp_path / "file" / "run")
    long = tmp_path / ("a" * 300)
    assert "File name too long" in fail("train", "digits", "--out", long)
    assert "File name too long" in fail("train", long)
    assert "File name too long" in fail("evaluate", long)


def test_out_that_cannot_be_written_to_is_refused_before_the_first_epoch(tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(30, "Read-only file system", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    message = fail("train", "digits", "--out", tmp_path / "o")
    assert f"--out {tmp_path / 'o'}: cannot be made or written to: Read-only" in message


def test_an_error_of_the_program_itself_keeps_its_traceback(monkeypatch, tmp_path):
    def broken(*_):
        raise KeyError("a bug")

    monkeypatch.setattr("nnlite.cli.training.Training.build", broken)
    assert isinstance(command("train", "digits", "--out", tmp_path).exception, KeyError)


def test_a_missing_data_argument_is_a_usage_error():
    result = command("train")
    assert result.exit_code == 2
    assert "which data set?" in result.stderr


def test_info_names_devices_versions_data_and_cache(monkeypatch):
    monkeypatch.setenv("NNLITE_DATA", "/somewhere")
    text = succeed("info")
    for word in (nl.__version__, "numba", "cpu", "1,024", "mnist-5k", "mlp", "/somewhere"):
        assert word in text
    assert str(cache.directory()) in text


def test_python_m_nnlite_and_the_version():
    done = subprocess.run(
        [sys.executable, "-m", "nnlite", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == (f"nnlite {nl.__version__}\n", 0)


def test_the_help_names_all_models_and_learning_rates():
    model, rate = (kind.__metadata__[0].help for kind in (options.Model, options.LearningRate))
    assert sorted(model.partition(" (")[0].split(", ")) == list(nl.models.names())
    assert all(f"{name} {value}" in rate for name, value in OPTIMIZERS.items())


def test_settings_survive_json_and_refuse_what_is_newer():
    settings = Settings("digits", hidden=(3, 2), lr=0.1).completed((1, 8, 8))
    assert settings.shift == 0
    assert Settings("m").completed((1, 28, 28)).shift == 1
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    with pytest.raises(ArgumentError, match="settings of a newer nnlite: dropout"):
        Settings.from_dict({**settings.to_dict(), "dropout": 0.1})


@pytest.mark.parametrize(
    ("text", "widths"), [("", ()), ("128", (128,)), ("256, 64", (256, 64)), ("8,", (8,))]
)
def test_parse_hidden(text, widths):
    assert parse_hidden(text) == widths
