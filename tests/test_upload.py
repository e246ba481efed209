"""``Uploader``: memory that copies are under way from or to stays, whatever comes in between."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import nnlite as nl
from nnlite.kernels.engine.gpu.upload import Uploader


def batch(value, n=6):
    return (np.full(n, value, np.float32),)


@pytest.fixture
def uploader(driver):
    """With pinned memory for two batches; the pretended GPU copies when something waits for it."""
    made = Uploader(nl.device("cuda"), 0)
    yield made
    made.close()
    assert not driver.pinned.sizes
    assert list(driver._streams) == [0]


def test_memory_of_a_batch_that_nobody_receives_stays_until_it_is_copied(driver, uploader):
    """As of those that are let go when a loop is left early."""
    uploader.send(batch(1))
    mine = [nl.array(np.full(6, 2, np.float32)) for _ in range(3)]
    assert [x.numpy().tolist() for x in mine] == [[2] * 6] * 3
    driver.synchronize(0)
    assert [x.numpy().tolist() for x in mine] == [[2] * 6] * 3
    uploader.send(batch(3))
    blocks = driver.allocated
    for value in range(6):
        uploader.send(batch(value))
    assert driver.allocated == blocks, "the memory is not kept for ever"


def test_a_batch_received_in_another_stream_and_let_go(driver, uploader):
    """Its memory goes to later work of the stream whose it is, behind the copy."""
    sent, side = [uploader.send(batch(1))], nl.Stream()
    with side:
        uploader.receive(sent.pop())
    mine = [nl.array(np.full(6, 2, np.float32)) for _ in range(3)]
    driver.synchronize(0)
    assert [x.numpy().tolist() for x in mine] == [[2] * 6] * 3


def test_pinned_memory_waits_for_copies_that_an_interrupt_has_left(driver, uploader, monkeypatch):
    def record(index, stream, timing=False):
        if stream == uploader.stream:
            raise KeyboardInterrupt
        return real(index, stream, timing)

    real = driver.record
    with monkeypatch.context() as patch:
        patch.setattr(driver, "record", record)
        with pytest.raises(KeyboardInterrupt):
            uploader.send(batch(1))
    copies = driver._streams[uploader.stream]
    queued = copies.queued
    uploader.send(batch(2))
    assert copies.done < queued
    uploader.send(batch(3))
    assert copies.done >= queued


def test_no_room_for_a_larger_batch(driver, uploader, monkeypatch):
    """The memory of the smaller one has gone by then."""
    for value in (1, 2):
        uploader.receive(uploader.send(batch(value)))

    def allocate_host(index, nbytes):
        raise MemoryError("no pinned memory")

    with monkeypatch.context() as patch:
        patch.setattr(driver, "allocate_host", allocate_host)
        with pytest.raises(MemoryError, match="no pinned memory"):
            uploader.send(batch(3, 600))
    (x,) = uploader.receive(uploader.send(batch(4, 600)))
    assert x.numpy().tolist() == [4] * 600


def test_an_interrupted_close_can_be_repeated(driver, uploader, monkeypatch):
    for value in (1, 2):
        uploader.send(batch(value))
    free, freed = driver.free_host, []

    def free_host(index, address):
        free(index, address)
        freed.append(address)
        if len(freed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(driver, "free_host", free_host)
    with pytest.raises(KeyboardInterrupt):
        uploader.close()
    uploader.close()
    assert len(freed) == 2


def test_one_that_was_never_closed_cleans_up_when_it_goes(driver):
    """As where the close has been interrupted, and nobody is left to repeat it."""
    uploader = Uploader(nl.device("cuda"), 1)
    uploader.send(batch(1))
    assert driver.pinned.sizes
    del uploader
    gc.collect()
    assert not driver.pinned.sizes
    assert list(driver._streams) == [0]
