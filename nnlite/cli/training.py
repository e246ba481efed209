"""``nnlite train``: everything around :func:`nnlite.fit`."""

from __future__ import annotations

import math
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from .. import models, optim, random
from ..checkpoint import FILE_NAME, load_checkpoint, read_checkpoint, save_checkpoint
from ..data import DataLoader, DataSplits, load, statistics
from ..data.augment import parse_augmentation
from ..data.builtin import BUILTIN
from ..errors import ArgumentError, CheckpointError, NnliteError
from ..kernels.engine import set_default_device
from ..train import Callback, FitState, History, fit
from .report import BEST_NAME, CURVES_NAME, HISTORY_NAME, describe, finished, stopped
from .settings import Settings
from .signals import StopOnSignal
from .terminal import open_console

INTERRUPTED = 130
KINDS: dict[str, Any] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "sgd": optim.SGD,
    "rmsprop": optim.RMSprop,
    "adagrad": optim.Adagrad,
    "lion": optim.Lion,
}


def run(
    options: dict[str, Any],
    device: str | None,
    out: Path | None,
    resume: Path | None,
    graph: bool = False,
) -> int:
    """Train as the options say; returns the exit code."""
    console = open_console()
    if device is not None:
        set_default_device(device)
    training = Training(options, out, resume)
    describe(training, console)
    return training.train(console, graph)


