"""A GPU that is none: the driver of the GPU back end on host memory, for tests without hardware.

    with fake_gpu() as driver:
        x = nl.tensor(host, device="cuda")        # and everything else that a GPU can do
        assert driver.to_host == 0

Kernels are typed, compiled to PTX and launched as for a GPU; the parameters that reach this driver
are read as the PTX declares them. Then either the CPU compiler runs the kernel's source, or
``nnlite.testing.machine`` its PTX. Streams are as lax as those of a GPU may be: nothing runs before
something waits for it, so that a missing wait shows.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from ...kernels.engine import default_device, set_default_device
from ...kernels.engine.gpu import use_driver
from .driver import FakeDriver

__all__ = ["FakeDriver", "fake_gpu"]


@contextlib.contextmanager
def fake_gpu(run: str = "cpu", **options: Any) -> Iterator[FakeDriver]:
    """The GPU back end on a :class:`FakeDriver`, which is given; the real one after it.

    Inside, the pretended GPU is the default device, as a real one would be.
    """
    driver, before = FakeDriver(run, **options), default_device()
    use_driver(driver)
    _forget_plans()
    try:
        yield driver
    finally:
        use_driver(None)
        _forget_plans()
        set_default_device(before)


def _forget_plans() -> None:
    """Clear the caches of what limits of a device decide: the next one may have others."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "nnlite" and module is not None:
            for found in list(vars(module).values()):
                inner: Any = getattr(found, "__wrapped__", None)
                if (
                    hasattr(found, "cache_clear")
                    and "device" in inspect.signature(inner).parameters
                ):
                    found.cache_clear()
