"""``nnlite check``: run kernels under the checker and say what is wrong with them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.text import Text

from ..errors import ArgumentError
from ..kernels.engine.lens import Finding, Report, check
from .terminal import counted, open_console

STYLES = {"error": "bold red", "note": "bold yellow"}


def run(targets: list[str], as_json: bool) -> int:
    """Check each target and print the reports; the exit code is 1 when there is a mistake."""
    reports = [report for target in targets for report in reports_of(target)]
    if as_json:
        print(json.dumps([r.as_dict() for r in reports], indent=1))
    else:
        show(reports)
    return int(not all(r.ok for r in reports))


def show(reports: list[Report]) -> None:
    """Print the findings, each kernel's once, and a summary."""
    console = open_console()
    seen: set[tuple[str, str, str, int]] = set()
    for report in reports:
        new = [f for f in (*report.findings, *report.notes) if place(f) not in seen]
        seen |= {place(f) for f in new}
        if new:
            console.print(str(report).partition("\n")[0])
        for finding in new:
            console.print()
            console.print(text_of(finding))
            console.print()
    wrong = len({r.kernel for r in reports if not r.ok})
    kernels = counted(len({r.kernel for r in reports}), "kernel")
    launches = f"{len(reports):,} launch{'es' * (len(reports) != 1)}"
    said = f"{counted(wrong, 'kernel')} with mistakes" if wrong else "no mistakes found"
    console.print(f"{kernels}, {launches}: {said}", style="bold red" if wrong else "bold green")


def place(f: Finding) -> tuple[str, str, str, int]:
    """What tells one mistake from another; launches of one kernel repeat it."""
    return f.kind, f.array, f.file, f.line


def text_of(finding: Finding) -> Text:
    """The finding with its kind in colour."""
    prefix = "note, " if finding.severity == "note" else ""
    text = Text(prefix + str(finding))
    text.stylize(STYLES[finding.severity], 0, len(prefix) + len(finding.kind))
    return text


def reports_of(target: str) -> list[Report]:
    """The reports of ``FILE.py:KERNEL`` or of an op's name."""
    file, found, kernel = target.rpartition(":")
    if found and Path(file).suffix == ".py":
        return [of_file(Path(file), kernel)]
    return of_op(target)


def of_file(path: Path, name: str) -> Report:
    """Check the kernel ``name`` of a file, launched as the file's ``inputs()`` says."""
    module = loaded(path)
    kernel = getattr(module, name, None)
    if kernel is None:
        raise ArgumentError(f"check: {path} has no kernel {name!r}")
    inputs = getattr(module, "inputs", None)
    if inputs is None:
        raise ArgumentError(
            f"check: {path} has no function inputs(); write one that returns (grid, block, args) "
            "or (grid, block, args, shared_bytes)"
        )
    given: Any = inputs()
    if not isinstance(given, tuple) or len(given) not in (3, 4):
        raise ArgumentError(
            f"check: inputs() of {path} returns {type(given).__name__}, expected a tuple (grid, "
            "block, args) or (grid, block, args, shared_bytes)"
        )
    return check(kernel, *given)


def loaded(path: Path) -> ModuleType:
    """The module in a file."""
    if not path.is_file():
        raise ArgumentError(f"check: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def of_op(name: str) -> list[Report]:
    """Check the kernels behind an op of nnlite, on samples made from its spec."""
    from ..kernels import all_specs

    specs = [spec for spec in all_specs() if spec.name == name]
    if not specs:
        raise ArgumentError(
            f"check: {name!r} given, expected FILE.py:KERNEL or the name of an op, such as softmax"
        )
    if importlib.util.find_spec("hypothesis") is None:
        raise ArgumentError(
            "check: samples of an op need Hypothesis; install it with: "
            "pip install 'nnlite-cuda[test]'"
        )
    from ..testing.lens import check_launches

    return [report for spec in specs for report in check_launches(spec)]
