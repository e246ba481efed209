"""Process that answers about kernels of the collection, one name a line, one JSON line back.

``python -m bench.collection.worker simulate``: seconds of one run at the tiny size in Numba's
simulator, which NUMBA_ENABLE_CUDASIM must have chosen.
``python -m bench.collection.worker compile``: seconds until the kernel could run at its real size,
compiled or loaded from NNLITE_CACHE_DIR.
``python -m bench.collection.worker rate ROUNDS [FOLDER]``: seconds of every round by nnlite, NumPy
and, given its folder, another compiler, which may crash.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from . import ENTRIES
from .entry import Entry


def simulate(entry: Entry) -> dict[str, Any]:
    """Run once; the error's first line if the simulator cannot, or gives something else."""
    launches = entry.launches(entry.tiny)
    expected = entry.expected(launches)
    start = time.perf_counter()
    for launch in launches:
        entry.kernel[launch.grid, launch.block, 0, launch.shared](*launch.args)
    seconds = time.perf_counter() - start
    try:
        entry.check(launches, expected)
    except AssertionError as error:
        return {"seconds": seconds, "error": f"wrong result: {error}"}
    return {"seconds": seconds}


def compile_(entry: Entry) -> dict[str, Any]:
    """From the plain function to machine code."""
    from nnlite.kernels.engine.cpu import CpuKernel

    launch = entry.launches(entry.real)[0]
    start = time.perf_counter()
    kernel = CpuKernel(entry.kernel)
    kernel.source(launch.dims[1], launch.args)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "from_cache": kernel.compiled[0].from_cache}


def rate(entry: Entry) -> dict[str, Any]:
    """Interleaved rounds at the real size."""
    from .rates import measured

    rounds, *folder = sys.argv[2:]
    return measured(entry, int(rounds), Path(folder[0]) if folder else None)


def main() -> None:
    work = {"simulate": simulate, "compile": compile_, "rate": rate}[sys.argv[1]]
    named = {entry.name: entry for entry in ENTRIES}
    warnings.simplefilter("ignore")
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            answer = work(named[line.strip()])
        except Exception as error:
            text = " ".join(str(error).split())
            answer = {"error": f"{type(error).__name__}: {text[:200]}"}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
