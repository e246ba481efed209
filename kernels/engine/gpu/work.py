"""Work for a GPU, in the stream of the thread that asks; graphs see it on its way.

While a graph is captured or rerun in this thread, ``here.recorder`` gets all work first and says
whether it has dealt with it (see ``recorder``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..replay import here
from .driver import active, stream_of

if TYPE_CHECKING:
    from .launch import Entry


def write(index: int, target: int, source: int, nbytes: int) -> None:
    """Copy from the host."""
    if here.recorder is not None:
        here.recorder.stop("data is copied from the host to the GPU")
    active().write(index, target, source, nbytes, stream_of(index))


def read(index: int, target: int, source: int, nbytes: int) -> None:
    """Copy to the host, and wait for it."""
    if here.recorder is not None:
        here.recorder.stop("a result is read on the host, as by item() or numpy()")
    active().read(index, target, source, nbytes, stream_of(index))


def move(index: int, target: int, source: int, nbytes: int) -> None:
    """Copy inside the GPU."""
    if here.recorder is not None and here.recorder.same(("move", index, target, source, nbytes)):
        return
    active().move(index, target, source, nbytes, stream_of(index))


def fill(index: int, target: int, byte: int, nbytes: int) -> None:
    """Set bytes."""
    if here.recorder is not None and here.recorder.same(("fill", index, target, byte, nbytes)):
        return
    active().fill(index, target, byte, nbytes, stream_of(index))


def launch(entry: Entry, configuration: Any, stream: int | None, values: list[Any]) -> None:
    """Queue a kernel with these parameters, in the thread's stream if none is given."""
    recorder = here.recorder
    if recorder is not None:
        if stream is not None:
            recorder.stop("a kernel is launched in a stream of its own")
        elif recorder.launch(entry, configuration, values):
            return
    index = entry.index
    if stream is None:
        stream = here.stream if here.index == index else 0
    active().launch(index, entry.kernel, configuration, stream, values)


def synchronize(index: int) -> None:
    """Wait until a GPU has finished all queued work."""
    if here.recorder is not None:
        here.recorder.stop("the host waits for the GPU")
    active().synchronize(index)


def settle(index: int) -> None:
    """Wait until what this thread has queued is done, and may be seen from every stream."""
    active().synchronize_stream(index, stream_of(index))
