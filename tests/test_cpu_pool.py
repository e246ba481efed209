"""The helper threads: every block runs once, errors arrive, and who watches is called."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from queue import SimpleQueue

import numpy as np
import pytest
from numba import cuda

from nnlite.kernels.engine.cpu import pool as pool_module
from nnlite.kernels.engine.cpu.bell import ASLEEP, CALLED, LINE, RESTING, STATES, Bell
from nnlite.kernels.engine.cpu.cost import SERIAL_SECONDS, UNTIMED, Cost
from nnlite.kernels.engine.cpu.failures import launch_array
from nnlite.kernels.engine.cpu.launch import GRIDS, CpuKernel
from nnlite.kernels.engine.cpu.pool import Pool, _Job

BLOCKS = 40


class Work:
    """A call that takes blocks as kernels do, and notes which and by whom."""

    def __init__(self, seconds: float = 2e-4) -> None:
        self.lock, self.seconds = threading.Lock(), seconds
        self.taken: list[tuple[int, int]] = []

    def __call__(self, launch: np.ndarray) -> None:
        while True:
            with self.lock:
                block, launch[0] = int(launch[0]), launch[0] + 1
                if block >= BLOCKS:
                    return
                self.taken.append((block, threading.get_ident()))
            time.sleep(self.seconds)  # others may run

    @property
    def blocks(self) -> list[int]:
        return [block for block, _ in self.taken]

    @property
    def threads(self) -> int:
        return len({thread for _, thread in self.taken})


def template() -> np.ndarray:
    return launch_array(0, 1, (BLOCKS, 1, 1))


@pytest.mark.parametrize("helpers", [1, 3])
def test_every_block_runs_once_and_helpers_share(helpers):
    pool, threads = Pool(helpers + 1), 0
    for _ in range(20):
        work = Work()
        launch = pool.run(work, template(), helpers)
        assert sorted(work.blocks) == list(range(BLOCKS))
        assert launch[0] >= BLOCKS
        assert list(launch[1:]) == list(template()[1:])
        threads = max(threads, work.threads)
    assert threads == helpers + 1


def test_a_pool_takes_more_helpers_later():
    pool = Pool(1)
    for helpers in (1, 2, 5, 2):
        work = Work()
        pool.run(work, template(), helpers)
        assert sorted(work.blocks) == list(range(BLOCKS))
        assert work.threads <= helpers + 1


def test_an_error_of_any_thread_is_raised_and_the_pool_goes_on():
    pool, main = Pool(2), threading.get_ident()
    started = threading.Barrier(2, timeout=10)

    def fails_in_the_helper(launch):
        started.wait()
        if threading.get_ident() != main:
            raise ValueError("of a helper")

    def fails_here(launch):
        started.wait()
        if threading.get_ident() == main:
            raise ValueError("of the caller")

    for call, said in ((fails_in_the_helper, "of a helper"), (fails_here, "of the caller")):
        with pytest.raises(ValueError, match=said):
            pool.run(call, template(), 1)
    work = Work()
    pool.run(work, template(), 1)
    assert sorted(work.blocks) == list(range(BLOCKS))


def test_threads_may_launch_at_the_same_time():
    pool = Pool(3)
    works = [[Work() for _ in range(10)] for _ in range(4)]

    def launches(own):
        for work in own:
            assert pool.run(work, template(), 2)[0] >= BLOCKS

    callers = [threading.Thread(target=launches, args=(own,)) for own in works]
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    for own in works:
        for work in own:
            assert sorted(work.blocks) == list(range(BLOCKS))


def test_a_bell_calls_only_helpers_that_watch():
    bell = Bell(3)
    states = bell.words[STATES::LINE]
    assert bell.words.ctypes.data % 64 == 0
    assert list(states) == [ASLEEP] * 3
    assert bell.ring(3) == 0
    states[1] = RESTING
    assert bell.ring(2) == 1
    assert list(states) == [ASLEEP, CALLED, ASLEEP]
    states[:] = RESTING
    assert bell.ring(2) == 2
    assert list(states) == [CALLED, CALLED, RESTING]


def test_a_helper_watches_comes_when_called_and_falls_asleep_by_itself():
    bell, told = Bell(2), []
    states = bell.words[STATES::LINE]
    bell.words[0] = 1  # blocks have been taken: the caller has let go of the GIL

    def helper():
        while not told:
            told.append(bell.rest(1, True, True))
            if told == [False]:  # nobody was in time
                told.clear()

    t = threading.Thread(target=helper)
    t.start()
    while not bell.ring(2):
        assert states[0] == ASLEEP
    t.join(10)
    assert told == [True]
    assert list(states) == [ASLEEP, ASLEEP]
    assert bell.finished() > 0
    finished = bell.finished()
    assert bell.rest(0, False, True) is False
    assert bell.finished() == finished
    assert list(states) == [ASLEEP, ASLEEP]


def test_a_helper_that_shall_not_watch_falls_asleep_at_once():
    bell = Bell(1)
    assert bell.rest(0, True, False) is False
    assert bell.finished() == 1
    assert bell.words[STATES] == ASLEEP


def test_a_helper_does_not_watch_while_launches_wait_for_it(monkeypatch):
    pool, watched = Pool(2), SimpleQueue()
    begin = threading.Event()
    pool.start(1)
    monkeypatch.setattr(pool._bell, "rest", lambda *args: watched.put(args))
    for _ in range(3):
        pool._jobs.put(_Job(lambda launch: begin.wait(10), template(), 1))
    begin.set()
    assert [watched.get(timeout=10) for _ in range(3)] == [
        (0, True, watch) for watch in (False, False, True)
    ]


def test_a_launch_that_is_over_keeps_no_arguments(monkeypatch):
    pool, work = Pool(2), Work(0)
    monkeypatch.setattr(pool, "start", lambda wanted: None)
    pool.run(work, template(), 1)
    kept = weakref.ref(work)
    del work
    assert pool._jobs.qsize() == 1
    assert kept() is None


class Slow:
    """A call that takes a helper a while and the caller none."""

    def __init__(self) -> None:
        self.main, self.begun, self.ended = threading.get_ident(), threading.Event(), False

    def __call__(self, launch: np.ndarray) -> None:
        if threading.get_ident() == self.main:
            assert self.begun.wait(10)
            return
        launch[0] = 1
        self.begun.set()
        time.sleep(0.05)
        self.ended = True


def test_an_interrupt_waits_for_the_helpers(monkeypatch):
    class Interrupted(SimpleQueue):
        interrupts = 2

        def get(self, *args, **options):
            if self.interrupts and threading.current_thread() is threading.main_thread():
                self.interrupts -= 1
                raise KeyboardInterrupt
            return super().get(*args, **options)

    pool, slow = Pool(2), Slow()
    with monkeypatch.context() as patch:
        patch.setattr(pool_module, "SimpleQueue", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.run(slow, template(), 1)
    assert slow.ended
    work = Work()
    pool.run(work, template(), 1)
    assert sorted(work.blocks) == list(range(BLOCKS))


def test_an_interrupt_after_the_call_of_helpers_waits_for_them(monkeypatch):
    pool, slow = Pool(2), Slow()
    pool.start(1)

    def interrupted(helpers):
        pool._jobs.put(pool._rung)
        assert slow.begun.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(pool._bell, "ring", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.run(slow, template(), 1)
    assert slow.ended


def test_launches_are_timed_again_when_they_take_longer():
    cost = Cost((4, 1, 1), 0.0, 2)
    cost.record(0, SERIAL_SECONDS / 2)
    assert cost.untimed == UNTIMED
    cost.record(0, 4 * SERIAL_SECONDS)
    assert cost.untimed == 0


def test_a_kernel_forgets_the_costs_of_grids_rather_than_grow():
    @cuda.jit
    def first(x):
        x[0] = cuda.gridDim.x

    kernel, x = CpuKernel(first), np.zeros(1, np.int32)
    for blocks in range(1, GRIDS + 10):
        kernel.launch((blocks, 1, 1), (1, 1, 1), 0, (x,))
        assert x[0] == blocks
    (entry,) = kernel._entries.values()
    assert 0 < len(entry._costs) <= GRIDS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_pool_of_its_own():
    code = """
import os, numpy as np
from nnlite.kernels.engine.cpu.failures import launch_array
from nnlite.kernels.engine.cpu.pool import shared_pool
pool = shared_pool()
pool.run(lambda launch: None, launch_array(0, 1, (4, 1, 1)), 1)
child = os.fork()
if not child:
    same = shared_pool() is pool
    shared_pool().run(lambda launch: None, launch_array(0, 1, (4, 1, 1)), 1)
    os._exit(same)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
