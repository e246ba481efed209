"""Image files and folders with one subfolder per class, read with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
Pair = tuple[np.ndarray, np.ndarray]


def missing_package(what: str, package: str) -> DataError:
    """The error for an optional package that is not installed, with the remedy."""
    return DataError(
        f"{what} needs the package {package}, which is not installed; "
        f'run: pip install {package}    (or all data extras: pip install "nnlite-cuda[data]")'
    )


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise missing_package("reading images", "pillow") from None
    return Image


def _open(path: Path) -> Any:
    """The image of a file, decoded only when its pixels are asked for."""
    image_module = _pillow()
    try:
        return image_module.open(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as e:
        raise DataError(f"{path}: not a readable image: {_reason(e, path)}") from e


def _reason(error: Exception, path: Path) -> str:
    """Pillow's reason without the path, which the message already has."""
    text = str(error).replace(f"file {str(path)!r}", "the file").replace(repr(str(path)), "it")
    return text or type(error).__name__


def read_image(
    path: str | Path, *, channels: int = 1, size: tuple[int, int] | None = None
) -> np.ndarray:
    """One image as uint8 of shape (C, H, W).

    Args:
        path: a file that Pillow can read.
        channels: 1 for grayscale, 3 for RGB; the image is converted. What is transparent shows
            white, as on a page; 16-bit and float pixels are scaled, not clipped.
        size: (height, width) to resize to (bilinear with antialiasing); None keeps the size.

    Raises:
        ArgumentError: channels is neither 1 nor 3.
        DataError: the file is missing or is no whole image.
    """
    if channels not in (1, 3):
        raise ArgumentError(f"read_image: channels: {channels!r} given, expected 1 or 3")
    path = Path(path)
    with _open(path) as image:
        try:
            pixels = _converted(image, channels, size)
        except (OSError, SyntaxError, ValueError) as e:
            raise DataError(f"{path}: broken image: {_reason(e, path)}") from e
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _converted(image: Any, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    """Pixels (H, W) or (H, W, 3) of a Pillow image."""
    image_module = _pillow()
    if image.mode.startswith("I") or image.mode == "F":  # convert("L") would clip, not scale
        wide = np.asarray(image, np.float64)
        if not np.isfinite(wide).all():
            raise ValueError("a pixel is no finite number")
        image = image_module.fromarray(np.rint(wide * _unit(image, wide)).clip(0, 255).astype("u1"))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        page = image_module.new("RGBA", image.size, "white")
        image = image_module.alpha_composite(page, image)
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), image_module.Resampling.BILINEAR)
    return np.asarray(image, np.uint8)


def _unit(image: Any, pixels: np.ndarray) -> float:
    """Factor that scales wide pixels to 0 … 255.

    Decided by the format where it says how wide they are, so that all images of a set are scaled
    alike; else by the largest value, as 32-bit and float images come in several conventions.
    """
    if image.mode.startswith("I;16") or image.format == "PNG":
        return 255 / 65535
    top = pixels.max()
    if image.mode == "F" and top <= 1:
        return 255.0
    return 1.0 if top <= 255 else 255 / 65535


def image_files(folder: Path) -> list[Path]:
    """The files of a folder that an image's suffix says are images, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Name of each subfolder that holds images -> its image files, both sorted."""
    found = {}
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        files = image_files(sub)
        if files:
            found[sub.name] = files
    return found


def _parts(folder: Path) -> list[dict[str, list[Path]]]:
    """Files by class: [train, test] if the folder has such subfolders, else [all]."""
    if (folder / "train").is_dir() and class_folders(folder / "train"):
        tests = [folder / n for n in ("test", "val") if (folder / n).is_dir()]
        return [class_folders(f) for f in (folder / "train", *tests[:1])]
    return [class_folders(folder)]


def read_image_folder(
    folder: str | Path,
    *,
    resize: tuple[int, int] | None = None,
    channels: int | None = None,
) -> tuple[Pair, Pair | None, tuple[str, ...]]:
    """Train part, test part (if there is one) and class names of a folder of image folders.

    Layout: ``folder/<class>/*.png``, or the same under ``folder/train`` and ``folder/test``.

    Args:
        folder: the folder.
        resize: (height, width) for all images; without it they must all have one size.
        channels: 1 grayscale, 3 RGB; default: grayscale if every image is.

    Shape: images (N, C, H, W) uint8, labels (N,) int64.

    Raises:
        DataError: no images, a broken image, an image of another size, an unknown test class.
    """
    folder = Path(folder)
    parts = _parts(folder)
    names = tuple(parts[0])
    if not names:
        raise DataError(
            f"{folder}: no data found, expected images {folder}/<class name>/*.png, or IDX files "
            f"such as {folder}/train-images-idx3-ubyte.gz"
        )
    files = [path for part in parts for paths in part.values() for path in paths]
    if resize is None or channels is None:
        resize, channels = _common_form(files, resize, channels)
    pairs = []
    for part in parts:
        unknown = sorted(set(part) - set(names))
        if unknown:
            raise DataError(f"{folder}: test class {unknown[0]!r} is not in the train part")
        labelled = [(names.index(name), path) for name, paths in part.items() for path in paths]
        if not labelled:
            raise DataError(f"{folder}: the test part holds no images")
        x = np.empty((len(labelled), channels, *resize), np.uint8)
        for i, (_, file) in enumerate(labelled):
            x[i] = read_image(file, channels=channels, size=resize)
        pairs.append((x, np.array([label for label, _ in labelled], np.int64)))
    return pairs[0], pairs[1] if len(pairs) > 1 else None, names


def _common_form(
    files: list[Path], size: tuple[int, int] | None, channels: int | None
) -> tuple[tuple[int, int], int]:
    """(height, width) and channels of all files, read from their headers only.

    A size that is given stands; else that of the first file, which all must then have.
    """
    gray, resize = True, size
    for path in files:
        with _open(path) as image:
            gray = gray and image.mode in GRAY_MODES
            width, height = image.size
        size = size or (height, width)
        if resize is None and (height, width) != size:
            raise DataError(
                f"{path}: image of {width}x{height} pixels found, expected "
                f"{size[1]}x{size[0]} as {files[0].name}; give a size to resize all to "
                f"(--resize {min(size)})"
            )
    assert size is not None
    return size, channels if channels is not None else (1 if gray else 3)
