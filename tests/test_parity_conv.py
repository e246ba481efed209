"""Convolution layers against PyTorch: 40 drawn configurations of each, and the sizes of LeNet.

Bounds: an output is a sum over the kernel of one output channel, the gradient of the input one
over at most as many terms, those of weight and bias are sums over all pixels of all outputs; each
library adds them in an order of its own: 4 sqrt(terms) eps of the sum of their sizes. Compared is
relative to the largest value of an array, which may be smaller than that sum by sqrt(terms), hence
BOUND for the largest number of terms here and a floor for gradients that nearly cancel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import ArgumentError, NnliteError
from nnlite.testing.parity import check_parity

torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")

EPS = float(np.finfo(np.float32).eps)
TERMS = 3 * 24 * 24  # pixels of the largest batch drawn
BOUND = 4 * np.sqrt(TERMS) * EPS
CASES = 40


def drawn(rng: np.random.Generator, axes: int, transposed: bool) -> tuple[np.ndarray, dict]:
    """A batch, or one item of it, and options of a layer that has an output for it."""
    groups = int(rng.choice([1, 1, 2, 3]))
    inputs, outputs = (groups * int(rng.choice([1, 2, 3, 5])) for _ in range(2))
    if rng.random() < 0.15:
        groups, outputs = inputs, inputs * int(rng.integers(1, 3))  # depthwise
    kernel, stride, dilation = (rng.integers(1, most + 1, axes) for most in (5, 3, 3))
    padding = rng.integers(0, 3, axes)
    options: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }
    if transposed:
        options["output_padding"] = rng.integers(0, np.maximum(stride, dilation))
    options = {name: tuple(map(int, value)) for name, value in options.items()}
    least = np.maximum(1, dilation * (kernel - 1) + 1 - 2 * padding)
    if transposed:
        least = np.maximum(1, -((dilation * (kernel - 1) - 2 * padding) // stride) + 1)
    elif rng.random() < 0.3:
        options |= {"padding": "same", "stride": 1}
        least = np.array([1] * axes)
    if rng.random() < 0.3:
        options["kernel_size"] = options["kernel_size"][0]  # one number for every axis
        least = np.array([max(12, *least)] * axes)
    lead = (int(rng.integers(1, 4)),) if rng.random() < 0.8 else ()
    size = least + rng.integers(0, 8, axes)
    x = rng.normal(size=(*lead, inputs, *size)).astype(np.float32)
    options |= {"in_channels": inputs, "out_channels": outputs, "groups": groups}
    return x, {**options, "bias": bool(rng.random() < 0.7)}


def layers(name: str, **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(1)
    return getattr(nl.nn, name)(**options), getattr(torch.nn, name)(**options)


@pytest.mark.parametrize("case", range(CASES))
@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"])
def test_layers(name: str, case: int) -> None:
    rng = np.random.default_rng([case, len(name)])
    x, options = drawn(rng, int(name[-2]), "Transpose" in name)
    ours, theirs = layers(name, **options)
    check_parity(ours, theirs, x, bound=BOUND, floor=1.0)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 1, 28, 28), {"out_channels": 6, "kernel_size": 5, "padding": 2}),
        ((8, 6, 14, 14), {"out_channels": 16, "kernel_size": 5}),
        ((8, 1, 28, 28), {"out_channels": 32, "kernel_size": 3, "padding": "same"}),
        ((4, 32, 14, 14), {"out_channels": 64, "kernel_size": 3, "padding": 1}),
        ((2, 64, 9, 9), {"out_channels": 128, "kernel_size": 3, "padding": 1, "stride": 2}),
        ((2, 64, 9, 9), {"out_channels": 128, "kernel_size": 1, "stride": 2}),
        ((2, 160, 7, 7), {"out_channels": 40, "kernel_size": 3}),
        ((1, 3, 90, 130), {"out_channels": 8, "kernel_size": 7, "stride": 2, "padding": 3}),
        ((2, 2, 200, 180), {"out_channels": 3, "kernel_size": 3, "dilation": 80}),
        ((3, 5, 1, 1), {"out_channels": 7, "kernel_size": 3, "padding": 1}),
        ((0, 4, 6, 6), {"out_channels": 3, "kernel_size": 3}),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_sizes_of_networks(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """Several tiles of rows, columns and channels; taps too far apart for one; an empty batch."""
    if name == "ConvTranspose2d" and options.get("padding") == "same":
        options = {**options, "padding": 1}
    if name == "ConvTranspose2d" and shape[-1] == 1:
        shape = (*shape[:2], 2, 2)
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    if name == "ConvTranspose2d" and options.get("dilation") == 80:
        x = x[:, :, :40, :30].copy()
    ours, theirs = layers(name, in_channels=shape[1], **options)
    terms = max(x.size // max(shape[1], 1), ours.weight.numpy()[0].size, 1)
    check_parity(ours, theirs, x, bound=4 * np.sqrt(4 * terms) * EPS, floor=1.0)


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
def test_float64(name: str) -> None:
    x = np.random.default_rng(3).normal(size=(2, 6, 11, 9))
    options = {"in_channels": 6, "out_channels": 4, "kernel_size": (3, 2), "groups": 2, "stride": 2}
    ours = getattr(nl.nn, name)(**options, dtype="float64")
    theirs = getattr(torch.nn, name)(**options, dtype=torch.float64)
    check_parity(ours, theirs, x, bound=4 * np.sqrt(TERMS) * float(np.finfo(np.float64).eps))


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"])
def test_initial_values_have_the_same_bounds(name: str) -> None:
    options = {"in_channels": 30, "out_channels": 60, "kernel_size": 3, "groups": 2}
    ours, theirs = layers(name, **options)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        a, b = p.numpy(), q.detach().numpy()
        bound = 1 / np.sqrt(np.prod(theirs.weight.shape[1:]))
        assert a.shape == b.shape
        assert np.abs(a).max() <= bound * (1 + 1e-6)
        assert np.abs(b).max() <= bound * (1 + 1e-6)
        assert a.std() == pytest.approx(b.std(), rel=0.25)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("Conv2d", {"padding_mode": "reflect"}),
    ("Conv2d", {"groups": 3}),
    ("Conv2d", {"kernel_size": 0}),
    ("Conv2d", {"kernel_size": (3, 3, 3)}),
    ("Conv2d", {"padding": "same", "stride": 2}),
    ("Conv2d", {"padding": "full"}),
    ("Conv1d", {"stride": (1, 1)}),
    ("Conv1d", {"out_channels": 0}),
    ("ConvTranspose2d", {"padding": "same"}),
    ("ConvTranspose2d", {"in_channels": 2.0}),
]


@pytest.mark.parametrize(("name", "options"), REFUSED, ids=str)
def test_wrong_options_are_refused_when_the_layer_is_made(name: str, options: dict) -> None:
    right = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
    with pytest.raises(ArgumentError, match=f"{name}: .*{next(iter(options))}"):
        getattr(nl.nn, name)(**{**right, **options})


def test_a_wrong_input_is_refused() -> None:
    layer = nl.nn.Conv2d(3, 4, 3)
    for shape in ((3, 4), (1, 2, 8, 8), (1, 3, 2, 8), (1, 1, 3, 8, 8)):
        with pytest.raises(NnliteError, match="conv2d: x: "):
            layer(nl.tensor(np.zeros(shape, np.float32)))


def test_one_gradient_of_three() -> None:
    """Only what requires a gradient gets one."""
    x = np.random.default_rng(4).normal(size=(2, 3, 6, 5)).astype(np.float32)
    for kept in range(3):
        w, b = np.ones((4, 3, 2, 2), np.float32), np.ones(4, np.float32)
        given = [nl.tensor(a, requires_grad=i == kept) for i, a in enumerate((x, w, b))]
        nl.functional.conv2d(*given).sum().backward()
        assert [t.grad is not None for t in given] == [i == kept for i in range(3)]
