"""Child processes that multiprocessing spawns run their kernels as their parent does."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import spawn
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])

_CODE = f"""
import sys
if {ROOT!r} not in sys.path:
    sys.path.append({ROOT!r})
import nnlite.cudasim
nnlite.cudasim.enable()
"""


class _Enable:
    """Runs the code above where it is unpickled: in the child, before the child's program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (_CODE,)


def install(put: Callable[..., None]) -> None:
    """Let what a parent tells a spawned child about itself include the drop-in."""
    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**original(name), "nnlite.cudasim": _Enable()}

    put(spawn, "get_preparation_data", get_preparation_data)
