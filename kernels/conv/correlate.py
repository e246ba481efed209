"""The correlation, by the kernel that fits; and the order of weights it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float32, float64

from ..checks import FLOAT32
from ..engine import ArgumentError, Array, Device, array, cached_constant, empty, kernel, zeros
from .direct import correlate_direct, plan_direct
from .gemm import correlate_gemm
from .tiles import LANES, Window

# The direct kernel is the faster one as long as its threads have pixels to work on: measured on a
# CPU for 64 channels, 3x3 taps and images of 1x1 to 14x14; on a GPU nothing is measured.
LEAST_USE = 0.3
PACK_BLOCK = (32, 8)


def correlate(
    op: str,
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    window: Window,
    groups: int,
    style: str | None = None,
) -> None:
    """Fill y with the correlation of x and w; ``tiles`` has the formula.

    The direct kernel runs where its halo tile fits into shared memory and at least LEAST_USE of the
    pixels that its threads compute are pixels of y, implicit GEMM everywhere else: for images with
    short rows, single rows (1-D convolution), taps far apart.

    Args:
        op: the launcher's name, for messages.
        x: (N, G C, H, W), contiguous.
        w: (G M, C T), contiguous.
        bias: (G M,), contiguous, or None.
        y: (N, G M, P, Q), any view.
        style: ``"direct"`` or ``"gemm"`` runs that kernel.

    Raises:
        ArgumentError: ``"direct"`` is given and the tile does not fit.
    """
    n, m, *out = y.shape
    if y.size == 0:
        return
    bias = no_bias(m, x.dtype, x.device) if bias is None else bias
    real = float32 if x.dtype == FLOAT32 else float64
    plan = plan_direct(
        window, x.shape[1] // groups, m // groups, tuple(out), n * groups, real, x.device.is_cpu
    )
    if plan is None and style == "direct":
        raise ArgumentError(
            f"{op}: style: 'direct' given, but the taps span {window.span} pixels, which does not "
            "fit into shared memory; expected None or 'gemm'"
        )
    use = 0.0
    if plan is not None:
        computed = -(-out[0] // plan.kernel[1]) * plan.kernel[1] * -(-out[1] // LANES) * LANES
        use = out[0] * out[1] / computed
    direct = style == "direct" or (style is None and use >= LEAST_USE) or not window.taps
    if direct and plan is not None:
        correlate_direct(x, w, bias, y, window, groups, plan)
    else:
        correlate_gemm(x, w, bias, y, window, groups)


@cached_constant(64)
def no_bias(m: int, dtype: Any, device: Device) -> Array:
    """A bias of zeros: adding it is cheaper than a kernel of its own."""
    return zeros((m,), dtype, device)


@kernel
def pack_kernel(w, taps, out, groups):  # w: (G M, C, T), taps: (t,), out: (G C, M, t)
    m, row = cuda.grid(2)
    c = row % w.shape[1]
    if m < out.shape[1] and row < out.shape[0]:
        for t in range(out.shape[2]):
            out[row, m, t] = w[row // w.shape[1] * out.shape[1] + m, c, taps[t]]


@cached_constant(1024)
def _numbers(taps: tuple[int, ...], device: Device) -> Array:
    return array(np.array(taps or (0,), np.int64), device=device)


def pack(w: Array, taps: tuple[int, ...], groups: int) -> Array:
    """Weights for the gradient of the input: input and output channels change places.

    Args:
        w: (G M, C, T), contiguous.
        taps: numbers of the taps to take.

    Returns:
        (G C, M t), row ``g C + c`` with the weights of input channel c of group g.
    """
    m, c = w.shape[0] // groups, w.shape[1]
    out = empty((groups * c, m, len(taps)), w.dtype, w.device)
    if out.size:
        wide, high = PACK_BLOCK
        grid = (-(-m // wide), -(-groups * c // high))
        pack_kernel[grid, PACK_BLOCK](w, _numbers(taps, w.device), out, groups)
    return out.reshape(groups * c, m * len(taps))
