"""``vectorize`` and ``guvectorize`` with ``target="cuda"``, which the simulator does not have.

Numba's own machinery does the work (matching, broadcasting, transfers); it asks for two things
that are missing: the result type of a device function, and the text of the kernels it generates.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from numba.core import typing

from ..kernels.engine.cpu.result import result_type
from ..kernels.engine.cpu.source import execute


def device_signature(function: Any, argument_types: Any) -> Any:
    """The signature of a device function for these argument types."""
    result = result_type(function, tuple(argument_types))
    return typing.signature(result, *argument_types)


def install(put: Callable[..., None]) -> None:
    """Let Numba's ufunc builder use :func:`execute`."""
    put(importlib.import_module("numba.cuda.deviceufunc"), "exec", execute)
