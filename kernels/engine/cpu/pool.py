"""Runs one kernel on several OS threads.

Compiled kernels release the GIL and take blocks from an atomic counter until none is left.  So the
calling thread just starts; helpers join when they wake up, and the launch never waits for a helper
that has not begun: it takes the helper's token back instead.  Helpers that have just worked watch
for the next launch and come at once (see ``bell``).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

import numpy as np

from .bell import Bell


def thread_count() -> int:
    """Threads to use: ``NNLITE_NUM_THREADS``, else the CPUs this process may run on."""
    given = os.environ.get("NNLITE_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Job:
    """One launch.

    Attributes:
        tokens: the invitations that no helper has taken yet.
        begun: an item for each helper that came for one.
        ended: what each of those raised, or None, as soon as it has finished; ``done`` tells so.
    """

    __slots__ = ("begun", "call", "done", "ended", "launch", "tokens")

    def __init__(
        self, call: Callable[[np.ndarray], None], launch: np.ndarray, helpers: int
    ) -> None:
        self.call, self.launch = call, launch
        self.tokens = [None] * helpers
        self.begun: list[None] = []
        self.ended: list[BaseException | None] = []
        self.done: SimpleQueue[None] = SimpleQueue()

    def settle(self, bell: Bell | None, finished: int) -> None:
        """Withdraw the invitations and wait for those who came: they write the caller's arrays.

        So an interrupt (Ctrl-C) is raised when they have finished. Everything here may be done
        again after one.
        """
        interrupt: BaseException | None = None
        while True:
            try:
                self.tokens.clear()
                if bell and self.begun:
                    bell.wait(finished + len(self.begun))
                while len(self.ended) < len(self.begun):
                    self.done.get()
                break
            except BaseException as raised:
                interrupt = raised
        del self.call  # a helper may find this job in the queue much later: it keeps no arguments
        if interrupt is not None:
            raise interrupt


class Pool:
    """Helper threads, started at first use."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._bell: Bell | None = None
        self._ringing = threading.Lock()
        self._rung: _Job | None = None

    def run(
        self, call: Callable[[np.ndarray], None], template: np.ndarray, helpers: int
    ) -> np.ndarray:
        """Run ``call`` here and on up to ``helpers`` others.

        Args:
            call: takes the launch array that all of them share.
            template: what is in the launch array at first.

        Returns:
            The launch array as it was left.
        """
        self.start(helpers)
        bell = self._bell
        if bell is None or not self._ringing.acquire(blocking=False):
            return self._launch(_Job(call, template.copy(), helpers), helpers, None)
        try:
            bell.launch[:] = template
            self._rung = _Job(call, bell.launch, helpers)
            return self._launch(self._rung, helpers, bell).copy()
        finally:
            self._rung = None
            self._ringing.release()

    def _launch(self, job: _Job, helpers: int, bell: Bell | None) -> np.ndarray:
        """Work until no block is left, then wait for those who have begun."""
        finished = bell.finished() if bell else 0
        try:
            for _ in range(helpers - (bell.ring(helpers) if bell else 0)):
                self._jobs.put(job)
            job.call(job.launch)
        finally:
            job.settle(bell, finished)
        for error in job.ended:
            if error is not None:
                raise error
        return job.launch

    def start(self, wanted: int) -> None:
        """Have so many helpers at least."""
        if self._started >= wanted:
            return
        with self._lock:
            if self._bell is None or self._bell.helpers < wanted:
                self._bell = Bell(max(wanted, self.threads - 1))
            while self._started < wanted:
                name, number = f"nnlite-{self._started}", (self._started,)
                threading.Thread(target=self._help, args=number, name=name, daemon=True).start()
                self._started += 1

    def _help(self, number: int) -> None:
        while True:
            worked = _work(self._jobs.get())
            while self._bell is not None and self._bell.rest(number, worked, self._jobs.empty()):
                worked = _work(self._rung)


def _work(job: _Job | None) -> bool:
    """Work for a job that still has a token; False if it has none."""
    if job is None or not job.tokens:
        return False
    job.begun.append(None)  # before it takes a token: from then on the launch waits for it
    error: BaseException | None = None
    with contextlib.suppress(IndexError):  # another one took the last token
        job.tokens.pop()
        error = _raised(job)
    job.ended.append(error)
    job.done.put(None)
    return True


def _raised(job: _Job) -> BaseException | None:
    try:
        job.call(job.launch)
    except BaseException as raised:
        return raised
    return None


_pool = Pool(thread_count())


def shared_pool() -> Pool:
    return _pool


def _after_fork() -> None:
    """A forked child has no helper threads: begin again."""
    global _pool
    _pool = Pool(thread_count())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
