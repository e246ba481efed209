"""``load``: a data set by name or path, whatever its format."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from .builtin import BUILTIN, data_home
from .dataset import DataSplits, make_splits
from .idx import find_idx, read_idx_folder
from .images import read_image_folder
from .npz import read_npz
from .tables import read_csv


def load(
    source: str | Path,
    *,
    label: str | int | None = None,
    resize: int | tuple[int, int] | None = None,
    channels: int | None = None,
) -> DataSplits:
    """Load a data set with its train and test part.

    Args:
        source: a built-in name (``mnist-5k``, ``digits``, ``fashion-mnist``); else a path, or a
            name inside the folder ``$NNLITE_DATA``, of a folder of IDX files, a folder with one
            folder of images per class, an ``.npz`` archive or a ``.csv`` (also ``.csv.gz``) file.
        label: for CSV: name or number of the label column.
        resize: for image folders: side, or (height, width), to resize to.
        channels: for image folders: 1 for grayscale, 3 for RGB.

    Sources without a test part give every fifth item of each class to it.

    Raises:
        DataError: not found, broken, or an option that the format does not have.

    Example:
        >>> data = load("mnist-5k")
        >>> len(data.train), len(data.test), data.input_shape
        (4000, 1000, (1, 28, 28))
    """
    if str(source) in BUILTIN:
        _refuse(str(source), label=label, resize=resize, channels=channels)
        return BUILTIN[str(source)]()
    path = _find(Path(source).expanduser())
    name = path.resolve().name
    if path.is_dir():
        _refuse(f"{path} (a folder)", label=label)
        if find_idx(path, "train", "images"):
            _refuse(f"{path} (IDX files)", resize=resize, channels=channels)
            return make_splits(name, *read_idx_folder(path))
        size = (resize, resize) if isinstance(resize, int) else resize
        train, test, names = read_image_folder(path, resize=size, channels=channels)
        return make_splits(name, train, test, class_names=names)
    _refuse(str(path), resize=resize, channels=channels)
    kind = path.name.lower()
    if kind.endswith(".npz"):
        _refuse(str(path), label=label)
        return make_splits(path.stem, *read_npz(path))
    if kind.endswith((".csv", ".csv.gz")):
        name = path.name[: kind.rindex(".csv")]
        return make_splits(name, read_csv(path, label=label))
    raise DataError(f"{path}: unknown format, expected .npz, .csv, .csv.gz or a folder")


def _find(path: Path) -> Path:
    """The path itself, or the one of that name in ``$NNLITE_DATA``."""
    home = data_home()
    for candidate in (path, *([home / path] if home else [])):
        if candidate.exists():
            return candidate
    raise DataError(
        f"{path}: no such file or folder, and no built-in data set of that name "
        f"({', '.join(BUILTIN)})"
    )


def _refuse(what: str, **options: object) -> None:
    """Raise a DataError for the first option given that does not apply."""
    for name, value in options.items():
        if value is not None:
            raise DataError(f"{what}: option {name}={value!r} does not apply to this data")
