"""Functions of the layer, forward and backward, against PyTorch's of the same name.

Each line at the end of the file is a case: its name, the shapes of its tensors, and a call that
means the same in ``nnlite.functional`` and ``torch.nn.functional``. Before it is timed, outputs and
gradients are compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import nnlite as nl
from nnlite.testing.parity import check_parity

from . import peers
from .harness import Case, Side, synchronizer

EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Line:
    """One function.

    Args:
        name: of the case.
        shapes: of the float tensors, all differentiated.
        call: ``call(F, *tensors)`` with the functions of either side.
        labels: shape and upper bound of class numbers, the last of the tensors; None without.
        low: the smallest number drawn; the largest is 1.
        same: False where the sides draw other random numbers, so that nothing can be compared.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    call: Callable[..., Any]
    labels: tuple[tuple[int, ...], int] | None = None
    low: float = -1.0
    same: bool = True

    def inputs(self) -> list[np.ndarray]:
        """Random arrays, the labels last."""
        rng = np.random.default_rng(0)
        found = [rng.uniform(self.low, 1.0, shape).astype(np.float32) for shape in self.shapes]
        if self.labels is not None:
            found.append(rng.integers(0, self.labels[1], self.labels[0]))
        return found

    def bound(self) -> float:
        """A sum of all items is good to ``4 sqrt(n) eps``; what comes before it to 16 eps."""
        return (16 + 4 * math.sqrt(max(map(math.prod, self.shapes)))) * EPS


def case(line: Line) -> Case:
    """Forward and backward of one line; the bytes are those of its tensors and gradients."""

    def setup(device: Any) -> list[Side]:
        host = line.inputs()
        run = _step(line, nl.functional, [_leaf(x, device) for x in host])
        sides = [Side("nnlite", run, synchronizer(device))]
        if peers.installed("torch"):
            import torch

            F = torch.nn.functional
            if line.same and device.kind == "cpu":
                ours, theirs = (partial(line.call, side) for side in (nl.functional, F))
                check_parity(ours, theirs, *host, bound=line.bound())
            where, wait = peers.torch_device(device)
            leaves = [
                torch.tensor(x, device=where, requires_grad=x.dtype.kind == "f") for x in host
            ]
            sides.append(Side(f"PyTorch {torch.__version__}", _step(line, F, leaves), wait))
        return sides

    return Case(f"{line.name}, both ways", setup, 8.0 * sum(map(math.prod, line.shapes)), "B")


def _leaf(x: np.ndarray, device: Any) -> nl.Tensor:
    return nl.tensor(x, device=device, requires_grad=x.dtype.kind == "f")


def _step(line: Line, functions: Any, tensors: list[Any]) -> Callable[[], Any]:
    """Forward, and backward from the output itself as its gradient."""

    def run() -> Any:
        for x in tensors:
            x.grad = None
        y = line.call(functions, *tensors)
        y.backward(y.detach())
        return y

    return run


IMAGES, ROWS, SMALL = (32, 32, 28, 28), (4096, 256), (64, 64)
LABELS = ((4096,), 256)
PLAIN = (
    *("elu", "selu", "celu", "softplus", "logsigmoid", "mish", "softsign", "tanhshrink", "silu"),
    *("hardtanh", "hardsigmoid", "hardswish", "softshrink", "hardshrink", "leaky_relu", "glu"),
    *("gelu", "relu6", "sigmoid", "tanh"),
)


def plain(name: str) -> Line:
    """A function of one tensor without options."""
    return Line(name, (ROWS,), lambda F, x: getattr(F, name)(x))


