"""Augmentation: random changes of a batch of images that leave their classes as they are.

An augmentation is called with a batch, which it does not change, and a NumPy generator, which
decides what happens to each image; it returns a new batch. It runs on the transformed batch: where
inputs are standardised, 0 is the mean colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError

Augmentation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class RandomCrop:
    """Adds a border of zeros to each image and cuts its size out again at a random place.

    Args:
        padding: width of the border in pixels.

    Shape:
        (n, channels, height, width), as of the result.
    """

    padding: int = 4

    def __post_init__(self) -> None:
        _require_whole("RandomCrop", "padding", self.padding)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _require_images("RandomCrop", x)
        p = self.padding
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, x.shape[2:], axis=(2, 3))
        down, right = rng.integers(0, 2 * p + 1, (2, len(x)))
        return np.ascontiguousarray(windows[np.arange(len(x)), :, down, right])


@dataclass(frozen=True)
class RandomFlip:
    """Mirrors images left to right.

    Args:
        p: share of the images that are mirrored, in [0, 1].

    Shape:
        (n, channels, height, width), as of the result.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        _require_share("RandomFlip", self.p)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _require_images("RandomFlip", x)
        chosen = rng.random(len(x)) < self.p
        found = x.copy()
        found[chosen] = x[chosen, :, :, ::-1]
        return found


@dataclass(frozen=True)
class Cutout:
    """Sets a square of each image to 0; at the border part of it may lie outside.

    Source: T. DeVries and G. Taylor, "Improved Regularization of Convolutional Neural Networks
    with Cutout", arXiv:1708.04552.

    Args:
        size: side of the square in pixels.
        p: share of the images, in [0, 1].

    Shape:
        (n, channels, height, width), as of the result.
    """

    size: int = 8
    p: float = 1.0

    def __post_init__(self) -> None:
        _require_whole("Cutout", "size", self.size)
        _require_share("Cutout", self.p)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _require_images("Cutout", x)
        n, _, height, width = x.shape
        chosen = rng.random((n,)) < self.p
        rows = self._span(rng.integers(0, height, (n,)), height)
        columns = self._span(rng.integers(0, width, (n,)), width)
        hole = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
        return np.where(hole[:, None], x.dtype.type(0), x)

    def _span(self, centres: Any, length: int) -> np.ndarray:
        """(n, length): which places lie in a span of ``size`` around each centre."""
        place = np.arange(length) - centres[:, None] + self.size // 2
        return (place >= 0) & (place < self.size)


class Normalise:
    """``(x - mean) / std`` for each channel; nothing random.

    Args:
        mean, std: one number, or one for each channel; each std above 0.

    Shape:
        (n, channels, height, width), as of the result.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = (np.asarray(v, np.float32).reshape(-1, 1, 1) for v in (mean, std))
        if not (self.std > 0).all():
            raise ArgumentError(f"Normalise: std: {std!r} given, expected numbers above 0")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _require_images("Normalise", x)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, x.shape[1]):
                raise ArgumentError(
                    f"Normalise: {name}: {len(values)} numbers given, expected 1 or "
                    f"{x.shape[1]}, as many as channels"
                )
        return (x - self.mean) / self.std


class Compose:
    """Several augmentations, one after the other.

    Args:
        steps: the augmentations, in order.

    Examples:
        >>> augment = Compose([RandomCrop(4), RandomFlip(), Cutout(8)])
        >>> loader = nl.data.DataLoader(data.train, 128, shuffle=True, augment=augment)
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = tuple(steps)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for step in self.steps:
            x = step(x, rng)
        return x


NAMES: dict[str, Any] = {"crop": RandomCrop, "flip": RandomFlip, "cutout": Cutout}


def parse_augmentation(text: str) -> Compose | None:
    """Augmentations from text such as ``crop:4,flip,cutout:8``; None for an empty one.

    The number after a name is the padding of a crop or the side of a cutout.

    Raises:
        ArgumentError: an unknown name, or a number that is none or out of place.
    """
    steps: list[Augmentation] = []
    for part in filter(None, text.replace(" ", "").split(",")):
        name, colon, number = part.partition(":")
        known = name in NAMES and not (colon and name == "flip")
        if not known or (colon and not (number.isascii() and number.isdigit())):
            raise ArgumentError(
                f"augment: {part!r} given, expected some of crop, crop:PIXELS, flip, cutout, "
                "cutout:PIXELS"
            )
        steps.append(NAMES[name](int(number)) if colon else NAMES[name]())
    return Compose(steps) if steps else None


def _require_images(name: str, x: np.ndarray) -> None:
    if x.ndim != 4:
        raise ArgumentError(
            f"{name}: batch of shape {x.shape} given, expected (n, channels, height, width)"
        )


def _require_whole(name: str, what: str, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{name}: {what}: {value!r} given, expected 1 pixel or more")


def _require_share(name: str, p: Any) -> None:
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p: {p!r} given, expected a number in [0, 1]")
