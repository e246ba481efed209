"""The tape: gradients of every function, accumulation, freeing, guards, depth, custom functions."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import functional as F
from nnlite.autograd import is_grad_enabled
from nnlite.errors import ArgumentError, AutogradError, DtypeError, ShapeError

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
    "flatten": (lambda x: x.flatten(), -1),
    "slice": (lambda x: x[1:4, ::2], -1),
    "reversed": (lambda x: x[::-1], -1),
    "item": (lambda x: x[2, 1], -1),
    "overlapping": (lambda x: x[:3] * x[2:], -1),
    "broadcast": (lambda x: F.broadcast_to(x, (2, 5, 3)), -1),
    "contiguous": (lambda x: x.T.contiguous(), -1),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS), -1),
    "cross_entropy sum": (lambda x: F.cross_entropy(x, LABELS, "sum"), -1),
    "cross_entropy none": (lambda x: F.cross_entropy(x, LABELS, "none"), -1),
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


def test_gradient_through_a_dtype() -> None:
    x = nl.tensor([1.0, 2.0], requires_grad=True)
    y = x.to(dtype="float64")
    y.backward(nl.tensor([0.5, -2.0], dtype="float64"))
    assert x.grad is not None
    assert x.grad.dtype == "float32"
    assert np.array_equal(x.grad.numpy(), [0.5, -2.0])


def leaf(*values: float) -> nl.Tensor:
    return nl.tensor(list(values), requires_grad=True)


def grad(x: nl.Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.numpy().tolist()


def test_gradients_accumulate_until_zeroed() -> None:
    x = leaf(1.0, 2.0)
    for n in (1, 2, 3):
        (x * x).sum().backward()
        assert grad(x) == [2.0 * n, 4.0 * n]
    x.zero_grad()
    assert x.grad is None


def test_a_tensor_used_several_times() -> None:
    x = leaf(3.0)
    y = x * x
    (y * y + y + y * x).sum().backward()
    assert grad(x) == [4 * 27.0 + 2 * 3.0 + 3 * 9.0]


def test_gradients_of_two_leaves_do_not_share_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = nl.tensor([1.0, 1.0])
    z = x + y
    z.backward(seed)
    (x * 2.0).sum().backward()  # adds to the gradient of x in place
    assert grad(x) == [3.0, 3.0]
    assert grad(y) == [1.0, 1.0]
    assert seed.numpy().tolist() == [1.0, 1.0]


def test_gradient_given_to_a_leaf() -> None:
    x = leaf(1.0, 2.0)
    seed = nl.tensor([5.0, 6.0])
    x.backward(seed)
    x.backward(seed)
    assert grad(x) == [10.0, 12.0]
    assert seed.numpy().tolist() == [5.0, 6.0]


def test_gradient_of_a_sum_is_a_real_array() -> None:
    x = leaf(1.0, 2.0)
    x.sum().backward()
    assert x.grad is not None
    assert x.grad.array.is_contiguous


def test_gradients_only_where_wanted() -> None:
    x, w = nl.tensor([1.0, 2.0]), leaf(3.0, 4.0)
    y = x * w
    (y * y).sum().backward()
    assert x.grad is None
    assert y.grad is None
    assert grad(w) == [6.0, 32.0]


def test_first_layer_computes_no_gradient_of_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnlite.functional import products

    calls: list[Any] = []
    kernel = products.matmul_kernel
    monkeypatch.setattr(
        products, "matmul_kernel", lambda *a, **k: calls.append(k) or kernel(*a, **k)
    )
    w = nl.tensor(np.ones((3, 2), np.float32), requires_grad=True)
    F.linear(nl.tensor(np.ones((4, 2), np.float32)), w).backward(
        nl.tensor(np.ones((4, 3), np.float32))
    )
    assert len(calls) == 2


def test_second_backward_needs_retain_graph() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert grad(x) == [8.0]
    with pytest.raises(AutogradError, match="mul: the saved tensors were freed.*retain_graph=True"):
        y.backward()
    assert grad(x) == [8.0]


def test_a_shared_part_that_saves_nothing_may_run_twice() -> None:
    x = leaf(2.0)
    shared = x + 1.0
    (shared * shared).sum().backward()
    (shared * 3.0).sum().backward()
    assert grad(x) == [9.0]


def test_backward_frees_what_was_saved() -> None:
    x = leaf(1.0)
    hidden = x.exp()
    kept = weakref.ref(hidden.array)
    y = (hidden * hidden).sum()
    del hidden
    assert kept() is not None
    y.backward()
    gc.collect()
    assert kept() is None


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


@pytest.mark.parametrize("change", ["copy_", "mark_changed", "view", "detached"])
def test_a_saved_tensor_changed_in_place_is_an_error(change: str) -> None:
    x, w = nl.tensor([1.0, 2.0]), leaf(3.0, 4.0)
    y = (x * w).sum()
    if change == "copy_":
        x.copy_(np.zeros(2, np.float32))
    elif change == "mark_changed":
        x.mark_changed()
    elif change == "view":
        x.reshape(2, 1)[0].copy_(np.zeros(1, np.float32))
    else:
        x.detach().copy_(np.zeros(2, np.float32))
    with pytest.raises(AutogradError, match="mul: .*changed in place.*1 times"):
        y.backward()


def test_a_saved_output_changed_in_place_is_an_error() -> None:
    x = leaf(1.0)
    y = x.exp()
    with nl.no_grad():
        y.copy_(np.zeros(1, np.float32))
    with pytest.raises(AutogradError, match="exp"):
        y.backward()


def test_an_optimizer_step_invalidates_the_graph() -> None:
    w = leaf(3.0)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    nl.optim.SGD([w], lr=0.1).step()
    with pytest.raises(AutogradError, match="changed in place"):
        loss.backward()


def test_no_grad_records_nothing() -> None:
    x = leaf(1.0)
    with nl.no_grad():
        assert not is_grad_enabled()
        y = x * 2.0
        with nl.enable_grad():
            z = x * 2.0
    assert is_grad_enabled()
    assert not y.requires_grad
    assert y.is_leaf
    assert z.requires_grad

    @nl.no_grad()
    def twice() -> nl.Tensor:
        return x * 2.0

    assert not twice().requires_grad
    with pytest.raises(ValueError, match="inside"), nl.no_grad():
        raise ValueError("inside")
    assert is_grad_enabled()


def test_grad_mode_belongs_to_the_thread() -> None:
    seen: list[bool] = []
    with nl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_detach_shares_data_and_stops_gradients() -> None:
    x = leaf(2.0)
    y = x * x
    d = y.detach()
    assert d.array is y.array
    assert not d.requires_grad
    (y * d).sum().backward()
    assert grad(x) == [16.0]


@pytest.mark.parametrize(
    ("seed", "error", "match"),
    [
        (None, AutogradError, r"grad missing for a tensor of shape \(2,\)"),
        (nl.tensor([1.0]), ShapeError, r"grad: shape \(1,\) given"),
        (nl.tensor([1.0, 2.0], dtype="float64"), DtypeError, "float64"),
        (np.ones(2), TypeError, "ndarray"),
    ],
)
def test_wrong_gradients(seed: Any, error: type[Exception], match: str) -> None:
    y = leaf(1.0, 2.0) * 2.0
    with pytest.raises(error, match=match):
        y.backward(seed)


def test_backward_without_a_graph() -> None:
    with pytest.raises(AutogradError, match="does not require a gradient"):
        nl.tensor(1.0).backward()


def test_a_graph_deeper_than_the_recursion_limit() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y.reshape(1)
    y.backward()
    assert grad(x) == [1.0]
    del y  # a long chain of nodes must also be freed without overflowing the stack


def test_a_ladder_is_walked_once() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2^60 paths
        y = (y + y) * 0.5
    y.backward()
    assert grad(x) == [1.0]


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
    check(Square.apply, (3, 2))
    x = leaf(3.0)
    y = Square.apply(x)
    y.backward()
    assert grad(x) == [6.0]
    with pytest.raises(AutogradError, match="Square: the saved tensors were freed"):
        y.backward()
    assert not Square.apply(nl.tensor([1.0])).requires_grad


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
