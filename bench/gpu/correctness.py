"""Is it right? First of all: the test-suite on the device, and a sample under compute-sanitizer.

What a limit of time cut short is recorded as cut short, with what had passed by then; a tool that
is not there is recorded as missing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUTCOME = re.compile(r"\b(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
COLLECTED = re.compile(r"(?:collected|\[)(?:\s*)(\d+) items?")
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (\d+) \w+")
TOOLS = ("memcheck", "racecheck")
FAULT = 17  # exit code that compute-sanitizer gives when it has found something
LONGEST = 60  # seconds of one test, which a kernel that never ends would take for ever
GRACE = 10.0  # seconds that pytest has to say what it knows when it is interrupted

# Tests of a quick run: every op against its reference, and the engine.
QUICK = ("tests/test_ops.py", "tests/test_engine_memory.py", "tests/test_engine_kernel.py")


@dataclass
class Check:
    """What came of one program that checks.

    Attributes:
        name: ``"tests"``, ``"memcheck"`` or ``"racecheck"``.
        ok: True if it found nothing, False if it did, None if it did not run to its end.
        counts: outcomes of tests, or errors found.
        note: why there is no answer, or a part of it.
        tail: the end of its output if something is wrong.
    """

    name: str
    command: list[str]
    ok: bool | None = None
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    note: str = ""
    tail: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __str__(self) -> str:
        verdict = {True: "passed", False: "FAILED", None: "not finished"}[self.ok]
        counts = ", ".join(f"{number} {what.lower()}" for what, number in self.counts.items())
        return " ".join(
            x for x in (f"{self.name}: {verdict}", f"({counts})" * bool(counts), self.note) if x
        )


@dataclass
class Output:
    """What a program printed before it ended or was ended."""

    text: str
    code: int | None  # None if it was ended
    seconds: float


def run(command: Sequence[str], seconds: float, env: dict[str, str] | None = None) -> Output:
    """Run a program for so many seconds at most: then interrupt it, and end it if it goes on.

    It has a process group of its own, so that what it has started ends with it.
    """
    import time

    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    code: int | None = None
    try:
        text, _ = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        text = _ended(process)
    except BaseException:
        _ended(process)
        raise
    return Output(text or "", code, time.monotonic() - start)


def _ended(process: subprocess.Popen[str]) -> str:
    """Interrupt, then end, the group of a process; what it had printed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def tests(seconds: float, quick: bool, device: str, log: Path | None) -> Check:
    """The test-suite with the device as the default one, or a sample of it."""
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider"]
    if importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(min(16, os.cpu_count() or 1))]
    if importlib.util.find_spec("pytest_timeout") is not None:
        command += ["--timeout", str(LONGEST), "--timeout-method", "thread"]
    command += [*QUICK, "-k", "not cpu"] if quick else ["tests"]
    check = Check("tests", command)
    if importlib.util.find_spec("pytest") is None:
        check.note = "pytest is not installed"
        return check
    done = run(command, seconds, {"NNLITE_DEVICE": device, "HYPOTHESIS_PROFILE": "ci"})
    if log is not None:
        log.write_text(done.text)
    return judged_tests(check, done, quick)


def judged_tests(check: Check, done: Output, quick: bool) -> Check:
    """The check with the outcomes that pytest printed, one test a line."""
    check.seconds = done.seconds
    for line in done.text.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            continue  # the summary names again what failed
        found = OUTCOME.search(line) if "::" in line else None
        if found:
            check.counts[found[1]] = check.counts.get(found[1], 0) + 1
    bad = check.counts.get("FAILED", 0) + check.counts.get("ERROR", 0)
    known = COLLECTED.search(done.text)
    if done.code is None:
        all_of_them = f" of {known[1]}" if known else ""
        check.note = f"ended after {done.seconds:.0f} s, {sum(check.counts.values())}{all_of_them}"
        check.ok = False if bad else None
    else:
        check.ok = done.code == 0 and bad == 0 and bool(check.counts)
        check.note = "a sample of the suite" if quick else ""
    if check.ok is False:
        failed = [x for x in done.text.splitlines() if x.startswith(("FAILED ", "ERROR "))]
        check.tail = failed[:50] or done.text.splitlines()[-30:]
    return check


def sanitizer(tool: str, seconds: float, device: str) -> Check:
    """A small program that launches every family of kernels once, under compute-sanitizer."""
    program = [sys.executable, "-m", "bench.gpu.sample", "--device", device]
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", str(FAULT), *program]
    check = Check(tool, command)
    if shutil.which("compute-sanitizer") is None:
        check.note = "compute-sanitizer is not on the path: nothing was checked by it"
        return check
    return judged_sanitizer(check, run(command, seconds))


def judged_sanitizer(check: Check, done: Output) -> Check:
    """The check with the errors that the last line of compute-sanitizer counts."""
    check.seconds = done.seconds
    found = SUMMARY.findall(done.text)
    if found:
        check.counts["errors"] = sum(map(int, found))
    if done.code is None:
        check.note = f"ended after {done.seconds:.0f} s"
        check.ok = False if check.counts.get("errors") else None
    elif not found:
        check.note = f"exit code {done.code} without a summary: the tool did not run to its end"
        check.tail = done.text.splitlines()[-30:]
    else:
        check.ok = done.code == 0 and check.counts["errors"] == 0
    if check.ok is False:
        marked = [x for x in done.text.splitlines() if x.startswith("=========")]
        others = [x for x in done.text.splitlines() if x not in marked]
        check.tail = [*marked[:50], *others[-20:]]  # the last ones say what the program found
    return check
