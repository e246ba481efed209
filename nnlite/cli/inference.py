"""``nnlite evaluate`` and ``nnlite predict``."""

from __future__ import annotations

import contextlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .. import train
from ..checkpoint import load_checkpoint, read_checkpoint
from ..data import (
    Affine,
    ArrayDataset,
    array_inputs,
    csv_inputs,
    image_files,
    load,
    read_idx,
    read_image,
)
from ..data.builtin import BUILTIN
from ..data.dataset import UNIT
from ..data.idx import find_idx
from ..errors import ArgumentError, CheckpointError, DataError
from ..kernels.engine import set_default_device
from .settings import Settings
from .terminal import open_console
from .training import build_model


def open_model(path: Path, device: str | None) -> tuple[Any, dict[str, Any]]:
    """The trained model of a checkpoint and the checkpoint's metadata.

    Raises:
        CheckpointError: missing, damaged, or not written by ``nnlite train``.
    """
    if device is not None:
        set_default_device(device)
    path, document, _ = read_checkpoint(path)
    metadata = document["metadata"]
    if "settings" not in metadata:
        raise CheckpointError(f"{path}: was not written by 'nnlite train'")
    model = build_model(metadata["model"])
    load_checkpoint(path, model)
    return model, metadata


def evaluate_checkpoint(
    path: Path, source: str | None, part: str, device: str | None, pictures: Path | None = None
) -> None:
    """Print loss and accuracy on a part of a data set; draw pictures into a folder if asked to."""
    parts = ("test", "train", "all")
    if part not in parts:
        raise ArgumentError(f"--part {part!r} given, expected one of {', '.join(parts)}")
    model, metadata = open_model(path, device)
    s = Settings.from_dict(metadata["settings"])
    expected = tuple(metadata["model"]["input_shape"])
    data = load(source or s.data, **load_options(source, s, expected))
    if data.input_shape != expected:
        raise DataError(
            f"{data.name}: inputs of shape {data.input_shape} found, the model expects {expected}"
        )
    data = data.with_classes(metadata["class_names"])
    if metadata["normalisation"]:
        data = data.standardised(**metadata["normalisation"])
    for name in parts[:2] if part == "all" else (part,):
        items = getattr(data, name)
        result = train.evaluate(model, items)
        open_console().print(
            f"{data.name}, {name} part, {len(items):,} items: "
            f"loss {result['loss']:.4f}, accuracy {result['accuracy']:.2%}"
        )
        if pictures is not None:
            written = draw(model, items, data.class_names, pictures, f"{data.name}, {name} part")
            open_console().print(f"wrote {', '.join(written)} to {pictures}", soft_wrap=True)


def draw(
    model: Any, items: ArrayDataset, names: tuple[str, ...], folder: Path, title: str
) -> list[str]:
    """Confusion matrix and, for images, first filters and wrong predictions; returns the names."""
    from .. import plots

    found = probabilities(train.predict(model, items))
    written = ["confusion.png"]
    plots.confusion_matrix(items.y, found.argmax(axis=1), names, folder / written[0], title)
    if len(items.input_shape) == 3:
        with contextlib.suppress(ArgumentError):  # the model begins with another kind of layer
            plots.first_filters(model, items.input_shape, folder / "filters.png", title=title)
            written.append("filters.png")
        if (found.argmax(axis=1) != items.y).any():
            written.append("wrong.png")
            plots.wrong_predictions(
                items.x, items.y, found, names, folder / written[-1], title=title
            )
    return written


def predict_files(
    path: Path, inputs: list[Path], top: int, invert: bool, device: str | None
) -> None:
    """Print the most probable classes of each input."""
    model, metadata = open_model(path, device)
    shape, names = tuple(metadata["model"]["input_shape"]), metadata["class_names"]
    label = metadata["settings"]["label"]
    console = open_console()
    for source in with_folders_opened(inputs):
        x = read_inputs(source, shape, invert, label)
        transform = Affine(UNIT.get(x.dtype, 1.0))
        if metadata["normalisation"]:
            transform = transform.standardised(**metadata["normalisation"])
        batch = ArrayDataset(x, np.zeros(len(x), np.int64), transform)
        for i, row in enumerate(probabilities(train.predict(model, batch))):
            best = np.argsort(-row, kind="stable")[:top]
            place = str(source) if len(x) == 1 else f"{source}[{i}]"
            text = "  ".join(f"{names[k]} {row[k]:.2%}" for k in best)
            console.print(f"{place}  {text}", soft_wrap=True)


def load_options(source: str | None, s: Settings, shape: tuple[int, ...]) -> dict[str, Any]:
    """Options to load data with: those of the training, as far as another source has them.

    Images in folders are brought to the form the model expects.
    """
    if source is None or source == s.data:
        return {"label": s.label, "resize": s.resize, "channels": s.channels}
    if source.lower().endswith((".csv", ".csv.gz")):
        return {"label": s.label}
    images = Path(source).is_dir() and not find_idx(Path(source), "train", "images")
    if images and source not in BUILTIN and len(shape) == 3:
        return {"resize": shape[1:], "channels": shape[0]}
    return {}


def with_folders_opened(inputs: list[Path]) -> list[Path]:
    """The inputs, with the images of a folder in its place.

    Raises:
        DataError: a folder without images.
    """
    found = []
    for path in inputs:
        files = image_files(path) if path.is_dir() else [path]
        if not files:
            raise DataError(f"{path}: no images found in this folder")
        found += files
    return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of each row, in float64. Shape: (N, K) -> (N, K)."""
    z = logits.astype(np.float64)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def read_inputs(
    path: Path, shape: tuple[int, ...], invert: bool, label: str | None = None
) -> np.ndarray:
    """Inputs (N, *shape) from an image, an npz archive, a CSV or an IDX file.

    An image is converted to the channels and resized to the height and width of ``shape``.

    Raises:
        DataError: missing or broken file, or inputs of another shape.
    """
    if path.suffix.lower() == ".npz":
        x = array_inputs(path)
    elif path.name.lower().endswith((".csv", ".csv.gz")):
        x = csv_inputs(path, prod(shape), label)
    elif "ubyte" in path.name or path.suffix == ".idx":
        x = read_idx(path)
        x = x[:, None] if x.ndim == 3 else x
    else:
        if len(shape) != 3:
            raise DataError(
                f"{path}: the model expects inputs of shape {shape}, not images; "
                "give a .csv or .npz file"
            )
        x = read_image(path, channels=shape[0], size=(shape[1], shape[2]))[None]
        return 255 - x if invert else x
    if x.shape[1:] != shape and (x.ndim != 2 or x.shape[1] != prod(shape)):
        raise DataError(f"{path}: inputs of shape {x.shape[1:]} found, the model expects {shape}")
    if len(x) == 0:
        raise DataError(f"{path}: no inputs found")
    return x.reshape(-1, *shape)
