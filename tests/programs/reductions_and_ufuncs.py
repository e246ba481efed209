"""``cuda.reduce``, ``vectorize`` and ``guvectorize`` for target cuda, tiles in shared memory."""

import math

import numpy as np
from numba import cuda, float32, float64, guvectorize, vectorize

TILE = 16


@cuda.reduce
def total(a, b):
    return a + b


largest = cuda.Reduce(lambda a, b: a if a > b else b)


@cuda.jit(device=True)
def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


@vectorize([float32(float32, float32), float64(float64, float64)], target="cuda")
def blend(a, b):
    return a + (b - a) * logistic(a)


@guvectorize(["void(float64[:, :], float64[:], float64[:])"], "(m,n),(n)->(m)", target="cuda")
def apply(matrix, vector, out):
    for i in range(matrix.shape[0]):
        acc = 0.0
        for j in range(matrix.shape[1]):
            acc += matrix[i, j] * vector[j]
        out[i] = acc


@cuda.jit("void(float32[:, :], float32[:, :], float32[:, :])")
def matmul(a, b, c):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    acc = float32(0)
    for k in range(cuda.gridDim.x):
        left[ty, tx] = a[y, tx + k * TILE]
        right[ty, tx] = b[ty + k * TILE, x]
        cuda.syncthreads()
        for j in range(TILE):
            acc += left[ty, j] * right[j, tx]
        cuda.syncthreads()
    c[y, x] = acc


rng = np.random.default_rng(1)
numbers = rng.integers(-1000, 1000, 10_007)
assert total(numbers) == numbers.sum()
assert total(cuda.to_device(numbers), init=5) == numbers.sum() + 5
assert largest(numbers, init=-(10**6)) == numbers.max()

a, b = rng.standard_normal((2, 100, 7))
expected = a + (b - a) / (1 + np.exp(-a))
np.testing.assert_allclose(blend(a, b), expected, rtol=1e-12)
assert blend(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32
on_device = blend(cuda.to_device(a), cuda.to_device(b))
np.testing.assert_allclose(on_device.copy_to_host(), expected, rtol=1e-12)

matrices, vector = rng.standard_normal((5, 6, 4)), rng.standard_normal(4)
np.testing.assert_allclose(apply(matrices, vector), matrices @ vector, rtol=1e-12)

m = rng.standard_normal((64, 64), dtype=np.float32)
product = np.zeros_like(m)
matmul[(4, 4), (TILE, TILE)](m, m, product)
np.testing.assert_allclose(product, m @ m, rtol=1e-4, atol=1e-4)
print("ok")
