"""Measured choices on disk: one JSON file for each choice, class of shapes, device and source.

A file says what it is of, and holds a checksum; one that is damaged, of another format or not of
what was asked for counts as absent. It is written under a temporary name and renamed, so another
process sees a whole file or none; of two processes that tune the same, the last one's stays. They
lie in ``tuning`` below the directory of compiled kernels: see ``engine.cpu.cache``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..device import Device
from . import identity

if TYPE_CHECKING:
    from .choice import Choice

FORMAT = 1


def directory() -> Path | None:
    """Where the files lie; None if there is no directory that can be written to."""
    from ..cpu import cache

    place = cache.directory()
    return None if place is None else place / "tuning"


def subject(choice: Choice, device: Device, shapes: Any) -> dict[str, Any]:
    """All that a stored choice depends on, in the form in which JSON gives it back."""
    made = {
        "choice": choice.name,
        "class": shapes,
        "device": identity.of_device(device),
        "source": identity.of_sources(choice.sources),
        "engine": identity.of_sources(identity.ENGINE[device.kind]),
    }
    return json.loads(json.dumps(made))


def path_of(about: dict[str, Any]) -> Path | None:
    """The file of a subject."""
    place = directory()
    if place is None:
        return None
    word = re.sub(r"[^a-z0-9]+", "-", about["choice"].lower()).strip("-")
    return place / f"{word}-{_hash(about)[:24]}.json"


def read(choice: Choice, device: Device, shapes: Any) -> dict[str, Any] | None:
    """The record of what was measured, or None when there is no sound one."""
    about = subject(choice, device, shapes)
    path = path_of(about)
    record = None if path is None else load(path)
    if record is None or record.get("subject") != about or record.get("config") is None:
        return None
    return record


def load(path: Path) -> dict[str, Any] | None:
    """The record in a file; None for a file that is not whole."""
    try:
        found = json.loads(path.read_bytes())
        record = found["record"]
        sound = found["nnlite_tuning"] == FORMAT and found["checksum"] == _hash(record)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if sound and isinstance(record, dict) else None


def write(
    choice: Choice, device: Device, shapes: Any, config: Any, figures: dict[str, Any]
) -> Path | None:
    """Store a choice with the figures behind it; None if the disk does not take it."""
    about = subject(choice, device, shapes)
    path = path_of(about)
    if path is None:
        return None
    record = {"subject": about, "config": config, **figures}
    record = json.loads(json.dumps(record))
    made = {"nnlite_tuning": FORMAT, "checksum": _hash(record), "record": record}
    return path if _replace(path, json.dumps(made, indent=1).encode() + b"\n") else None


def files() -> Iterator[Path]:
    """Every stored choice, of this device and of others."""
    place = directory()
    if place is not None and place.is_dir():
        yield from sorted(place.glob("*.json"))


def clear() -> int:
    """Delete all stored choices; returns how many there were."""
    count = 0
    for path in files():
        with contextlib.suppress(OSError):
            path.unlink()
            count += 1
    return count


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _replace(path: Path, data: bytes) -> bool:
    temporary = ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        return False
    return True
