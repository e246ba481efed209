"""Convolution and transposed convolution of images and sequences, with their gradients.

Shapes and options are those of ``torch.nn.functional``. A sequence is an image of one row.
"""

from __future__ import annotations

from typing import Any

from ..checks import require_float, require_like, require_option, require_shape
from ..engine import ArgumentError, Array, ShapeError, empty
from .algorithm import STYLES
from .geometry import geometry, kernel_of, key_of, pair, require_groups
from .passes import contiguous, gather, image_of, spread


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    style: str | None = None,
) -> Array:
    """Convolution (without turning the kernel): the formula is in ``tiles``.

    Args:
        x: (n, c, h, w), float32 or float64.
        w: (o, c / groups, kernel rows, kernel columns), dtype and device of x.
        bias: (o,), or None.
        stride, dilation: an integer or (rows, columns).
        padding: an integer, (rows, columns), ``"valid"`` or ``"same"``.
        groups: channels are divided into so many independent convolutions.
        style: None chooses the kernel by shape; ``"direct"``, ``"gemm"``, ``"tiled"``, ``"tf32"``,
            ``"bf16"`` or ``"winograd"`` runs that one. The last four take float32, one group,
            channels that are multiples of 4, and a CPU or a GPU of compute capability 8.0 or later;
            ``"tf32"`` and ``"bf16"`` round x and w to such numbers, whose products tensor cores
            add; ``"winograd"`` takes only multiples of 16 channels and 3x3 kernels with steps of 1,
            and its error is bounded less closely.

    Returns:
        A new array (n, o, rows, columns).

    Raises:
        ShapeError: axes, channels or bias do not fit, or the window is larger than the image.
        DtypeError: x is not a float array, or another argument has another dtype.
        DeviceError: the arguments are on several devices.
        ArgumentError: an option is none of those named here.
    """
    return _conv("conv2d", x, w, bias, stride, padding, dilation, groups, 2, style)


def conv1d(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """:func:`conv2d` of sequences: x (n, c, length), w (o, c / groups, kernel)."""
    return _conv("conv1d", x, w, bias, stride, padding, dilation, groups, 1, None)


def conv_transpose2d(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """Transposed convolution: what :func:`conv2d` does to a gradient on its way back.

    Args:
        x: (n, c, h, w), float32 or float64.
        w: (c, o / groups, kernel rows, kernel columns), dtype and device of x.
        bias: (o,), or None.
        stride, padding, dilation: those of the convolution that this reverses, as numbers.
        output_padding: rows and columns added below and to the right, less than stride or dilation:
            convolutions of several sizes have outputs of the size of x.
        groups: as :func:`conv2d`.

    Returns:
        A new array (n, o, rows, columns).

    Raises:
        ShapeError, DtypeError, DeviceError, ArgumentError: as :func:`conv2d`.
    """
    options = (stride, padding, output_padding, groups, dilation)
    return _transpose("conv_transpose2d", x, w, bias, *options, 2)


def conv_transpose1d(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """:func:`conv_transpose2d` of sequences: x (n, c, length), w (c, o / groups, kernel)."""
    options = (stride, padding, output_padding, groups, dilation)
    return _transpose("conv_transpose1d", x, w, bias, *options, 1)


def _conv(
    op: str,
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    axes: int,
    style: str | None,
) -> Array:
    _require(op, x, w, groups, axes)
    require_groups(op, groups, **{"output channels": w.shape[0]})
    if x.shape[1] != w.shape[1] * groups:
        raise ShapeError(
            f"{op}: x: {x.shape[1]} channels given, expected {w.shape[1] * groups} for a weight "
            f"of shape {w.shape} and groups={groups}"
        )
    _require_bias(op, bias, w.shape[0], x)
    require_option(op, "style", style, STYLES)
    g = geometry(op, kernel_of(w.shape), key_of(stride), key_of(padding), key_of(dilation), axes)
    image = image_of(x)
    out = g.output(image.shape[2:])
    if min(out) < 1:
        padded = tuple(n + b + a for n, b, a in zip(image.shape[2:], g.before, g.after))
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, {padded[-axes:]} with its padding: less than the "
            f"kernel of {g.kernel[-axes:]} with dilation {g.dilation[-axes:]}"
        )
    y = empty((x.shape[0], w.shape[0], *out[-axes:]), x.dtype, x.device)
    gather(op, image, image_of(w), contiguous(bias), image_of(y), g, groups, style)
    return y


def _transpose(
    op: str,
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    axes: int,
) -> Array:
    _require(op, x, w, groups, axes)
    require_groups(op, groups, **{"input channels": w.shape[0]})
    if x.shape[1] != w.shape[0]:
        raise ShapeError(
            f"{op}: x: {x.shape[1]} channels given, expected {w.shape[0]} for a weight of shape "
            f"{w.shape}"
        )
    if isinstance(padding, str):
        raise ArgumentError(f"{op}: padding: {padding!r} given, expected numbers")
    channels = w.shape[1] * groups
    _require_bias(op, bias, channels, x)
    g = geometry(op, kernel_of(w.shape), key_of(stride), key_of(padding), key_of(dilation), axes)
    extra = pair(op, "output_padding", output_padding, 0, axes)
    if any(e >= max(s, d) for e, s, d in zip(extra, g.stride, g.dilation)):
        raise ArgumentError(
            f"{op}: output_padding: {output_padding!r} given, expected less than stride {stride} "
            f"or dilation {dilation}"
        )
    image = image_of(x)
    out = g.transposed_output(image.shape[2:], extra)
    if min(out) < 1:
        raise ShapeError(
            f"{op}: x: shape {x.shape} given, which with these options has an output of "
            f"{out[-axes:]}, expected at least 1"
        )
    y = empty((x.shape[0], channels, *out[-axes:]), x.dtype, x.device)
    spread(op, image, image_of(w), contiguous(bias), image_of(y), g, groups)
    return y


def _require(op: str, x: Any, w: Any, groups: Any, axes: int) -> None:
    require_float(op, "x", x)
    require_like(op, "weight", w, "x", x)
    for name, a in (("x", x), ("weight", w)):
        if a.ndim != axes + 2:
            raise ShapeError(f"{op}: {name}: shape {a.shape} given, expected {axes + 2} axes")
    if min(w.shape[2:]) < 1:
        raise ShapeError(f"{op}: weight: shape {w.shape} given, expected a kernel of at least 1")


def _require_bias(op: str, bias: Any, channels: int, x: Array) -> None:
    if bias is not None:
        require_like(op, "bias", bias, "x", x)
        require_shape(op, "bias", bias, (channels,))
