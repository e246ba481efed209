"""Compiled kernels on disk, so that the next process starts at once.

One file per kernel, block shape and argument types: a checksum line, then the machine code as Numba
serialises it.  Next to it lies the generated Python source, to be read.  Files are written under a
temporary name and renamed, so that other processes see a whole file or none.  A file that cannot be
read, for whatever reason, is compiled anew and replaced.

The directory is ``NNLITE_CACHE_DIR``, else ``nnlite`` below the user's cache directory, else a
directory in the temporary one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import serialize
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target

MAGIC = b"nnlite kernel 1 "


@functools.cache
def directory() -> Path | None:
    """The first cache directory that can be written to, or None."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    places = [_user_cache() / "nnlite", Path(tempfile.gettempdir()) / f"nnlite-{user}"]
    given = os.environ.get("NNLITE_CACHE_DIR")
    if given:
        places.insert(0, Path(given))
    for place in places:
        with contextlib.suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(place, os.W_OK | os.X_OK) and _owned(place):
                return place
    return None


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home())
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _owned(place: Path) -> bool:
    """The files hold machine code: never run what another user could have put there."""
    return not hasattr(os, "getuid") or place.stat().st_uid == os.getuid()


@functools.cache
def platform_key() -> str:
    """Everything besides the kernel that decides whether machine code may be used."""
    own = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        own.update(file.name.encode() + file.read_bytes())
    parts = (
        own.hexdigest(),
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.version,
        platform.machine(),
        cpu_target.target_context.codegen().magic_tuple(),
        sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_")),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def file_key(*parts: object) -> str:
    return hashlib.sha256(repr((platform_key(), parts)).encode()).hexdigest()[:32]


def read(name: str, key: str) -> dict[str, Any] | None:
    """The record stored under the key, or None when there is no sound one."""
    place = directory()
    if place is None:
        return None
    try:
        data = (place / f"{name}-{key}.kernel").read_bytes()
    except OSError:
        return None
    head, _, body = data.partition(b"\n")
    if head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        return None
    try:
        record = pickle.loads(body)
    except Exception:
        return None
    return record if isinstance(record, dict) else None


def write(name: str, key: str, record: dict[str, Any]) -> None:
    """Store a record; a full or unwritable disk only costs the next process time."""
    place = directory()
    if place is None:
        return
    body = serialize.dumps(record)
    head = MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"
    if "source" in record:
        _replace(place / f"{name}-{key}.py", record["source"].encode())
    _replace(place / f"{name}-{key}.kernel", head + body)


def _replace(path: Path, data: bytes) -> None:
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def dump_code(result: CompileResult) -> tuple[Any, ...] | None:
    """The compiled function in a form that can be stored; None when it cannot be."""
    if result.library.has_dynamic_globals:
        return None
    return result._reduce()


def load_code(stored: tuple[Any, ...]) -> Any:
    """The callable of a stored function."""
    return CompileResult._rebuild(cpu_target.target_context, *stored).entry_point
