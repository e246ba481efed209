"""Runs one kernel on several OS threads.

Compiled kernels release the GIL and take blocks from an atomic counter until none is left.  So the
calling thread just starts; helpers join when they wake up, and the launch never waits for a helper
that has not begun: it takes the helper's token back instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue


def thread_count() -> int:
    """Threads to use: ``NNLITE_NUM_THREADS``, else the CPUs this process may run on."""
    given = os.environ.get("NNLITE_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Job:
    """One launch: ``tokens`` are the invitations that no helper has taken yet."""

    __slots__ = ("call", "done", "tokens")

    def __init__(self, call: Callable[[], None], helpers: int) -> None:
        self.call = call
        self.tokens = [None] * helpers
        self.done: SimpleQueue[BaseException | None] = SimpleQueue()


class Pool:
    """Helper threads, started at first use."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0

    def run(self, call: Callable[[], None], helpers: int) -> int:
        """Run ``call`` here and on up to ``helpers`` others; returns how many joined."""
        if self._started < helpers:
            self._start(helpers)
        job = _Job(call, helpers)
        for _ in range(helpers):
            self._jobs.put(job)
        try:
            call()
        finally:
            joined = helpers
            while job.tokens:
                try:
                    job.tokens.pop()
                except IndexError:
                    break
                joined -= 1
            errors = [job.done.get() for _ in range(joined)]
        for error in errors:
            if error is not None:
                raise error
        return joined

    def _start(self, wanted: int) -> None:
        with self._lock:
            while self._started < wanted:
                name = f"nnlite-{self._started}"
                threading.Thread(target=self._help, name=name, daemon=True).start()
                self._started += 1

    def _help(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job.tokens.pop()
            except IndexError:
                continue
            error: BaseException | None = None
            try:
                job.call()
            except BaseException as raised:
                error = raised
            job.done.put(error)
            del job


_pool = Pool(thread_count())


def shared_pool() -> Pool:
    return _pool


def _after_fork() -> None:
    """A forked child has no helper threads: begin again."""
    global _pool
    _pool = Pool(thread_count())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
