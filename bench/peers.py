"""The peers: Numba's simulator in a process of its own, PyTorch, and how absence is told."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .harness import Side

MISSING: set[str] = set()


def installed(module: str) -> bool:
    """True if a peer's module is there; an absent one is noted for the closing line."""
    found = importlib.util.find_spec(module) is not None
    if not found:
        MISSING.add(module)
    return found


class Simulator:
    """Numba's CUDA simulator: one Python thread per CUDA thread.

    It must be chosen before numba is imported, so it runs in a process of its own
    (``bench/simulator_worker.py``), which times each launch itself and reports the seconds.
    """

    def __init__(self, n: int) -> None:
        env = dict(os.environ, NUMBA_ENABLE_CUDASIM="1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.simulator_worker", str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )

    def seconds(self) -> float:
        """Seconds of one launch."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the simulator's process ended; see its message above")
        return float(line)

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(timeout=60)


def simulator(n: int) -> Side:
    """The tiled matrix product of order ``n`` in Numba's simulator."""
    worker = Simulator(n)
    return Side("numba simulator", lambda: None, timer=worker.seconds, close=worker.close)


def torch_device(device: Any) -> tuple[Any, Callable[[], None]]:
    """(the torch device, function that waits for it); strict float32 on a GPU, as ours is."""
    import torch

    if device.kind == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", device.index), torch.cuda.synchronize
    return torch.device("cpu"), lambda: None


def torch_side(run: Callable[..., Any], host: Sequence[np.ndarray], device: Any) -> Side:
    """``run`` on PyTorch tensors of the same numbers."""
    import torch

    where, wait = torch_device(device)
    tensors = [torch.tensor(x, device=where) for x in host]
    return Side(f"PyTorch {torch.__version__}", lambda: run(*tensors), wait)
