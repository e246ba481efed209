"""``nnlite check``: run kernels under the checker and say what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

from rich.text import Text

from ..errors import CheckError, LaunchError
from ..kernels.engine.lens import Finding, Report, check
from ..kernels.engine.lens.html import Launch, write
from ..kernels.engine.lens.profiler import profile
from .targets import in_file, launch_of, spec_of
from .terminal import counted, open_console

STYLES = {"error": "bold red", "note": "bold yellow"}


def run(targets: list[str], as_json: bool, html: Path | None = None) -> int:
    """Check each target and print the reports; the exit code is 1 when there is a mistake.

    With ``html``, a kernel of a file is profiled too, on arguments of its own.
    """
    launches = [launch for target in targets for launch in launches_of(target, html is not None)]
    reports = [launch.report for launch in launches if launch.report is not None]
    if as_json:
        print(json.dumps([r.as_dict() for r in reports], indent=1))
    else:
        show(reports)
    if html is not None:
        write(html, launches)
        if not as_json:
            print(f"wrote {html}")
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


def launches_of(target: str, profiled: bool) -> list[Launch]:
    """The reports of ``FILE.py:KERNEL`` or of an op's name, a kernel's with its profile."""
    file = in_file(target)
    if file is None:
        return [Launch(report) for report in of_op(target)]
    kernel, given = launch_of("check", *file)
    report = check(kernel, *given)
    if not profiled:
        return [Launch(report)]
    try:
        return [Launch(report, profile(kernel, *launch_of("check", *file)[1]))]
    except (CheckError, LaunchError):  # the report says what is wrong with it
        return [Launch(report)]


def of_op(name: str) -> list[Report]:
    """Check the kernels behind an op of nnlite, on samples made from its spec."""
    spec = spec_of("check", name)
    from ..testing.lens import check_launches

    return check_launches(spec)
