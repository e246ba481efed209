"""Types of the arguments of most steps."""

from numba import float32

SIGNATURE = (float32[:, ::1],) * 3  # a, b, c
