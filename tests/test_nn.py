"""Modules: registration, state, modes, copies."""

from __future__ import annotations

import copy
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
    assert list(net.state_dict()) == ["seen", *names]  # module by module, as PyTorch
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


def test_a_shared_module_is_listed_once_and_saved_under_each_name() -> None:
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert [n for n, _ in net.named_modules()] == ["", "0", "1"]
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]  # as in PyTorch
    assert net.load_state_dict(state) == ([], [])


def test_assignment_moves_an_attribute_between_tables() -> None:
    net = Net()
    net.out = nn.Identity()
    assert "out.weight" not in net.state_dict()
    net.hidden.bias = None
    assert net.hidden(batch()).shape == (5, 3)
    net.hidden.bias = nn.Parameter(np.ones(3, np.float32))
    assert "hidden.bias" in net.state_dict()
    del net.act
    net.act = 3
    assert [n for n, _ in net.named_children()] == ["hidden", "out"]
    net.hidden = nn.Parameter(np.ones(1, np.float32))
    assert [n for n, _ in net.named_children()] == ["out"]
    assert [n for n, _ in net.named_parameters()] == ["hidden"]
    del net.out
    assert not hasattr(net, "out")
    net.seen = nl.tensor([5.0])
    assert net.state_dict()["seen"].tolist() == [5.0]


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("hidden", 3, "Net: hidden: int given, expected a Module or None"),
        ("weight", nl.tensor([1.0]), "Net: weight: Tensor given, expected a Parameter or None"),
        ("seen", [0.0], "Net: seen: list given, expected a Tensor or None"),
    ],
)
def test_what_is_trained_or_saved_is_not_lost_by_a_wrong_assignment(
    name: str, value: object, match: str
) -> None:
    net = Net()
    net.weight = nn.Parameter(np.ones(1, np.float32))
    before = getattr(net, name)
    with pytest.raises(TypeError, match=match):
        setattr(net, name, value)
    assert getattr(net, name) is before
    assert {"hidden.weight", "weight", "seen"} <= set(net.state_dict())


def test_an_assignment_that_fails_registers_nothing() -> None:
    class Fixed(nn.Module):
        @property
        def weight(self) -> int:
            return 1

    net = Fixed()
    with pytest.raises(AttributeError):
        net.weight = nn.Parameter(np.ones(1, np.float32))
    assert not net.state_dict()


def test_registration_errors() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) before assigning 'layer'"):
        Early()
    net = Net()
    with pytest.raises(ArgumentError, match="without a dot"):
        net.add_module("a.b", nn.ReLU())
    with pytest.raises(TypeError, match="w: Tensor given, expected a Parameter"):
        net.register_parameter("w", nl.tensor([1.0]))
    with pytest.raises(TypeError, match="b: ndarray given, expected a Tensor"):
        net.register_buffer("b", np.zeros(1))
    with pytest.raises(TypeError, match="m: int given, expected a Module"):
        net.add_module("m", 3)
    assert not hasattr(net, "w")
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
