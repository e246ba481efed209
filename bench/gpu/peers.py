"""PyTorch and CuPy as peers: there or missing, and pinned to the precision that we compute in."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .case import Missing
from .place import Place

# Precision of ours -> what ``torch.set_float32_matmul_precision`` must be for the same.
FLOAT32_PRECISION = {"float32": "highest", "tf32": "high", "bf16": "highest", "f16": "highest"}


def torch_on(place: Place, precision: str = "float32") -> Any:
    """The module torch, if it can use the place, pinned to a precision.

    Raises:
        Missing: it is not installed, or is a build without CUDA.
    """
    torch = _imported("torch")
    if place.is_gpu and not torch.cuda.is_available():
        raise Missing(f"torch {torch.__version__} sees no GPU")
    torch.set_float32_matmul_precision(FLOAT32_PRECISION[precision])
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = True
    return torch


def tensor(torch: Any, place: Place, x: np.ndarray, dtype: Any = None) -> Any:
    """A tensor on the place with the numbers of an array."""
    where = f"cuda:{place.device.index}" if place.is_gpu else "cpu"
    return torch.tensor(x).to(where, dtype=dtype)


def cupy_on(place: Place) -> Any:
    """The module cupy with reductions by CUB.

    Raises:
        Missing: it is not installed, sees no GPU, or does not know CUB.
    """
    if not place.is_gpu:
        raise Missing("cupy runs on GPUs alone")
    cupy = _imported("cupy")
    try:
        cupy.cuda.Device(place.device.index).use()
        cupy._core.set_reduction_accelerators(["cub"])
        cupy._core.set_routine_accelerators(["cub"])
    except Exception as error:
        raise Missing(f"cupy {cupy.__version__}: {error}") from error
    return cupy


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Missing(f"{name} is not installed ({error})") from error
