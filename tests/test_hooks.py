"""Hooks of modules: order, what they may change, gradients, removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import nn
from nnlite.errors import AutogradError

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_forward_hooks_run_in_order_and_may_replace() -> None:
    layer = nn.Linear(3, 2)
    plain = layer(nl.tensor(X)).numpy()
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda module, *rest: calls.append(name)

    layer.register_forward_pre_hook(note("b"))
    layer.register_forward_pre_hook(note("a"), prepend=True)
    layer.register_forward_hook(note("c"))
    layer.register_forward_pre_hook(lambda m, args: args[0] * 2.0)
    last = layer.register_forward_hook(lambda m, args, out: (out, args[0]))
    out, given = layer(nl.tensor(X))
    assert calls == ["a", "b", "c"]
    assert np.array_equal(given.numpy(), 2 * X)
    assert not np.allclose(out.numpy(), plain)
    last.remove()
    last.remove()
    assert isinstance(layer(nl.tensor(X)), nl.Tensor)


def test_hooks_with_keyword_arguments() -> None:
    class Scale(nn.Module):
        def forward(self, x: Any, factor: float = 1.0) -> Any:
            return x * factor

    layer = Scale()
    seen: list[Any] = []
    layer.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"factor": 3.0}), with_kwargs=True
    )
    layer.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    assert np.array_equal(layer(nl.tensor(X), factor=2.0).numpy(), X * np.float32(3))
    assert seen == [{"factor": 3.0}]


def test_a_hook_as_context_manager() -> None:
    layer = nn.ReLU()
    seen: list[Any] = []
    with layer.register_forward_hook(lambda m, args, out: seen.append(out)):
        layer(nl.tensor(X))
        assert layer.hooked
    layer(nl.tensor(X))
    assert len(seen) == 1
    assert not layer.hooked


def test_sequential_calls_hooked_layers_that_it_would_fuse() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Tanh())
    plain = model(nl.tensor(X)).numpy()
    seen: list[tuple[int, ...]] = []
    for i in (1, 2):
        model[i].register_forward_hook(lambda m, args, out: seen.append(out.shape))
    assert np.allclose(model(nl.tensor(X)).numpy(), plain, rtol=1e-6, atol=1e-7)
    assert seen == [(4, 4), (4, 2)]


def gradients(model: Any) -> list[np.ndarray]:
    x = nl.tensor(X, requires_grad=True)
    (model(x) * model(x)).sum().backward()
    return [x.grad.numpy(), *(p.grad.numpy() for p in model.parameters())]


def test_backward_hooks_see_and_do_not_change_gradients() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    expected = gradients(model)
    model.zero_grad()
    seen: list[Any] = []
    model[0].register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    assert all(map(np.array_equal, gradients(model), expected))
    assert len(seen) == 2
    for grad_input, grad_output in seen:
        assert [g.shape for g in grad_input] == [(4, 3)]
        assert [g.shape for g in grad_output] == [(4, 4)]
        product = grad_output[0].numpy() @ model[0].weight.numpy()
        assert np.allclose(grad_input[0].numpy(), product, rtol=1e-5, atol=1e-6)


def test_a_backward_hook_may_replace_the_gradient() -> None:
    layer = nn.Linear(3, 2)
    x = nl.tensor(X, requires_grad=True)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2.0,))
    layer(x).sum().backward()
    expected = 2 * np.ones((4, 2), np.float32) @ layer.weight.numpy()
    assert np.allclose(x.grad.numpy(), expected, rtol=1e-5)
    layer.register_full_backward_hook(lambda m, gi, go: (None, None))
    with pytest.raises(AutogradError, match="returned 2 gradients, expected 1"):
        layer(x).sum().backward()


def test_a_backward_hook_without_a_differentiable_input() -> None:
    layer = nn.Linear(3, 2)
    seen: list[Any] = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    layer(nl.tensor(X)).sum().backward()
    ((grad_input, grad_output),) = seen
    assert grad_input == (None,)
    assert np.array_equal(grad_output[0].numpy(), np.ones((4, 2)))
    assert layer.weight.grad is not None
    with nl.no_grad():
        layer(nl.tensor(X))
    assert len(seen) == 1


def test_several_outputs_of_which_one_is_not_used() -> None:
    class Two(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2.0, x * 3.0

    layer = Two()
    seen: list[Any] = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    x = nl.tensor(X, requires_grad=True)
    layer(x)[1].sum().backward()
    assert np.array_equal(x.grad.numpy(), np.full_like(X, 3))
    ((_, grad_output),) = seen
    assert grad_output[0] is None
    assert np.array_equal(grad_output[1].numpy(), np.ones_like(X))


def test_wrong_hooks() -> None:
    with pytest.raises(TypeError, match="Linear: hook: int given"):
        nn.Linear(3, 2).register_forward_hook(3)  # type: ignore[arg-type]


def test_the_hooks_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict({n: torch.from_numpy(v) for n, v in ours.state_dict().items()})
    seen: list[Any] = []
    for layer, make in ((ours, nl.tensor), (theirs, torch.tensor)):
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
        layer.register_forward_pre_hook(lambda m, args: args[0] * 0.5)
        layer.register_forward_hook(lambda m, args, out: out * 2.0)
        x = make(X, requires_grad=True)
        layer(x).sum().backward()
        seen.append(((x.grad,), (layer.weight.grad,)))
    for (a, b), (c, d) in zip(seen[:2], seen[2:]):
        assert np.allclose(a[0].numpy(), c[0].numpy(), rtol=1e-5, atol=1e-6)
        assert np.allclose(b[0].numpy(), d[0].numpy(), rtol=1e-5, atol=1e-6)
