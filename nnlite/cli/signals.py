"""Ctrl-C during a training."""

from __future__ import annotations

import contextlib
import signal
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console

from ..train import Callback, FitState


class StopOnSignal(Callback, AbstractContextManager):
    """Ctrl-C (or SIGTERM) ends the training after the running step; a second one at once."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stopped = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignal:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        with contextlib.suppress(RuntimeError):  # the signal came while a line was being written
            self.console.print("stopping after this step; once more: at once, without saving")

    def on_batch_end(self, state: FitState) -> None:
        state.stop = state.stop or self.stopped

    def on_epoch_end(self, state: FitState) -> None:
        state.stop = state.stop or self.stopped
