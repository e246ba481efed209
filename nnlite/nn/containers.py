"""``Sequential``: modules one after the other; ``ModuleList`` and ``ModuleDict``: to hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import functional as F
from ..errors import ArgumentError
from .activations import ReLU, Sigmoid, Tanh
from .layers import Linear
from .module import Module

FUSED = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh"}


def _checked(what: str, module: Any) -> Any:
    if not isinstance(module, Module):
        raise ArgumentError(f"{what}: {type(module).__name__} given, expected a Module")
    return module


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
            self.add_module(name, _checked(f"Sequential: {name}", module))

    def forward(self, x: Any) -> Any:
        modules = list(self._modules.values())
        i = 0
        while i < len(modules):
            module = modules[i]
            i += 1
            following = modules[i] if i < len(modules) else module
            fused = type(module) is Linear and type(following) in FUSED
            if fused and not module.hooked and not following.hooked:
                x = F.linear(x, module.weight, module.bias, FUSED[type(following)])
                i += 1
            else:
                x = module(x)
        return x

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, named by its number."""
        self.add_module(str(len(self)), _checked("Sequential.append", module))
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]


class ModuleList(Module):
    """A list of modules that ``parameters()``, ``state_dict()`` and the like look into.

    It has the methods of a list, and no ``forward``: the module that holds it calls its items.

    Args:
        modules: the modules, named "0", "1", ....

    Examples:
        >>> class Net(nl.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layers = nl.nn.ModuleList([nl.nn.Linear(8, 8) for _ in range(3)])
        ...
        ...     def forward(self, x):
        ...         for layer in self.layers:
        ...             x = layer(x).relu()
        ...         return x
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Module:
        found = list(self._modules.values())[index]
        return type(self)(found) if isinstance(found, list) else found

    def __setitem__(self, index: int, module: Module) -> None:
        name = list(self._modules)[index]
        setattr(self, name, _checked(f"ModuleList[{index}]", module))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._set(modules)

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return type(self)([*self, *modules])

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end; none if one of them is no module."""
        given = list(modules)
        for i, module in enumerate(given, len(self)):
            _checked(f"ModuleList: {i}", module)
        for module in given:
            self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before the one at ``index``; the later ones get new names."""
        modules = list(self)
        modules.insert(index, _checked("ModuleList.insert", module))
        self._set(modules)

    def pop(self, index: int = -1) -> Module:
        """Take a module out, the last one by default, and return it."""
        module = list(self)[index]
        del self[index]
        return module

    def _set(self, modules: list[Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        self.extend(modules)


class ModuleDict(Module):
    """Modules by name, which ``parameters()``, ``state_dict()`` and the like look into.

    It has the methods of a dict, keeps the order of insertion, and has no ``forward``.

    Args:
        modules: names and modules: a mapping or pairs.

    Examples:
        >>> choices = nl.nn.ModuleDict({"relu": nl.nn.ReLU(), "tanh": nl.nn.Tanh()})
        >>> y = choices["relu"](x)
    """

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        super().__init__()
        self.update(modules or ())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.update({name: module})

    def __delitem__(self, name: str) -> None:
        if name not in self._modules:
            raise KeyError(name)
        delattr(self, name)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Pairs of names and modules."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or replace those that have the same names; none if one does not do.

        Raises:
            ArgumentError: a value is no module, or a name is no name for one.
        """
        given = dict(modules)
        for name, module in given.items():
            _checked(f"ModuleDict: {name}", module)
        for name, module in given.items():
            if name in self._modules:
                setattr(self, name, module)
            else:
                self.add_module(name, module)

    def pop(self, name: str) -> Module:
        """Take a module out and return it."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in list(self._modules):
            del self[name]
