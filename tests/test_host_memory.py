"""The caching pool for large arrays on the CPU."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnlite.kernels.engine import empty, host_memory
from nnlite.kernels.engine.host_memory import ALIGNMENT, LEAST, STEPS, HostPool

F4 = np.dtype(np.float32)
ITEMS = LEAST // 4


def address(x):
    return x.__array_interface__["data"][0]


@given(n=st.integers(1, 1 << 40))
def test_a_size_class_holds_the_request_and_wastes_little(n):
    size = HostPool.size_class(n)
    assert n <= size <= n + max(2 * n // STEPS, 1)
    assert HostPool.size_class(size) == size


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "?", "c8"])
def test_a_pooled_array_is_what_was_asked_for(dtype):
    x = HostPool().take((3, 5, 7), np.dtype(dtype))
    assert (x.shape, x.dtype, x.flags.c_contiguous, x.flags.writeable) == ((3, 5, 7), dtype, 1, 1)
    assert address(x) % ALIGNMENT == 0
    x[...] = 1  # the whole of it may be written to
    assert (x == 1).all()


def test_a_freed_block_serves_the_next_array_of_its_size():
    pool = HostPool()
    x = pool.take((ITEMS,), F4)
    first = address(x)
    assert address(pool.take((ITEMS,), F4)) != first  # x is still alive
    del x
    assert first in (address(pool.take((2, ITEMS // 2), F4)), address(pool.take((ITEMS,), F4)))


VIEWS = [lambda x: x[5:], lambda x: x.reshape(2, -1)[:, ::2].T, lambda x: x.view("i4"), memoryview]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_keeps_the_block(view):
    pool = HostPool()
    x = pool.take((ITEMS,), F4)
    kept = view(x)
    del x
    assert not pool.free
    del kept
    assert [len(blocks) for blocks in pool.free.values()] == [1]


def test_what_is_kept_is_bounded():
    pool = HostPool(most=3 * LEAST)
    live = [pool.take((ITEMS,), F4) for _ in range(5)]
    while live:
        live.pop()
        assert sum(n * len(b) for n, b in pool.free.items()) <= 3 * LEAST
    pool.take((4 * ITEMS,), F4)  # larger than all that may be kept
    assert all(n <= 3 * LEAST for n in pool.free)


def test_threads_never_share_a_block():
    pool = HostPool()
    wrong = []

    def work(number):
        for _ in range(50):
            x = pool.take((ITEMS,), F4)
            x[:] = number
            if not (x == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_only_large_arrays_come_from_the_pool():
    assert host_memory.empty((ITEMS - 1,), F4).base is None
    assert host_memory.empty((ITEMS,), F4).base is not None
    assert host_memory.empty(ITEMS, F4).shape == (ITEMS,)
    assert host_memory.empty((0, ITEMS), F4).shape == (0, ITEMS)
    with pytest.raises(ValueError, match="negative"):
        host_memory.empty((-1, -ITEMS), F4)
    large = empty((ITEMS, 2))
    assert isinstance(large.data.base, host_memory.Block)
    copied = large.copy()
    assert isinstance(copied.data.base, host_memory.Block)
    assert address(copied.data) != address(large.data)
