"""Types of the arguments of most steps."""

from numba import float32

IMAGES = float32[:, :, :, ::1]
SIGNATURE = (IMAGES,) * 3  # x, w, y
