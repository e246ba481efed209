"""``SPECS`` of the convolutions: sizes and options that fit together, wrong inputs, tolerances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, Integer, OpSpec, Signatures, Tolerance, Wrong
from . import weight_pixels
from .backward import conv2d_backward, conv_transpose2d_backward
from .correlate import pack_kernel
from .direct import direct_kernel, shapes
from .gemm import gemm_kernel
from .launchers import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .reference import conv_reference, conv_transpose_reference
from .weight import CHANNELS, weight_grad_kernel
from .weight_sums import channel_sums_kernel, collect_kernel

REALS = (types.float32, types.float64)
COUNTS = (1, 2, 3, 5, 9, 17)  # channels: around the 2 and 8 of a thread, and the 16 of a row
Case = tuple[dict[str, int], dict[str, Any]]


def _numbers(integer: Integer, axes: int, low: int, high: int) -> Any:
    """One number for all axes, or one for each."""
    if axes == 1 or integer(0, 1):
        return integer(low, high)
    return tuple(integer(low, high) for _ in range(axes))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def _size(integer: Integer, least: int) -> int:
    """A size of an image: mostly a few pixels more than needed, sometimes several tiles."""
    return max(1, least) + integer(0, 60 if integer(0, 9) == 0 else 9)


def _channels(integer: Integer) -> tuple[int, int, int]:
    """groups, input channels and output channels of a group."""
    return (1, 1, 2, 3)[integer(0, 3)], integer(1, 4), COUNTS[integer(0, len(COUNTS) - 1)]


def configure_conv(axes: int) -> Callable[[Integer], Case]:
    """Draws cases of a convolution; ``OpSpec.configure``."""

    def configure(integer: Integer) -> Case:
        groups, i, o = _channels(integer)
        kernel = tuple(integer(1, 5) for _ in range(axes))
        dilation = _numbers(integer, axes, 1, 3)
        padding = ("same", "valid", None, None)[integer(0, 3)]
        stride = 1 if padding == "same" else _numbers(integer, axes, 1, 3)
        padding = _numbers(integer, axes, 0, 3) if padding is None else padding
        pads = (0,) * axes if padding == "valid" else _each(padding, axes)
        sizes = {"n": integer(0, 3), "c": groups * i, "o": groups * o, "i": i}
        for name, k, d, p in zip("hw"[-axes:], kernel, _each(dilation, axes), pads):
            least = 1 if p == "same" else d * (k - 1) + 1 - 2 * int(p)
            sizes |= {name: _size(integer, least), f"k{name}": k}
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if axes == 2:
            options["style"] = (None, "direct", "gemm")[integer(0, 2)]
        return sizes, options

    return configure


def configure_transpose(axes: int) -> Callable[[Integer], Case]:
    """Draws cases of a transposed convolution."""

    def configure(integer: Integer) -> Case:
        groups, c, o = _channels(integer)
        sizes = {"n": integer(0, 3), "c": groups * c, "o": o, "g": groups * o}
        stride, dilation = _numbers(integer, axes, 1, 3), _numbers(integer, axes, 1, 3)
        padding = _numbers(integer, axes, 0, 3)
        most = min(max(s, d) for s, d in zip(_each(stride, axes), _each(dilation, axes))) - 1
        extra = integer(0, most)
        for name, s, d, p in zip(
            "hw"[-axes:], _each(stride, axes), _each(dilation, axes), _each(padding, axes)
        ):
            k = integer(1, 5)
            # At least one pixel is left between the paddings: (size - 1) s + d (k - 1) + 1 > 2 p.
            least = -(-(2 * p - d * (k - 1)) // s) + 1
            sizes |= {name: _size(integer, least), f"k{name}": k}
        options = {"stride": stride, "padding": padding, "output_padding": extra}
        return sizes, {**options, "groups": groups, "dilation": dilation}

    return configure


def _terms(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, **options: Any) -> int:
    return int(np.prod(w.shape[1:])) + 1


def _transpose_terms(x: np.ndarray, w: np.ndarray, bias: Any, groups: int, **options: Any) -> int:
    return int(np.prod(w.shape[2:])) * (w.shape[0] // groups) + 1


def _magnitude(
    reference: Callable[..., np.ndarray], terms: Callable[..., int]
) -> Callable[..., np.ndarray]:
    """The sum of the sizes of the terms, and what products below the normal numbers add to it.

    Such a product is rounded by half the smallest subnormal, which is ``eps / 2`` of the smallest
    normal number: no relative bound covers it.
    """

    def magnitude(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, **options: Any) -> np.ndarray:
        size = reference(np.abs(x), np.abs(w), None if b is None else np.abs(b), **options)
        return size + math.sqrt(terms(x, w, b, **options)) * float(np.finfo(np.float32).tiny)

    return magnitude


def _conv_vjp(
    dy: Array, x: Array, w: Array, bias: Any, *, style: Any = None, **options: Any
) -> Any:
    dx, dw, db = conv2d_backward(dy, x, w, **options)
    return dx, dw, None if bias is None else db


def _transpose_vjp(dy: Array, x: Array, w: Array, bias: Any, **options: Any) -> Any:
    dx, dw, db = conv_transpose2d_backward(dy, x, w, **options)
    return dx, dw, None if bias is None else db


def _wrong(op: str, axes: int) -> tuple[Wrong, ...]:
    x = np.ones((2, 4, *(5, 6)[-axes:]), np.float32)
    w = np.ones((4, 4, *(3, 3)[-axes:]), np.float32)
    b = np.ones(4, np.float32)

    def refuse(match: str, **options: Any) -> Wrong:
        return Wrong((x, w, b), ArgumentError, f"{op}: {match}", options)

    return (
        Wrong((x[0], w, b), ShapeError, f"{op}: x: shape .* given, expected {axes + 2} axes"),
        Wrong((x, w[0], b), ShapeError, f"{op}: weight: shape .* expected {axes + 2} axes"),
        Wrong((x[:, :3], w, b), ShapeError, f"{op}: x: 3 channels given, expected 4"),
        Wrong((x, w[..., :0], b), ShapeError, f"{op}: weight: .* expected a kernel of at least 1"),
        Wrong((x, w, b[:3]), ShapeError, rf"{op}: bias: shape \(3,\) given, expected \(4,\)"),
        Wrong((x, w, b), ShapeError, "channels: 4 given, expected a multiple", {"groups": 3}),
        Wrong((x.astype(np.int64), w, b), DtypeError, f"{op}: x: dtype int64 given"),
        Wrong((x, w.astype(np.float64), b), DtypeError, f"{op}: weight: dtype float64 given"),
        Wrong((x, w, b.astype(np.float64)), DtypeError, f"{op}: bias: dtype float64 given"),
        Wrong((x, [[1.0]], b), DtypeError, f"{op}: weight: list given"),
        refuse("stride: 0 given, expected an integer", stride=0),
        refuse("stride: 1.0 given", stride=1.0),
        refuse("dilation: True given", dilation=True),
        refuse(r"padding: \(1, 2, 3\) given", padding=(1, 2, 3)),
        refuse("padding: -1 given", padding=-1),
        refuse("groups: 0 given", groups=0),
    )


def _wrong_conv(op: str, axes: int) -> tuple[Wrong, ...]:
    x, w = (
        np.ones((1, 1, *(5, 2)[-axes:]), np.float32),
        np.ones((1, 1, *(3, 3)[-axes:]), np.float32),
    )
    return (
        *_wrong(op, axes),
        Wrong((x, w, None), ShapeError, f"{op}: x: .* less than the kernel"),
        Wrong((x, w, None), ArgumentError, "padding: 'full' given", {"padding": "full"}),
        Wrong((x, w, None), ArgumentError, "'same' given", {"padding": "same", "stride": 2}),
    )


def _wrong_transpose(op: str, axes: int) -> tuple[Wrong, ...]:
    x, w = (
        np.ones((1, 1, *(2, 2)[-axes:]), np.float32),
        np.ones((1, 1, *(2, 2)[-axes:]), np.float32),
    )
    return (
        *_wrong(op, axes),
        Wrong((x, w, None), ShapeError, "has an output of", {"padding": 2}),
        Wrong((x, w, None), ArgumentError, "padding: 'same' given", {"padding": "same"}),
        Wrong((x, w, None), ArgumentError, "output_padding: 2 given", {"output_padding": 2}),
    )


def _signatures() -> tuple[Signatures, Signatures, Signatures]:
    """The kernels of the forward pass, of the gradients, and those that write strided views."""
    forward: list[Any] = []
    backward: list[Any] = []
    views: list[Any] = []
    i, unsigned = types.int64, types.Array(types.uint32, 1, "C")
    for real in REALS:
        a, b, c, d = (types.Array(real, n, "C") for n in (1, 2, 3, 4))
        strided = types.Array(real, 4, "A")
        for shape in shapes(real, False):
            for unit in (True, False):
                kernel = direct_kernel(real, *shape, unit)
                forward.append((kernel, (d, b, a, unsigned, d, *(i,) * 12)))
            views.append(
                (direct_kernel(real, *shape, True), (d, b, a, unsigned, strided, *(i,) * 12))
            )
        table = types.Array(i, 2, "C")
        forward.append((gemm_kernel(real), (a, b, a, table, d, *(i,) * 8)))
        views.append((gemm_kernel(real), (a, b, a, table, strided, *(i,) * 8)))
        views.append((pack_kernel, (c, types.Array(i, 1, "C"), c, i)))
        for channels in CHANNELS:
            for unit in (True, False):
                kernel = weight_grad_kernel(real, channels, unit)
                backward.append((kernel, (d, d, unsigned, c, *(i,) * 13)))
        for channels in weight_pixels.CHANNELS:
            for unit in (True, False):
                kernel = weight_pixels.weight_pixels_kernel(real, channels, unit)
                backward.append((kernel, (d, c, unsigned, d, *(i,) * 12)))
        backward.append((collect_kernel(real), (d, c)))
        backward.append((collect_kernel(real), (d, types.Array(real, 3, "A"))))
        backward.append((channel_sums_kernel(real), (c, b)))
    return tuple(forward), tuple(backward), tuple(views)


FORWARD, BACKWARD, VIEWS = _signatures()


def _conv_spec(name: str, forward: Any, axes: int, kernels: Signatures) -> OpSpec:
    space, taps = ("h w", "kh kw") if axes == 2 else ("w", "kw")
    return OpSpec(
        name=name,
        forward=forward,
        reference=conv_reference,
        args=(Arg("x", f"n c {space}"), Arg("w", f"o i {taps}"), Arg("bias", "o", optional=True)),
        vjp=_conv_vjp,
        magnitude=_magnitude(conv_reference, _terms),
        tolerance=Tolerance(terms=_terms),
        wrong=_wrong_conv(name, axes),
        kernels=kernels,
        configure=configure_conv(axes),
    )


def _transpose_spec(name: str, forward: Any, axes: int, kernels: Signatures) -> OpSpec:
    space, taps = ("h w", "kh kw") if axes == 2 else ("w", "kw")
    return OpSpec(
        name=name,
        forward=forward,
        reference=conv_transpose_reference,
        args=(Arg("x", f"n c {space}"), Arg("w", f"c o {taps}"), Arg("bias", "g", optional=True)),
        vjp=_transpose_vjp,
        magnitude=_magnitude(conv_transpose_reference, _transpose_terms),
        tolerance=Tolerance(terms=_transpose_terms),
        # Where a window hangs over the edge, the kernels multiply weights with zeros: an infinite
        # weight gives NaN there, as in the padding of a convolution.
        special=False,
        wrong=_wrong_transpose(name, axes),
        kernels=kernels,
        configure=configure_transpose(axes),
    )


SPECS: tuple[OpSpec, ...] = (
    _conv_spec("conv2d", conv2d, 2, FORWARD),
    _conv_spec("conv1d", conv1d, 1, BACKWARD),
    _transpose_spec("conv_transpose2d", conv_transpose2d, 2, VIEWS),
    _transpose_spec("conv_transpose1d", conv_transpose1d, 1, VIEWS[:2]),
)
