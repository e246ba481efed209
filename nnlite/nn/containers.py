"""``Sequential``: modules one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import functional as F
from ..errors import ArgumentError
from .activations import ReLU, Sigmoid, Tanh
from .layers import Linear
from .module import Module

FUSED = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh"}


class Sequential(Module):
    """Calls its modules in order, each on the result of the one before.

    A :class:`Linear` followed by ReLU, Sigmoid or Tanh runs as one kernel; subclasses of these
    run on their own.

    Args:
        modules: the modules, named "0", "1", ...; or one dict of names and modules.

    Shape:
        input that of the first module, output that of the last.

    Examples:
        >>> model = nl.nn.Sequential(
        ...     nl.nn.Flatten(), nl.nn.Linear(784, 128), nl.nn.ReLU(), nl.nn.Linear(128, 10)
        ... )
        >>> [name for name, _ in model.named_parameters()]
        ['1.weight', '1.bias', '3.weight', '3.bias']
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = dict(modules[0])
        else:
            named = {str(i): m for i, m in enumerate(modules)}
        for name, module in named.items():
            if not isinstance(module, Module):
                raise ArgumentError(
                    f"Sequential: {name}: {type(module).__name__} given, expected a Module"
                )
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        modules = list(self._modules.values())
        i = 0
        while i < len(modules):
            module = modules[i]
            i += 1
            if type(module) is Linear and i < len(modules) and type(modules[i]) in FUSED:
                x = F.linear(x, module.weight, module.bias, FUSED[type(modules[i])])
                i += 1
            else:
                x = module(x)
        return x

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, named by its number."""
        if not isinstance(module, Module):
            raise ArgumentError(
                f"Sequential.append: {type(module).__name__} given, expected a Module"
            )
        self.add_module(str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]
