"""Modules: registration, state, initialisation, fusion, errors."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite import nn
from nnlite.errors import ArgumentError, DtypeError, ShapeError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 3)
        self.act = nn.ReLU()
        self.out = nn.Linear(3, 2, bias=False)
        self.register_buffer("seen", nl.tensor(np.zeros(1, np.float32)))
        self.plain = [1, 2]

    def forward(self, x: nl.Tensor) -> nl.Tensor:
        return self.out(self.act(self.hidden(x)))


def batch(n: int = 5, width: int = 4) -> nl.Tensor:
    return nl.tensor(np.random.default_rng(1).normal(size=(n, width)).astype(np.float32))


def test_names_of_parameters_and_modules() -> None:
    net = Net()
    names = ["hidden.weight", "hidden.bias", "out.weight"]
    assert [n for n, _ in net.named_parameters()] == names
    assert list(net.state_dict()) == [*names, "seen"]
    assert [n for n, _ in net.named_modules()] == ["", "hidden", "act", "out"]
    assert [type(m) for m in net.children()] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [b.shape for b in net.buffers()] == [(1,)]
    assert all(p.requires_grad and p.is_leaf for p in net.parameters())


def test_a_shared_parameter_is_listed_once_and_saved_twice() -> None:
    net = Net()
    net.tied = nn.Linear(4, 3)
    net.tied.weight = net.hidden.weight
    assert len(list(net.parameters())) == 4
    assert "tied.weight" in net.state_dict()


def test_assignment_moves_an_attribute_between_tables() -> None:
    net = Net()
    net.out = nn.Identity()
    assert "out.weight" not in net.state_dict()
    net.hidden.bias = None
    assert net.hidden(batch()).shape == (5, 3)
    net.hidden.bias = nn.Parameter(np.ones(3, np.float32))
    assert "hidden.bias" in net.state_dict()
    net.act = 3
    assert [n for n, _ in net.named_children()] == ["hidden", "out"]
    del net.out
    assert not hasattr(net, "out")
    net.seen = nl.tensor([5.0])
    assert net.state_dict()["seen"].tolist() == [5.0]


def test_registration_errors() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) before assigning 'layer'"):
        Early()
    net = Net()
    with pytest.raises(ArgumentError, match="without a dot"):
        net.add_module("a.b", nn.ReLU())
    with pytest.raises(ArgumentError, match="'forward' exists"):
        net.register_buffer("forward", None)
    with pytest.raises(AttributeError, match="nothing"):
        _ = net.nothing
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        nn.Module()(1)


def test_state_dict_is_a_copy_and_loads_back() -> None:
    a, b = Net(), Net()
    state = a.state_dict()
    result = b.load_state_dict(state)
    assert result == ([], [])
    x = batch()
    assert np.array_equal(a(x).numpy(), b(x).numpy())
    state["hidden.weight"][:] = 0.0
    assert a.hidden.weight.numpy().any()
    kept = b.hidden.weight
    b.load_state_dict({n: nl.tensor(v) for n, v in a.state_dict().items()})
    assert b.hidden.weight is kept


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda s: s.pop("seen"), ArgumentError, "missing keys: seen; unexpected keys: none"),
        (lambda s: s.update(more=1), ArgumentError, "unexpected keys: more"),
        (
            lambda s: s.update(seen=np.zeros(2, np.float32)),
            ShapeError,
            r"seen: shape \(2,\) given, expected \(1,\)",
        ),
        (lambda s: s.update(seen=np.zeros(1)), DtypeError, "seen: dtype float64"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(
    change: Any, error: type[Exception], match: str
) -> None:
    net = Net()
    before = net.state_dict()
    state = Net().state_dict()
    change(state)
    with pytest.raises(error, match=match):
        net.load_state_dict(state)
    assert all(np.array_equal(before[n], v) for n, v in net.state_dict().items())


def test_loading_a_part() -> None:
    net = Net()
    result = net.load_state_dict({"seen": np.ones(1, np.float32), "x": 1}, strict=False)
    assert result.missing_keys == ["hidden.weight", "hidden.bias", "out.weight"]
    assert result.unexpected_keys == ["x"]
    assert net.seen.item() == 1.0


def test_training_mode_reaches_every_module() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Net"]


def test_zero_grad_and_freezing() -> None:
    net = Net()
    net(batch()).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(batch()).requires_grad


def test_to_another_dtype_keeps_the_parameters() -> None:
    net = Net()
    net(batch()).sum().backward()
    before = list(net.parameters())
    assert net.to("cpu", dtype="float64") is net
    assert all(a is b for a, b in zip(before, net.parameters()))
    assert all(p.dtype == "float64" and p.grad.dtype == "float64" for p in net.parameters())
    assert net.seen.dtype == "float64"
    with pytest.raises(DtypeError, match="linear|matmul"):
        net(batch())
    assert net(batch().to(dtype="float64")).dtype == "float64"
    with pytest.raises(DtypeError, match="int32"):
        net.to(dtype="int32")


def test_repr() -> None:
    expected = """Net(
  (hidden): Linear(in_features=4, out_features=3, bias=True)
  (act): ReLU()
  (out): Linear(in_features=3, out_features=2, bias=False)
)"""
    assert repr(Net()) == expected
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"


def test_deepcopy_of_a_model_is_independent() -> None:
    net = Net()
    other = copy.deepcopy(net)
    with nl.no_grad():
        nn.init.zeros_(other.hidden.weight)
    assert net.hidden.weight.numpy().any()
    assert not other.state_dict()["hidden.weight"].any()


def test_linear_on_any_rank() -> None:
    layer = nn.Linear(4, 3)
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    assert np.allclose(layer(nl.tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert layer(nl.tensor(x[0, 0])).shape == (3,)
    assert layer(nl.tensor(x[:0])).shape == (0, 5, 3)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: nn.Linear(4, 3)(batch(5, 6)), ShapeError, r"linear: x: shape \(5, 6\)"),
        (lambda: nn.Linear(4, -3), ArgumentError, "out_features: -3"),
        (lambda: nn.Linear(4.0, 3), ArgumentError, "in_features: 4.0"),
        (lambda: nn.Linear(4, 3)(np.ones((5, 4))), TypeError, "linear: x: ndarray"),
        (lambda: nn.GELU("fast"), ArgumentError, "approximate: 'fast'"),
        (lambda: nn.CrossEntropyLoss("max"), ArgumentError, "reduction: 'max'"),
        (lambda: nn.Sequential(nn.ReLU(), 3), ArgumentError, "Sequential: 1: int"),
        (
            lambda: nl.functional.linear(batch(), nn.Linear(4, 3).weight, activation="swish"),
            ArgumentError,
            "swish",
        ),
        (lambda: nn.CrossEntropyLoss()(batch(), [0, 1, 2, 3, 4]), ArgumentError, "label"),
        (lambda: nn.CrossEntropyLoss()(batch(), [0, 1]), ShapeError, "label"),
        (lambda: nn.CrossEntropyLoss()(batch(), [0.5] * 5), DtypeError, "label"),
        (lambda: nn.MSELoss()(batch(), batch(4)), ShapeError, "mse"),
    ],
)
def test_wrong_calls(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64", "list", "array", "tensor"])
def test_labels_of_every_kind(kind: str) -> None:
    host = np.array([0, 3, 1, 2, 1])
    labels: Any = {
        "list": host.tolist(),
        "array": nl.array(host),
        "tensor": nl.tensor(host),
    }.get(kind)
    labels = host.astype(kind) if labels is None else labels
    expected = nn.CrossEntropyLoss()(batch(), host).item()
    assert nn.CrossEntropyLoss()(batch(), labels).item() == expected
    right = int((batch().numpy().argmax(1) == host).sum())
    assert nl.functional.accuracy(batch(), labels).item() == right


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Tanh])
@pytest.mark.parametrize("bias", [True, False])
def test_sequential_fuses_without_changing_results(activation: Any, bias: bool) -> None:
    linear, act = nn.Linear(7, 5, bias=bias), activation()
    results = []
    for model in (nn.Sequential(linear, act), lambda x: act(linear(x))):
        linear.zero_grad()
        x = batch(6, 7)
        x.requires_grad = True
        y = model(x)
        y.backward(nl.tensor(np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)))
        results.append([y, x.grad, *[p.grad for p in linear.parameters()]])
    assert results[0][0].edge()[0].name == "linear"
    for fused, plain in zip(*results):
        assert np.allclose(fused.numpy(), plain.numpy(), rtol=2e-6, atol=2e-6)


def test_sequential_respects_subclasses() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: nl.Tensor) -> nl.Tensor:
            return super().forward(x) * 2.0

    class Shifted(nn.ReLU):
        def forward(self, x: nl.Tensor) -> nl.Tensor:
            return super().forward(x) + 1.0

    doubled, shifted = Doubled(4, 3), Shifted()
    x = batch()
    found = nn.Sequential(doubled, nn.ReLU(), shifted)(x).numpy()
    expected = np.maximum(doubled(x).numpy(), 0.0) + 1.0
    assert np.array_equal(found, expected)


def test_sequential_as_a_list() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    assert model.append(nn.Linear(4, 2)) is model
    assert len(model) == 3
    assert isinstance(model[1], nn.ReLU)
    assert isinstance(model[-1], nn.Linear)
    head = model[:2]
    assert isinstance(head, nn.Sequential)
    assert head[0] is model[0]
    assert list(model)[0] is model[0]
    named = nn.Sequential({"first": nn.Linear(4, 2), "act": nn.Tanh()})
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert nn.Sequential()(3) == 3


def test_activation_modules_equal_their_functions() -> None:
    x = batch()
    for module, expected in [
        (nn.ReLU(), nl.functional.relu(x)),
        (nn.LeakyReLU(0.3), nl.functional.leaky_relu(x, 0.3)),
        (nn.Sigmoid(), nl.functional.sigmoid(x)),
        (nn.Tanh(), nl.functional.tanh(x)),
        (nn.GELU(), nl.functional.gelu(x)),
        (nn.GELU("tanh"), nl.functional.gelu(x, "tanh")),
        (nn.SiLU(), nl.functional.silu(x)),
        (nn.Softmax(dim=1), nl.functional.softmax(x)),
        (nn.Flatten(0), x.reshape(20)),
        (nn.Identity(1, two=2), x),
    ]:
        assert np.array_equal(module(x).numpy(), expected.numpy())


# Statistics of initialisation: with n numbers the bounds are five standard errors wide.
SHAPE = (300, 200)
N = SHAPE[0] * SHAPE[1]


@pytest.mark.parametrize(
    ("fill", "variance", "bound"),
    [
        (lambda t: nn.init.uniform_(t, -2.0, 2.0), 16 / 12, 2.0),
        (lambda t: nn.init.normal_(t, 0.0, 3.0), 9.0, None),
        (lambda t: nn.init.xavier_uniform_(t, 2.0), 4 * 2 / 500, 2 * math.sqrt(6 / 500)),
        (lambda t: nn.init.xavier_normal_(t), 2 / 500, None),
        (lambda t: nn.init.kaiming_uniform_(t), 2 / 200, math.sqrt(6 / 200)),
        (lambda t: nn.init.kaiming_uniform_(t, math.sqrt(5)), 1 / 600, math.sqrt(1 / 200)),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), 2 / 300, None),
        (lambda t: nn.init.kaiming_normal_(t, nonlinearity="tanh"), (5 / 3) ** 2 / 200, None),
    ],
)
def test_initial_values_have_the_right_spread(fill: Any, variance: float, bound: Any) -> None:
    nl.manual_seed(5)
    t = nn.Parameter(np.zeros(SHAPE, np.float32))
    assert fill(t) is t
    found = t.numpy().astype(np.float64)
    assert abs(found.mean()) < 5 * math.sqrt(variance / N)
    assert found.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / N))
    if bound is not None:
        assert 0.99 * bound < np.abs(found).max() <= bound * (1 + 1e-6)


def test_initial_values_of_linear() -> None:
    nl.manual_seed(5)
    layer = nn.Linear(200, 300)
    limit = 1 / math.sqrt(200)
    for p in layer.parameters():
        assert np.abs(p.numpy()).max() <= limit * (1 + 1e-6)
        assert p.numpy().std() == pytest.approx(limit / math.sqrt(3), rel=0.1)
    nl.manual_seed(5)
    assert np.array_equal(nn.Linear(200, 300).weight.numpy(), layer.weight.numpy())


def test_initialisation_with_a_generator_of_its_own() -> None:
    t = nl.tensor(np.zeros(9, np.float32))
    first = nn.init.normal_(t, generator=np.random.default_rng(1)).numpy()
    assert np.array_equal(first, nn.init.normal_(t, generator=np.random.default_rng(1)).numpy())


def test_constants_and_gains() -> None:
    t = nl.tensor(np.empty((2, 3), np.float32))
    assert (nn.init.zeros_(t).numpy() == 0).all()
    assert (nn.init.ones_(t).numpy() == 1).all()
    assert (nn.init.constant_(t, 0.5).numpy() == 0.5).all()
    assert nn.init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda t: nn.init.kaiming_uniform_(t), ShapeError, r"kaiming_uniform_: .*\(3,\)"),
        (lambda t: nn.init.xavier_normal_(t), ShapeError, "xavier_normal_"),
        (lambda t: nn.init.normal_(t, std=-1.0), ArgumentError, "std: -1.0"),
        (lambda t: nn.init.calculate_gain("mish"), ArgumentError, "'mish'"),
        (
            lambda t: nn.init.kaiming_normal_(t.reshape(3, 1), mode="fan"),
            ArgumentError,
            re.escape("mode: 'fan'"),
        ),
    ],
)
def test_wrong_initialisation(call: Any, error: type[Exception], match: str) -> None:
    t = nl.tensor(np.ones(3, np.float32))
    with pytest.raises(error, match=match):
        call(t)
    assert (t.numpy() == 1).all()
