"""The IDX format of the MNIST family: a magic number, the sizes of the axes, then the values.

Magic number: two zero bytes, one byte for the type, one for the number of axes; everything is
big-endian. Source: http://yann.lecun.com/exdb/mnist (section "the IDX file format").
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if it is gzip (told by its first bytes, not its name).

    Raises:
        DataError: the file is missing, unreadable, or its gzip stream is broken.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}") from e
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError(
            f"{path}: broken gzip file of {len(raw):,} bytes ({e}); truncated download?"
        ) from e


def read_idx(path: str | Path, *, ndim: int | None = None) -> np.ndarray:
    """Read an IDX file, plain or gzip.

    Args:
        path: the file.
        ndim: number of axes the caller expects; None takes any.

    dtype: that of the file (uint8, int8, int16, int32, float32, float64) in native byte order.

    Raises:
        DataError: missing file, bad magic number, wrong number of axes, wrong number of bytes.
    """
    path = Path(path)
    raw = read_bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES or raw[3] == 0:
        raise DataError(
            f"{path}: not an IDX file: it begins with {raw[:4].hex(' ') or 'nothing'}, "
            f"expected 00 00, a type out of {', '.join(f'{t:02x}' for t in TYPES)}, "
            "and the number of axes"
        )
    dtype, axes = np.dtype(TYPES[raw[2]]), raw[3]
    if ndim is not None and axes != ndim:
        raise DataError(f"{path}: IDX file with {axes} axes found, expected {ndim}")
    header = 4 + 4 * axes
    if len(raw) < header:
        raise DataError(f"{path}: IDX header of {len(raw)} bytes found, expected {header}")
    shape = tuple(int(s) for s in np.frombuffer(raw, ">u4", axes, 4))
    expected = header + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(raw) != expected:
        state = "truncated" if len(raw) < expected else "has bytes left over"
        raise DataError(
            f"{path}: IDX file {state}: {len(raw):,} bytes found, "
            f"expected {expected:,} for {dtype.name} values of shape {shape}"
        )
    values = np.frombuffer(raw, dtype, offset=header).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


PARTS = {"train": ("train",), "test": ("t10k", "test")}
KINDS = {"images": "idx3", "labels": "idx1"}


def find_idx(folder: Path, part: str, kind: str) -> Path | None:
    """The file of a part ("train", "test") and kind ("images", "labels") under its usual names."""
    for prefix in PARTS[part]:
        for dot in ("-", "."):
            for suffix in ("", ".gz"):
                path = folder / f"{prefix}-{kind}{dot}{KINDS[kind]}-ubyte{suffix}"
                if path.is_file():
                    return path
    return None


def read_idx_folder(
    folder: Path,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
    """Train and (if present) test part of a folder of IDX files under the names MNIST uses.

    Images (N, H, W) become (N, 1, H, W).

    Raises:
        DataError: a file is missing or broken, or images and labels differ in number.
    """
    parts: list[tuple[np.ndarray, np.ndarray] | None] = []
    for part in PARTS:
        images, labels = find_idx(folder, part, "images"), find_idx(folder, part, "labels")
        if part == "test" and images is None and labels is None:
            parts.append(None)
            continue
        for path, kind in ((images, "images"), (labels, "labels")):
            if path is None:
                raise DataError(
                    f"{folder}: no file {PARTS[part][0]}-{kind}-{KINDS[kind]}-ubyte[.gz] found"
                )
        assert images is not None
        assert labels is not None
        x, y = read_idx(images, ndim=3), read_idx(labels, ndim=1)
        if len(x) != len(y):
            raise DataError(
                f"{labels}: {len(y):,} labels found, expected {len(x):,} "
                f"as {images.name} has images"
            )
        parts.append((x[:, None], y))
    assert parts[0] is not None
    return parts[0], parts[1]
