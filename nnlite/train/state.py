"""What a training keeps: its history, the sums of the running epoch, and the callbacks' view."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint import write_atomically
from ..data import DataLoader


@dataclass
class History:
    """What happened in each epoch of a training.

    Attributes:
        epochs: per epoch a dict of epoch (from 1), loss, accuracy, val_loss, val_accuracy (None
            without validation data), lr (at its start), images_per_second, seconds.
        partial: sums of an epoch that was stopped in the middle, else None.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    partial: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, key: str) -> list[Any]:
        """The values of one column, such as ``history["val_accuracy"]``."""
        return [record[key] for record in self.epochs]

    def best(self) -> dict[str, Any] | None:
        """The first epoch with the highest validation accuracy (training accuracy without)."""

        def rank(record: dict[str, Any]) -> float:
            value = record["val_accuracy"]
            return record["accuracy"] if value is None else value

        return max(self.epochs, key=rank) if self.epochs else None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, for JSON."""
        return {"epochs": self.epochs, "partial": self.partial}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> History:
        """The inverse of :meth:`to_dict`."""
        return cls(list(state["epochs"]), state["partial"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the epochs as JSON, atomically; NaN and infinity, which JSON lacks, as null."""
        epochs = [{k: _json_number(v) for k, v in record.items()} for record in self.epochs]
        write_atomically(Path(path), (json.dumps(epochs, indent=1) + "\n").encode())


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Meter:
    """Sums of loss and correct answers over the batches seen.

    Results stay on the device until they are asked for, so that a GPU need not wait for the host
    after every batch. They are added up one by one in float64: the same sums whenever one asks.
    """

    def __init__(self, loss_sum: float = 0.0, correct: int = 0, seen: int = 0) -> None:
        self.loss_sum, self.correct, self.seen = loss_sum, correct, seen
        self._waiting: list[tuple[Any, Any, int]] = []

    def add(self, loss: Any, correct: Any, items: int) -> None:
        """Note a batch: its mean loss, its number of correct answers (None: unknown), its size."""
        self._waiting.append((loss, correct, items))
        if len(self._waiting) >= 256:
            self.collect()

    def collect(self) -> Meter:
        """Fetch what is still on the device."""
        for loss, correct, items in self._waiting:
            self.loss_sum += float(loss.item()) * items
            self.correct += 0 if correct is None else int(correct.item())
            self.seen += items
        self._waiting.clear()
        return self

    @property
    def loss(self) -> float:
        """Mean loss per item."""
        return self.loss_sum / max(self.seen, 1)

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.correct / max(self.seen, 1)


@dataclass
class FitState:
    """Where a training stands; what callbacks get.

    Attributes:
        epoch, epochs: number of the epoch (from 0) and how many there will be.
        batch, batches: batches done in this epoch, and how many it has.
        meter: sums over this epoch; ``meter.collect()`` brings them up to date.
        seconds: training time of this epoch before ``started``.
        stop: set it to True to end the training after this batch.
    """

    model: Any
    optimizer: Any
    scheduler: Any
    loader: DataLoader
    history: History
    epochs: int
    epoch: int = 0
    batch: int = 0
    batches: int = 0
    meter: Meter = field(default_factory=Meter)
    started: float = 0.0
    seconds: float = 0.0
    lr: float = 0.0
    stop: bool = False

    @property
    def elapsed(self) -> float:
        """Seconds this epoch has trained."""
        return self.seconds + time.perf_counter() - self.started


class Callback:
    """Base class of callbacks: override what you need; ``state`` is a :class:`FitState`."""

    def on_train_begin(self, state: FitState) -> None:
        """Before the first batch."""

    def on_batch_end(self, state: FitState) -> None:
        """After each batch."""

    def on_epoch_end(self, state: FitState) -> None:
        """After each epoch, its record appended to ``state.history``."""

    def on_train_end(self, state: FitState) -> None:
        """After the last batch, also when stopped or failed."""
