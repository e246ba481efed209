"""Types of the arguments of the steps."""

from numba import float32, uint32

SIGNATURE = (float32[:, ::1],) * 3  # a, b, c
LINES = (float32[::1],) * 3 + (uint32,) * 3  # a, b, c, m, n, k
