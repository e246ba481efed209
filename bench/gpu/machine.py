"""What a figure needs to mean anything: device, driver, clocks, versions, date and commit."""

from __future__ import annotations

import csv
import datetime
import io
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from .limits import limits_of, source_of
from .place import Place

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "nnlite-cuda", "numba", "numba-cuda", "llvmlite", "cuda-core", "cuda-bindings", "numpy",
    "torch", "triton", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cublas", "nvidia-cudnn-cu13",
)  # fmt: skip
STATE = (
    "name", "driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem",
    "temperature.gpu", "power.draw", "power.limit", "utilization.gpu", "memory.used",
)  # fmt: skip


def describe(place: Place) -> dict[str, Any]:
    """The machine before a run."""
    limits = place.device.limits
    return {
        "is_gpu": place.is_gpu,
        "device": limits.name if place.is_gpu else "not a GPU: the CPU as a stand-in",
        "compute_capability": list(limits.compute_capability) if place.is_gpu else None,
        "limits_per_second": limits_of(limits) if place.is_gpu else None,
        "limits_source": source_of(limits) if place.is_gpu else None,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of this checkout, with a word if files differ from it.

    Without git, as where only the files went, what the environment variable ``COMMIT`` says.
    """
    try:
        command = ["git", "-C", str(ROOT)]
        head = _output([*command, "rev-parse", "HEAD"]).strip()
        changed = _output([*command, "status", "--porcelain", "--untracked-files=no"]).strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("COMMIT", "unknown")
    return head + " and changes" * bool(changed)


def state(index: int) -> dict[str, str]:
    """Clocks, temperature and power of a GPU now, as ``nvidia-smi`` tells them; or why it does not.

    It only asks: no setting of the card is ever changed.
    """
    if shutil.which("nvidia-smi") is None:
        return {"missing": "nvidia-smi is not on the path: clocks are not known"}
    query = f"--query-gpu={','.join(STATE)}"
    try:
        text = _output(["nvidia-smi", query, "--format=csv,noheader", f"--id={index}"])
    except (OSError, subprocess.SubprocessError) as error:
        return {"missing": f"nvidia-smi: {error}"}
    return parsed_state(text)


def parsed_state(text: str) -> dict[str, str]:
    """The first line of the answer by the names that were asked for."""
    row = next(csv.reader(io.StringIO(text), skipinitialspace=True), [])
    if len(row) != len(STATE):
        return {"missing": f"nvidia-smi answered {text.strip()!r}"}
    return dict(zip(STATE, (cell.strip() for cell in row)))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout
