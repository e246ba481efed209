"""What the profiler says: figures of each line, totals, and the place on a GPU's roofline."""

from __future__ import annotations

import json
import linecache
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...device import Limits
from ..timeline import Meeting
from .samples import Request


@dataclass(frozen=True)
class Line:
    """The requests of one line to one array, or the branches of one line.

    A request is what the lanes of a warp ask for at once. The counters of Nsight Compute that
    measure the same on a GPU are named in brackets, those of loads for example.

    Attributes:
        file, line: of the source.
        what: ``load``, ``store``, ``atomic`` or ``branch``.
        space: ``global`` or ``shared``; empty for a branch. Local arrays are not counted.
        array: name of the array.
        requests: number of requests [l1tex__t_requests_pipe_lsu_mem_global_op_ld.sum].
        lanes: active lanes in all requests
            [smsp__thread_inst_executed_per_inst_executed.ratio, of the instruction].
        useful: different bytes asked for.
        sectors: sectors of 32 bytes of global memory
            [l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum].
        ideal_sectors: as many as the useful bytes would fill.
        wavefronts: turns that shared memory needs
            [l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld.sum].
        ideal_wavefronts: as many as without bank conflicts.
        busiest: over all atomic requests, the lanes on the address that most of them want.
        divergent: branches at which the lanes of a warp parted
            [smsp__sass_branch_targets_threads_divergent.sum].
        first, worst: the first request, and one with the most beyond the ideal, as samples.
    """

    file: str
    line: int
    what: str
    space: str
    array: str
    requests: int
    lanes: int
    useful: int = 0
    sectors: int = 0
    ideal_sectors: int = 0
    wavefronts: int = 0
    ideal_wavefronts: int = 0
    busiest: int = 0
    divergent: int = 0
    first: Request | None = field(default=None, repr=False)
    worst: Request | None = field(default=None, repr=False)

    @property
    def source(self) -> str:
        """The text of the line."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def active_lanes(self) -> float:
        """Active lanes of a request, at most 32."""
        return self.lanes / self.requests

    @property
    def sectors_per_request(self) -> float:
        """[l1tex__average_t_sectors_per_request_pipe_lsu_mem_global_op_ld.ratio]"""
        return self.sectors / self.requests

    @property
    def bytes_moved(self) -> int:
        """Bytes of the sectors."""
        return 32 * self.sectors

    @property
    def efficiency(self) -> float:
        """Useful bytes of those moved
        [smsp__sass_average_data_bytes_per_sector_mem_global_op_ld.pct]."""
        return self.useful / self.bytes_moved if self.sectors else 1.0

    @property
    def wavefronts_per_request(self) -> float:
        """Turns of shared memory for a request; above the ideal by bank conflicts."""
        return self.wavefronts / self.requests

    @property
    def contention(self) -> float:
        """Lanes of a request that wait in line for one address."""
        return self.busiest / self.requests


@dataclass(frozen=True)
class Profile:
    """Figures of one launch.

    Attributes:
        kernel, grid, block: the launch.
        lines: :class:`Line` in the order of the source.
        flops: operations on floating-point numbers: +, -, *, / count one, ``fma`` two.
        bytes_moved: of global memory, by all requests, as if there were no cache.
        bytes_touched: of global memory, each sector once, as with a perfect cache.
        dropped: accesses for which the table of a block had no room.
        meetings: barriers and operations of warps of the first block, in order; ``meetings_lost``:
            how many more there were.
        definition: file and line where the kernel stands.
    """

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    lines: tuple[Line, ...]
    flops: int
    bytes_moved: int
    bytes_touched: int
    dropped: int = 0
    meetings: tuple[Meeting, ...] = ()
    meetings_lost: int = 0
    definition: tuple[str, int] = ("", 0)

    @property
    def intensity(self) -> float:
        """Operations per byte, each byte moved once: the most that caches can make of it."""
        return self.flops / self.bytes_touched if self.bytes_touched else 0.0

    @property
    def intensity_without_caches(self) -> float:
        """Operations per byte of all requests."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0

    def roofline(self, gpu: Limits, intensity: float | None = None) -> float:
        """Most FLOP/s that bandwidth and arithmetic of a GPU allow at this intensity.

        ``min(float32 peak, intensity * bandwidth)``: Williams, Waterman and Patterson, "Roofline:
        An Insightful Visual Performance Model", CACM 2009.
        """
        given = self.intensity if intensity is None else intensity
        return min(gpu.float32 * 1e12, given * gpu.bandwidth * 1e9)

    def of(self, line: int, what: str | None = None, array: str | None = None) -> Line:
        """The figures of a line, if they are only one: ``profile.of(12, "load", "x")``."""
        found = [
            x
            for x in self.lines
            if x.line == line and what in (None, x.what) and array in (None, x.array)
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} kinds of access at line {line}: {found}")
        return found[0]

    def to_json(self) -> str:
        """All figures as JSON; samples and barriers are in :meth:`to_html`."""
        made: dict[str, Any] = asdict(replace(self, meetings=()))
        del made["meetings"]
        for line in made["lines"]:
            del line["first"], line["worst"]
        made |= {
            "intensity": self.intensity,
            "intensity_without_caches": self.intensity_without_caches,
        }
        return json.dumps(made, indent=1)

    def to_html(self, gpu: str = "H200") -> str:
        """One HTML document that needs nothing else: source with heat, accesses, roofline.

        Args:
            gpu: T4, A100, H100, H200 or RTX 4090, for the roofline.

        Raises:
            ArgumentError: there is no such GPU.
        """
        from ..html import Launch, page

        return page([Launch(profile=self)], gpu)

    def html(self, path: str | Path, gpu: str = "H200") -> None:
        """Write :meth:`to_html` to a file.

        Example:
            >>> nl.profile(transpose, (4, 4), (32, 8), (x, out)).html("report.html")
        """
        Path(path).write_text(self.to_html(gpu), encoding="utf-8")

    def __str__(self) -> str:
        title = f"{self.kernel}{list(self.grid)}{list(self.block)}"
        rows = [HEADINGS, *(cells(x) for x in self.lines)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(HEADINGS))]
        left = (0, 1)  # these columns are text
        lines = [
            "  ".join(
                c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        ]
        totals = (
            f"{self.flops:,} FLOP, {self.bytes_moved:,} bytes in all requests, "
            f"{self.bytes_touched:,} different ones: {self.intensity_without_caches:.3g} to "
            f"{self.intensity:.3g} FLOP per byte"
        )
        more = [f"{self.dropped:,} accesses were not counted: take a smaller launch"]
        return "\n".join([title, *lines, totals, *(more if self.dropped else [])])


HEADINGS = ("line", "access", "requests", "lanes", "sectors", "ideal", "used", "waves", "ideal", "")


def cells(line: Line) -> Sequence[str]:
    """A row of the table."""
    place = f"{Path(line.file).name}:{line.line}"
    access = f"{line.what} {line.array}".strip()
    row = [place, access, f"{line.requests:,}", f"{line.active_lanes:.3g}"]
    if line.space == "global":
        ideal = line.ideal_sectors / line.requests
        row += [f"{line.sectors_per_request:.3g}", f"{ideal:.3g}", f"{line.efficiency:.0%}"]
    else:
        row += ["", "", ""]
    if line.space == "shared":
        ideal = line.ideal_wavefronts / line.requests
        row += [f"{line.wavefronts_per_request:.3g}", f"{ideal:.3g}"]
    else:
        row += ["", ""]
    if line.what == "atomic":
        return [*row, f"{line.contention:.3g} lanes on one address"]
    if line.what == "branch":
        return [*row, f"{line.divergent / line.requests:.0%} divergent"]
    return [*row, ""]
