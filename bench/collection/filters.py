"""Image filters: Sobel, median, bilateral, rotation, grey levels, equalisation."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, uint8

from .entry import Entry, Launch, Tolerance, ceil_div, scaled, uniform


@cuda.jit
def sobel(image, out):
    """Gradient magnitude of an 8-bit image, saturated to 255; zero at the border."""
    x, y = cuda.grid(2)
    h, w = image.shape
    if x >= w or y >= h:
        return
    if x == 0 or y == 0 or x == w - 1 or y == h - 1:
        out[y, x] = 0
        return
    gx = -1 * image[y - 1, x - 1] + image[y - 1, x + 1]
    gx += -2 * image[y, x - 1] + 2 * image[y, x + 1]
    gx += -1 * image[y + 1, x - 1] + image[y + 1, x + 1]
    gy = -1 * image[y - 1, x - 1] - 2 * image[y - 1, x] - image[y - 1, x + 1]
    gy += image[y + 1, x - 1] + 2 * image[y + 1, x] + image[y + 1, x + 1]
    out[y, x] = min(255, abs(gx) + abs(gy))


def make_bytes(shape, rng):
    image = rng.integers(0, 256, shape).astype(np.uint8)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (image, np.zeros_like(image)))


def reference_sobel(image, out):
    a, result = image.astype(int), np.zeros(image.shape, int)
    if min(image.shape) > 2:
        smooth = a[:-2] + 2 * a[1:-1] + a[2:]
        gx = smooth[:, 2:] - smooth[:, :-2]
        smooth = a[:, :-2] + 2 * a[:, 1:-1] + a[:, 2:]
        gy = smooth[2:] - smooth[:-2]
        result[1:-1, 1:-1] = np.minimum(255, abs(gx) + abs(gy))
    return result


@cuda.jit
def median_3x3(image, out):
    """Median of nine bytes by a partial selection sort in a local array; edges repeated."""
    x, y = cuda.grid(2)
    h, w = image.shape
    if x < w and y < h:
        v = cuda.local.array(9, uint8)
        n = 0
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                yy = min(max(y + dy, 0), h - 1)
                xx = min(max(x + dx, 0), w - 1)
                v[n] = image[yy, xx]
                n += 1
        for i in range(5):
            least = i
            for j in range(i + 1, 9):
                if v[j] < v[least]:
                    least = j
            v[i], v[least] = v[least], v[i]
        out[y, x] = v[4]


def neighbours(image, mode):
    p, (h, w) = np.pad(image, 1, mode=mode), image.shape
    return np.stack([p[i : i + h, j : j + w] for i in range(3) for j in range(3)])


@cuda.jit
def bilateral(image, out, near, alike):
    """Edge-preserving 5x5 blur: weights fall with distance and with difference in value."""
    x, y = cuda.grid(2)
    if x >= image.shape[1] or y >= image.shape[0]:
        return
    centre = image[y, x]
    total, norm = float32(0), float32(0)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            yy, xx = y + dy, x + dx
            if yy < 0 or yy >= image.shape[0] or xx < 0 or xx >= image.shape[1]:
                continue
            d = image[yy, xx] - centre
            w = math.exp(-(float32(dx * dx + dy * dy) * near + d * d * alike))
            total += w * image[yy, xx]
            norm += w
    out[y, x] = total / norm


def make_bilateral(shape, rng):
    image = uniform(rng, *shape)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    args = (image, np.zeros_like(image), np.float32(0.125), np.float32(4))
    return Launch(grid, (16, 16), args)


def reference_bilateral(image, out, near, alike):
    p, (h, w) = np.pad(image, 2, constant_values=np.nan), image.shape
    total, norm = np.zeros(image.shape), np.zeros(image.shape)
    for i in range(5):
        for j in range(5):
            v = p[i : i + h, j : j + w]
            weight = np.exp(-(((i - 2) ** 2 + (j - 2) ** 2) * near + (v - image) ** 2 * alike))
            total += np.nan_to_num(weight * v)
            norm += np.nan_to_num(weight)
    return total / norm


@cuda.jit(device=True)
def sample(image, y, x):
    """Bilinear interpolation; zero outside."""
    y0, x0 = int(math.floor(y)), int(math.floor(x))
    if y0 < 0 or x0 < 0 or y0 + 1 >= image.shape[0] or x0 + 1 >= image.shape[1]:
        return float32(0)
    fy, fx = float32(y - y0), float32(x - x0)
    one = float32(1)
    upper = image[y0, x0] * (one - fx) + image[y0, x0 + 1] * fx
    lower = image[y0 + 1, x0] * (one - fx) + image[y0 + 1, x0 + 1] * fx
    return upper * (one - fy) + lower * fy


@cuda.jit
def rotate(image, angle, out):
    """Rotation about the centre, with a device function that returns early."""
    col, row = cuda.grid(2)
    if row < out.shape[0] and col < out.shape[1]:
        c, s = math.cos(angle), math.sin(angle)
        y = row - image.shape[0] / 2.0
        x = col - image.shape[1] / 2.0
        sy = s * x + c * y + image.shape[0] / 2.0
        sx = c * x - s * y + image.shape[1] / 2.0
        out[row, col] = sample(image, sy, sx)


def make_rotate(shape, rng):
    image = uniform(rng, *shape)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (image, 0.7, np.zeros_like(image)))


def reference_rotate(image, angle, out):
    h, w = image.shape
    y, x = np.arange(h)[:, None] - h / 2, np.arange(w)[None] - w / 2
    sy, sx = np.sin(angle) * x + np.cos(angle) * y, np.cos(angle) * x - np.sin(angle) * y
    sy, sx = sy + h / 2, sx + w / 2
    y0, x0 = np.floor(sy).astype(int), np.floor(sx).astype(int)
    inside = (y0 >= 0) & (x0 >= 0) & (y0 + 1 < h) & (x0 + 1 < w)
    fy, fx = sy - y0, sx - x0
    y0, x0 = np.clip(y0, 0, max(h - 2, 0)), np.clip(x0, 0, max(w - 2, 0))
    y1, x1 = np.minimum(y0 + 1, h - 1), np.minimum(x0 + 1, w - 1)
    upper = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    lower = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return np.where(inside, upper * (1 - fy) + lower * fy, 0)


@cuda.jit
def grey(rgb, out):
    """Luma of an RGB image in integer arithmetic."""
    x, y = cuda.grid(2)
    if x < rgb.shape[1] and y < rgb.shape[0]:
        r, g, b = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
        out[y, x] = (77 * r + 150 * g + 29 * b) >> 8


def make_grey(shape, rng):
    rgb = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    grid = (ceil_div(shape[1], 16), ceil_div(shape[0], 16))
    return Launch(grid, (16, 16), (rgb, np.zeros(shape, np.uint8)))


def reference_grey(rgb, out):
    return rgb.astype(int) @ np.array([77, 150, 29]) >> 8


@cuda.jit
def integral_columns(image, out):
    """Running sums down the columns, one thread a column: half of an integral image."""
    x = cuda.grid(1)
    if x < image.shape[1]:
        total = np.int32(0)
        for y in range(image.shape[0]):
            total += image[y, x]
            out[y, x] = total


def make_integral_columns(shape, rng):
    image = rng.integers(0, 256, shape).astype(np.uint8)
    return Launch(ceil_div(shape[1], 64), 64, (image, np.zeros(shape, np.int32)))


ODD, LARGE = ((1, 1), (3, 5), (45, 67)), (1024, 1024)
ENTRIES = [
    Entry(sobel, make_bytes, reference_sobel, (18, 20), ODD, (2048, 2048)),
    Entry(median_3x3, make_bytes, lambda image, out: np.median(neighbours(image, "edge"), 0),
          (18, 20), ODD, LARGE),
    Entry(bilateral, make_bilateral, reference_bilateral, (18, 20), ODD, LARGE, outputs=(1,),
          tolerance=scaled(60, 0, "25 positive terms, exponentials of arguments below 6"),
          work=lambda i, *_: 275.0 * i.size, unit="FLOP"),
    Entry(rotate, make_rotate, reference_rotate, (18, 20), ODD, LARGE,
          tolerance=Tolerance(0, 8 * 2.0**-24, "weights and sums in [0, 1], seven roundings")),
    Entry(grey, make_grey, reference_grey, (18, 20), ODD, (2048, 2048)),
    Entry(integral_columns, make_integral_columns, lambda image, out: np.cumsum(image, 0),
          (10, 70), ODD, (2048, 2048)),
]  # fmt: skip
