"""Arrays from NumPy's npz archives; pickled objects are never loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

FLOAT32_MAX = float(np.finfo(np.float32).max)
Pair = tuple[np.ndarray, np.ndarray]


def image_axes(x: np.ndarray, where: str) -> np.ndarray:
    """Images as (N, C, H, W): a channel axis is added to (N, H, W) and moved from the end.

    Tables (N, features) pass through.

    Raises:
        DataError: the shape is none of these, or a value is no finite number of float32.
    """
    if x.dtype.kind not in "uifb":
        raise DataError(f"{where}: values of dtype {x.dtype} found, expected numbers")
    _require_finite(x, where)
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


def _require_finite(x: np.ndarray, where: str) -> None:
    """Raise for NaN, infinity or what float32 cannot hold: one such value spoils a training."""
    if x.dtype.kind != "f" or not x.size:
        return
    if x.min() >= -FLOAT32_MAX and x.max() <= FLOAT32_MAX:  # NaN fails both comparisons
        return
    place = np.unravel_index(np.argmin(np.abs(x) <= FLOAT32_MAX), x.shape)
    index = ", ".join(str(int(i)) for i in place)
    raise DataError(f"{where}[{index}]: {x[place]} found, expected a finite float32 number")


def open_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz archive (never unpickled).

    Raises:
        DataError: missing, truncated, not an npz archive, or it holds pickled objects.
    """
    try:
        with open(path, "rb") as file:  # opened here, so that it is closed whatever happens
            magic = file.read(6)
            if magic == b"\x93NUMPY":
                raise DataError(f"{path}: a single .npy array found, expected an .npz archive")
            if magic[:2] != b"PK":
                begin = magic[:4].hex(" ") or "nothing"
                raise DataError(
                    f"{path}: not an .npz archive: it begins with {begin}, expected 50 4b"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except DataError:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError(f"{path}: not a readable .npz archive: {e}") from e


def _checked_pair(path: Path, arrays: dict[str, np.ndarray], x_key: str, y_key: str) -> Pair:
    x, y = image_axes(arrays[x_key], f"{path}: {x_key}"), arrays[y_key]
    if y.ndim == 2 and 1 in y.shape:
        y = y.reshape(-1)
    if y.shape != (len(x),):
        raise DataError(f"{path}: {y_key} has shape {y.shape}, expected ({len(x)},) as {x_key}")
    if y.dtype.kind not in "uifbU":
        raise DataError(f"{path}: {y_key} has dtype {y.dtype}, expected numbers or text")
    _require_finite(y, f"{path}: {y_key}")
    if len(x) == 0:
        raise DataError(f"{path}: {x_key} holds no item")
    return x, y


def read_npz(path: str | Path) -> tuple[Pair, Pair | None]:
    """Train and test arrays of an npz archive with keys x_train, y_train, x_test, y_test or x, y.

    Raises:
        DataError: broken archive, missing keys, lengths that do not match, or a value that is
            no finite number.
    """
    path = Path(path)
    arrays = open_npz(path)
    found = ", ".join(sorted(arrays)) or "(none)"
    if {"x_train", "y_train"} <= set(arrays):
        first = _checked_pair(path, arrays, "x_train", "y_train")
        test = {"x_test", "y_test"} & set(arrays)
        if len(test) == 1:
            raise DataError(f"{path}: arrays {found} found, expected both x_test and y_test")
        return first, _checked_pair(path, arrays, "x_test", "y_test") if test else None
    if {"x", "y"} <= set(arrays):
        return _checked_pair(path, arrays, "x", "y"), None
    raise DataError(
        f"{path}: arrays {found} found, expected x and y, or x_train, y_train, x_test and y_test"
    )


def array_inputs(path: Path) -> np.ndarray:
    """Inputs to predict: the array x, x_test, images or the only one of an npz archive.

    Raises:
        DataError: broken archive, or none of these arrays.
    """
    arrays = open_npz(path)
    for key in ("x", "x_test", "images"):
        if key in arrays:
            return image_axes(arrays[key], f"{path}: {key}")
    if len(arrays) == 1:
        key, x = next(iter(arrays.items()))
        return image_axes(x, f"{path}: {key}")
    raise DataError(f"{path}: arrays {', '.join(sorted(arrays))} found, expected x or x_test")
