"""The tape: accumulation, freeing, guards, grad mode, depth."""

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
from nnlite.errors import AutogradError, DtypeError, ShapeError


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


def test_a_quotient_keeps_its_result_only_for_the_divisor() -> None:
    x, y = leaf(6.0), nl.tensor([2.0])
    z = x / y
    with nl.no_grad():
        z.copy_(np.zeros(1, np.float32))  # the gradient 1 / y does not need z
    z.backward()
    assert grad(x) == [0.5]


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


def test_calls_of_a_decorated_function_may_overlap_in_two_threads() -> None:
    inside, leave = threading.Event(), threading.Event()

    @nl.no_grad()
    def call(body: Callable[[], Any]) -> None:
        body()

    def other() -> None:
        with nl.no_grad():
            call(lambda: (inside.set(), leave.wait(10)))

    thread = threading.Thread(target=other)
    call(lambda: (thread.start(), inside.wait(10)))  # enters first and leaves first
    assert is_grad_enabled()
    leave.set()
    thread.join()


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
