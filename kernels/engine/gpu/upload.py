"""Copies to a GPU beside its work: from pinned memory, in a stream of their own."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np

from ..device import Device
from ..replay import here
from .arrays import GpuArray, empty
from .driver import active, stream_of
from .pool import after_capture


class _Slot:
    """Pinned memory for the arrays of one batch.

    Attributes:
        blocks: place in the batch -> address and bytes.
        copying: whether copies from it may be under way.
        event: when they are done; 0 if an exception came before it.
        arrays: where they go: a batch may be let go before it was received, its memory may not.
    """

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, int]] = {}
        self.copying, self.event = False, 0
        self.arrays: tuple[GpuArray, ...] = ()


Sent = tuple[tuple[GpuArray, ...], _Slot]


class Uploader:
    """Copies batches of NumPy arrays to a GPU, ahead of their use.

    One thread makes it and calls :meth:`receive`; another one may :meth:`send`. The arrays belong
    to the stream that the first one used then. A copy into memory waits until the work queued
    before has let go of it, and :meth:`receive` lets later work wait for the copy.

    Args:
        device: a GPU.
        ahead: how many batches may have been sent and not been received, at most.
    """

    def __init__(self, device: Device, ahead: int) -> None:
        self.sent = self.stream = 0
        self.device, self.driver = device, active()
        self.consumer = stream_of(device.index)
        self.slots = [_Slot() for _ in range(ahead + 2)]  # one sent, one received: still in use
        self.stream = self.driver.create_stream(device.index)

    def send(self, batch: tuple[np.ndarray, ...]) -> Sent:
        """Begin to copy; what it returns goes to :meth:`receive` in the same order."""
        index, driver = self.device.index, self.driver
        here.index, here.stream = index, self.consumer  # whose memory the arrays take
        slot = self.slots[self.sent % len(self.slots)]
        self.sent += 1
        self._settle(slot)
        slot.arrays = arrays = tuple(empty(x.shape, x.dtype, self.device) for x in batch)
        before = driver.record(index, self.consumer)
        driver.wait(index, self.stream, before)
        driver.destroy_event(index, before)
        slot.copying = True
        for number, (x, array) in enumerate(zip(batch, arrays)):
            if x.nbytes:
                address = self._pinned(slot, number, x)
                driver.write(index, array.pointer, address, x.nbytes, self.stream)
        slot.event = driver.record(index, self.stream)
        return arrays, slot

    def receive(self, sent: Sent) -> tuple[GpuArray, ...]:
        """The arrays, for the work that the caller queues from now on."""
        arrays, slot = sent
        for stream in {self.consumer, stream_of(self.device.index)}:  # whose they are, who asks
            self.driver.wait(self.device.index, stream, slot.event)
        slot.arrays = ()
        return arrays

    def close(self) -> None:
        """Wait for the copies under way and give everything back; nobody sends any more.

        It may be called again, as after an interrupt.
        """
        index = self.device.index
        if self.stream:
            self.driver.synchronize_stream(index, self.stream)
        for slot in self.slots:
            self._settle(slot)
            while slot.blocks:
                _, (address, _) = slot.blocks.popitem()
                self.driver.free_host(index, address)
        stream, self.stream = self.stream, 0
        if stream:
            self.driver.destroy_stream(index, stream)

    def __del__(self) -> None:
        if self.stream and not sys.is_finalizing():  # its close has been interrupted
            after_capture(self.close)

    def _settle(self, slot: _Slot) -> None:
        """Wait until the memory of a slot has been copied."""
        if slot.copying and slot.event:
            self.driver.synchronize_event(self.device.index, slot.event)
        elif slot.copying:
            self.driver.synchronize_stream(self.device.index, self.stream)
        event, slot.event = slot.event, 0
        if event:
            self.driver.destroy_event(self.device.index, event)
        slot.copying, slot.arrays = False, ()

    def _pinned(self, slot: _Slot, number: int, x: np.ndarray) -> int:
        """The address of a copy of an array in pinned memory."""
        address, room = slot.blocks.get(number, (0, 0))
        if room < x.nbytes:
            if slot.blocks.pop(number, None):  # first: there may be no memory, or an interrupt
                self.driver.free_host(self.device.index, address)
            address = self.driver.allocate_host(self.device.index, x.nbytes)
            slot.blocks[number] = address, x.nbytes
        _array_at(address, x)[...] = x
        return address


def _array_at(address: int, like: np.ndarray) -> Any:
    """Memory as a C-ordered array of a shape and dtype."""
    raw = (ctypes.c_ubyte * like.nbytes).from_address(address)
    return np.ctypeslib.as_array(raw).view(like.dtype).reshape(like.shape)
