"""Labelled arrays in memory: :class:`ArrayDataset`, its input transform, and train/test splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError

UNIT = {np.dtype(np.uint8): 1 / 255, np.dtype(np.uint16): 1 / 65535}


@dataclass(frozen=True)
class Affine:
    """The input transform ``x -> x * scale + offset`` in float32.

    It turns stored values (say uint8 pixels) into what a model sees.

    Args:
        scale, offset: one number for all values, or nested lists that broadcast against one item.
    """

    scale: Any = 1.0
    offset: Any = 0.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Transformed copy of a batch ``x``. Shape: (N, ...) -> (N, ...). dtype: float32."""
        scale, offset = np.float32(self.scale), np.float32(self.offset)
        if scale.ndim == 0 and scale == 1:
            out = x.astype(np.float32)
        else:
            out = np.multiply(x, scale, dtype=np.float32, casting="unsafe")
        if offset.ndim or offset != 0:
            out += offset
        return out

    def standardised(self, mean: Any, std: Any) -> Affine:
        """This transform followed by ``(x - mean) / std``; a std of 0 counts as 1."""
        std = np.where(np.asarray(std) > 0, std, 1.0)
        scale = np.asarray(self.scale) / std
        offset = (np.asarray(self.offset) - np.asarray(mean)) / std
        return Affine(scale.tolist(), offset.tolist())


class ArrayDataset:
    """Inputs and labels in NumPy arrays, with the transform that batches go through.

    Args:
        x: inputs, (N, ...): uint8, float32 or another number type; kept as given.
        y: class numbers (N,), kept as int64.
        transform: applied to each batch; default: uint8 and uint16 are scaled to [0, 1], other
            types only become float32.

    Raises:
        DataError: lengths differ, there is no item, or y does not hold whole numbers >= 0.
    """

    def __init__(self, x: Any, y: Any, transform: Affine | None = None) -> None:
        x, y = np.asarray(x), np.asarray(y)
        if x.ndim < 2 or len(x) == 0 or x.dtype.kind not in "uifb":
            raise DataError(
                f"ArrayDataset: x has shape {x.shape} and dtype {x.dtype}, "
                "expected at least one item, two axes (N, ...) and a number type"
            )
        if y.shape != (len(x),):
            raise DataError(f"ArrayDataset: y has shape {y.shape}, expected ({len(x)},) to match x")
        if y.dtype.kind not in "ui" or y.min() < 0:
            raise DataError(
                f"ArrayDataset: y has dtype {y.dtype} and minimum {y.min()}, "
                "expected class numbers of an integer type, 0 or more"
            )
        self.x = x
        self.y = y.astype(np.int64, copy=False)
        self.transform = Affine(UNIT.get(x.dtype, 1.0)) if transform is None else transform

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, np.ndarray]:
        """Transformed inputs (float32) and labels of an index, a slice or an array of indices."""
        if isinstance(index, (int, np.integer)):
            x, y = self[np.array([index])]
            return x[0], y[0]
        return self.transform(self.x[index]), self.y[index]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        return self.x.shape[1:]


