"""Gradients of every function of the layer against central differences, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import functional as F

STEP = 6e-6  # the cube root of eps of float64: rounding and truncation of a difference balance
LABELS = np.array([0, 2, 1, 2, 0])


def draw(rng: np.random.Generator, shape: tuple[int, ...], low: float) -> np.ndarray:
    """Numbers at least 0.02 apart in absolute value, so that no difference meets a kink."""
    n = int(np.prod(shape))
    steps = rng.permutation(np.arange(n) + 1.0) * (3.0 / (n + 1))
    return (steps * rng.choice([-1.0, 1.0], n) if low < 0 else steps + low).reshape(shape)


def check(f: Callable[..., nl.Tensor], *shapes: tuple[int, ...], low: float = -1.0) -> None:
    """Compare the gradients of ``<c, f(x...)>`` with central differences, in float64."""
    rng = np.random.default_rng(3)
    hosts = [draw(rng, s, low) for s in shapes]
    inputs = [nl.tensor(h, requires_grad=True) for h in hosts]
    out = f(*inputs)
    c = rng.uniform(0.5, 2.0, out.shape) * rng.choice([-1.0, 1.0], out.shape)
    out.backward(nl.tensor(c))

    def objective(arrays: list[np.ndarray]) -> float:
        return float(np.sum(c * f(*[nl.tensor(a) for a in arrays]).numpy()))

    for i, (x, host) in enumerate(zip(inputs, hosts)):
        assert x.grad is not None
        assert x.grad.shape == x.shape
        assert x.grad.dtype == x.dtype
        direction = rng.normal(size=host.shape)
        for d in (direction, np.eye(1, host.size, host.size // 2).reshape(host.shape)):
            ahead, behind = list(hosts), list(hosts)
            ahead[i], behind[i] = host + STEP * d, host - STEP * d
            slope = (objective(ahead) - objective(behind)) / (2 * STEP)
            assert float(np.sum(x.grad.numpy() * d)) == pytest.approx(slope, rel=1e-6, abs=1e-6)


UNARY: dict[str, tuple[Callable[..., nl.Tensor], float]] = {
    "neg": (F.neg, -1),
    "exp": (F.exp, -1),
    "log": (F.log, 0.5),
    "sqrt": (F.sqrt, 0.5),
    "square": (lambda x: x**2, -1),
    "cube": (lambda x: x**3, -1),
    "power": (lambda x: x**-0.5, 0.5),
    "constant": (lambda x: x**0, -1),
    "scale": (lambda x: 2.5 * x, -1),
    "reciprocal": (lambda x: 1.0 / x, 0.5),
    "subtracted": (lambda x: 1.0 - x, -1),
    "relu": (F.relu, -1),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), -1),
    "sigmoid": (F.sigmoid, -1),
    "tanh": (F.tanh, -1),
    "gelu": (F.gelu, -1),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), -1),
    "silu": (F.silu, -1),
    "softmax": (F.softmax, -1),
    "log_softmax": (F.log_softmax, -1),
    "softmax of a vector": (lambda x: F.softmax(x[0]), -1),
    "softmax of rank 3": (lambda x: F.softmax(x.reshape(5, 1, 3)), -1),
    "sum": (F.sum, -1),
    "sum rows": (lambda x: F.sum(x, 1), -1),
    "sum columns kept": (lambda x: F.sum(x, 0, keepdims=True), -1),
    "sum of a view": (lambda x: F.sum(x.T, (0,)), -1),
    "mean": (F.mean, -1),
    "mean rows": (lambda x: F.mean(x, -1), -1),
    "mean kept": (lambda x: F.mean(x, (0, 1), keepdims=True), -1),
    "max": (F.max, -1),
    "max rows": (lambda x: F.max(x, 1), -1),
    "min columns": (lambda x: F.min(x, 0, keepdims=True), -1),
    "reshape": (lambda x: x.reshape(3, -1), -1),
    "reshape of a view": (lambda x: x.T.reshape(5, 3), -1),
    "transpose": (lambda x: x.transpose(0, 1) * 2.0, -1),
    "permute": (lambda x: x.reshape(5, 3, 1).permute(2, 0, 1), -1),
    "permute by a tuple": (lambda x: x.reshape(5, 3, 1).permute((-1, 0, 1)), -1),
    "flatten": (lambda x: x.flatten(), -1),
    "slice": (lambda x: x[1:4, ::2], -1),
    "reversed": (lambda x: x[::-1], -1),
    "item": (lambda x: x[2, 1], -1),
    "overlapping": (lambda x: x[:3] * x[2:], -1),
    "broadcast": (lambda x: F.broadcast_to(x, (2, 5, 3)), -1),
    "contiguous": (lambda x: x.T.contiguous(), -1),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS), -1),
    "cross_entropy sum": (lambda x: F.cross_entropy(x, LABELS, reduction="sum"), -1),
    "cross_entropy none": (lambda x: F.cross_entropy(x, LABELS, reduction="none"), -1),
}


@pytest.mark.parametrize("name", UNARY)
def test_gradient_of_one_argument(name: str) -> None:
    f, low = UNARY[name]
    check(f, (5, 3), low=low)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@pytest.mark.parametrize(
    "shapes", [((4, 3), (4, 3)), ((4, 3), (3,)), ((1, 3), (4, 1)), ((), (2, 3))]
)
def test_gradient_of_arithmetic_with_broadcasting(
    name: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    check(getattr(F, name), *shapes, low=0.5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradient_of_mse(reduction: str) -> None:
    check(lambda p, t: F.mse_loss(p, t, reduction), (4, 3), (4, 3))


def test_gradient_of_matmul() -> None:
    check(F.matmul, (4, 5), (5, 3))
    check(lambda x, y: x.T @ y.T, (5, 4), (3, 5))
    check(F.matmul, (2, 3, 5), (5, 3))
    check(F.matmul, (5,), (5, 3))


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh", "gelu", "silu"])
def test_gradient_of_linear(activation: str | None) -> None:
    check(lambda x, w, b: F.linear(x, w, b, activation), (4, 5), (3, 5), (3,))
    check(lambda x, w: F.linear(x, w, activation=activation), (2, 2, 5), (3, 5))


def test_gradient_of_bias_add() -> None:
    check(F.bias_add, (4, 3), (3,))
    check(F.bias_add, (2, 2, 3), (3,))


class Cube(nl.Function):
    @staticmethod
    def forward(ctx: Any, x: nl.Tensor) -> nl.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, dy: nl.Tensor) -> nl.Tensor:
        (x,) = ctx.saved_tensors
        return 3.0 * x * x * dy


def test_gradient_of_a_function_of_ones_own() -> None:
    check(Cube.apply, (3, 2))


def test_gradient_through_a_dtype() -> None:
    x = nl.tensor([1.0, 2.0], requires_grad=True)
    y = x.to(dtype="float64")
    y.backward(nl.tensor([0.5, -2.0], dtype="float64"))
    assert x.grad is not None
    assert x.grad.dtype == "float32"
    assert np.array_equal(x.grad.numpy(), [0.5, -2.0])
