"""``python -m bench.gpu.preflight``: does this machine have what a run on a GPU needs?

A minute's look before ten minutes are spent: each step of the way from the compiler to a graph is
tried on its own, smallest first, and one that fails says so with the whole of its error. Steps
marked with ``*`` are of peers: without them there are fewer figures.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

ITEMS = 1000


def driver() -> str:
    """The driver by itself: ``devices()`` swallows what is wrong with it."""
    from cuda.bindings import driver as api

    (error,) = api.cuInit(0)
    if error:
        raise RuntimeError(f"cuInit: {error}")
    import nnlite as nl

    found = [f"{d}: {d.limits}" for d in nl.devices() if not d.is_cpu]
    if not found:
        raise RuntimeError(f"the driver works, {api.cuDeviceGetCount()}, and nnlite sees no GPU")
    return "; ".join(found)


def compilers() -> str:
    """A kernel to PTX and machine code, for the GPU here or, without one, for Hopper."""
    import nnlite as nl
    from nnlite.kernels.engine.gpu import compile as stages
    from nnlite.kernels.engine.gpu import offline

    from .launches import LINE, nothing

    present = [d for d in nl.devices() if not d.is_cpu]
    capability = present[0].limits.compute_capability if present else (9, 0)
    target = stages.capability_of(capability)
    text = offline.ptx(nothing, (LINE,) * 3, target)
    code = offline.assemble(text, "sm_" + "".join(map(str, target))).cubin
    version = next(line for line in text.splitlines() if line.startswith(".version"))
    return f"{version} for {target}, {len(code)} bytes of machine code"


def memory() -> str:
    """There and back."""
    import nnlite as nl

    x = np.random.default_rng(0).random(ITEMS, np.float32)
    assert np.array_equal(nl.array(x, device="cuda").copy().numpy(), x)
    return ""


def kernel() -> str:
    """One launch, compiled, loaded and right."""
    import nnlite as nl

    x = np.random.default_rng(0).random(ITEMS, np.float32)
    y = (nl.tensor(x, device="cuda") + nl.tensor(x, device="cuda")).numpy()
    assert np.array_equal(y, 2 * x), "wrong sum"
    return ""


def clock() -> str:
    """Events; a copy between them."""
    import nnlite as nl

    from .place import Place

    place = Place(nl.device("cuda"))
    x = nl.array(np.ones(1 << 26, np.float32), device="cuda")
    y = nl.array(np.zeros(1 << 26, np.float32), device="cuda")
    seconds = min(place.seconds(lambda: y.copy_from(x)) for _ in range(5))
    return f"a copy of 256 MiB: {2 * x.nbytes / seconds / 1e9:.0f} GB/s"


def graph() -> str:
    """A captured step whose input changes before each replay."""
    import nnlite as nl

    model = nl.nn.Linear(8, 4).to("cuda")
    update = nl.optim.Adam(model.parameters())
    x = nl.tensor(np.ones((2, 8), np.float32), device="cuda")

    def step() -> Any:
        update.zero_grad()
        loss = (model(x) ** 2).sum()
        loss.backward()
        update.step()
        return loss

    graphed = nl.graph(step)
    losses = [float(graphed().item()) for _ in range(8)]
    if graphed.reason:
        raise RuntimeError(f"no graph: {graphed.reason}")
    assert all(b < a for a, b in zip(losses, losses[1:])), losses
    return ""


def tensor_map() -> str:
    """A map for the copies of Hopper."""
    import nnlite as nl
    from nnlite.kernels.engine.gpu.tensor_map import map_words

    if nl.device("cuda").limits.compute_capability < (9, 0):
        return "not of this GPU"
    x: Any = nl.array(np.ones((64, 64), np.float32), device="cuda")
    assert any(map_words("tf32", x, 64, 64, 256, 64))
    return ""


def pytorch() -> str:
    """PyTorch beside nnlite, and a graph of it."""
    import torch

    x = torch.randn(64, 64, device="cuda")
    result = torch.empty_like(x)
    torch.mm(x, x, out=result)
    found = torch.cuda.CUDAGraph()
    with torch.cuda.graph(found):
        torch.mm(x, x, out=result)
    found.replay()
    torch.cuda.synchronize()
    return f"{torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def cupy() -> str:
    """CuPy with CUB."""
    import nnlite as nl

    from . import peers
    from .place import Place

    module = peers.cupy_on(Place(nl.device("cuda")))
    assert float(module.ones(ITEMS, module.float32).sum()) == ITEMS
    return str(module.__version__)


STEPS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("driver", driver), ("compilers", compilers), ("memory", memory), ("kernel", kernel),
    ("clock", clock), ("graph", graph), ("tensor map", tensor_map), ("* torch", pytorch),
    ("* cupy", cupy),
)  # fmt: skip


def main() -> int:
    """Take every step; how many of ours failed."""
    failed, is_gpu = 0, True
    for name, step in STEPS:
        if not is_gpu and step is not compilers:
            print(f"[  0.0 s] {name}: not tried without a GPU", flush=True)
            continue
        start = time.monotonic()
        try:
            told = f"ok {step()}"
        except Exception:
            told = "FAILED\n" + traceback.format_exc()
            failed += not name.startswith("*")
            is_gpu = is_gpu and step is not driver
        print(f"[{time.monotonic() - start:5.1f} s] {name}: {told}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
