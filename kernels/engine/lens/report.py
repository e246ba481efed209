"""What the checker says: findings with places, threads and a remedy, and the report of a launch."""

from __future__ import annotations

import json
import linecache
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckError
from .timeline import Meeting

if TYPE_CHECKING:
    from .profiler.figures import Profile

Place = tuple[int, int, int]


@dataclass(frozen=True)
class Access:
    """One thread at one place.

    Attributes:
        what: ``reads``, ``writes``, ``updates``, ``changes by an atomic``, ``waits`` and so on.
        file, line: of the source; 0 where there is none.
        block, thread: in x, y and z; None where it is about the launch as a whole.
    """

    what: str
    file: str
    line: int
    block: Place | None
    thread: Place | None

    @property
    def source(self) -> str:
        """The text of the line."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def place(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    def __str__(self) -> str:
        who = "" if self.thread is None else f"thread {self.thread} of block {self.block} "
        return f"{who}{self.what}"


@dataclass(frozen=True)
class Finding:
    """One mistake of a kernel.

    Attributes:
        kind: one of ``explain.KINDS``.
        severity: ``error``, or ``note`` for what GPUs allow and is often a mistake.
        access: the thread and line that the mistake shows at.
        other: the other thread and line of a race or of a divergent barrier.
        array, index: the element, as far as there is one.
        message: what is wrong, one sentence.
        remedy: what to do, one sentence.
        count: how often it was seen at these lines.
        shape: of the array, as far as it is known.
    """

    kind: str
    severity: str
    access: Access
    other: Access | None
    array: str
    index: tuple[int, ...] | None
    message: str
    remedy: str
    count: int = 1
    shape: tuple[int, ...] | None = None

    @property
    def file(self) -> str:
        return self.access.file

    @property
    def line(self) -> int:
        return self.access.line

    @property
    def element(self) -> str:
        """``tile[3, 4]``."""
        if self.index is None:
            return self.array
        return f"{self.array}[{', '.join(map(str, self.index))}]"

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        lines = [f"{self.kind}: {self.message}{times}"]
        for access in (self.access, self.other):
            if access is None:
                continue
            if access.line:
                lines.append(f"  {access.place}: {access.source}")
            lines.append(f"    {access}")
        return "\n".join([*lines, f"  remedy: {self.remedy}"])

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        found = asdict(self)
        for name in ("access", "other"):
            access = getattr(self, name)
            if access is not None:
                found[name]["source"] = access.source
        return {**found, "element": self.element}


@dataclass(frozen=True)
class Report:
    """The findings of one checked launch.

    Attributes:
        kernel, grid, block: the launch.
        findings: mistakes, in order of discovery; ``notes``: what may be one.
        meetings: barriers and operations of warps of the first block, in order; ``meetings_lost``:
            how many more there were.
        definition: file and line where the kernel stands.

    Example:
        >>> report = nl.check(kernel, 4, 64, (x, out))
        >>> report.ok
        False
        >>> print(report)
    """

    kernel: str
    grid: Place
    block: Place
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    meetings: tuple[Meeting, ...] = ()
    meetings_lost: int = 0
    definition: tuple[str, int] = ("", 0)

    @property
    def ok(self) -> bool:
        """True when there is no mistake."""
        return not self.findings

    def raise_if_errors(self) -> None:
        """Raise CheckError with the text of the report unless it is clean."""
        if self.findings:
            raise CheckError(str(self), self)

    def __str__(self) -> str:
        count = len(self.findings)
        said = "no mistakes found" if not count else f"{count} mistake{'s' * (count > 1)} found"
        lines = [f"check of {self.kernel}, grid {self.grid}, block {self.block}: {said}"]
        lines += [str(f) for f in self.findings]
        lines += [f"note, {f}" for f in self.notes]
        return "\n\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "kernel": self.kernel,
            "grid": list(self.grid),
            "block": list(self.block),
            "ok": self.ok,
            "findings": [f.as_dict() for f in self.findings],
            "notes": [f.as_dict() for f in self.notes],
        }

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2)

    def to_html(self, profile: Profile | None = None) -> str:
        """One HTML document that needs nothing else: source, findings, timeline of barriers.

        Args:
            profile: of the same launch, to see with it.
        """
        from .html import Launch, page

        return page([Launch(self, profile)])

    def html(self, path: str | Path, profile: Profile | None = None) -> None:
        """Write :meth:`to_html` to a file.

        Example:
            >>> nl.check(kernel, 4, 64, (x, out)).html("report.html")
        """
        Path(path).write_text(self.to_html(profile), encoding="utf-8")
