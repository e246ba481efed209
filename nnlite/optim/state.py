"""``Stateful``: options and state of an optimizer as one dictionary, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..kernels.engine import Array, array
from ..tensor import Tensor


class Stateful:
    """What :class:`~nnlite.optim.Optimizer` saves and loads; its attributes are described there."""

    slots: tuple[str, ...]
    param_groups: list[dict[str, Any]]
    state: dict[int, dict[str, Any]]
    _name: Any

    def _check_options(self, options: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _slots_of(self, group: dict[str, Any]) -> tuple[str, ...]:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Options and state as one flat dict of numbers and, for the arrays, NumPy arrays.

        Keys are ``group.<group>.<option>`` (``group.0.betas.1`` for the items of a tuple) and
        ``state.<parameter>.<name>``; parameters are numbered through all groups.
        """
        flat = self._options()
        for number, state in self.state.items():
            for name, value in state.items():
                flat[f"state.{number}.{name}"] = (
                    value.numpy() if isinstance(value, Array) else value
                )
        return flat

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; nothing changes if it does not fit.

        Raises:
            ArgumentError: an option or a parameter is missing or unknown.
            ShapeError: an array does not have the shape of its parameter.
        """
        params = [p for group in self.param_groups for p in group["params"]]
        groups = [dict(group) for group in self.param_groups]
        expected = set(self._options())
        given = {key for key in state_dict if key.startswith("group.")}
        if expected != given:
            raise ArgumentError(
                f"{self._name}.load_state_dict: missing options: "
                f"{', '.join(sorted(expected - given)) or 'none'}; unexpected: "
                f"{', '.join(sorted(given - expected)) or 'none'}"
            )
        for key in given:
            _, g, name, *item = key.split(".")
            if item:
                values = list(groups[int(g)][name])
                values[int(item[0])] = state_dict[key]
                groups[int(g)][name] = tuple(values)
            else:
                groups[int(g)][name] = state_dict[key]
        for group in groups:
            self._check_options(group)
        state: dict[int, dict[str, Any]] = {}
        for key in state_dict:
            if key not in given:
                number, name = self._state_key(key, len(params))
                value = self._state_value(key, state_dict[key], params[number])
                state.setdefault(number, {})[name] = value
        group_of = [group for group in groups for _ in group["params"]]
        for number, found in state.items():
            needed = {*self._slots_of(group_of[number]), "step"}
            if not needed <= set(found) <= {*self.slots, "step"}:
                raise ArgumentError(
                    f"{self._name}.load_state_dict: state.{number} with {sorted(found)} given, "
                    f"expected {sorted(needed)}"
                )
        for group, new in zip(self.param_groups, groups):
            group.update(new)
        self.state = state

    def _options(self) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for g, group in enumerate(self.param_groups):
            for name, value in group.items():
                if isinstance(value, tuple):
                    flat.update({f"group.{g}.{name}.{i}": v for i, v in enumerate(value)})
                elif name != "params":
                    flat[f"group.{g}.{name}"] = value
        return flat

    def _state_key(self, key: str, count: int) -> tuple[int, str]:
        prefix, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if prefix != "state" or not number.isdigit() or not name or int(number) >= count:
            raise ArgumentError(
                f"{self._name}.load_state_dict: key {key!r} given, expected "
                f"'state.<parameter below {count}>.<name>' or 'group.<group>.<option>'"
            )
        return int(number), name

    def _state_value(self, key: str, value: Any, p: Tensor) -> Any:
        what = f"{self._name}.load_state_dict: {key}"
        if key.endswith(".step"):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(f"{what}: {value!r} given, expected an integer >= 0")
            return int(value)
        if not isinstance(value, (np.ndarray, Array)):
            raise ArgumentError(f"{what}: {type(value).__name__} given, expected an array")
        if value.shape != p.shape:
            raise ShapeError(f"{what}: shape {value.shape} given, expected {p.shape}")
        return array(value, p.dtype, p.device)
