"""``ModuleList`` and ``ModuleDict``: like a list, like a dict, and like PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite as nl
from nnlite import nn
from nnlite.errors import ArgumentError


def layers(*sizes: int) -> list[nn.Module]:
    return [nn.Linear(2, size) for size in sizes]


def widths(modules: nn.ModuleList) -> list[int]:
    return [m.out_features for m in modules]


def test_a_module_list_is_a_list() -> None:
    found = nn.ModuleList(layers(1, 2))
    found.append(layers(3)[0]).extend(layers(4, 5))
    found += layers(6)
    assert widths(found) == [1, 2, 3, 4, 5, 6]
    found.insert(1, layers(9)[0])
    del found[0]
    del found[3:5]
    found[-1] = layers(7)[0]
    assert widths(found) == [9, 2, 3, 7]
    assert [n for n, _ in found.named_children()] == ["0", "1", "2", "3"]
    assert found.pop(1).out_features == 2
    assert widths(found[1:]) == [3, 7]
    assert widths(found + layers(8)) == [9, 3, 7, 8]
    assert len(found) == 3
    assert list(found.state_dict()) == [f"{i}.{n}" for i in range(3) for n in ("weight", "bias")]


def test_a_module_dict_is_a_dict() -> None:
    a, b, c = layers(1, 2, 3)
    found = nn.ModuleDict({"a": a, "b": b})
    found["c"] = c
    found["a"] = b
    assert list(found) == list(found.keys()) == ["a", "b", "c"]
    assert found["a"] is b
    assert "c" in found
    assert "d" not in found
    assert found.pop("b") is b
    found.update([("d", a)])
    assert dict(found.items()) == {"a": b, "c": c, "d": a}
    assert list(found.values()) == [b, c, a]
    assert [n for n, _ in found.named_parameters()][:2] == ["a.weight", "a.bias"]
    del found["a"]
    with pytest.raises(KeyError):
        del found["a"]
    with pytest.raises(KeyError):
        found["a"]
    found.clear()
    assert len(found) == 0


def test_what_is_no_module_is_refused_and_changes_nothing() -> None:
    found, named = nn.ModuleList(layers(1)), nn.ModuleDict()
    with pytest.raises(ArgumentError, match="ModuleList: 2: int given, expected a Module"):
        found.extend([*layers(2), 3])
    with pytest.raises(ArgumentError, match="ModuleList.insert: str"):
        found.insert(0, "x")
    with pytest.raises(ArgumentError, match="ModuleDict: b: NoneType"):
        named.update({"a": layers(1)[0], "b": None})
    with pytest.raises(ArgumentError, match="exists already"):
        named["keys"] = layers(1)[0]
    with pytest.raises(IndexError):
        found[1]
    with pytest.raises(NotImplementedError, match="ModuleList defines no forward"):
        found(1)
    assert widths(found) == [1]
    assert len(named) == 0


def test_names_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer of this test")
    names = []
    for library, one in ((nn, nl.nn.Linear), (torch.nn, torch.nn.Linear)):
        inner = library.ModuleList([one(2, 2), one(2, 3)])
        inner.insert(1, one(2, 5))
        del inner[0]
        model = library.ModuleDict({"first": inner, "second": library.Sequential(one(3, 1))})
        names.append({n: tuple(v.shape) for n, v in model.state_dict().items()})
    assert names[0] == names[1]


def test_summary_of_a_nested_model() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(3, 3), nn.ReLU())])
            self.scale = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x: nl.Tensor) -> nl.Tensor:
            for block in self.blocks:
                x = block(x)
            return x * self.scale

    from nnlite.summary import rows

    model = Net()
    found = [(r.name, r.output_shape, r.parameters) for r in rows(model, (3,))]
    assert found == [("blocks.0.0", (3,), 12), ("blocks.0.1", (3,), 0), ("", (3,), 3)]
    assert not any(m.hooked for m in model.modules())
    assert nl.summary(model, (3,)).splitlines()[-1].split() == ["total", "15"]
