"""Arrays from NumPy's npz archives and from CSV files."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .idx import read_bytes

LABEL_NAMES = ("label", "labels", "class", "target", "y")
FLOAT32_MAX = float(np.finfo(np.float32).max)
Pair = tuple[np.ndarray, np.ndarray]


def image_axes(x: np.ndarray, where: str) -> np.ndarray:
    """Images as (N, C, H, W): a channel axis is added to (N, H, W) and moved from the end.

    Tables (N, features) pass through.

    Raises:
        DataError: the shape is none of these, or the values are no numbers.
    """
    if x.dtype.kind not in "uifb":
        raise DataError(f"{where}: values of dtype {x.dtype} found, expected numbers")
    if x.ndim == 2:
        return x
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] in (1, 3):
        return x
    if x.ndim == 4 and x.shape[3] in (1, 3):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    raise DataError(
        f"{where}: shape {x.shape} found, expected (N, features), (N, H, W), "
        "(N, C, H, W) or (N, H, W, C) with 1 or 3 channels"
    )


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz archive (never unpickled).

    Raises:
        DataError: missing, truncated, not an npz archive, or it holds pickled objects.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with open(path, "rb") as file:  # opened here, so that it is closed whatever happens
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.ndarray):
                return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError(f"{path}: not a readable .npz archive: {e}") from e
    raise DataError(f"{path}: a single .npy array found, expected an .npz archive")


def _checked_pair(path: Path, arrays: dict[str, np.ndarray], x_key: str, y_key: str) -> Pair:
    x, y = image_axes(arrays[x_key], f"{path}: {x_key}"), arrays[y_key]
    if y.ndim == 2 and 1 in y.shape:
        y = y.reshape(-1)
    if y.shape != (len(x),):
        raise DataError(f"{path}: {y_key} has shape {y.shape}, expected ({len(x)},) as {x_key}")
    return x, y


def read_npz(path: str | Path) -> tuple[Pair, Pair | None]:
    """Train and test arrays of an npz archive with keys x_train, y_train, x_test, y_test or x, y.

    Raises:
        DataError: broken archive, missing keys, or lengths that do not match.
    """
    path = Path(path)
    arrays = open_npz(path)
    for train, test in ((("x_train", "y_train"), ("x_test", "y_test")), (("x", "y"), None)):
        if set(train) <= set(arrays):
            first = _checked_pair(path, arrays, *train)
            has_test = test is not None and set(test) <= set(arrays)
            return first, _checked_pair(path, arrays, *test) if test and has_test else None
    raise DataError(
        f"{path}: arrays {', '.join(sorted(arrays)) or '(none)'} found, "
        "expected x and y, or x_train, y_train, x_test and y_test"
    )


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _has_header(rows: list[list[str]]) -> bool:
    """A first line without any number, or with text above a number, is a header."""
    first = [_number(c) for c in rows[0]]
    if all(v is None for v in first):
        return True
    second = rows[1] if len(rows) > 1 else []
    return any(v is None and _number(c) is not None for v, c in zip(first, second))


def _label_column(path: Path, names: list[str] | None, width: int, label: str | int | None) -> int:
    """Number of the label column, given by name, by index, or found by its usual names."""
    if label is None:
        found = [i for i, n in enumerate(names or []) if n.strip().lower() in LABEL_NAMES]
        return found[0] if found else width - 1
    if names is not None and str(label) in names:
        return names.index(str(label))
    if isinstance(label, int) or label.lstrip("-").isdigit():
        if -width <= int(label) < width:
            return int(label) % width
        raise DataError(f"{path}: label column {label} given, expected {-width} to {width - 1}")
    known = f"one of {', '.join(names)}" if names else "a number, as the file has no header"
    raise DataError(f"{path}: label column {label!r} not found, expected {known}")


def _fault(path: Path, rows: list[list[str]], lines: list[int], skip: int, label: int) -> DataError:
    """The error that names the first cell, outside the label column, without a finite number."""
    for row, line in zip(rows[skip:], lines[skip:]):
        for j, cell in enumerate(row):
            value = _number(cell)
            if j != label and (value is None or not abs(value) <= FLOAT32_MAX):
                column = f"column {j + 1}" + (f" ({rows[0][j]})" if skip else "")
                return DataError(
                    f"{path}: line {line}, {column}: {cell!r} found, expected a finite number"
                )
    return DataError(f"{path}: not a table of numbers")


def _label_values(cells: list[str]) -> np.ndarray:
    values = [_number(c) for c in cells]
    if None in values:
        return np.array([c.strip() for c in cells])
    return np.array(values)


def read_csv(
    path: str | Path, *, label: str | int | None = None, header: bool | None = None
) -> Pair:
    """Features and labels of a CSV file, plain or gzip; columns are separated by comma.

    Args:
        path: the file.
        label: column of the label by name or number (0 is the first, -1 the last); default: the
            column called label, class, target or y, else the last.
        header: whether the first line holds names; default: told from its content.

    Shape: features (N, columns - 1) float32; labels (N,) numbers or text.

    Raises:
        DataError: naming line and column of a value that is no finite number, a line with
            another number of columns, an unknown label column, an empty file.
    """
    path = Path(path)
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not a CSV text file: {e}") from e
    head = [row for row, _ in _rows(path, "".join(text.splitlines(keepends=True)[:50]))]
    skip = int(header if header is not None else bool(head) and _has_header(head))
    if len(head) <= skip:
        raise DataError(f"{path}: no line of data found")
    if len(head[0]) < 2:
        raise DataError(f"{path}: one column found, expected features and a label")
    column = _label_column(path, head[0] if skip else None, len(head[0]), label)
    try:
        # The common case, all numbers: NumPy's parser, about ten times the speed of what follows
        table = np.loadtxt(
            io.StringIO(text), np.float32, comments=None, delimiter=",", skiprows=skip, ndmin=2
        )
        if table.size and table.shape[1] == len(head[0]) and np.isfinite(table).all():
            return np.delete(table, column, axis=1), table[:, column]
    except ValueError:
        pass
    return _slow_csv(path, text, skip, column)


def _rows(path: Path, text: str) -> list[tuple[list[str], int]]:
    """Cells and line number of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        return [(row, reader.line_num) for row in reader if row]
    except csv.Error as e:
        raise DataError(f"{path}: line {reader.line_num}: {e}") from e


