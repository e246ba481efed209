"""Compare many random kernels, compiled for the CPU and interpreted.

    python tests/fuzz_cpu.py 3000 --jobs 2
    python tests/fuzz_cpu.py 1 --seed 17 --show

Every kernel that fails is written to the folder ``--out`` as text that names its seed and launch;
``tests/random_kernels/`` keeps those that once failed.  The exit status is 1 when any fails.
"""

from __future__ import annotations

import argparse
import collections
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nnlite.testing.random_kernels import FEATURES, Outcome, random_kernel, reduced, run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many kernels")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--seed", type=int, help="of the first kernel; random if not given")
    parser.add_argument("--features", default=",".join(sorted(FEATURES)), help="what they may use")
    parser.add_argument("--seconds", type=float, default=120, help="for one kernel")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder of failures")
    parser.add_argument("--reduce", action="store_true", help="make failing kernels small")
    parser.add_argument("--show", action="store_true", help="print each kernel")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    features = frozenset(filter(None, given.features.split(",")))
    if not features <= FEATURES:
        known = ", ".join(sorted(FEATURES))
        sys.exit(f"--features: {given.features} given, expected some of {known}")
    first = secrets.randbelow(1 << 40) if given.seed is None else given.seed
    seeds = range(first, first + given.count)
    counts: collections.Counter[str] = collections.Counter()
    start = time.perf_counter()

    def done(seed: int, outcome: Outcome) -> None:
        counts[outcome.kind] += 1
        if given.show:
            print(random_kernel(seed, features).text(outcome), flush=True)
        if outcome.kind != "equal":
            print(f"seed {seed}: {outcome.kind}: {outcome.message[-600:]}", flush=True)
            given.out.mkdir(parents=True, exist_ok=True)
            path = given.out / f"{seed}.txt"
            path.write_text(random_kernel(seed, features).text(outcome))
        total = sum(counts.values())
        if total % 50 == 0:
            spent = time.perf_counter() - start
            each = f"{spent / total:.2f} s each"
            print(f"{total} of {given.count}: {dict(counts)}, {each}", flush=True)

    print(f"seeds {first} to {first + given.count - 1}, features {given.features}", flush=True)
    failures = run(seeds, given.jobs, features, given.seconds, done)
    spent = time.perf_counter() - start
    print(f"{given.count} kernels in {spent:.0f} s: {dict(counts)}")
    if given.reduce:
        for seed, outcome in failures.items():
            small = reduced(random_kernel(seed, features), outcome)
            (given.out / f"{seed}_small.txt").write_text(small.text(outcome))
            print(small.text(outcome))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
