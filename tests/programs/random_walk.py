"""Monte Carlo with xoroshiro128p states, device functions, a closure, dynamic shared memory."""

import numpy as np
from numba import cuda, float32, int32
from numba.cuda.random import create_xoroshiro128p_states, xoroshiro128p_uniform_float32

THREADS, ROUNDS = 256, 200


@cuda.jit(device=True)
def inside(x, y):
    return x * x + y * y <= 1.0


@cuda.jit
def estimate_pi(states, rounds, out):
    i = cuda.grid(1)
    if i >= out.size:
        return
    hits = 0
    for _ in range(rounds):
        x = xoroshiro128p_uniform_float32(states, i)
        y = xoroshiro128p_uniform_float32(states, i)
        if inside(x, y):
            hits += 1
    out[i] = 4.0 * hits / rounds


@cuda.jit
def block_sums(x, out):
    partial = cuda.shared.array(0, dtype=float32)
    tid = cuda.threadIdx.x
    i = cuda.grid(1)
    partial[tid] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    step = cuda.blockDim.x // 2
    while step > 0:
        if tid < step:
            partial[tid] += partial[tid + step]
        cuda.syncthreads()
        step //= 2
    if tid == 0:
        out[cuda.blockIdx.x] = partial[0]


def counter(limit):
    @cuda.jit
    def count_below(x, out):
        i = cuda.grid(1)
        if i < x.size and x[i] < limit:
            cuda.atomic.add(out, 0, int32(1))

    return count_below


if __name__ == "__main__":
    n = 16 * THREADS
    states = create_xoroshiro128p_states(n, seed=7)
    guesses = cuda.device_array(n, dtype=np.float32)
    estimate_pi[16, THREADS](states, ROUNDS, guesses)
    values = guesses.copy_to_host()
    # 819,200 points: a standard error of 0.0018, so the limit is more than five of them.
    assert abs(values.mean() - np.pi) < 0.01, values.mean()
    assert len(np.unique(values)) > 20

    sums = np.zeros(16, dtype=np.float32)
    block_sums[16, THREADS, 0, 4 * THREADS](guesses, sums)
    np.testing.assert_allclose(sums, values.reshape(16, -1).sum(axis=1), rtol=1e-5)

    found = np.zeros(1, dtype=np.int32)
    counter(3.11)[16, THREADS](guesses, found)
    assert found[0] == (values < 3.11).sum()
    print("ok")
