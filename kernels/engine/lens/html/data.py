"""Reports and profiles as the plain data that the page draws from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...device import GPUS
from ..profiler.figures import Line, Profile
from ..report import Finding, Report
from ..timeline import Meeting
from .sources import Sources

FORMAT = 1


@dataclass(frozen=True)
class Launch:
    """One launch: what the checker says of it, what the profiler says, or both."""

    report: Report | None = None
    profile: Profile | None = None

    @property
    def kernel(self) -> str:
        return self.any.kernel

    @property
    def any(self) -> Any:
        """Whichever there is, to ask for what both have."""
        return self.report if self.report is not None else self.profile


def as_data(launches: Sequence[Launch], gpu: str) -> dict[str, Any]:
    """Everything that the page shows."""
    sources = Sources()
    made = [launch_data(launch, sources) for launch in launches]
    gpus = {
        key: {"name": g.name, "bandwidth": g.bandwidth * 1e9, "flops": g.float32 * 1e12}
        for key, g in GPUS.items()
    }
    files = sources.as_data()
    return {"format": FORMAT, "gpu": gpu, "gpus": gpus, "files": files, "launches": made}


def launch_data(launch: Launch, sources: Sources) -> dict[str, Any]:
    """One launch; files are numbers of ``sources``."""
    given = launch.any
    file, line = given.definition
    report, profile = launch.report, launch.profile
    return {
        "kernel": given.kernel,
        "grid": list(given.grid),
        "block": list(given.block),
        "file": sources.number(file, line),
        "line": line,
        "checked": report is not None,
        "findings": [] if report is None else found(report.findings, sources),
        "notes": [] if report is None else found(report.notes, sources),
        "profile": None if profile is None else profile_data(profile, sources),
        "meetings": [meeting_data(m, sources) for m in given.meetings],
        "meetings_lost": given.meetings_lost,
    }


def found(findings: Sequence[Finding], sources: Sources) -> list[dict[str, Any]]:
    """Findings, their accesses with numbers of files."""
    out = []
    for finding in findings:
        made = finding.as_dict()
        for name in ("access", "other"):
            if made[name] is not None:
                made[name]["file"] = sources.number(made[name]["file"], made[name]["line"])
        out.append(made)
    return out


def profile_data(profile: Profile, sources: Sources) -> dict[str, Any]:
    """Figures of a profile; the meetings of its launch stand elsewhere."""
    return {
        "flops": profile.flops,
        "bytes_moved": profile.bytes_moved,
        "bytes_touched": profile.bytes_touched,
        "intensity": profile.intensity,
        "intensity_without_caches": profile.intensity_without_caches,
        "dropped": profile.dropped,
        "lines": [line_data(line, sources) for line in profile.lines],
    }


def line_data(line: Line, sources: Sources) -> dict[str, Any]:
    """Figures and samples of a line; the worst sample only where it is not the first."""
    made = asdict(line) | {"file": sources.number(line.file, line.line)}
    if line.worst == line.first:
        made["worst"] = None
    return made


def meeting_data(meeting: Meeting, sources: Sources) -> dict[str, Any]:
    """A meeting with numbers of files."""
    arrivals = [asdict(a) | {"file": sources.number(a.file, a.line)} for a in meeting.arrivals]
    return {"kind": meeting.kind, "divergent": meeting.divergent, "arrivals": arrivals}
