"""The four passes of a convolution on checked images: forward, and the gradients.

A transposed convolution is made of the same four, with input and output changing places.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..checks import FLOAT32
from ..elementwise import copy
from ..engine import ArgumentError, Array, empty, zeros
from ..matmul import large, precision
from . import channels_last, winograd
from .algorithm import SMALL, TILED, WINOGRAD, Problem, carry_out, supported
from .correlate import correlate, pack
from .geometry import Geometry, Pair
from .tensor import FACTORS
from .tiles import Window
from .weight import plan_weight, shared_items_of, weight_grad
from .weight_pixels import plan_pixels, weight_pixels_grad
from .weight_sums import channel_sums

PASSES = "forward", "input", "weight"


def _wide(name: str) -> dict[str, Callable[..., None]]:
    """The passes of :mod:`.channels_last` with all factors in float32, or rounded."""
    factors = name if name in FACTORS else None
    run: tuple[Callable[..., None], ...] = (
        channels_last.forward,
        channels_last.input_grad,
        channels_last.weight_grad,
    )
    return {p: functools.partial(f, factors=factors) for p, f in zip(PASSES, run)}


# By wide tiles, on a GPU: algorithm and pass -> what computes it.
WIDE: dict[str, dict[str, Callable[..., None]]] = {
    WINOGRAD: {"forward": winograd.forward, "input": winograd.input_grad},
    **{name: _wide(name) for name in (TILED, *FACTORS)},
}
NEEDS = dict.fromkeys(WIDE, "multiples of 4 channels")
NEEDS[WINOGRAD] = "multiples of 16 channels, 3x3, and steps of 1"


def gather(
    op: str,
    x: Array,
    w: Array,
    bias: Array | None,
    y: Array,
    g: Geometry,
    groups: int,
    style: str | None = None,
) -> None:
    """The convolution: fills y; also the gradient of the input of a transposed convolution."""
    if x.size == 0 or w.size == 0:
        _fill(y, bias)
        return

    def run(name: str) -> None:
        if name in WIDE:
            WIDE[name]["forward"](x, w, bias, y, g)
        else:
            flat = w.reshape(w.shape[0], w.size // w.shape[0])
            correlate(op, x, flat, bias, y, g.window(), groups, style)

    if style in WIDE:
        _require(op, style, x, w, y, g, groups)
        run(style)
    elif style is None:
        _carry_out("forward", x, w.shape, y, g, groups, run, y)
    else:
        run(SMALL)


def spread(
    op: str, dy: Array, w: Array, bias: Array | None, dx: Array, g: Geometry, groups: int
) -> None:
    """The gradient of the input: fills dx; also the transposed convolution."""
    if dy.size == 0 or w.size == 0:
        _fill(dx, bias)
        return

    def run(name: str) -> None:
        if name in WIDE:
            WIDE[name]["input"](dy, w, bias, dx, g)
        else:
            _spread(op, dy, w, bias, dx, g, groups)

    _carry_out("input", dx, w.shape, dy, g, groups, run, dx)


def _spread(
    op: str, dy: Array, w: Array, bias: Array | None, dx: Array, g: Geometry, groups: int
) -> None:
    turned = w.reshape(w.shape[0], w.shape[1], w.shape[2] * w.shape[3])
    for (row, column), taps, window in g.phases():
        part = dx
        if g.stride != (1, 1):
            part = dx[:, :, row :: g.stride[0], column :: g.stride[1]]
        if part.size:
            correlate(op, dy, pack(turned, taps, groups), bias, part, window, groups)


def weights(dy: Array, x: Array, shape: tuple[int, ...], g: Geometry, groups: int) -> Array:
    """The gradient of the weights, in the given shape (G M, C, ...)."""
    if dy.size == 0 or x.size == 0 or 0 in shape:
        return zeros(shape, x.dtype, x.device)
    dw = empty(shape, x.dtype, x.device)

    def run(name: str) -> None:
        if name in WIDE:
            WIDE[name]["weight"](dy, x, dw, g)
        else:
            _weights(dy, x, dw, g, groups)

    _carry_out("weight", x, shape, dy, g, groups, run, dw)
    return dw


def _weights(dy: Array, x: Array, dw: Array, g: Geometry, groups: int) -> None:
    window, shape = g.window(), dw.shape
    m, c, taps = shape[0] // groups, shape[1], len(window.taps)
    sizes = (window, c, m, dy.shape[2:], shared_items_of(x))
    flat = dw.reshape(groups, m, c * taps)
    along_pixels = plan_pixels(*sizes)
    if along_pixels is not None:
        weight_pixels_grad(dy, x, flat, window, groups, along_pixels)
        return
    plan = plan_weight(*sizes)
    if plan is not None:
        weight_grad(dy, x, flat, window, groups, plan)
        return
    parts = dw.reshape(groups, m, c, taps)
    for t, place in enumerate(window.taps):
        _single_tap(dy, x, parts[:, :, :, t], window, place, groups)


def biases(dy: Array) -> Array:
    """The gradient of the bias."""
    if dy.size == 0:
        return zeros((dy.shape[1],), dy.dtype, dy.device)
    return channel_sums(dy)


def contiguous(x: Array | None) -> Array | None:
    """x in C order, or None."""
    return x if x is None or x.is_contiguous else copy(x)


def image_of(x: Array) -> Array:
    """x in C order, with four axes: a sequence is an image of one row."""
    x = x if x.is_contiguous else copy(x)
    return x if len(x.shape) == 4 else x.reshape(*x.shape[:2], 1, x.shape[2])


def _carry_out(
    kind: str,
    x: Array,
    w: tuple[int, ...],
    y: Array,
    g: Geometry,
    groups: int,
    run: Callable[[str], None],
    output: Array,
) -> None:
    """Fill the output by the algorithm chosen: x, w and y are those of a convolution."""
    if x.device.is_cpu:
        run(SMALL)
    else:
        problem = _problem(kind, x, w, y, g)
        carry_out(problem, groups, x.dtype, x.device, run, (output,))


def _problem(kind: str, x: Array, w: tuple[int, ...], y: Array, g: Geometry) -> Problem:
    w, options = (w[0], w[1], *g.kernel), tuple(vars(g).values())
    return Problem(kind, x.shape, w, y.shape, options, precision.kind())


def _require(op: str, style: str, x: Array, w: Array, y: Array, g: Geometry, groups: int) -> None:
    known = x.device.is_cpu or x.device.limits.compute_capability >= large.SINCE
    if not (known and x.dtype == FLOAT32 and groups == 1):
        raise ArgumentError(
            f"{op}: style: {style!r} given for {x.dtype}, groups={groups}, on {x.device}; expected "
            "float32, one group, and a GPU of compute capability 8.0 or later"
        )
    if not supported(style, _problem("forward", x, w.shape, y, g)):
        raise ArgumentError(
            f"{op}: style: {style!r} given for {w.shape[1]} and {w.shape[0]} channels, a kernel of "
            f"{g.kernel}, stride {g.stride} and dilation {g.dilation}; expected {NEEDS[style]}, "
            "and fewer numbers"
        )


def _single_tap(dy: Array, x: Array, dw: Array, window: Window, place: Pair, groups: int) -> None:
    """The gradient of one tap: for taps so far apart that no tile holds them, it has no halo.

    Of x remain the pixels that the tap meets, so that it meets every one.
    """
    # Tap t meets pixel p u + first of each axis: those before the image are its padding.
    pads, views = [], [slice(None), slice(None)]
    for i, start, u in zip(place, (window.top, window.left), window.step):
        first = i - start
        pads.append(max(0, -(first // u)))
        views.append(slice(first + u * pads[-1], None, u))
    met = copy(x[tuple(views)])
    if met.size == 0:
        dw.copy_from(zeros(dw.shape, dw.dtype, dw.device))
        return
    single = Window(((0, 0),), (1, 1), pads[0], pads[1])
    plan = plan_weight(single, dw.shape[2], dw.shape[1], dy.shape[2:], shared_items_of(x))
    assert plan is not None  # a pixel of one channel fits
    weight_grad(dy, met, dw, single, groups, plan)


def _fill(y: Array, bias: Array | None) -> None:
    """The sums of nothing: the bias alone."""
    if bias is None:
        y.copy_from(zeros(y.shape, y.dtype, y.device))
    else:
        y.copy_from(bias.reshape(1, y.shape[1], 1, 1).broadcast_to(y.shape))
