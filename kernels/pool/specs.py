"""Generated cases, wrong calls and ``OpSpec`` of the poolings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, types

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, Integer, OpSpec, Signature, Signatures, Tolerance, Wrong
from . import average, maximum, reference
from .launch import COMPILED_CELLS

_IMAGE = np.ones((1, 2, 4, 5), np.float32)


def _sliding(integer: Integer, most_dilation: int) -> tuple[dict[str, int], dict[str, Any]]:
    """Kernel, stride, padding and an image that holds at least one window.

    A third of the cases are 2 x 2 or 1 x 2 cells with no rest: those have their own kernels.
    """
    ceil_mode = bool(integer(0, 1))
    if integer(0, 2) == 0:
        kernel = COMPILED_CELLS[integer(0, 1)]
        h, w = kernel[0] * integer(1, 20), kernel[1] * integer(1, 20)
        return {"h": h, "w": w}, {"kernel_size": kernel, "ceil_mode": ceil_mode}
    kernel = integer(1, 4), integer(1, 4)
    dilation = integer(1, most_dilation), integer(1, most_dilation)
    length = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    padding = integer(0, length[0] // 2), integer(0, length[1] // 2)
    h, w = (n + integer(0, 19) for n in length)
    options = {
        "kernel_size": kernel,
        "stride": (integer(1, 5), integer(1, 5)),
        "padding": padding,
        "ceil_mode": ceil_mode,
    }
    return {"h": h, "w": w}, options | ({"dilation": dilation} if most_dilation > 1 else {})


def _max_case(integer: Integer) -> tuple[dict[str, int], dict[str, Any]]:
    return _sliding(integer, 3)


def _average_case(integer: Integer) -> tuple[dict[str, int], dict[str, Any]]:
    sizes, options = _sliding(integer, 1)
    options["count_include_pad"] = bool(integer(0, 1))
    return sizes, options | {"divisor_override": (None, None, 3, -7)[integer(0, 3)]}


def _adaptive_case(integer: Integer) -> tuple[dict[str, int], dict[str, Any]]:
    """More and fewer windows than elements, one, none, and as many as make cells of 2 x 2."""
    h, w = integer(1, 20), integer(1, 20)
    if integer(0, 3) == 0:
        return {"h": 2 * h, "w": 2 * w}, {"output_size": (h, w)}
    if integer(0, 3) == 0:
        return {"h": h, "w": w}, {"output_size": 1}
    return {"h": h, "w": w}, {"output_size": (integer(0, 9), integer(1, 24))}


def _wrong_image(op: str, options: dict[str, Any]) -> tuple[Wrong, ...]:
    calls: tuple[tuple[Any, Any, str], ...] = (
        (_IMAGE[0, 0, 0], ShapeError, rf"{op}: x: shape \(5,\) given"),
        (_IMAGE[:, :, :0], ShapeError, f"{op}: x: "),
        (_IMAGE.astype(np.int64), DtypeError, f"{op}: x: dtype int64"),
        (_IMAGE.astype(np.float16), DtypeError, f"{op}: x: dtype float16"),
        ([[1.0]], DtypeError, f"{op}: x: list given"),
    )
    return tuple(Wrong((x,), error, match, options) for x, error, match in calls)


def _wrong_option(op: str, name: str, value: Any, error: Any = ArgumentError) -> Wrong:
    options = {"kernel_size": 2, name: value}
    return Wrong((_IMAGE,), error, f"{op}: {'x' if error is ShapeError else name}: ", options)


def _wrong_sliding(op: str) -> tuple[Wrong, ...]:
    return (
        *_wrong_image(op, {"kernel_size": 2}),
        _wrong_option(op, "kernel_size", 0),
        _wrong_option(op, "kernel_size", (2, 2, 2)),
        _wrong_option(op, "kernel_size", 2.0),
        _wrong_option(op, "kernel_size", (2, True)),
        _wrong_option(op, "kernel_size", (5, 2), ShapeError),
        _wrong_option(op, "stride", (1, 0)),
        _wrong_option(op, "padding", 2),
        _wrong_option(op, "padding", -1),
        _wrong_option(op, "ceil_mode", 1),
    )


def _wrong_adaptive(op: str) -> tuple[Wrong, ...]:
    return (
        *_wrong_image(op, {"output_size": 2}),
        Wrong((_IMAGE,), ArgumentError, f"{op}: output_size: -1 given", {"output_size": -1}),
        Wrong((_IMAGE,), ArgumentError, f"{op}: output_size: ", {"output_size": (2, None)}),
    )


def _max_vjp(dy: Array, x: Array, **options: Any) -> Array:
    _, index = maximum.max_pool2d(x, **options)
    return maximum.max_pool2d_backward(dy, index, x.shape, **options)


def _adaptive_max_vjp(dy: Array, x: Array, output_size: Any) -> Array:
    _, index = maximum.adaptive_max_pool2d(x, output_size)
    return maximum.adaptive_max_pool2d_backward(dy, index, x.shape)


def _signatures(mean: bool) -> Signatures:
    found: list[Signature] = []
    table, both = int32[:, ::1], types.UniTuple(int64, 2)
    for dtype, real in ((np.dtype(np.float32), float32), (np.dtype(np.float64), float64)):
        image, index = real[:, :, ::1], int32[:, :, ::1]
        if mean:
            forward, backward = average.window_kernels(dtype)
            found.append((forward, (image, table, table, both, int64, real, image)))
            tables = (table,) * 4
            found.append((backward, (image, *tables, both, int64, real, image)))
        else:
            forward, backward = maximum.window_kernels(dtype)
            found.append((forward, (image, table, table, both, both, image, index)))
            found.append((backward, (image, index, table, table, both, image)))
        for cells in COMPILED_CELLS:
            if mean:
                types_of = (image, real, image)
                found += [(k, types_of) for k in average.cell_kernels(dtype, *cells)]
            else:
                forward, backward = maximum.cell_kernels(dtype, *cells)
                found.append((forward, (image, image, index)))
                found.append((backward, (image, index, image)))
    return tuple(found)


def _terms(x: np.ndarray, kernel_size: Any, **options: Any) -> int:
    return kernel_size[0] * kernel_size[1]


SPECS = (
    OpSpec(
        name="max_pool2d",
        forward=lambda x, **options: maximum.max_pool2d(x, **options)[0],
        reference=reference.max_pool2d_reference,
        args=(Arg("x", "n c h w"),),
        vjp=_max_vjp,
        wrong=(*_wrong_sliding("max_pool2d"), _wrong_option("max_pool2d", "dilation", 0)),
        tolerance=Tolerance(signed_zero=False),
        kernels=_signatures(False),
        block=6,
        smooth=False,
        configure=_max_case,
    ),
    OpSpec(
        name="avg_pool2d",
        forward=average.avg_pool2d,
        reference=reference.avg_pool2d_reference,
        args=(Arg("x", "n c h w"),),
        vjp=lambda dy, x, **options: average.avg_pool2d_backward(dy, x.shape, **options),
        magnitude=lambda x, **options: np.abs(reference.avg_pool2d_reference(np.abs(x), **options)),
        tolerance=Tolerance(terms=_terms),
        wrong=(
            *_wrong_sliding("avg_pool2d"),
            _wrong_option("avg_pool2d", "count_include_pad", None),
            _wrong_option("avg_pool2d", "divisor_override", 0),
        ),
        kernels=_signatures(True),
        block=6,
        configure=_average_case,
    ),
    OpSpec(
        name="adaptive_max_pool2d",
        forward=lambda x, **options: maximum.adaptive_max_pool2d(x, **options)[0],
        reference=reference.adaptive_max_pool2d_reference,
        args=(Arg("x", "n c h w"),),
        vjp=_adaptive_max_vjp,
        wrong=_wrong_adaptive("adaptive_max_pool2d"),
        tolerance=Tolerance(signed_zero=False),
        kernels=_signatures(False),
        block=6,
        smooth=False,
        configure=_adaptive_case,
    ),
    OpSpec(
        name="adaptive_avg_pool2d",
        forward=average.adaptive_avg_pool2d,
        reference=reference.adaptive_avg_pool2d_reference,
        args=(Arg("x", "n c h w"),),
        vjp=lambda dy, x, output_size: average.adaptive_avg_pool2d_backward(dy, x.shape),
        magnitude=lambda x, output_size: reference.adaptive_avg_pool2d_reference(
            np.abs(x), output_size
        ),
        tolerance=Tolerance(terms="h w"),
        wrong=_wrong_adaptive("adaptive_avg_pool2d"),
        kernels=_signatures(True),
        block=6,
        configure=_adaptive_case,
    ),
)
