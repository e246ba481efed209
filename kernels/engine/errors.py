"""Errors that engine and kernel families raise; ``nnlite.errors`` adds those of the layer."""

from __future__ import annotations


class NnliteError(Exception):
    """Base class of every error that nnlite raises on purpose."""


class ShapeError(NnliteError, ValueError):
    """An array has a shape that the operation cannot take."""


class DtypeError(NnliteError, TypeError):
    """An array or scalar has a dtype that the operation cannot take."""


class DeviceError(NnliteError, ValueError):
    """A device is unknown or absent, or the arguments of one call live on several devices."""


class ArgumentError(NnliteError, ValueError):
    """A scalar argument or option is outside the values that the operation takes."""


class LaunchError(NnliteError, ValueError):
    """A launch exceeds a limit of the device: threads per block, shared memory or grid size."""


class CheckError(NnliteError, AssertionError):
    """The checker has found mistakes in a kernel.

    Attributes:
        report: what it has found.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class UnsupportedKernelError(NnliteError, NotImplementedError):
    """A kernel uses a construct that the CPU compiler cannot translate.

    Attributes:
        file: source file of the kernel.
        line: line of the construct in that file.
        construct: the construct, as source text or by name.
    """

    def __init__(self, file: str, line: int, construct: str, why: str) -> None:
        super().__init__(f"{file}:{line}: {construct}: {why}")
        self.file, self.line, self.construct = file, line, construct


class CompileError(NnliteError, RuntimeError):
    """A kernel cannot be compiled for a GPU: a tool is missing, or refuses it."""
