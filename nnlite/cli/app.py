"""The commands and their options; the work is done in the modules beside this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from .settings import OPTIMIZERS, SCHEDULES, Settings, parse_hidden

ERROR, INTERRUPTED = 2, 130


class ErrorsInOneLine(typer.core.TyperGroup):
    """Shows errors that nnlite raises on purpose as one line, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as e:
            from ..errors import NnliteError

            if not isinstance(e, NnliteError):
                raise
            print(f"error: {' '.join(str(e).split())}", file=sys.stderr)
            raise typer.Exit(ERROR) from None


app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, evaluate and use neural networks that run on kernels written by hand.",
)


def _default(name: str) -> str:
    return f"(default: {getattr(Settings, name)})"


Checkpoint = Annotated[Path, typer.Argument(help="Checkpoint, or the folder of a run.")]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda or cuda:N (default: the first GPU, else cpu)"),
]
DataArgument = Annotated[
    str | None,
    typer.Argument(
        help="mnist-5k, digits, fashion-mnist; or the path of a folder of IDX files, "
        "a folder with one folder of images per class, a .npz or a .csv file."
    ),
]


@app.command()
def train(
    data: DataArgument = None,
    model: Annotated[str | None, typer.Option(help=f"Model {_default('model')}")] = None,
    hidden: Annotated[
        str | None,
        typer.Option(help="Widths of the hidden layers, such as 256,128 (default: 128)"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Epochs {_default('epochs')}")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help=f"Items per step {_default('batch_size')}"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help=f"Learning rate (default: {OPTIMIZERS['adam']}; sgd {OPTIMIZERS['sgd']})"
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(OPTIMIZERS)} {_default('optimizer')}"),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help=f"Learning rate: {', '.join(SCHEDULES)} {_default('schedule')}"),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(help=f"Epochs of rising learning rate {_default('warmup')}"),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(help=f"Weight decay {_default('weight_decay')}"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help=f"Random seed {_default('seed')}")] = None,
    shift: Annotated[
        int | None,
        typer.Option(help="Move images by up to this many pixels (default: 1 from 16 pixels on)"),
    ] = None,
    standardise: Annotated[
        bool | None,
        typer.Option(help="Inputs as (x - mean) / std (default: standardise)"),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(help="CSV: name or number (from 0) of the label column."),
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(help="Image folders: pixels per side to resize to."),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Image folders: 1 grayscale, 3 RGB."),
    ] = None,
    device: Device = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results (default: runs/DATA-MODEL)"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the training of this folder or checkpoint."),
    ] = None,
) -> None:
    """Train a model; Ctrl-C saves it and tells how to resume."""
    options = {k: v for k, v in locals().items() if v is not None}
    device, out, resume = (options.pop(k, None) for k in ("device", "out", "resume"))
    if "hidden" in options:
        options["hidden"] = parse_hidden(options["hidden"])
    if data is None and resume is None:
        raise typer.BadParameter("missing; which data set?", param_hint="DATA")
    from .training import run

    raise typer.Exit(run(options, device, out, resume))


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: DataArgument = None,
    part: Annotated[str, typer.Option(help="Part of the data: test, train or all.")] = "test",
    device: Device = None,
) -> None:
    """Loss and accuracy of a trained model on a data set (default: the one it was trained on)."""
    from .inference import evaluate_checkpoint

    evaluate_checkpoint(checkpoint, data, part, device)


@app.command()
def predict(
    checkpoint: Checkpoint,
    inputs: Annotated[
        list[Path], typer.Argument(help="Images; or .npz (array x) or IDX files of many.")
    ],
    top: Annotated[int, typer.Option(help="Classes to show per input.", min=1)] = 1,
    invert: Annotated[
        bool, typer.Option("--invert", help="Images: swap dark and light (ink on paper).")
    ] = False,
    device: Device = None,
) -> None:
    """Class and probability for images."""
    from .inference import predict_files

    predict_files(checkpoint, inputs, top, invert, device)


@app.command()
def info() -> None:
    """Devices and their limits, versions, data sets, cache folder."""
    from .info import show

    show()


@app.callback(invoke_without_command=True)
def version(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Train, evaluate and use neural networks that run on kernels written by hand."""
    if show_version:
        from .. import __version__

        print(f"nnlite {__version__}")
        raise typer.Exit
