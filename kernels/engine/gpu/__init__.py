"""The GPU back end: the only place that touches the driver and numba-cuda's host side.

- ``driver``: what is asked of a driver; ``cuda_driver``: the one of the machine.
- ``work``: copies and launches on their way to the driver, in the stream of the thread.
- ``pool``: memory, in a caching pool.
- ``arrays``: :class:`GpuArray`, views and copies of that memory.
- ``compile``, ``offline``: kernels to machine code, kept on disk.
- ``arguments``, ``launch``: kernels with their arguments, queued.
- ``graph``, ``recorder``: work captured as a CUDA graph, and replayed.
- ``upload``: copies to a GPU beside its work; ``timing``: how long work takes there.

Everything runs in the order of one stream unless a program asks for others; a block of memory freed
while a kernel still uses it is only given to later work of that stream. Without a driver
:func:`count` is 0 and nothing else here is called.
"""

from __future__ import annotations

import functools

from ..device import Limits
from .arrays import GpuArray, empty, from_host, zeros
from .driver import Driver, active
from .driver import use as _use
from .launch import Launcher, dispatcher, synchronize
from .pool import pool

__all__ = [
    "Driver",
    "GpuArray",
    "Launcher",
    "count",
    "dispatcher",
    "empty",
    "from_host",
    "limits",
    "synchronize",
    "use_driver",
    "zeros",
]


def count() -> int:
    """Number of NVIDIA GPUs that can be used; 0 without a driver and in Numba's simulator."""
    return active().count()


@functools.cache
def limits(index: int) -> Limits:
    """Limits of GPU ``index`` as its driver reports them."""
    return active().limits(index)


def use_driver(driver: Driver | None) -> None:
    """Take another driver from now on, for tests; None is that of the machine.

    Arrays made before it must not be used any more; compiled kernels are loaded anew, and what was
    remembered or chosen for its devices is forgotten.
    """
    from ..constants import forget_constants
    from ..device import forget
    from ..kernel import forget_gpu
    from ..replay import beside
    from ..tuning import choice, identity, session

    _use(driver)
    beside.clear()
    pool.cache_clear()
    limits.cache_clear()
    forget_constants()
    forget_gpu()
    forget()
    identity.of_device.cache_clear()
    session.for_the_process.cache_clear()
    choice.changed()
