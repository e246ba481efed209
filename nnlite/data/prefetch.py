"""Batches prepared by a thread, while the program works on those before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
NAME = "nnlite prefetch"


class _End:
    """The last thing in the queue: there are no more batches, or this error came up."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(batches: Callable[[], Iterator[T]], ahead: int) -> Generator[T, None, None]:
    """What ``batches()`` yields, made by a thread that is up to ``ahead`` items ahead.

    An exception is raised where the item would have come. When the iterator is closed, as by the
    end of a loop that is left early, the thread ends with the item it works on.

    Args:
        batches: makes the iterator; called, and iterated over, in the thread.
        ahead: at least 1.
    """
    ready: queue.Queue[Any] = queue.Queue(ahead)
    stopped = threading.Event()

    def work() -> None:
        end = _End()
        try:
            for item in batches():
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # whatever it is, the reader has to know
            end = _End(error)
        ready.put(end)

    thread = threading.Thread(target=work, name=NAME, daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
            del item
    finally:
        stopped.set()
        while thread.is_alive():  # what it waits to put has to go somewhere
            _drain(ready)
            thread.join(0.01)
        _drain(ready)


def _drain(ready: queue.Queue[Any]) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        pass
