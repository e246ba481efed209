"""Checkpoints: one safetensors file with weights, optimizer state and everything else as JSON.

Tensors are named ``model.<parameter>`` and ``optimizer.<entry>``. The file's metadata hold
``format``, ``nnlite`` (the JSON text) and ``crc32`` over the JSON text and all tensors, so that a
flipped bit is noticed. Nothing is ever unpickled. A file is written beside its final place, synced
to disk and renamed, so that a crash leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ArgumentError, CheckpointError

FORMAT = "nnlite-checkpoint-1"
FILE_NAME = "model.safetensors"
Arrays = dict[str, np.ndarray]


def save_checkpoint(
    path: str | os.PathLike[str],
    model: Any,
    optimizer: Any = None,
    scheduler: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write a checkpoint, atomically.

    Args:
        path: the file; its folder is created.
        model: a Module.
        optimizer, scheduler: their state is stored, too, so that training can be resumed.
        metadata: what else to keep, as far as JSON goes: epoch, history, model options, ….

    Returns: the path written.

    Raises:
        ArgumentError: path or model is something else.
        CheckpointError: the file cannot be written, or metadata does not fit into JSON.
    """
    from safetensors.numpy import save

    if not isinstance(path, (str, os.PathLike)) or not hasattr(model, "state_dict"):
        raise ArgumentError(
            f"save_checkpoint: path: {type(path).__name__} and model: {type(model).__name__} "
            "given, expected the name of a file, then a Module"
        )
    tensors: Arrays = {f"model.{k}": v for k, v in model.state_dict().items()}
    document: dict[str, Any] = {"metadata": dict(metadata or {}), "version": _version()}
    if optimizer is not None:
        plain, arrays = _split(optimizer.state_dict())
        document["optimizer"] = plain
        tensors |= {f"optimizer.{k}": v for k, v in arrays.items()}
    if scheduler is not None:
        document["scheduler"] = scheduler.state_dict()
    tensors = {k: np.asarray(v, order="C") for k, v in tensors.items()}
    try:
        text = json.dumps(document, sort_keys=True, default=_plain_number)
    except (TypeError, ValueError) as e:
        raise CheckpointError(f"save_checkpoint: metadata does not fit into JSON: {e}") from e
    stamp = {"format": FORMAT, "nnlite": text, "crc32": _checksum(text, tensors)}
    return write_atomically(Path(path), save(tensors, stamp))


def write_atomically(path: Path, content: bytes) -> Path:
    """Write a file so that at any moment either the old or the new one is there, whole.

    Raises:
        CheckpointError: the file cannot be written; the old one is then untouched.
    """
    if not path.name:
        raise CheckpointError(f"{path}: cannot be written: not the name of a file")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name == "posix":  # the rename itself is on disk only when its folder is
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as e:
        raise CheckpointError(f"{path}: cannot be written: {e.strerror or e}") from e
    finally:  # also when Ctrl-C comes in the middle; after the rename there is nothing to remove
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def load_checkpoint(
    path: str | os.PathLike[str], model: Any = None, optimizer: Any = None, scheduler: Any = None
) -> dict[str, Any]:
    """Read a checkpoint into a model, an optimizer and a scheduler, as far as given.

    Everything is checked first; after an error all three are as they were.

    Args:
        path: the file, or the folder of a run (its ``model.safetensors`` is read).
        model, optimizer, scheduler: made like those that were saved.

    Returns: the metadata given to :func:`save_checkpoint`.

    Raises:
        CheckpointError: missing, truncated, corrupt or foreign file; a parameter is missing,
            unknown, or of another shape or dtype; optimizer or scheduler state is missing or
            does not fit.
    """
    path, document, tensors = read_checkpoint(path)
    undo: list[tuple[Any, Any]] = []
    weights = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
    if model is not None:
        _match(path, "parameter", model.state_dict(), weights)
    states: list[tuple[Any, Any]] = []
    if optimizer is not None:
        if "optimizer" not in document:
            raise CheckpointError(f"{path}: holds no optimizer state; training cannot be resumed")
        arrays = {k[10:]: v for k, v in tensors.items() if k.startswith("optimizer.")}
        states.append((optimizer, document["optimizer"] | arrays))
    if scheduler is not None:
        if "scheduler" not in document:
            raise CheckpointError(f"{path}: holds no learning-rate schedule to resume")
        states.append((scheduler, document["scheduler"]))
    if model is not None:
        states.append((model, weights))
    try:
        for target, state in states:
            undo.append((target, target.state_dict()))
            target.load_state_dict(state)
    except Exception as e:
        for target, state in reversed(undo):
            target.load_state_dict(state)
        kind = type(target).__name__
        raise CheckpointError(f"{path}: state of {kind} does not fit: {_text(e)}") from e
    return document["metadata"]


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[Path, dict[str, Any], Arrays]:
    """The file's path, its JSON document and its tensors, checked for damage.

    Raises:
        CheckpointError: missing, truncated, corrupt or foreign file.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            stamp = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as e:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({path.stat().st_size:,} bytes): {_text(e)}"
        ) from e
    if stamp.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format {stamp.get('format')!r} found, expected {FORMAT!r}: "
            "not an nnlite checkpoint"
        )
    text = stamp.get("nnlite", "")
    if stamp.get("crc32") != _checksum(text, tensors):
        raise CheckpointError(f"{path}: checksum does not match: the file is damaged")
    try:
        document = json.loads(text)
    except ValueError as e:
        raise CheckpointError(f"{path}: its description is not JSON: {e}") from e
    return path, document, tensors


def _match(path: Path, what: str, expected: Mapping[str, Any], found: Arrays) -> None:
    """Raise unless both have the same names, shapes and dtypes."""
    for name, value in expected.items():
        if name not in found:
            raise CheckpointError(
                f"{path}: {what} {name!r} not found; the file has {', '.join(sorted(found))}"
            )
        have, want = found[name], np.asarray(value)
        if have.shape != want.shape:
            raise CheckpointError(
                f"{path}: {what} {name!r} has shape {have.shape}, expected {want.shape}"
            )
        if have.dtype != want.dtype:
            raise CheckpointError(
                f"{path}: {what} {name!r} has dtype {have.dtype}, expected {want.dtype}"
            )
    unknown = sorted(set(found) - set(expected))
    if unknown:
        raise CheckpointError(f"{path}: {what} {unknown[0]!r} is not in the model")


def _split(state: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """Plain values for JSON, and arrays."""
    arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    return {k: v for k, v in state.items() if k not in arrays}, arrays


def _plain_number(value: Any) -> Any:
    """NumPy scalars as Python numbers; called by json for what it does not know."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r}")


def _checksum(text: str, tensors: Arrays) -> str:
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _version() -> str:
    from . import __version__

    return __version__