class Training:
    """One training: its settings, data, model, optimizer, and the folder of its results.

    Args:
        options: the options given, by their names in :class:`Settings`.
        out: folder for the results; default ``runs/<data>-<model>``, or the first of that name
            with ``-2``, ``-3``, … that holds no earlier training.
        resume: folder or checkpoint of the training to go on with.
    """

    def __init__(self, options: dict[str, Any], out: Path | None, resume: Path | None) -> None:
        self.history = History()
        if "data" in options and options["data"] not in BUILTIN and Path(options["data"]).exists():
            options["data"] = str(Path(options["data"]).resolve())  # to resume from elsewhere
        stored: dict[str, Any] = {}
        if resume is None:
            self.settings = Settings(**options)
        else:
            resume, document, _ = read_checkpoint(resume)
            stored = document["metadata"]
            if "settings" not in stored:
                raise CheckpointError(f"{resume}: was not written by 'nnlite train'")
            self.history = History.from_dict(stored["history"])
            before = Settings.from_dict(stored["settings"])
            self.settings = before.resumed(options, len(self.history))
        s = self.settings
        if resume is None and "hidden" in options and s.model != "mlp":
            raise ArgumentError(f"--hidden given, which only mlp has; the model is {s.model}")
        self.data = load(s.data, label=s.label, resize=s.resize, channels=s.channels)
        self.settings = s = s.completed(self.data.input_shape)
        self.normalise(stored.get("normalisation"))
        self.fingerprint = _fingerprint(self.data)
        if stored and stored["fingerprint"] != self.fingerprint:
            raise CheckpointError(
                f"{resume}: trained on other data: {s.data} has changed since; "
                "start anew without --resume"
            )
        self.choose_folder(out or (resume.parent if resume else None), resume is not None)
        self.build()
        if resume is not None:
            load_checkpoint(resume, self.model, self.optimizer, self.scheduler)
            random.generator().bit_generator.state = stored["random"]

    def choose_folder(self, given: Path | None, resumed: bool) -> None:
        """The folder given, or a new one: nobody loses a training by starting another."""
        self.spares: Path | None = None
        first = Path("runs") / f"{self.data.name}-{self.settings.model}"
        self.folder, number = given or first, 1
        while given is None and (self.folder / FILE_NAME).exists():
            number += 1
            self.spares, self.folder = first, first.with_name(f"{first.name}-{number}")
        self.replaces = not resumed and (self.folder / FILE_NAME).exists()

    def normalise(self, stored: dict[str, Any] | None) -> None:
        """Inputs as (x - mean) / std, with stored figures or those of the training part."""
        if stored is None and self.settings.standardise:
            mean, std = statistics(self.data.train)
            stored = {"mean": mean.tolist(), "std": std.tolist()}
        self.normalisation = stored
        if stored is not None:
            self.data = self.data.standardised(stored["mean"], stored["std"])

    def build(self) -> None:
        """Loader, model, optimizer and schedule, in their state before the first step."""
        s, data = self.settings, self.data
        augment = parse_augmentation(s.augment)
        self.loader = DataLoader(
            data.train, s.batch_size, True, s.seed, shift=s.shift or 0, augment=augment
        )
        random.manual_seed(s.seed)
        self.model_config = {
            "name": s.model,
            "input_shape": data.input_shape,
            "num_classes": data.num_classes,
            "options": {"hidden": s.hidden} if s.model == "mlp" else {},
        }
        self.model = build_model(self.model_config)
        extra = {"momentum": 0.9} if s.optimizer == "sgd" else {}
        self.optimizer = KINDS[s.optimizer](
            self.model.parameters(), lr=s.lr, weight_decay=s.weight_decay, **extra
        )
        steps = len(self.loader)
        rising = s.warmup * steps
        rest = max(s.epochs * steps - rising, 1)
        schedules = optim.lr_scheduler
        self.scheduler: optim.lr_scheduler.LRScheduler
        if s.schedule == "cosine":
            self.scheduler = schedules.CosineAnnealingLR(self.optimizer, rest)
        elif s.schedule == "step":
            self.scheduler = schedules.StepLR(self.optimizer, -(-rest // 3))
        else:
            self.scheduler = schedules.ConstantLR(self.optimizer)
        if rising:
            self.scheduler = schedules.Warmup(self.scheduler, rising)

    def train(self, console: Console, graph: bool = False) -> int:
        """Run the epochs that are left, write the results, report; returns the exit code."""
        from ..progress import ProgressBar

        try:  # better now than after the first epoch
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as e:
            raise NnliteError(
                f"--out {self.folder}: cannot be made or written to: {e.strerror}"
            ) from e
        started = time.perf_counter()
        stopper = StopOnSignal(console)
        with stopper:
            fit(
                self.model,
                self.loader,
                epochs=self.settings.epochs,
                optimizer=self.optimizer,
                scheduler=self.scheduler,
                validation=self.data.test,
                history=self.history,
                callbacks=(ProgressBar(console), Saver(self), stopper),
                progress=False,
                graph=graph,
            )
        seconds = time.perf_counter() - started
        if self.history.partial is not None:
            self.require_finite(self.history.partial["loss_sum"], len(self.history) + 1)
        self.save(self.folder / FILE_NAME)
        self.write_history(curves=True)
        if stopper.stopped and len(self.history) < self.settings.epochs:
            stopped(self, console)
            return INTERRUPTED
        finished(self, console, seconds)
        return 0

    def require_finite(self, loss: float, epoch: int) -> None:
        """Raise if a training went wrong, before its parameters replace those that are saved."""
        if not math.isfinite(loss):
            raise NnliteError(
                f"training diverged: the loss of epoch {epoch} is {loss}; try a smaller learning "
                f"rate, such as --lr {min((self.settings.lr or 0.0) / 10, 1e-3):g}"
            )

    def save(self, path: Path) -> None:
        """Write everything needed to resume and to predict."""
        data = self.data
        metadata = {
            "settings": self.settings.to_dict(),
            "model": self.model_config,
            "data": data.name,
            "class_names": data.class_names,
            "normalisation": self.normalisation,
            "fingerprint": self.fingerprint,
            "epoch": len(self.history),
            "history": self.history.to_dict(),
            "loader": self.loader.state_dict(),
            "random": random.generator().bit_generator.state,
        }
        save_checkpoint(path, self.model, self.optimizer, self.scheduler, metadata)

    def write_history(self, curves: bool = False) -> None:
        """``history.json`` and, if asked for, ``curves.png``."""
        self.history.save(self.folder / HISTORY_NAME)
        if curves and len(self.history):
            from ..plots import learning_curves

            title = f"{self.settings.model} on {self.data.name}"
            learning_curves(self.history, self.folder / CURVES_NAME, title)


class Saver(Callback):
    """Writes the last and the best checkpoint and the history after every epoch."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def on_epoch_end(self, state: FitState) -> None:
        record = state.history.epochs[-1]
        self.training.require_finite(record["loss"], record["epoch"])
        self.training.save(self.training.folder / FILE_NAME)
        if state.history.best() is record:
            self.training.save(self.training.folder / BEST_NAME)
        self.training.write_history()


def build_model(config: dict[str, Any]) -> Any:
    """The model that a checkpoint's metadata describe, with random parameters."""
    options = dict(config["options"])
    return models.build(config["name"], config["input_shape"], config["num_classes"], **options)


def _fingerprint(data: DataSplits) -> str:
    """Checksum of all inputs, labels and class names, to notice that a file has changed."""
    crc = zlib.crc32("\0".join(data.class_names).encode())
    for part in (data.train, data.test):
        for array in (part.x, part.y):
            crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"
