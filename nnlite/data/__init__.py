"""Data sets, their files, and batches.

:func:`load` reads a data set by name or path; :class:`DataLoader` makes batches of it.
"""

from __future__ import annotations

from ..errors import DataError
from .augment import Compose, Cutout, Normalise, RandomCrop, RandomFlip
from .builtin import available
from .dataset import Affine, ArrayDataset, DataSplits, make_splits, statistics, stratified_test_mask
from .idx import read_idx, read_idx_folder
from .images import image_files, read_image, read_image_folder
from .load import load
from .loader import DataLoader, Dataset
from .npz import array_inputs, open_npz, read_npz
from .tables import csv_inputs, read_csv
from .text import Text, docstrings, unigram_entropy

__all__ = [
    "Affine",
    "ArrayDataset",
    "Compose",
    "Cutout",
    "DataError",
    "DataLoader",
    "DataSplits",
    "Dataset",
    "Normalise",
    "RandomCrop",
    "RandomFlip",
    "Text",
    "array_inputs",
    "available",
    "csv_inputs",
    "docstrings",
    "image_files",
    "load",
    "make_splits",
    "open_npz",
    "read_csv",
    "read_idx",
    "read_idx_folder",
    "read_image",
    "read_image_folder",
    "read_npz",
    "statistics",
    "stratified_test_mask",
    "unigram_entropy",
]
