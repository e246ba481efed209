"""What a launch costs the host: the engine, numba-cuda's own launcher, and the raw driver."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, types

import nnlite as nl

from .case import OURS, Case, Missing, Side
from .place import Place

LINE = types.Array(types.float32, 1, "C")  # of each argument
LAUNCHES = 200  # to a run, so that the host's clock sees launches and little else


@nl.kernel
def nothing(x, y, out):
    """Three arrays, of which nothing is read."""
    if out.size == 0:
        out[0] = x[0] + y[0]


def cases() -> list[Case]:
    """The one case."""

    def inputs(place: Place) -> list[Any]:
        return [nl.array(np.ones(32, np.float32), device=place.device) for _ in range(3)]

    sides = {OURS: Side(ours), "numba-cuda": Side(by_numba), "cuda.core": Side(by_core)}
    return [
        Case("launch of an empty kernel", "launch", sides, inputs, float(LAUNCHES), "launch",
             by_wall=True)
    ]  # fmt: skip


def repeated(launch: Callable[[], Any]) -> Callable[[], Any]:
    """A run of many launches."""

    def run() -> None:
        for _ in range(LAUNCHES):
            launch()

    return run


def ours(place: Place, arrays: Any) -> Callable[[], Any]:
    """As a launcher does it."""
    return repeated(lambda: nothing[1, 32](*arrays))


def by_numba(place: Place, arrays: Any) -> Callable[[], Any]:
    """numba-cuda's dispatcher, configured once."""
    if not place.is_gpu:
        raise Missing("numba-cuda launches on GPUs alone")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grid size")  # a small grid is what is wanted
        configured = cuda.jit(nothing.py_func)[1, 32]
    data = [a.data for a in arrays]
    return repeated(lambda: configured(*data))


def by_core(place: Place, arrays: Any) -> Callable[[], Any]:
    """The same machine code through ``cuda.core``, its arguments ready."""
    if not place.is_gpu:
        raise Missing("cuda.core launches on GPUs alone")
    try:
        from cuda.core import Device, LaunchConfig, ObjectCode, launch
    except ImportError as error:
        raise Missing(f"cuda.core is not installed ({error})") from error
    from nnlite.kernels.engine.gpu import offline

    capability = place.device.limits.compute_capability
    text = offline.ptx(nothing, (LINE,) * 3, capability)
    name = next(s.split("(")[0].split()[-1] for s in text.splitlines() if ".entry" in s)
    code = offline.link(text, f"sm_{capability[0]}{capability[1]}").cubin
    current = Device(place.device.index)
    current.set_current()
    kernel = ObjectCode.from_cubin(code).get_kernel(name)
    config, stream = LaunchConfig(grid=1, block=32), current.default_stream
    # An array is seven parameters: two pointers that kernels ignore, items, their size, data,
    # shape and stride.
    flat: list[Any] = []
    for a in arrays:
        pointer = a.data.__cuda_array_interface__["data"][0]
        flat += [0, 0, *map(np.int64, (a.size, 4)), pointer, *map(np.int64, (a.size, 4))]
    return repeated(lambda: launch(stream, config, kernel, *flat))
