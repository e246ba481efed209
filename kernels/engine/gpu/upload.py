"""Copies to a GPU beside its work: from pinned memory, in a stream of their own."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..device import Device
from ..replay import here
from .arrays import GpuArray, empty
from .driver import active, stream_of


class _Slot:
    """Pinned memory for the arrays of one batch, and the event after which it is free again."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, int]] = {}  # place in the batch -> address, bytes
        self.event = 0


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
        self.device, self.driver = device, active()
        self.consumer = stream_of(device.index)
        self.stream = self.driver.create_stream(device.index)
        self.slots = [_Slot() for _ in range(ahead + 2)]  # one sent, one received: still in use
        self.sent = 0

    def send(self, batch: tuple[np.ndarray, ...]) -> tuple[tuple[GpuArray, ...], int]:
        """Begin to copy; what it returns goes to :meth:`receive` in the same order."""
        index, driver = self.device.index, self.driver
        here.index, here.stream = index, self.consumer  # whose memory the arrays take
        slot = self.slots[self.sent % len(self.slots)]
        self.sent += 1
        self._settle(slot)
        arrays = tuple(empty(x.shape, x.dtype, self.device) for x in batch)
        before = driver.record(index, self.consumer)
        driver.wait(index, self.stream, before)
        driver.destroy_event(index, before)
        for number, (x, array) in enumerate(zip(batch, arrays)):
            if x.nbytes:
                address = self._pinned(slot, number, x)
                driver.write(index, array.pointer, address, x.nbytes, self.stream)
        slot.event = driver.record(index, self.stream)
        return arrays, slot.event

    def receive(self, sent: tuple[tuple[GpuArray, ...], int]) -> tuple[GpuArray, ...]:
        """The arrays, for the work that the caller queues from now on."""
        arrays, event = sent
        self.driver.wait(self.device.index, stream_of(self.device.index), event)
        return arrays

    def close(self) -> None:
        """Wait for the copies under way and give everything back; nobody sends any more."""
        index = self.device.index
        self.driver.synchronize_stream(index, self.stream)
        for slot in self.slots:
            self._settle(slot)
            for address, _ in slot.blocks.values():
                self.driver.free_host(index, address)
        self.slots = []
        self.driver.destroy_stream(index, self.stream)

    def _settle(self, slot: _Slot) -> None:
        """Wait until the memory of a slot has been copied."""
        if slot.event:
            self.driver.synchronize_event(self.device.index, slot.event)
            self.driver.destroy_event(self.device.index, slot.event)
            slot.event = 0

    def _pinned(self, slot: _Slot, number: int, x: np.ndarray) -> int:
        """The address of a copy of an array in pinned memory."""
        address, room = slot.blocks.get(number, (0, 0))
        if room < x.nbytes:
            if address:
                self.driver.free_host(self.device.index, address)
            address = self.driver.allocate_host(self.device.index, x.nbytes)
            slot.blocks[number] = address, x.nbytes
        _array_at(address, x)[...] = x
        return address


def _array_at(address: int, like: np.ndarray) -> Any:
    """Memory as a C-ordered array of a shape and dtype."""
    raw = (ctypes.c_ubyte * like.nbytes).from_address(address)
    return np.ctypeslib.as_array(raw).view(like.dtype).reshape(like.shape)
