"""Arguments and options of the commands: type, help and default of each.

Most have no default here, so that one can tell what was given: a resumed training takes the rest
from its checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from .settings import OPTIMIZERS, SCHEDULES, Settings


def _help(text: str, name: str) -> str:
    return f"{text} (default: {getattr(Settings, name)})"


Checkpoint = Annotated[Path, Argument(help="Checkpoint, or the folder of a run.")]
Data = Annotated[
    str | None,
    Argument(
        help="mnist-5k, digits, fashion-mnist; or the path of a folder of IDX files, "
        "a folder with one folder of images per class, a .npz or a .csv file."
    ),
]
Model = Annotated[str | None, Option(help=_help("mlp, lenet, vgg, resnet8, resnet20", "model"))]
Hidden = Annotated[
    str | None, Option(help="Widths of the hidden layers, such as 256,128 (default: 128)")
]
Epochs = Annotated[int | None, Option(help=_help("Epochs", "epochs"))]
BatchSize = Annotated[int | None, Option(help=_help("Items per step", "batch_size"))]
LearningRate = Annotated[
    float | None,
    Option(help=f"Learning rate (default: {', '.join(f'{k} {v}' for k, v in OPTIMIZERS.items())})"),
]
Optimizer = Annotated[str | None, Option(help=_help(", ".join(OPTIMIZERS), "optimizer"))]
Schedule = Annotated[
    str | None, Option(help=_help(f"Learning rate: {', '.join(SCHEDULES)}", "schedule"))
]
Warmup = Annotated[int | None, Option(help=_help("Epochs of rising learning rate", "warmup"))]
WeightDecay = Annotated[float | None, Option(help=_help("Weight decay", "weight_decay"))]
Seed = Annotated[int | None, Option(help=_help("Random seed", "seed"))]
Shift = Annotated[
    int | None,
    Option(help="Move images by up to this many pixels (default: 1 from 16 pixels on)"),
]
Augment = Annotated[
    str | None,
    Option(help="Change training images at random: crop:PIXELS, flip, cutout:PIXELS, by commas."),
]
Standardise = Annotated[
    bool | None, Option(help="Inputs as (x - mean) / std (default: standardise)")
]
Label = Annotated[str | None, Option(help="CSV: name or number (from 0) of the label column.")]
Resize = Annotated[int | None, Option(help="Image folders: pixels per side to resize to.")]
Channels = Annotated[int | None, Option(help="Image folders: 1 grayscale, 3 RGB.")]
Device = Annotated[
    str | None, Option(help="cpu, cuda or cuda:N (default: the first GPU, else cpu)")
]
Graph = Annotated[bool, Option("--graph", help="GPU: replay each step as a CUDA graph.")]
Out = Annotated[
    Path | None,
    Option(help="Folder for the results (default: runs/DATA-MODEL, or a new one beside it)"),
]
Resume = Annotated[
    Path | None, Option(help="Go on with the training of this folder or checkpoint.")
]
Inputs = Annotated[
    list[Path],
    Argument(help="Images or folders of them; or .npz (array x), .csv or IDX files of many."),
]
Top = Annotated[int, Option(help="Classes to show per input.", min=1)]
Invert = Annotated[bool, Option("--invert", help="Images: swap dark and light (ink on paper).")]
Part = Annotated[str, Option(help="Part of the data: test, train or all.")]
Pictures = Annotated[
    Path | None,
    Option(help="Folder for a confusion matrix, the first filters and the wrong predictions."),
]
KernelNames = Annotated[
    list[str] | None, Argument(help="Ops or kernels, or parts of their names (default: all).")
]
Architecture = Annotated[
    str, Option(help="sm_75, sm_80, sm_86, sm_89, sm_90, sm_90a, sm_100, sm_120 or all.")
]
ResourcesOut = Annotated[
    Path | None, Option("--out", help="File for the figures, .json or .csv, instead of a table.")
]
Block = Annotated[
    int, Option(help="Threads per block of kernels without launch bounds.", min=1, max=1024)
]
CheckTargets = Annotated[
    list[str],
    Argument(
        help="FILE.py:KERNEL, launched with the (grid, block, (arguments...)) that the file's "
        "function inputs() returns; or an op or kernel of nnlite, such as softmax."
    ),
]
Json = Annotated[bool, Option("--json", help="Print JSON instead of a table.")]
Html = Annotated[
    Path | None,
    Option("--html", help="File for a report with pictures, such as report.html; works offline."),
]
LadderName = Annotated[str | None, Argument(help="matmul, reduce or conv (default: all).")]
Sizes = Annotated[str | None, Option(help="Sizes as its formula names them: 512,512,512.")]
Plot = Annotated[Path | None, Option(help="Picture to draw the rates into, such as rates.png.")]
Gpu = Annotated[str, Option(help="GPU of the roofline: T4, A100, H100, H200 or 'RTX 4090'.")]
Lens = Annotated[bool, Option("--lens", help="Count traffic of memory too; takes a minute.")]
ExerciseName = Annotated[str | None, Argument(help="Name of the exercise (default: list them).")]
Solution = Annotated[Path | None, Argument(help="File with your solution, to be graded.")]
Start = Annotated[Path | None, Option(help="Copy the exercise to this new file, to be filled in.")]
TuneTargets = Annotated[
    list[str] | None,
    Argument(help="Models to train for two steps, products such as 4096x4096x4096 (default: few)."),
]
TuneBatch = Annotated[int, Option("--batch-size", help="Items per step.", min=1)]
Again = Annotated[bool, Option("--again", help="Measure also what is stored already.")]
ListStored = Annotated[bool, Option("--list", help="Only show what is stored.")]
ClearStored = Annotated[bool, Option("--clear", help="Only delete what is stored.")]