def _slow_csv(path: Path, text: str, skip: int, column: int) -> Pair:
    """Text labels, quoted cells; and the exact place of whatever is wrong."""
    numbered = _rows(path, text)
    rows, lines = [r for r, _ in numbered], [n for _, n in numbered]
    for row, line in numbered:
        if len(row) != len(rows[0]):
            raise DataError(f"{path}: line {line} has {len(row)} columns, expected {len(rows[0])}")
    labels = _label_values([row[column] for row in rows[skip:]])
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        line = lines[skip + int(np.argmin(np.isfinite(labels)))]
        raise DataError(f"{path}: line {line}, column {column + 1}: the label is not finite")
    features = [row[:column] + row[column + 1 :] for row in rows[skip:]]
    try:
        with np.errstate(over="ignore"):  # what overflows is reported below
            x = np.array(features, dtype=np.float64).astype(np.float32)
    except ValueError:
        x = np.array([[np.nan]])
    if not np.isfinite(x).all():
        raise _fault(path, rows, lines, skip, column)
    return x, labels


def array_inputs(path: Path) -> np.ndarray:
    """Inputs to predict: the array x, x_test or the only one of an npz archive.

    Raises:
        DataError: broken archive, or none of these arrays.
    """
    arrays: dict[str, Any] = open_npz(path)
    for key in ("x", "x_test", "images"):
        if key in arrays:
            return image_axes(arrays[key], f"{path}: {key}")
    if len(arrays) == 1:
        key, x = next(iter(arrays.items()))
        return image_axes(x, f"{path}: {key}")
    raise DataError(f"{path}: arrays {', '.join(sorted(arrays))} found, expected x or x_test")
