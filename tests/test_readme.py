"""Every code block of README.md runs: Python blocks here, the two commands as a stranger would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
BASH = [code for language, code in BLOCKS if language == "bash"]


def test_every_block_has_a_known_language():
    assert {language for language, _ in BLOCKS} == {"python", "bash", "text"}
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.strip().splitlines()[0])
def test_python_block_runs(code, tmp_path):
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = [c for _, c in BLOCKS].index(code) + 1
    if done.stdout and BLOCKS[after][0] == "text":  # what it prints stands below it
        assert lines(done.stdout) == lines(BLOCKS[after][1])


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_the_exercise_is_graded_as_shown(tmp_path):
    number = next(i for i, (_, code) in enumerate(BLOCKS) if "def dot(" in code)
    (tmp_path / "mine.py").write_text(BLOCKS[number][1], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "nnlite", "exercise", "dot", "mine.py"],
        cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert lines(done.stdout) == lines(BLOCKS[number + 1][1])


def test_lengths_that_the_readme_promises():
    network = next(code for code in PYTHON if "Sequential" in code)
    kernel = next(code for code in PYTHON if "@nl.kernel" in code)
    assert len([line for line in network.splitlines() if line.strip()]) <= 10
    assert len([line for line in kernel.splitlines() if line.strip()]) <= 20


@pytest.mark.slow
def test_first_command_trains_on_real_images(tmp_path):
    """In a copy of the checkout, with a cold kernel cache, as on a bare machine."""
    clone = tmp_path / "nnlite"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name, follow_symlinks=False)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env["NNLITE_CACHE_DIR"] = str(tmp_path / "cache")
    env["PIP_COMPILE"] = "0"  # not all modules of all packages: those imported are compiled then
    command = next(code for code in BASH if "nnlite train mnist-5k" in code)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=clone, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = [float(a) for a in re.findall(r"test accuracy\D*([\d.]+) ?%", done.stdout)]
    assert accuracy, done.stdout
    assert accuracy[-1] >= 94, done.stdout


@pytest.mark.slow
def test_convolutional_command_runs(tmp_path):
    """The README's command word for word, on a Fashion-MNIST of 96 + 32 pictures of noise."""
    command = next(code for code in BASH if "fashion-mnist" in code).split()
    assert command[0] == "nnlite"
    rng = np.random.default_rng(0)
    for part, n in (("train", 96), ("t10k", 32)):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        head = np.array([0x0803, n, 28, 28], ">i4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        head = np.array([0x0801, n], ">i4").tobytes()
        labels = (np.arange(n) % 10).astype(np.uint8)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    done = subprocess.run(
        [sys.executable, "-m", "nnlite", *command[1:]],
        cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(ROOT), NNLITE_DATA=str(tmp_path)),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "96 training and 32 test items" in done.stdout
    assert "epoch 5/5" in done.stdout


@pytest.mark.slow
def test_benchmark_command_runs(tmp_path):
    """The README's command, cut to one case and one round."""
    command = next(code for code in BASH if "bench.run" in code).strip()
    assert command.startswith(".venv/bin/python ")
    short = [sys.executable, *command.split()[1:], "--only", "matmul 256", "--rounds", "1"]
    out = tmp_path / "figures.json"
    done = subprocess.run([*short, "--out", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())["results"][0]
    assert result["case"] == "matmul 256"
    assert {"nnlite", f"NumPy {np.__version__}"} <= set(result["sides"])


def test_second_command_is_what_ci_runs():
    marked = re.search(r"<!-- test command -->\s*```bash\n(.*?)```", README, re.DOTALL)
    assert marked is not None
    assert "pytest" in marked[1]
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_no_other_bash_blocks_go_untested():
    known = (
        "nnlite train mnist-5k",
        "nnlite train fashion-mnist",
        "-m pytest",
        "python -m bench.run",
    )
    assert all(any(words in code for words in known) for code in BASH), BASH
