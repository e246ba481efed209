"""Process of the peer "numba simulator": launches the tiled kernel once per line it reads.

Started by ``bench.peers.Simulator`` with ``NUMBA_ENABLE_CUDASIM=1``; prints the seconds of each
launch. The first result is compared with NumPy before anything is reported.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from numba import cuda

from nnlite.kernels.matmul import TILE, matmul_tiled


def main() -> None:
    n = int(sys.argv[1])
    kernel = cuda.jit(matmul_tiled.py_func)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n, n), dtype=np.float32) for _ in range(2))
    c = np.empty_like(a)
    blocks = (n + TILE - 1) // TILE
    checked = False
    for _ in sys.stdin:
        start = time.perf_counter()
        kernel[(blocks, blocks), (TILE, TILE)](a, b, c)
        seconds = time.perf_counter() - start
        if not checked:
            np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-4)
            checked = True
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
