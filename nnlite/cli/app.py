"""The commands and their options; the work is done in the modules beside this one."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
import typer.core

from . import options as o
from .settings import parse_hidden

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
            text = one_line(e)
            if text is None:
                raise
            print(f"error: {text}", file=sys.stderr)
            raise typer.Exit(ERROR) from None


def one_line(error: Exception) -> str | None:
    """What to say of an error that is no fault of the program; None for one that is."""
    from ..errors import NnliteError

    if isinstance(error, NnliteError):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory: {error or 'the machine has no more to give'}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, evaluate and use neural networks that run on kernels written by hand.",
)


@app.command()
def train(
    data: o.Data = None,
    model: o.Model = None,
    hidden: o.Hidden = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    lr: o.LearningRate = None,
    optimizer: o.Optimizer = None,
    schedule: o.Schedule = None,
    warmup: o.Warmup = None,
    weight_decay: o.WeightDecay = None,
    seed: o.Seed = None,
    shift: o.Shift = None,
    augment: o.Augment = None,
    standardise: o.Standardise = None,
    label: o.Label = None,
    resize: o.Resize = None,
    channels: o.Channels = None,
    device: o.Device = None,
    graph: o.Graph = False,
    out: o.Out = None,
    resume: o.Resume = None,
) -> None:
    """Train a model; Ctrl-C saves it and tells how to resume."""
    options = {k: v for k, v in locals().items() if v is not None}
    for name in ("device", "graph", "out", "resume"):
        options.pop(name, None)
    if "hidden" in options:
        options["hidden"] = parse_hidden(options["hidden"])
    if data is None and resume is None:
        raise typer.BadParameter("missing; which data set?", param_hint="DATA")
    from .training import run

    raise typer.Exit(run(options, device, out, resume, graph))


@app.command()
def evaluate(
    checkpoint: o.Checkpoint,
    data: o.Data = None,
    part: o.Part = "test",
    device: o.Device = None,
    pictures: o.Pictures = None,
) -> None:
    """Loss and accuracy of a trained model on a data set (default: the one it was trained on)."""
    from .inference import evaluate_checkpoint

    evaluate_checkpoint(checkpoint, data, part, device, pictures)


@app.command()
def predict(
    checkpoint: o.Checkpoint,
    inputs: o.Inputs,
    top: o.Top = 1,
    invert: o.Invert = False,
    device: o.Device = None,
) -> None:
    """Class and probability for images."""
    from .inference import predict_files

    predict_files(checkpoint, inputs, top, invert, device)


@app.command()
def info() -> None:
    """Devices and their limits, versions, data sets, cache folder."""
    from .info import show

    show()


@app.command()
def check(targets: o.CheckTargets, json: o.Json = False, html: o.Html = None) -> None:
    """Find races, wrong indices and divergent barriers in kernels; exit code 1 if there are any."""
    from .check import run

    raise typer.Exit(run(targets, json, html))


@app.command()
def resources(
    names: o.KernelNames = None,
    arch: o.Architecture = "sm_90",
    block: o.Block = 256,
    json: o.Json = False,
    out: o.ResourcesOut = None,
) -> None:
    """What each kernel takes of a GPU (registers, spills, memory), found without one."""
    from .resources import show

    show(names or [], arch, block, json, out)


@app.command()
def tune(
    targets: o.TuneTargets = None,
    batch_size: o.TuneBatch = 64,
    device: o.Device = None,
    again: o.Again = False,
    list_: o.ListStored = False,
    clear: o.ClearStored = False,
) -> None:
    """Measure what launchers can choose on this device, and store it for later runs."""
    from . import tune as work

    if clear:
        work.clear()
    elif list_:
        work.show()
    else:
        work.run(targets or [], batch_size, device, again)


@app.command()
def profile(
    targets: o.CheckTargets, gpu: o.Gpu = "H200", json: o.Json = False, html: o.Html = None
) -> None:
    """Sectors, bank conflicts, lanes and divergence of kernels by line; no GPU needed."""
    from .profile import run

    run(targets, gpu, json, html)


@app.command()
def ladder(
    name: o.LadderName = None,
    sizes: o.Sizes = None,
    device: o.Device = None,
    lens: o.Lens = False,
    plot: o.Plot = None,
    json: o.Json = False,
) -> None:
    """Run the steps of the ladders to learn from: are they right, how fast, why?"""
    from .ladder import show

    show(name, sizes, device, lens, plot, json)


@app.command()
def exercise(
    name: o.ExerciseName = None,
    file: o.Solution = None,
    start: o.Start = None,
    json: o.Json = False,
) -> None:
    """Kernels with holes to fill in: list, show, copy, grade; exit code 1 if not all is right."""
    from .exercise import run

    raise typer.Exit(run(name, file, start, json))


@app.callback(invoke_without_command=True)
def version(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Train, evaluate and use neural networks that run on kernels written by hand."""
    if show_version:
        from .. import __version__

        print(f"nnlite {__version__}")
        raise typer.Exit
