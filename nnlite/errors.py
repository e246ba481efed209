"""Every error that nnlite raises on purpose; all derive from :class:`NnliteError`.

Each is also the built-in error a reader would expect (``ShapeError`` is a ``ValueError``), so
``except ValueError`` works without knowing nnlite.
"""

from __future__ import annotations

from .kernels.engine.errors import (
    ArgumentError,
    CheckError,
    CompileError,
    DeviceError,
    DtypeError,
    LaunchError,
    NnliteError,
    ShapeError,
    UnsupportedKernelError,
)

__all__ = [
    "ArgumentError",
    "AutogradError",
    "CheckError",
    "CheckpointError",
    "CompileError",
    "DataError",
    "DeviceError",
    "DtypeError",
    "LaunchError",
    "NnliteError",
    "ShapeError",
    "UnsupportedKernelError",
]


class AutogradError(NnliteError, RuntimeError):
    """A gradient cannot be computed: no graph, a graph already freed, a value changed in place."""


class CheckpointError(NnliteError, ValueError):
    """A checkpoint is missing, corrupt, or does not fit the model it is loaded into."""


class DataError(NnliteError, ValueError):
    """A data set or one of its files is missing, truncated or malformed."""
