"""Batches prepared by a thread, while the program works on those before."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
NAME = "nnlite prefetch"
PATIENCE = 0.1  # seconds for which a thread that nobody reads from sleeps


class _End:
    """The last thing in the queue: there are no more batches, or this error came up."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(
    batches: Callable[[], Iterator[T]], ahead: int, finish: Callable[[], None] = lambda: None
) -> Generator[T, None, None]:
    """What ``batches()`` yields, made by a thread that is up to ``ahead`` items ahead.

    An exception is raised where the item would have come. When the iterator is closed, as by the
    end of a loop that is left early, the thread ends with the item it works on. The iterator waits
    for that; if it is interrupted once more meanwhile, the thread ends by itself.

    Args:
        batches: makes the iterator; called, and iterated over, in the thread.
        ahead: at least 1.
        finish: called once, by whichever of the two is the last, when neither needs the items.
    """
    ready: queue.Queue[Any] = queue.Queue(ahead)
    stopped = threading.Event()
    is_last = [True, False]  # taken from its end by the thread and by its reader

    def leave() -> None:
        if is_last.pop():
            finish()

    def work() -> None:
        end = _End()
        try:
            for item in batches():
                _put(ready, item, stopped)
                if stopped.is_set():
                    break
        except BaseException as error:  # whatever it is, the reader has to know
            end = _End(error)
        _put(ready, end, stopped)
        leave()

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
        try:
            while thread.is_alive():  # what it waits to put has to go somewhere
                _drain(ready)
                thread.join(0.01)
            _drain(ready)
        finally:
            leave()


def _put(ready: queue.Queue[Any], item: Any, stopped: threading.Event) -> None:
    """Put an item into the queue, or away if nobody will ask for it."""
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=PATIENCE)
            return


def _drain(ready: queue.Queue[Any]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            ready.get_nowait()
