"""``Tensor.register_hook``: which gradient a hook sees, and what its result does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.errors import AutogradError, DtypeError, ShapeError

VALUES = np.array([1.0, -2.0, 3.0], np.float32)


def leaf() -> nl.Tensor:
    return nl.tensor(VALUES, requires_grad=True)


def test_a_hook_of_a_leaf_sees_the_sum_of_a_pass_once() -> None:
    x, seen = leaf(), []
    x.register_hook(lambda grad: seen.append(grad.numpy()))
    (x * x + 3.0 * x).sum().backward()
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], 2 * VALUES + 3)
    np.testing.assert_array_equal(x.grad.numpy(), 2 * VALUES + 3)
    (2.0 * x).sum().backward()  # what this pass adds, not the sum of both
    np.testing.assert_array_equal(seen[1], [2, 2, 2])
    np.testing.assert_array_equal(x.grad.numpy(), 2 * VALUES + 5)


def test_the_result_of_a_hook_takes_the_place_of_the_gradient() -> None:
    x = leaf()
    y = x * x
    y.register_hook(lambda grad: grad * 2.0)
    y.register_hook(lambda grad: grad + 1.0)
    (y + y).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), (2 * 2 + 1) * 2 * VALUES)


def test_the_gradient_of_a_root_is_seen() -> None:
    x = leaf()
    x.register_hook(lambda grad: -grad)
    x.backward(nl.tensor(VALUES))
    np.testing.assert_array_equal(x.grad.numpy(), -VALUES)
    loss = (leaf() * 2.0).sum()
    seen: list[Any] = []
    loss.register_hook(lambda grad: seen.append(grad.item()))
    loss.backward()
    assert seen == [1.0]


def test_a_gradient_that_a_hook_keeps_does_not_change() -> None:
    x, kept = leaf(), []
    x.register_hook(kept.append)
    (2.0 * x).sum().backward()
    (2.0 * x).sum().backward()
    for grad in kept:
        np.testing.assert_array_equal(grad.numpy(), [2, 2, 2])


def test_a_hook_can_be_removed() -> None:
    x = leaf()
    handle = x.register_hook(lambda grad: grad * 0.0)
    handle.remove()
    handle.remove()
    with x.register_hook(lambda grad: grad * 5.0):
        x.sum().backward()
    x.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [6, 6, 6])


def test_one_of_several_outputs_has_hooks_of_its_own() -> None:
    class Twice(nl.Function):
        @staticmethod
        def forward(ctx: Any, x: nl.Tensor) -> Any:
            return x * 1.0, x * 2.0

        @staticmethod
        def backward(ctx: Any, da: nl.Tensor, db: nl.Tensor) -> nl.Tensor:
            return da + 2.0 * db

    x = leaf()
    a, b = Twice.apply(x)
    b.register_hook(lambda grad: grad * 10.0)
    (a + b).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [21, 21, 21])


def test_wrong_hooks_are_refused() -> None:
    with pytest.raises(AutogradError, match="register_hook: the tensor does not require"):
        nl.tensor(VALUES).register_hook(print)
    with pytest.raises(TypeError, match="register_hook: hook: int given"):
        leaf().register_hook(3)  # type: ignore[arg-type]
    for result, error in ((nl.tensor([1.0]), ShapeError), (nl.tensor([1, 2, 3]), DtypeError)):
        x = leaf()
        x.register_hook(lambda grad, result=result: result)
        with pytest.raises(error, match="register_hook: result of the hook"):
            x.sum().backward()
        assert x.grad is None


def test_hooks_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")
    for case in range(30):
        rng = np.random.default_rng(case)
        value = np.asarray(rng.normal(size=(3, 4)), np.float32)
        factors = [float(f) for f in rng.integers(-3, 4, 4)]
        found = []
        for x in (leaf_of(nl, value), leaf_of(torch, value)):
            seen = []

            def hook(grad: Any, seen: Any = seen, factors: Any = factors) -> Any:
                seen.append(np.asarray(grad.numpy()))
                return grad * factors[len(seen) - 1]

            middle = x * factors[3]
            if case % 3:
                x.register_hook(hook)
            if case % 2:
                middle.register_hook(hook)
            (middle * middle + x).sum().backward()
            found.append([*seen, np.asarray(x.grad.numpy())])
        assert len(found[0]) == len(found[1])
        for ours, theirs in zip(*found):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def leaf_of(library: Any, value: np.ndarray) -> Any:
    return library.tensor(value, requires_grad=True)
