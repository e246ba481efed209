"""Tables from CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ..errors import DataError
from .idx import read_bytes
from .npz import FLOAT32_MAX, Pair

LABEL_NAMES = ("label", "labels", "class", "target", "y")
FLOAT32_WHOLE = 2**24  # from here on float32 merges neighbouring whole numbers
FLOAT64_WHOLE = 2**53
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")  # an empty cell, not a name


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _has_header(rows: list[list[str]]) -> bool:
    """A first line without any number, or with text above a number, is a header.

    A cell that is missing is no text: such a line is data, and reported as broken.
    """
    first, second = rows[0], rows[1] if len(rows) > 1 else []
    if all(_number(c) is None for c in first):
        return True
    text = [_number(c) is None and c.strip().lower() not in MISSING for c in first]
    return any(t and _number(c) is not None for t, c in zip(text, second))


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


def _fault(
    path: Path, rows: list[list[str]], lines: list[int], skip: int, label: int | None
) -> DataError:
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
        DataError: naming line and column of a feature that is no finite number or a label that
            is missing, a line with another number of columns, an unknown label column, an empty
            file.
    """
    path = Path(path)
    text, head, skip = _opened(path, header)
    width = len(head[0])
    if width < 2:
        raise DataError(
            f"{path}: one column found, expected features and a label, separated by commas"
        )
    column = _label_column(path, head[0] if skip else None, width, label)
    table = _all_numbers(text, skip, width)
    if table is not None and np.abs(table[:, column]).max() < FLOAT32_WHOLE:
        return np.delete(table, column, axis=1), table[:, column]
    rows, lines = _whole_rows(path, text)
    labels = _labels(path, [row[column] for row in rows[skip:]], lines[skip:], column)
    return _features(path, rows, lines, skip, column), labels


def csv_inputs(path: Path, features: int, label: str | int | None = None) -> np.ndarray:
    """Inputs to predict: the features of a CSV file, with or without a label column.

    Args:
        path: the file.
        features: number of features; with one column more, the label's is left out.
        label: as for :func:`read_csv`.

    Shape: (N, features) float32.

    Raises:
        DataError: another number of columns, and as :func:`read_csv`.
    """
    text, head, skip = _opened(path, None)
    width, column = len(head[0]), None
    if width == features + 1:
        column = _label_column(path, head[0] if skip else None, width, label)
    elif width != features:
        raise DataError(
            f"{path}: {width} columns found, the model expects {features} features "
            "(and perhaps a label, which is ignored)"
        )
    table = _all_numbers(text, skip, width)
    if table is not None:
        return table if column is None else np.delete(table, column, axis=1)
    rows, lines = _whole_rows(path, text)
    return _features(path, rows, lines, skip, column)


def _opened(path: Path, header: bool | None) -> tuple[str, list[list[str]], int]:
    """The text of a file, the cells of its first lines, and how many of these are a header."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not a CSV text file: {e}") from e
    head = [row for row, _ in _rows(path, "".join(text.splitlines(keepends=True)[:50]))]
    skip = int(header if header is not None else bool(head) and _has_header(head))
    if len(head) <= skip:
        raise DataError(f"{path}: no line of data found")
    return text, head, skip


def _all_numbers(text: str, skip: int, width: int) -> np.ndarray | None:
    """The common case, a table of finite numbers: NumPy's parser, ten times the speed of csv's."""
    lines = io.StringIO(text.lstrip("\r\n"))  # skiprows would count empty lines before a header
    try:
        table = np.loadtxt(lines, np.float32, comments=None, delimiter=",", skiprows=skip, ndmin=2)
    except ValueError:
        return None
    whole = table.size > 0 and table.shape[1] == width and np.isfinite(table).all()
    return table if whole else None


def _rows(path: Path, text: str) -> list[tuple[list[str], int]]:
    """Cells and line number of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        return [(row, reader.line_num) for row in reader if row]
    except csv.Error as e:
        raise DataError(f"{path}: line {reader.line_num}: {e}") from e


def _whole_rows(path: Path, text: str) -> tuple[list[list[str]], list[int]]:
    """All rows, checked to be of one length, and their line numbers."""
    numbered = _rows(path, text)
    rows, lines = [r for r, _ in numbered], [n for _, n in numbered]
    for row, line in numbered:
        if len(row) != len(rows[0]):
            raise DataError(f"{path}: line {line} has {len(row)} columns, expected {len(rows[0])}")
    return rows, lines


def _labels(path: Path, cells: list[str], lines: list[int], column: int) -> np.ndarray:
    """Labels as numbers if all are, and told apart as such; else as text."""
    for cell, line in zip(cells, lines):
        if not cell.strip():
            raise DataError(f"{path}: line {line}, column {column + 1}: the label is missing")
    values = [_number(c) for c in cells]
    if None in values:
        return np.array([c.strip() for c in cells])
    numbers = np.array(values, np.float64)
    if not np.isfinite(numbers).all():
        line = lines[int(np.argmin(np.isfinite(numbers)))]
        raise DataError(f"{path}: line {line}, column {column + 1}: the label is not finite")
    if np.abs(numbers).max() >= FLOAT64_WHOLE:
        return np.array([c.strip() for c in cells])
    return numbers


def _features(
    path: Path, rows: list[list[str]], lines: list[int], skip: int, column: int | None
) -> np.ndarray:
    """All columns but the label's, as float32; the exact place of whatever is wrong."""
    cells = rows[skip:]
    if column is not None:
        cells = [row[:column] + row[column + 1 :] for row in cells]
    try:
        with np.errstate(over="ignore"):  # what overflows is reported below
            x = np.array(cells, dtype=np.float64).astype(np.float32)
    except ValueError:
        x = np.array([[np.nan]])
    if not np.isfinite(x).all():
        raise _fault(path, rows, lines, skip, column)
    return x