LINES = (
    *map(plain, PLAIN),
    Line("threshold", (ROWS,), lambda F, x: F.threshold(x, 0.25, 0.5)),
    Line("prelu", (IMAGES, (32,)), lambda F, x, w: F.prelu(x, w)),
    Line("softmax", (ROWS,), lambda F, x: F.softmax(x, -1)),
    Line("log_softmax", (ROWS,), lambda F, x: F.log_softmax(x, -1)),
    Line("conv2d 3x3", (IMAGES, (32, 32, 3, 3)), lambda F, x, w: F.conv2d(x, w, padding=1)),
    Line("conv2d depthwise", (IMAGES, (32, 1, 3, 3)), lambda F, x, w: F.conv2d(x, w, groups=32)),
    Line("conv1d 5", ((32, 32, 784), (32, 32, 5)), lambda F, x, w: F.conv1d(x, w)),
    Line("conv_transpose2d 2x2", (IMAGES, (32, 16, 2, 2)),
         lambda F, x, w: F.conv_transpose2d(x, w, stride=2)),
    Line("conv_transpose1d 2", ((32, 32, 784), (32, 16, 2)),
         lambda F, x, w: F.conv_transpose1d(x, w, stride=2)),
    Line("max_pool2d", (IMAGES,), lambda F, x: F.max_pool2d(x, 2)),
    Line("avg_pool2d", (IMAGES,), lambda F, x: F.avg_pool2d(x, 2)),
    Line("adaptive_max_pool2d", (IMAGES,), lambda F, x: F.adaptive_max_pool2d(x, 5)),
    Line("adaptive_avg_pool2d", (IMAGES,), lambda F, x: F.adaptive_avg_pool2d(x, 5)),
    Line("global average", (IMAGES,), lambda F, x: F.adaptive_avg_pool2d(x, 1)),
    Line("batch_norm", (IMAGES, (32,), (32,)),
         lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True)),
    Line("layer_norm", (ROWS, (256,), (256,)), lambda F, x, w, b: F.layer_norm(x, (256,), w, b)),
    Line("rms_norm", (ROWS, (256,)), lambda F, x, w: F.rms_norm(x, (256,), w)),
    Line("group_norm", (IMAGES, (32,), (32,)), lambda F, x, w, b: F.group_norm(x, 8, w, b)),
    Line("instance_norm", (IMAGES,), lambda F, x: F.instance_norm(x)),
    Line("dropout", (ROWS,), lambda F, x: F.dropout(x, 0.3, True), same=False),
    Line("embedding", ((512, 256),), lambda F, w, i: F.embedding(i, w), ((4096,), 512)),
    Line("gather", (ROWS,), lambda F, x, i: x.gather(1, i), ((4096, 64), 256)),
    Line("pad reflect", (IMAGES,), lambda F, x: F.pad(x, (2, 2, 2, 2), "reflect")),
    Line("slice", (IMAGES,), lambda F, x: x[:, 4:20, ::2]),
    Line("transposed copy", (IMAGES,), lambda F, x: x.permute(0, 2, 3, 1).contiguous()),
    Line("upsample nearest", (IMAGES,), lambda F, x: F.interpolate(x, scale_factor=2.0)),
    Line("upsample bilinear", (IMAGES,),
         lambda F, x: F.interpolate(x, scale_factor=2.0, mode="bilinear")),
    Line("bmm", ((64, *SMALL), (64, *SMALL)), lambda F, x, y: x @ y),
    Line("cross_entropy", (ROWS,), lambda F, x, i: F.cross_entropy(x, i), LABELS),
    Line("cross_entropy smoothed", (ROWS,),
         lambda F, x, i: F.cross_entropy(x, i, label_smoothing=0.1), LABELS),
    Line("cross_entropy of probabilities", (ROWS, ROWS), lambda F, x, t: F.cross_entropy(x, t)),
    Line("nll_loss", (ROWS,), lambda F, x, i: F.nll_loss(x, i), LABELS),
    Line("binary_cross_entropy", (ROWS, ROWS), lambda F, p, t: F.binary_cross_entropy(p, t),
         low=0.1),
    Line("binary_cross_entropy_with_logits", (ROWS, ROWS),
         lambda F, p, t: F.binary_cross_entropy_with_logits(p, t)),
    Line("mse_loss", (ROWS, ROWS), lambda F, p, t: F.mse_loss(p, t)),
    Line("l1_loss", (ROWS, ROWS), lambda F, p, t: F.l1_loss(p, t)),
    Line("smooth_l1_loss", (ROWS, ROWS), lambda F, p, t: F.smooth_l1_loss(p, t)),
    Line("huber_loss", (ROWS, ROWS), lambda F, p, t: F.huber_loss(p, t)),
    Line("kl_div", (ROWS, ROWS), lambda F, p, t: F.kl_div(p, t, reduction="sum"), low=0.1),
)  # fmt: skip
