"""Everything a kernel depends on, found from its bytecode without parsing its source.

Two processes that see the same fingerprint may share compiled code.  It covers the bytecode of the
kernel and of every device function it reaches, their constants, and the globals and closure
variables they read.  Comments and formatting do not matter.  Global arrays count with dtype and
layout only: their contents are passed to the compiled kernel as hidden arguments.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba.core import types

from . import names as table
from .dtypes import type_text

_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF"})
_ATTRIBUTE_LOADS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_LIBRARIES = ("numba", "numpy", "math", "builtins", "numba_cuda")


class Fingerprint:
    """``digest`` identifies the kernel; ``arrays`` and ``exceptions`` are the global arrays and
    exception classes in order of discovery."""

    def __init__(self, function: FunctionType) -> None:
        self.arrays: list[np.ndarray] = []
        self.by_address: list[bool] = []
        self.exceptions: list[type] = []
        self.uses_shared = False
        self._seen: dict[FunctionType, int] = {}
        self._hash = hashlib.sha256()
        self._function(function)
        self.digest = self._hash.hexdigest()

    def _add(self, *parts: object) -> None:
        self._hash.update(repr(parts).encode())

    def _function(self, function: FunctionType) -> None:
        if function in self._seen:
            self._add("seen", self._seen[function])
            return
        self._seen[function] = len(self._seen)
        self._add("function", function.__name__)
        for default in function.__defaults__ or ():
            self._value(default)
        self._code(function.__code__)
        for path, obj in references(function):
            self._add(path)
            self._value(obj)

    def _code(self, code: CodeType) -> None:
        self._add(code.co_code, code.co_argcount, code.co_varnames, code.co_names, code.co_freevars)
        for c in code.co_consts:
            if isinstance(c, CodeType):
                self._code(c)
            else:
                self._add(type(c).__name__, c)

    def _value(self, obj: Any) -> None:
        array = table.global_array(obj)
        if array is not None:
            known = [i for i, a in enumerate(self.arrays) if a is array]
            if not known:
                self.arrays.append(array)
                self.by_address.append(array is not obj)
            order = array.flags.c_contiguous, array.flags.f_contiguous
            self._add("array", known, type_text(array.dtype) or array.dtype.str, array.ndim, order)
        elif isinstance(obj, table.CudaPath):
            self.uses_shared = self.uses_shared or obj == "shared.array"
            self._add("cuda", str(obj))
        elif isinstance(obj, (bool, int, float, complex, str, np.generic)) or obj is None:
            self._add(type(obj).__name__, obj)
        elif isinstance(obj, enum.Enum):
            self._add("enum", obj.name)
            self._value(obj.value)
        elif isinstance(obj, tuple):
            self._add("tuple", len(obj))
            for item in obj:
                self._value(item)
        elif isinstance(obj, (types.Type, np.dtype)):
            self._add("type", str(obj))
        elif inspect.ismodule(obj):
            self._add("module", obj.__name__)
        else:
            self._callable(obj)

    def _callable(self, obj: Any) -> None:
        if isinstance(obj, type) and issubclass(obj, BaseException) and obj not in self.exceptions:
            self.exceptions.append(obj)
        self.uses_shared = self.uses_shared or table.cuda_name(obj) == "shared.array"
        function = table.python_function(obj)
        module = getattr(function or obj, "__module__", None) or type(obj).__module__
        own = table.is_jitted(obj) or module.split(".")[0] not in _LIBRARIES
        if function is not None and own:
            self._function(function)
            if hasattr(obj, "watched"):
                self._function(obj.watched)
        else:
            self._add("object", module, getattr(obj, "__qualname__", type(obj).__qualname__))


def references(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """(dotted name, object) of each global and closure variable that the bytecode reads."""
    env = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    pending: tuple[str, Any] | None = None
    for instruction in dis.get_instructions(function.__code__):
        name = instruction.argval
        if pending and instruction.opname in _ATTRIBUTE_LOADS:
            path, obj = pending
            inner = table.member(obj, name, None) if table.is_namespace(obj) else None
            if inner is not None:
                pending = f"{path}.{name}", inner
                continue
        if pending:
            yield pending
            pending = None
        if instruction.opname in _GLOBAL_LOADS:
            if name in env:
                try:
                    pending = name, env[name].cell_contents
                except ValueError:
                    continue
            elif name in function.__globals__:
                pending = name, function.__globals__[name]
    if pending:
        yield pending
