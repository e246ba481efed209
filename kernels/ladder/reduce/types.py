"""Types of the arguments of most steps."""

from numba import float32

VECTOR = float32[::1]
SIGNATURE = (VECTOR, VECTOR)  # x, out
