"""``Function``: differentiable operations of one's own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.autograd import is_grad_enabled
from nnlite.errors import ArgumentError, AutogradError, DtypeError, ShapeError


def leaf(*values: float) -> nl.Tensor:
    return nl.tensor(list(values), requires_grad=True)


def grad(x: nl.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.numpy().tolist()


class Square(nl.Function):
    @staticmethod
    def forward(ctx: Any, x: nl.Tensor) -> nl.Tensor:
        assert not is_grad_enabled()
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: nl.Tensor) -> nl.Tensor:
        (x,) = ctx.saved_tensors
        return 2.0 * x * dy


class SumAndDifference(nl.Function):
    @staticmethod
    def forward(ctx: Any, x: nl.Tensor, y: nl.Tensor, scale: float) -> tuple[Any, Any]:
        ctx.scale = scale
        assert ctx.needs_input_grad == (True, False, False)
        return (x + y) * scale, ((x - y) * scale).array

    @staticmethod
    def backward(ctx: Any, ds: nl.Tensor, dd: nl.Tensor) -> tuple[Any, Any, None]:
        return (ds + dd) * ctx.scale, None, None


def test_function() -> None:
    x = leaf(3.0)
    y = Square.apply(x)
    y.backward()
    assert grad(x) == [6.0]
    with pytest.raises(AutogradError, match="Square: the saved tensors were freed"):
        y.backward()
    assert not Square.apply(nl.tensor([1.0])).requires_grad


def test_forgetting_the_result_frees_the_graph_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        y = Square.apply(leaf(1.0)) * 2.0
        kept = weakref.ref(y)
        inner = weakref.ref(y.edge()[0].edges[0][0].constants[1])  # the Context of Square
        del y
        assert kept() is None
        assert inner() is None
    finally:
        gc.enable()


def test_function_with_several_outputs() -> None:
    x, y = leaf(1.0, 2.0), nl.tensor([5.0, 5.0])
    s, d = SumAndDifference.apply(x, y, 2.0)
    (s * 3.0 + d).sum().backward()
    assert grad(x) == [8.0, 8.0]
    x.zero_grad()
    _, d = SumAndDifference.apply(x, y, 2.0)
    d.sum().backward()  # the gradient of the unused output is zeros
    assert grad(x) == [2.0, 2.0]


def test_function_guards_what_it_saved() -> None:
    x = leaf(3.0)
    y = Square.apply(x)
    with nl.no_grad():
        x.copy_(np.zeros(1, np.float32))
    with pytest.raises(AutogradError, match="Square: .*changed in place"):
        y.backward()


def test_function_may_return_its_argument() -> None:
    class Same(nl.Function):
        @staticmethod
        def forward(ctx: Any, x: nl.Tensor) -> nl.Tensor:
            return x

        @staticmethod
        def backward(ctx: Any, dy: nl.Tensor) -> nl.Tensor:
            return dy * 3.0

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x
    y.backward()
    assert grad(x) == [3.0]


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        (lambda x: (x, x), ArgumentError, "Bad.backward: returned 2 gradients, expected 1"),
        (lambda x: x.sum(), ShapeError, r"gradient 0: shape \(\) given, expected \(2,\)"),
        (lambda x: x.to(dtype="float64"), DtypeError, "gradient 0: dtype float64"),
        (lambda x: x.numpy(), AutogradError, "gradient 0: ndarray given"),
    ],
)
def test_function_with_a_wrong_gradient(
    returned: Callable[[nl.Tensor], Any], error: type[Exception], match: str
) -> None:
    class Bad(nl.Function):
        @staticmethod
        def forward(ctx: Any, x: nl.Tensor) -> nl.Tensor:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, dy: nl.Tensor) -> Any:
            return returned(dy)

    with pytest.raises(error, match=match):
        Bad.apply(leaf(1.0, 2.0)).backward(nl.tensor([1.0, 1.0]))


def test_function_with_a_wrong_result() -> None:
    class Bad(nl.Function):
        @staticmethod
        def forward(ctx: Any, x: nl.Tensor) -> Any:
            return x.numpy()

    with pytest.raises(AutogradError, match="Bad.forward: returned ndarray"):
        Bad.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="backward"):
        type("Half", (nl.Function,), {"forward": staticmethod(lambda ctx, x: x * 1.0)}).apply(
            leaf(1.0)
        ).backward()
