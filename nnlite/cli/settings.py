"""The options of a training: their defaults, their checks, and how a resumed one gets them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..data.augment import parse_augmentation
from ..errors import ArgumentError

# Name -> default learning rate.
OPTIMIZERS = {
    "adam": 2e-3,
    "adamw": 2e-3,
    "sgd": 5e-2,
    "rmsprop": 1e-3,
    "adagrad": 2e-2,
    "lion": 1e-3,
}
SCHEDULES = ("cosine", "step", "constant")
SHIFT_FROM = 16  # pixels per side from which on images are shifted by default
MAY_CHANGE = ("epochs",)  # what a resumed training may be given anew


@dataclass(frozen=True)
class Settings:
    """What decides a training, as stored in its checkpoint.

    Args:
        data: name or path of the data set; label, resize, channels: see ``nnlite.data.load``.
        model, hidden: name of the model, widths of its hidden layers.
        epochs, batch_size, lr, optimizer, weight_decay, seed: the usual.
        schedule: ``cosine`` from lr to 0, ``step`` (a tenth of it after each third of the
            epochs) or ``constant``; each step is a batch.
        warmup: epochs over which the learning rate rises from near 0 at the start.
        shift: training images are moved by up to this many pixels.
        augment: further changes of training images, such as ``crop:4,flip,cutout:8``.
        standardise: inputs as (x - mean) / std of the training part.
    """

    data: str
    model: str = "mlp"
    hidden: tuple[int, ...] = (128,)
    epochs: int = 20
    batch_size: int = 64
    lr: float | None = None
    optimizer: str = "adam"
    schedule: str = "cosine"
    warmup: int = 0
    weight_decay: float = 0.0
    seed: int = 0
    shift: int | None = None
    augment: str = ""
    standardise: bool = True
    label: str | None = None
    resize: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1), ("warmup", 0), ("seed", 0)):
            if getattr(self, name) < low:
                raise _wrong(name, getattr(self, name), f"{low} or more")
        if self.warmup > self.epochs:
            raise _wrong("warmup", self.warmup, f"at most the {self.epochs} of --epochs")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise _wrong("lr", self.lr, "a number above 0")
        if not 0 <= self.weight_decay < float("inf"):
            raise _wrong("weight_decay", self.weight_decay, "0 or more")
        if self.shift is not None and self.shift < 0:
            raise _wrong("shift", self.shift, "0 or more pixels")
        if self.resize is not None and self.resize < 1:
            raise _wrong("resize", self.resize, "1 or more pixels")
        if self.channels not in (None, 1, 3):
            raise _wrong("channels", self.channels, "1 (grayscale) or 3 (RGB)")
        parse_augmentation(self.augment)  # raises if it is none
        for name, known in (("optimizer", tuple(OPTIMIZERS)), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise _wrong(name, getattr(self, name), f"one of {', '.join(known)}")

    def completed(self, input_shape: tuple[int, ...]) -> Settings:
        """The same without None: the optimizer's learning rate, and the shift for these inputs.

        Images of at least 16 pixels a side are shifted by 1, other inputs not at all.
        """
        large = len(input_shape) == 3 and min(input_shape[1:]) >= SHIFT_FROM
        return dataclasses.replace(
            self,
            lr=OPTIMIZERS[self.optimizer] if self.lr is None else self.lr,
            shift=int(large) if self.shift is None else self.shift,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """The inverse of :meth:`to_dict`; unknown entries (of a newer version) are an error."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ArgumentError(f"settings of a newer nnlite: {', '.join(unknown)} not known here")
        return cls(**{**values, "hidden": tuple(values["hidden"])})

    def resumed(self, given: dict[str, Any], done: int) -> Settings:
        """These settings, to go on with after ``done`` epochs, with the options given anew.

        Raises:
            ArgumentError: an option differs that would make it another training, or no epoch is
                left to run.
        """
        for name, value in given.items():
            stored = getattr(self, name)
            if name not in MAY_CHANGE and value != stored:
                raise ArgumentError(
                    f"{_option(name)} {value!r} given, but the training to resume has {stored!r}; "
                    "leave the option out, or start anew without --resume"
                )
        new = dataclasses.replace(self, **given)
        if new.epochs <= done:
            raise ArgumentError(
                f"the training to resume has run {done} epochs of {new.epochs}; "
                f"to go on give more, such as --epochs {done + self.epochs}"
            )
        return new


def _option(name: str) -> str:
    return "DATA" if name == "data" else "--" + name.replace("_", "-")


def _wrong(name: str, value: Any, expected: str) -> ArgumentError:
    return ArgumentError(f"{_option(name)} {value!r} given, expected {expected}")


def parse_hidden(text: str) -> tuple[int, ...]:
    """Widths from text such as ``128`` or ``256,128``; empty text gives none.

    Raises:
        ArgumentError: not a list of whole numbers above 0.
    """
    parts = [p for p in text.replace(" ", "").split(",") if p]
    if not all(p.isascii() and p.isdigit() and int(p) > 0 for p in parts):
        raise ArgumentError(f"--hidden {text!r} given, expected widths such as 128 or 256,128")
    return tuple(int(p) for p in parts)
