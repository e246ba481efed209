"""Streams: work of one GPU in several orders at a time."""

from __future__ import annotations

import sys
from typing import Any

from .device import Device
from .device import device as find_device
from .errors import DeviceError
from .replay import beside, here


class Stream:
    """A queue of work for a GPU that runs in its own order, beside that of the default stream.

    Inside ``with stream:`` the work of this thread for the stream's GPU goes to it. Streams know
    nothing of each other: :meth:`wait` orders them. An array belongs to the stream it was made in.
    It may be let go while work in another one still uses it, unless that is a stream of another
    package: then keep a reference until its work is done.

    On a CPU work is done when it is asked for, so that there all of this does nothing.

    Args:
        device: a device; None is the default one.

    Raises:
        DeviceError: the device is not present.

    Example:
        >>> side = nl.Stream()
        >>> with side:
        ...     y = model(x)
        >>> side.synchronize()
    """

    def __init__(self, device: Device | str | None = None) -> None:
        self.device = find_device(device)
        self.handle = 0
        self._before: list[tuple[int, int]] = []
        self._driver: Any = None
        if not self.device.is_cpu:
            from .gpu.driver import active

            _leave_graph("a stream is made")
            self._driver = active()
            self.handle = self._driver.create_stream(self.device.index)
            beside.add((self.device.index, self.handle))

    def __enter__(self) -> Stream:
        if self._driver is not None:
            _leave_graph("another stream is used")
        self._before.append((here.index, here.stream))
        if self._driver is not None:
            here.index, here.stream = self.device.index, self.handle
        return self

    def __exit__(self, *exc: object) -> None:
        here.index, here.stream = self._before.pop()

    def wait(self, other: Stream | None = None) -> None:
        """Let what is queued here from now on wait for all that ``other`` has been given so far.

        Args:
            other: a stream of the same device; None is the one that this thread uses.

        Raises:
            DeviceError: it is one of another device.
        """
        if other is not None and other.device != self.device:
            raise DeviceError(
                f"wait: other: a stream of {other.device} given, expected one of {self.device}"
            )
        if self._driver is None:
            return
        _leave_graph("a stream waits for another")
        index = self.device.index
        used = here.stream if here.index == index else 0
        event = self._driver.record(index, used if other is None else other.handle)
        self._driver.wait(index, self.handle, event)
        self._driver.destroy_event(index, event)

    def synchronize(self) -> None:
        """Wait until all work in the stream is done."""
        if self._driver is not None:
            _leave_graph("the host waits for a stream")
            self._driver.synchronize_stream(self.device.index, self.handle)

    def __cuda_stream__(self) -> tuple[int, int]:
        """Version of the protocol, and the handle: what other packages ask for."""
        return 0, self.handle

    def __repr__(self) -> str:
        return f"<stream of {self.device}>"

    def __del__(self) -> None:
        if getattr(self, "_driver", None) is not None and not sys.is_finalizing():
            from .gpu.pool import retire

            retire(self.device.index, self._driver, self.handle)


def _leave_graph(reason: str) -> None:
    if here.recorder is not None:
        here.recorder.stop(reason)
