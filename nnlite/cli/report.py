"""What ``nnlite train`` prints before and after the training."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from .. import __version__ as VERSION
from ..checkpoint import FILE_NAME
from ..kernels.engine import default_device
from ..summary import parameter_count, rows, shape_text
from ..train import History
from .terminal import counted

if TYPE_CHECKING:
    from .training import Training

BEST_NAME = "best.safetensors"
HISTORY_NAME = "history.json"
CURVES_NAME = "curves.png"


def describe(training: Training, console: Console) -> None:
    """Print what will be trained on what."""
    s, data, history = training.settings, training.data, training.history
    console.print(
        f"nnlite {VERSION} on {default_device()}\n"
        f"{data.name}: {len(data.train):,} training and {len(data.test):,} test items of shape "
        f"{shape_text(data.input_shape)}, {data.num_classes} classes"
    )
    table = Table("layer", "output shape", title=s.model, title_justify="left")
    table.add_column("parameters", justify="right")
    for row in rows(training.model, data.input_shape):
        table.add_row(
            row.layer.partition("(")[0], shape_text(row.output_shape), f"{row.parameters:,}"
        )
    table.add_section()
    table.add_row("total", "", f"{parameter_count(training.model):,}")
    console.print(table)
    line = f"{s.optimizer}, learning rate {s.lr:g} ({s.schedule}), batches of "
    line += f"{s.batch_size}, {counted(s.epochs, 'epoch')}, seed {s.seed}"
    line += f", images shifted by up to {s.shift} pixel" if s.shift else ""
    console.print(line + (f", augmented by {s.augment}" if s.augment else ""))
    if len(history) or history.partial:
        console.print(f"resuming after epoch {len(history)}{batch_text(history)}")
    elif training.replaces:
        console.print(f"{training.folder} holds an earlier training, which this one replaces")
    elif training.spares is not None:
        console.print(
            f"{training.spares} holds an earlier training; this one goes to {training.folder}"
        )


def stopped(training: Training, console: Console) -> None:
    """Print how to go on with a training that was stopped."""
    history = training.history
    console.print(
        f"stopped after epoch {len(history)}{batch_text(history)}; everything is saved. To go on:"
    )
    command = shlex.join(["nnlite", "train", "--resume", str(training.folder)])
    console.print(f"  {command}", soft_wrap=True)


def finished(training: Training, console: Console, seconds: float) -> None:
    """Print the result and what to do with it.

    The result is that of the last epoch. The best one was picked among the epochs by the test
    items themselves, so its figure is too kind, and the line says so.
    """
    last, best, folder = training.history.epochs[-1], training.history.best(), training.folder
    assert best is not None
    console.print(
        f"test accuracy {last['val_accuracy']:.2%} after {counted(last['epoch'], 'epoch')}; "
        f"trained in {seconds:.1f} s, compilation included"
    )
    names = [FILE_NAME, HISTORY_NAME, CURVES_NAME]
    if (folder / BEST_NAME).exists():
        names.insert(1, BEST_NAME)
        if best["epoch"] != last["epoch"]:
            console.print(
                f"{BEST_NAME} is epoch {best['epoch']} ({best['val_accuracy']:.2%}), picked by "
                "the test items: not a figure to quote"
            )
    console.print(f"wrote {', '.join(names[:-1])} and {names[-1]} to {folder}")
    inputs = "IMAGE.png" if len(training.data.input_shape) == 3 else "ROWS.csv"
    command = shlex.join(["nnlite", "predict", str(folder)])
    console.print(f"use it:  {command} {inputs}", soft_wrap=True)


def batch_text(history: History) -> str:
    """Where a training stands within its epoch, if it does."""
    return f", batch {history.partial['batch']}" if history.partial else ""
