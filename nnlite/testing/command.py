"""The command ``nnlite`` called in this process, and a look at what a training wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QUICK = ("--hidden", "16", "--batch-size", "64")  # options of a training that takes a moment


def command(*args: object) -> Any:
    """Run the command; the result has ``exit_code``, ``stdout``, ``stderr`` and ``output``."""
    from typer.testing import CliRunner

    from ..cli.app import app

    return CliRunner().invoke(app, [str(a) for a in args], prog_name="nnlite")


def succeed(*args: object) -> str:
    """Run it and return what it printed; it must end well."""
    result = command(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(*args: object) -> str:
    """Run it and return its error, which must be one line without a traceback."""
    result = command(*args)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The epochs in ``history.json`` without what depends on the clock."""
    epochs = json.loads((folder / "history.json").read_text())
    clock = ("seconds", "images_per_second")
    return [{k: v for k, v in e.items() if k not in clock} for e in epochs]


def tensor_bytes(folder: Path, name: str = "model.safetensors") -> dict[str, bytes]:
    """All tensors of a checkpoint, to the bit, those of the optimizer too."""
    from ..checkpoint import read_checkpoint

    _, _, tensors = read_checkpoint(folder / name)
    return {k: v.tobytes() for k, v in tensors.items()}
