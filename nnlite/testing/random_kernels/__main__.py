"""The child process of ``run``: checks the kernels of COUNT seeds from SEED on."""

from __future__ import annotations

import json
import sys
import traceback

from .check import Outcome, check
from .kernels import random_kernel


def main(start: int, count: int, features: frozenset[str]) -> None:
    """Write a line of JSON when a kernel begins, and one with its outcome."""
    for seed in range(start, start + count):
        print(json.dumps({"seed": seed}), flush=True)
        try:
            outcome = check(random_kernel(seed, features))
        except Exception:
            outcome = Outcome("failed", traceback.format_exc(limit=-4))
        print(json.dumps({"seed": seed, **outcome._asdict()}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), frozenset(filter(None, sys.argv[3].split(","))))
