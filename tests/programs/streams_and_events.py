"""Streams, events, pinned and mapped memory, a histogram with atomics: an ordinary program."""

import sys

import numpy as np
from numba import cuda

BINS = 64


@cuda.jit
def scale(x, factor, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] * factor


@cuda.jit
def histogram(x, counts):
    shared = cuda.shared.array(BINS, dtype=np.int32)
    tid = cuda.threadIdx.x
    if tid < BINS:
        shared[tid] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(shared, int(x[i] * BINS), 1)
    cuda.syncthreads()
    if tid < BINS:
        cuda.atomic.add(counts, tid, shared[tid])


def main(n):
    device = cuda.get_current_device()
    print(f"{n} numbers on {device.name.decode()}, compute capability {device.compute_capability}")
    rng = np.random.default_rng(0)
    x = rng.random(n, dtype=np.float32)
    streams = [cuda.stream() for _ in range(2)]
    begin, end = cuda.event(timing=True), cuda.event(timing=True)
    begin.record(streams[0])
    with cuda.pinned(x):
        on_device = cuda.to_device(x, stream=streams[0])
        halves = cuda.device_array(n, dtype=np.float32, stream=streams[0])
        scale[(n + 255) // 256, 256, streams[0]](on_device, np.float32(0.5), halves)
        counts = cuda.mapped_array(BINS, dtype=np.int32)
        counts[:] = 0
        histogram[32, 128, streams[1], 0](on_device, counts)
        host = halves.copy_to_host(stream=streams[0])
    end.record(streams[0])
    for stream in streams:
        stream.synchronize()
    end.synchronize()
    cuda.synchronize()
    assert cuda.event_elapsed_time(begin, end) > 0
    np.testing.assert_array_equal(host, x * np.float32(0.5))
    expected = np.bincount((x * np.float32(BINS)).astype(np.int64), minlength=BINS)
    np.testing.assert_array_equal(np.asarray(counts.copy_to_host()), expected)

    table = np.zeros(10, dtype=np.int64)
    with streams[0].auto_synchronize():
        scale.forall(table.size, stream=streams[0])(np.arange(10), 3, cuda.Out(table))
    np.testing.assert_array_equal(table, 3 * np.arange(10))
    print("ok")


if __name__ == "__main__":
    main(int(sys.argv[1]))
