"""Run many random kernels in child processes, so that a crash or a hang is an outcome too.

The child is ``python -m nnlite.testing.random_kernels SEED COUNT FEATURES``.  It writes one line of
JSON when it begins a kernel and one when it is done.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from .check import Outcome
from .kernels import FEATURES

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 120.0
"""For one kernel; the first one of a child also starts Numba."""


def run(
    seeds: range,
    jobs: int = 1,
    features: frozenset[str] = FEATURES,
    seconds: float = SECONDS,
    done: Callable[[int, Outcome], None] | None = None,
) -> dict[int, Outcome]:
    """Check the kernels of these seeds, ``jobs`` at a time; returns those that are not equal.

    Args:
        seeds: of ``random_kernel``.
        jobs: child processes at a time.
        features: what kernels may use.
        seconds: after which a kernel counts as hanging.
        done: is called with the seed and the outcome of every kernel.
    """
    size = max(1, min(25, -(-len(seeds) // jobs)))
    chunks: queue.SimpleQueue[range] = queue.SimpleQueue()
    for start in range(0, len(seeds), size):
        chunks.put(seeds[start : start + size])
    failures: dict[int, Outcome] = {}

    def work() -> None:
        while True:
            try:
                chunk = chunks.get_nowait()
            except queue.Empty:
                return
            for seed, outcome in _run_chunk(chunk, features, seconds):
                if done is not None:
                    done(seed, outcome)
                if outcome.kind != "equal":
                    failures[seed] = outcome

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return dict(sorted(failures.items()))


def _run_chunk(
    seeds: range, features: frozenset[str], seconds: float
) -> Iterator[tuple[int, Outcome]]:
    """Run a chunk in a child; after a death or a hang, the rest in a new one."""
    while seeds:
        current = None
        with tempfile.TemporaryDirectory(prefix="nnlite-random-cache-") as cache:
            environment = {**os.environ, "NNLITE_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-X", "faulthandler", "-m", __package__]
            command += [str(seeds[0]), str(len(seeds)), ",".join(sorted(features))]
            with subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as child:
                lines = _lines(child)
                while (line := _next(lines, seconds)) is not None:
                    current = line["seed"]
                    if "kind" in line:
                        yield current, Outcome(line["kind"], line["message"])
                        seeds, current = seeds[1:], None
                hangs = child.poll() is None and bool(seeds)
                child.kill()
                error = child.stderr.read() if child.stderr is not None and not hangs else ""
        if seeds:
            died = f"the process died with status {child.returncode}: {error[-1500:]}"
            said = f"no end after {seconds:.0f} s" if hangs else died
            yield seeds[0] if current is None else current, Outcome("crashed", said)
            seeds = seeds[1:]


def _lines(child: subprocess.Popen[str]) -> queue.SimpleQueue[str]:
    """The lines of the child's output, "" at the end, read by a thread."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            lines.put(line)
        child.wait()
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    return lines


def _next(lines: queue.SimpleQueue[str], seconds: float) -> dict | None:
    try:
        line = lines.get(timeout=seconds)
    except queue.Empty:
        return None
    return json.loads(line) if line else None
