"""What one sees of a training: a bar in a terminal, else a line per epoch."""

from __future__ import annotations

import time
from typing import Any

from .train import Callback, FitState

REFRESH = 0.1  # seconds between updates of the bar; each one fetches the sums from the device


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    """One epoch in one line of at most 80 columns."""
    parts = [f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}"]
    parts.append(scores(record["loss"], record["accuracy"]))
    if record["val_loss"] is not None:
        parts.append("test " + scores(record["val_loss"], record["val_accuracy"]))
    return "  ".join((*parts, f"{record['images_per_second']:,.0f} img/s"))


def scores(loss: float, accuracy: float) -> str:
    """Loss and accuracy, always of the same width."""
    return f"loss {loss:.3f}  acc {accuracy:6.2%}"


class ProgressBar(Callback):
    """Progress of :func:`nnlite.fit` on standard output.

    Args:
        console: a ``rich.console.Console``; default: one on standard output.
    """

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self.console = Console(highlight=False) if console is None else console
        self._bar: Any = None
        self._task: Any = None
        self._shown = 0.0

    def on_train_begin(self, state: FitState) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if not self.console.is_terminal or state.epoch >= state.epochs:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            expand=True,
        )
        total = state.epochs * state.batches
        done = state.epoch * state.batches + (state.history.partial or {}).get("batch", 0)
        self._task = self._bar.add_task(
            f"epoch {state.epoch + 1}/{state.epochs}",
            total=total,
            completed=done,
            status="compiling kernels",
        )
        self._bar.start()

    def on_batch_end(self, state: FitState) -> None:
        now = time.perf_counter()
        if self._bar is None or (now - self._shown < REFRESH and state.batch != state.batches):
            return
        self._shown = now
        meter = state.meter.collect()
        self._bar.update(
            self._task,
            completed=state.epoch * state.batches + state.batch,
            description=f"epoch {state.epoch + 1}/{state.epochs}",
            status=f"{scores(meter.loss, meter.accuracy)}  {meter.seen / state.elapsed:,.0f} img/s",
        )

    def on_epoch_end(self, state: FitState) -> None:
        line = epoch_line(state.history.epochs[-1], state.epochs)
        if self._bar is None:
            self.console.print(line, soft_wrap=True)
        else:
            self._bar.console.print(line)

    def on_train_end(self, state: FitState) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
