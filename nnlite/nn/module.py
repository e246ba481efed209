"""``Module``: the base class of layers and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..errors import ArgumentError, DtypeError, ShapeError
from ..kernels.engine import Array, Device, array
from ..kernels.engine.device import device as find_device
from ..kernels.engine.memory import check_dtype
from ..tensor import Tensor
from .hooks import Hookable
from .mode import Mode
from .parameter import Parameter

M = TypeVar("M", bound="Module")


class LoadResult(NamedTuple):
    """What ``load_state_dict`` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Hookable):
    """Base class of layers and networks: assign parameters and modules, define ``forward``.

    Attributes that are a :class:`Parameter` or a :class:`Module` are found by ``parameters()``,
    ``state_dict()`` and the like, under their attribute names.

    Attributes:
        training: True in training mode; changed by :meth:`train` and :meth:`eval`.

    Examples:
        >>> class Net(nl.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.hidden = nl.nn.Linear(784, 128)
        ...         self.out = nl.nn.Linear(128, 10)
        ...
        ...     def forward(self, x):
        ...         return self.out(self.hidden(x).relu())
    """

    training = Mode()
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]

    def __init__(self) -> None:
        # The tables say what is trained, saved and moved; the values are plain attributes too.
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, training=True)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning {name!r}"
            )
        home = self._home(name, value)
        object.__setattr__(self, name, value)
        for table in (self._parameters, self._modules, self._buffers):
            if table is not home:
                table.pop(name, None)
        if home is not None:
            home[name] = value

    def _home(self, name: str, value: Any) -> dict[str, Any] | None:
        """The table that ``value`` belongs to as an attribute ``name``, if any.

        Raises:
            TypeError: ``name`` is a parameter, module or buffer and ``value`` is nothing such.
        """
        if isinstance(value, Parameter):
            return self._parameters
        if isinstance(value, Module):
            return self._modules
        for table, kind in (
            (self._parameters, Parameter),
            (self._modules, Module),
            (self._buffers, Tensor),
        ):
            if name in table:
                if value is None or isinstance(value, kind):
                    return table  # None keeps the name known
                raise TypeError(
                    f"{type(self).__name__}: {name}: {type(value).__name__} given, expected a "
                    f"{kind.__name__} or None (`del` the attribute first to use its name otherwise)"
                )
        return None

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._modules, self._buffers):
            table.pop(name, None)
        object.__delattr__(self, name)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Give the module a parameter; None keeps the name for one."""
        self._add(self._parameters, Parameter, name, parameter)

    def register_buffer(self, name: str, buffer: Tensor | None) -> None:
        """Give the module a tensor that is saved and moved with it but not trained."""
        self._add(self._buffers, Tensor, name, buffer)

    def add_module(self, name: str, module: Module | None) -> None:
        """Give the module a submodule: ``self.name = module``, for any name."""
        self._add(self._modules, Module, name, module)

    def _add(self, table: dict[str, Any], kind: type, name: str, value: Any) -> None:
        owner = type(self).__name__
        if not name or "." in name:
            raise ArgumentError(f"{owner}: name {name!r} given, expected one without a dot")
        if hasattr(self, name):
            raise ArgumentError(f"{owner}: the attribute {name!r} exists already")
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{owner}: {name}: {type(value).__name__} given, expected a {kind.__name__} or None"
            )
        table[name] = value
        object.__setattr__(self, name, value)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names."""
        return ((name, m) for name, m in self._modules.items() if m is not None)

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (m for _, m in self.named_children())

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all inside it with dotted names; each once, or under all its names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inside = [(f"{name}.{n}" if name else n, m) for n, m in module.named_children()]
            stack.extend(reversed(inside))

    def modules(self) -> Iterator[Module]:
        """This module and every module inside it, each once."""
        return (m for _, m in self.named_modules())

    def _named(self, table: str) -> Iterator[tuple[str, Any]]:
        """Dotted names and entries of a table; shared ones under each of their names."""
        for prefix, module in self.named_modules(remove_duplicate=False):
            for name, value in getattr(module, table).items():
                if value is not None:
                    yield f"{prefix}.{name}" if prefix else name, value

    def _named_once(self, table: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for name, value in self._named(table):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted name; a shared one once, under its first name."""
        return self._named_once("_parameters")

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name; a shared one once, under its first name."""
        return self._named_once("_buffers")

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer."""
        return (b for _, b in self.named_buffers())

    def _state(self) -> dict[str, Tensor]:
        """Module by module, as in PyTorch: its parameters, then its buffers."""
        found = {}
        for prefix, module in self.named_modules(remove_duplicate=False):
            for name, value in (*module._parameters.items(), *module._buffers.items()):
                if value is not None:
                    found[f"{prefix}.{name}" if prefix else name] = value
        return found

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of every parameter and buffer by dotted name, on the host.

        As in PyTorch, a shared parameter or module is there under each of its names.
        """
        return {name: t.numpy() for name, t in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Overwrite parameters and buffers in place; nothing changes if anything does not fit.

        Args:
            state_dict: values by dotted name: NumPy arrays, engine arrays or tensors.
            strict: the names must be exactly those of the module.

        Returns:
            The names missing from ``state_dict`` and those the module does not have.

        Raises:
            ArgumentError: ``strict`` and names are missing or unexpected.
            ShapeError, DtypeError: a value has another shape or dtype than the module's.
        """
        own = self._state()
        result = LoadResult(
            [name for name in own if name not in state_dict],
            [name for name in state_dict if name not in own],
        )
        what = f"{type(self).__name__}.load_state_dict"
        if strict and (result.missing_keys or result.unexpected_keys):
            raise ArgumentError(
                f"{what}: missing keys: {', '.join(result.missing_keys) or 'none'}; "
                f"unexpected keys: {', '.join(result.unexpected_keys) or 'none'}"
            )
        values = []
        for name, tensor in own.items():
            if name not in state_dict:
                continue
            value = state_dict[name]
            value = value.array if isinstance(value, Tensor) else value
            value = value if isinstance(value, Array) else np.asarray(value)
            if value.shape != tensor.shape:
                raise ShapeError(
                    f"{what}: {name}: shape {value.shape} given, expected {tensor.shape}"
                )
            if value.dtype != tensor.dtype:
                raise DtypeError(
                    f"{what}: {name}: dtype {value.dtype} given, expected {tensor.dtype}"
                )
            values.append((tensor, value))
        for tensor, value in values:
            tensor.array.copy_from(value)
            tensor.mark_changed()
        return result

    def train(self: M, mode: bool = True) -> M:
        """Set training mode here and in every submodule."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Set evaluation mode; ``train(False)``."""
        return self.train(False)

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call ``function`` on every submodule and then on this module."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def to(self: M, device: Device | str | None = None, dtype: Any = None) -> M:
        """Move parameters, buffers and gradients to a device, or give them another float dtype.

        The tensors stay the same objects, so that an optimizer keeps working on them.
        """
        target = None if device is None else find_device(device)
        kind = None if dtype is None else check_dtype(dtype)
        if kind is not None and kind.kind != "f":
            raise DtypeError(f"Module.to: dtype: {kind} given, expected a float dtype")
        for tensor in self._state().values():
            for t in (tensor, tensor.grad):
                if t is not None:
                    cast = kind if t.dtype.kind == "f" and kind is not None else t.dtype
                    where = t.device if target is None else target
                    if cast != t.dtype or where != t.device:
                        t.array = array(t.array, cast, where)
                        t.mark_changed()
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Train (True) or freeze (False) all parameters."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def extra_repr(self) -> str:
        """What ``repr`` shows between the parentheses."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  ({n}): " + repr(m).replace("\n", "\n  ") for n, m in self.named_children()]
        head = f"{type(self).__name__}({self.extra_repr()}"
        return "\n".join([head, *lines, ")"]) if lines else f"{head})"