def statistics(data: ArrayDataset) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the transformed inputs, in float64.

    Images (C, H, W) get one pair per channel, shape (C, 1, 1), or a single number if C is 1;
    vectors get one per feature.
    """
    ndim = data.x.ndim
    axes: tuple[int, ...] = (0,) if ndim == 2 else (0, *range(2, ndim))
    raw = data.x
    n = np.prod([raw.shape[a] for a in axes])
    mean = raw.sum(axis=axes, keepdims=True, dtype=np.float64) / n
    square = np.zeros_like(mean)
    for i in range(0, len(raw), 4096):  # in pieces: float64 copies of all images would be large
        square += ((raw[i : i + 4096] - mean) ** 2).sum(axis=axes, keepdims=True)
    mean, std = mean[0], np.sqrt(square / n)[0]
    if mean.size == 1:
        mean, std = mean.reshape(()), std.reshape(())
    scale, offset = np.asarray(data.transform.scale), np.asarray(data.transform.offset)
    return mean * scale + offset, std * np.abs(scale)


@dataclass(frozen=True)
class DataSplits:
    """A data set ready for training.

    Args:
        train, test: the two parts.
        num_classes: number of classes; labels are 0 … num_classes-1.
        class_names: one name per class.
        input_shape: shape of one input: (C, H, W) for images, (features,) for tables.
        name: short name, used for the folder of a run.
    """

    train: ArrayDataset
    test: ArrayDataset
    num_classes: int
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    name: str

    def standardised(self, mean: Any = None, std: Any = None) -> DataSplits:
        """Both parts as ``(x - mean) / std``.

        Args:
            mean, std: of the inputs after their own transform (for images: on the scale 0 to 1);
                default: those of the train part, see :func:`statistics`.
        """
        if mean is None or std is None:
            mean, std = statistics(self.train)
        transform = self.train.transform.standardised(mean, std)
        return replace(
            self,
            train=ArrayDataset(self.train.x, self.train.y, transform),
            test=ArrayDataset(self.test.x, self.test.y, transform),
        )

    def with_classes(self, names: Sequence[str]) -> DataSplits:
        """Labels renumbered so that class i is ``names[i]``, as a stored model expects.

        Raises:
            DataError: the data has a class that is not in ``names``.
        """
        if tuple(names) == self.class_names:
            return self
        unknown = [n for n in self.class_names if n not in names]
        if unknown:
            raise DataError(
                f"{self.name}: class {unknown[0]!r} is unknown to the model, "
                f"expected one of {', '.join(names)}"
            )
        number = np.array([list(names).index(n) for n in self.class_names])
        return replace(
            self,
            train=ArrayDataset(self.train.x, number[self.train.y], self.train.transform),
            test=ArrayDataset(self.test.x, number[self.test.y], self.test.transform),
            num_classes=len(names),
            class_names=tuple(names),
        )


def stratified_test_mask(y: np.ndarray, every: int = 5) -> np.ndarray:
    """True for each ``every``-th item of each class: a test part that is the same on any machine.

    A class with fewer than ``every`` items stays in the train part whole.

    Shape: y (N,) -> (N,) bool.
    """
    y = np.asarray(y)
    order = np.argsort(y, kind="stable")
    _, counts = np.unique(y, return_counts=True)
    rank = np.empty(len(y), np.int64)
    rank[order] = np.concatenate([np.arange(c) for c in counts]) if len(y) else 0
    return rank % every == every - 1


def encode_labels(*parts: np.ndarray) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Class numbers 0 … K-1 for labels of any kind, numbered alike in all parts, and the names.

    Whole numbers from 0 on without gaps keep their values; anything else (other numbers, text)
    is numbered in sorted order.
    """
    values, numbers = np.unique(np.concatenate(parts), return_inverse=True)
    if values.dtype.kind == "f" and np.all(values == np.floor(values)):
        values = values.astype(np.int64)
    ends = np.cumsum([len(p) for p in parts])[:-1]
    encoded = np.split(numbers.reshape(-1).astype(np.int64), ends)
    return encoded, tuple(str(v) for v in values)


def _numbered(
    name: str, class_names: Sequence[str] | None, *parts: np.ndarray
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Class numbers of all parts and the names: those given, else those of the labels found."""
    if class_names is None:
        return encode_labels(*parts)
    for part in parts:
        wrong = part[(part < 0) | (part >= len(class_names))]
        if wrong.size:
            raise DataError(f"{name}: label {wrong[0]} found, expected 0 to {len(class_names) - 1}")
    return [part.astype(np.int64) for part in parts], tuple(class_names)


def make_splits(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    transform: Affine | None = None,
) -> DataSplits:
    """Splits from arrays; without a test part every fifth item of each class becomes one.

    Args:
        name: short name of the data set, for messages and the folder of a run.
        train, test: inputs (N, ...) and labels (N,) of any kind, see :func:`encode_labels`.
        class_names: names of the classes; the labels are then their numbers, kept as they are.
        transform: of the inputs, see :class:`ArrayDataset`.

    Raises:
        DataError: no items, train and test inputs differ in shape, fewer than two classes are
            present, or a label has no name.
    """
    (x, y) = train
    if len(x) == 0 or (test is not None and len(test[0]) == 0):
        raise DataError(f"{name}: no items found in the {'test' if len(x) else 'train'} part")
    if test is None:
        parts, names = _numbered(name, class_names, y)
        mask = stratified_test_mask(parts[0])
        if not mask.any():
            raise DataError(f"{name}: no class has 5 items, too few to split off a test part")
        pieces = [(x[~mask], parts[0][~mask]), (x[mask], parts[0][mask])]
    else:
        if x.shape[1:] != test[0].shape[1:]:
            raise DataError(
                f"{name}: test inputs have shape {test[0].shape[1:]}, "
                f"expected {x.shape[1:]} as in the train part"
            )
        parts, names = _numbered(name, class_names, y, test[1])
        pieces = [(x, parts[0]), (test[0], parts[1])]
    if len(names) < 2:
        raise DataError(f"{name}: only one class found ({', '.join(names)}), expected at least two")
    a, b = (ArrayDataset(px, py, transform) for px, py in pieces)
    return DataSplits(a, b, len(names), names, a.input_shape, name)
