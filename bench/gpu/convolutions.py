"""Convolutions against cuDNN (through PyTorch, autotuned), in both memory layouts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import nnlite as nl
from nnlite.kernels import conv
from nnlite.kernels.conv.reference import conv_reference, conv_transpose_reference
from nnlite.kernels.engine import tuning

from . import peers
from .case import OURS, Case, Side
from .place import Place, host, require_close

EPS = float(np.finfo(np.float32).eps)
ALGORITHM = "convolution"  # the choice between the algorithms, by that name
WINOGRAD = 4.0  # F(2x2, 3x3) adds up numbers some times larger than its result before it subtracts
TF32 = 2e-3  # error of a result, to its largest item; half of it is that of a term


@dataclass(frozen=True)
class Layer:
    """A convolution of n images with c channels to o channels."""

    name: str
    n: int
    c: int
    size: int
    o: int
    kernel: int
    stride: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def title(self) -> str:
        return f"{self.name} {self.n}x{self.c}x{self.size}x{self.size} to {self.o}"

    def work(self) -> float:
        """Operations of each pass, as a direct convolution counts them."""
        return 2.0 * self.n * self.o * self.out**2 * self.c * self.kernel**2

    def at(self, place: Place) -> Layer:
        """The layer itself, or a small one of its kind for the stand-in."""
        return self if place.is_gpu else replace(self, n=2, c=3, size=8, o=4)


LAYERS = (
    Layer("3x3", 64, 64, 56, 64, 3),
    Layer("3x3", 64, 128, 28, 128, 3),
    Layer("3x3", 64, 256, 14, 256, 3),
    Layer("1x1", 64, 256, 28, 128, 1),
    Layer("5x5", 64, 32, 28, 64, 5),
    Layer("strided 3x3", 64, 128, 56, 128, 3, 2),
)
PASSES = ("forward", "dgrad", "wgrad")


def cases() -> list[Case]:
    """Every layer and pass; by Winograd's algorithm what can be computed so; tf32, 3x3."""
    found = [case(layer, number) for layer in LAYERS for number in range(len(PASSES))]
    found += [case(layer, number, "winograd") for layer in LAYERS[:3] for number in range(2)]
    return found + [case(layer, number, "tf32") for layer in LAYERS[1:3] for number in range(3)]


def case(layer: Layer, number: int, how: str | None = None) -> Case:
    """One pass of a layer, all in float32, or ``"tf32"`` on tensor cores on both sides.

    cuDNN may take Winograd's algorithm for any. nnlite takes it only where less than the highest
    precision will do, as its error is not bounded by the terms of each sum: ``"winograd"``, a case
    of its own.
    """
    settings = contextlib.ExitStack()

    def before() -> None:
        if how is not None:
            settings.callback(nl.set_float32_matmul_precision, nl.get_float32_matmul_precision())
            nl.set_float32_matmul_precision("high")
            settings.enter_context(tuning.override(ALGORITHM, how))

    def inputs(place: Place) -> tuple[np.ndarray, ...]:
        now = layer.at(place)
        return (
            place.random((now.n, now.c, now.size, now.size), 1),
            place.random((now.o, now.c, now.kernel, now.kernel), 2),
            place.random((now.n, now.o, now.out, now.out), 3),
        )

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        x, w, dy = (nl.array(a, device=place.device) for a in given)
        options = {"stride": layer.stride, "padding": layer.padding}
        if number == 0:
            return lambda: conv.conv2d(x, w, **options)
        needs = (number == 1, number == 2, False)
        return lambda: conv.conv2d_backward(dy, x, w, needs, **options)[number - 1]

    def cudnn(channels_last: bool) -> Side:
        def make(place: Place, given: Any) -> Callable[[], Any]:
            torch = peers.torch_on(place, "tf32" if how == "tf32" else "float32")
            form = torch.channels_last if channels_last else torch.contiguous_format
            x, w, dy = (peers.tensor(torch, place, a).to(memory_format=form) for a in given)
            ends = [layer.stride] * 2, [layer.padding] * 2, [1, 1]
            if number == 0:
                return lambda: torch.nn.functional.conv2d(x, w, None, *ends)
            mask = [number == 1, number == 2, False]
            backward = torch.ops.aten.convolution_backward
            none = [0, 0]
            return lambda: backward(dy, x, w, None, *ends, False, none, 1, mask)[number - 1]

        return Side(make)

    def check(place: Place, given: Any, name: str, found: Any) -> None:
        part, expected, terms = reference(layer.at(place), number, given)
        limit = TF32 if how == "tf32" else 4 * WINOGRAD * terms**0.5 * EPS
        require_close(host(found)[part] if number == 2 else host(found[part]), expected, limit)

    name = f"conv {layer.title} {PASSES[number]}"
    if how is not None:
        name = name.replace("3x3", f"3x3 {how}", 1)
    sides = {OURS: Side(ours), "cuDNN NCHW": cudnn(False), "cuDNN NHWC": cudnn(True)}
    return Case(
        name, "convolution", sides, inputs, layer.work(), "FLOP", check,
        limit="tf32" if how == "tf32" else "float32", before=before, after=settings.close,
    )  # fmt: skip


def reference(layer: Layer, number: int, given: Any) -> tuple[Any, np.ndarray, int]:
    """(a part of the result, its items in float64, terms of each sum).

    The part is the last image; of the gradient of weights, those of two channels each.
    """
    x, w, dy = given
    options = {"stride": layer.stride, "padding": layer.padding}
    if number == 0:
        found = conv_reference(x[-1:].astype(np.float64), w.astype(np.float64), **options)
        return slice(layer.n - 1, layer.n), found, layer.c * layer.kernel**2
    if number == 1:
        # Rows at the end that no window reached have no gradient: the padding of the output.
        reach = (layer.out - 1) * layer.stride - 2 * layer.padding + layer.kernel
        found = conv_transpose_reference(
            dy[-1:].astype(np.float64), w.astype(np.float64), **options,
            output_padding=layer.size - reach,
        )  # fmt: skip
        return slice(layer.n - 1, layer.n), found, layer.o * layer.kernel**2
    # dw[o, c] is the convolution of x[:, c] with dy[:, o] as its kernel, images being channels.
    pad, k, u = layer.padding, layer.kernel, layer.stride
    images = x[:, :2].astype(np.float64).transpose(1, 0, 2, 3)
    kernels = dy[:, :2].astype(np.float64).transpose(1, 0, 2, 3)
    found = conv_reference(images, kernels, padding=pad, dilation=u)[:, :, :k, :k]
    terms = layer.n * layer.out**2
    return (slice(0, 2), slice(0, 2)), found.transpose(1, 0, 2, 3), terms
