"""The CPU compiler against the interpreter, on random legal kernels, bit for bit.

150 fresh kernels a run: their seeds follow from the commit and the day, and stand in the message of
a failure.  ``python tests/fuzz_cpu.py 1 --seed SEED --show`` runs one again, ``... 3000 --jobs 2``
many more.  The folder ``random_kernels`` holds every kernel that ever failed.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings

from nnlite.testing.random_kernels import Outcome, check, random_kernels, read, run

HERE = Path(__file__).resolve().parent
FRESH, BATCHES = 150, 10
ONCE_FAILED = sorted((HERE / "random_kernels").glob("*.txt"))


def base_seed() -> int:
    """The same in all workers of one run, another tomorrow and for another commit."""
    given_seed = os.environ.get("NNLITE_FUZZ_SEED")
    if given_seed:
        return int(given_seed)
    command = ["git", "-C", str(HERE), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    digest = hashlib.sha256(f"{commit.strip()} {today}".encode()).hexdigest()
    return int(digest[:10], 16)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_fresh_random_kernels_equal_the_interpreter(batch):
    count = FRESH // BATCHES
    first = base_seed() + batch * count
    seen: list[int] = []
    failures = run(range(first, first + count), done=lambda seed, outcome: seen.append(seed))
    assert seen == list(range(first, first + count))
    told = [f"seed {seed}: {o.kind}: {o.message}" for seed, o in failures.items()]
    assert not failures, "\n".join(told)


@pytest.mark.parametrize("path", ONCE_FAILED, ids=lambda p: p.stem)
def test_kernels_that_once_failed(path):
    assert check(read(path.read_text())) == Outcome("equal")


@settings(max_examples=3)
@given(random_kernels())
def test_kernels_of_the_strategy_equal_the_interpreter(kernel):
    assert check(kernel) == Outcome("equal"), kernel.source
