"""Values as Numba types them: NumPy scalars, its types for every operation, wrapping integers.

A Python ``int`` is an int64 (a uint64 from 2**63 on), a ``float`` a float64, a ``bool`` a boolean.
Which types an operation takes and gives is asked of Numba's own tables; what it computes is
computed here: integers exactly and then wrapped, floats by NumPy in the type of the operation.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numba.core import types
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target
from numba.np import numpy_support

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.invert,
}
INT64: np.dtype = np.dtype(np.int64)
UINT64: np.dtype = np.dtype(np.uint64)
# Of the commonest scalars; asking a scalar for its type takes far longer.
DTYPES: dict[type, np.dtype] = {
    np.dtype(code).type: np.dtype(code) for code in "?bhilqBHILQefdFD"
} | {bool: np.dtype(np.bool_), float: np.dtype(np.float64), complex: np.dtype(np.complex128)}


def dtype_of(value: Any) -> np.dtype:
    """The type of a scalar, as Numba sees it."""
    found = DTYPES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, np.generic):
        return value.dtype
    if isinstance(value, int):
        return INT64 if value < 2**63 else UINT64
    return np.dtype(type(value))


def is_scalar(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, (np.number, np.bool_, int, float, complex))


def cast(value: Any, dtype: np.dtype) -> Any:
    """A scalar in another type: integers wrap, floats lose their fraction on the way to one."""
    if type(value) is dtype.type and dtype.kind != "V":
        return bool(value) if dtype.kind == "b" else value
    if dtype.kind in "iu":
        if dtype_of(value).kind == "f" and not abs(value) < 2.0**63:
            raise ValueError(f"{value} cannot be cast to {dtype}")
        bits = 8 * dtype.itemsize
        n = int(value) & ((1 << bits) - 1)
        return dtype.type(n - (1 << bits) if dtype.kind == "i" and n >> (bits - 1) else n)
    if dtype.kind == "b":
        return bool(value)
    with np.errstate(all="ignore"):
        return np.asarray(value, dtype_of(value)).astype(dtype)[()]


@functools.cache
def rule(function: Any, dtypes: tuple[np.dtype, ...]) -> tuple[tuple[np.dtype, ...], np.dtype]:
    """The types that an operation converts its operands to, and the type of its result."""
    context = cpu_target.typing_context
    context.refresh()
    given = tuple(numpy_support.from_dtype(d) for d in dtypes)
    try:
        signature = context.resolve_function_type(function, given, {})
    except NumbaError as error:
        raise TypeError(str(error)) from None
    if signature is None:
        raise TypeError(f"Numba has no {function} of {given}")
    wanted = signature.args
    if len(wanted) == 1 and isinstance(wanted[0], types.BaseTuple):  # min and max
        wanted = tuple(signature.return_type for _ in given)
    return tuple(map(_dtype, wanted)), _dtype(signature.return_type)


def _dtype(kind: Any) -> np.dtype:
    return np.dtype(np.bool_) if kind == types.boolean else numpy_support.as_dtype(kind)


def binary(op: str, a: Any, b: Any) -> Any:
    """``a op b`` of scalars; tuples as in Python."""
    if isinstance(a, tuple) or isinstance(b, tuple):
        return BINARY[op](a, b)
    need_scalars(op, a, b)
    wanted, result = rule(BINARY[op], (dtype_of(a), dtype_of(b)))
    a, b = cast(a, wanted[0]), cast(b, wanted[1])
    if result.kind == "b":
        return bool(BINARY[op](a, b))
    if result.kind in "iu":
        # uint64 % int64 is int64, of operands that are int64 too: Numba and its GPU target agree.
        x, y = int(cast(a, result)), int(b if op in ("<<", ">>") else cast(b, result))
        if op in ("<<", ">>") and not 0 <= y < 8 * result.itemsize:
            raise ValueError(f"{x} {op} {y}: the number of bits is outside 0..63")
        return cast(pow(x, y, 1 << 64) if op == "**" else BINARY[op](x, y), result)
    with np.errstate(all="ignore"):
        return cast(BINARY[op](cast(a, result), cast(b, result)), result)


def unary(op: str, a: Any) -> Any:
    """``op a``, computed in the operand's type and widened then."""
    need_scalars(op, a)
    if dtype_of(a).kind == "b" and op == "~":
        return not a
    wanted, result = rule(UNARY[op], (dtype_of(a),))
    a = cast(a, wanted[0])
    if result.kind in "iu":  # in the operand's type first: -uint8(1) is 255
        return cast(cast(UNARY[op](int(a)), wanted[0]), result)
    return cast(UNARY[op](a), result)


def compare(op: str, a: Any, b: Any) -> bool:
    """``a op b`` as a bool."""
    if isinstance(a, tuple):
        return bool(COMPARE[op](a, b))
    need_scalars(op, a, b)
    wanted, _ = rule(COMPARE[op], (dtype_of(a), dtype_of(b)))
    return bool(COMPARE[op](cast(a, wanted[0]), cast(b, wanted[1])))


def need_scalars(op: str, *values: Any) -> None:
    """Refuse operands that are not numbers.

    Raises:
        TypeError: names the operation and what was given.
    """
    for v in values:
        if not is_scalar(v):
            raise TypeError(f"{op}: {type(v).__name__} given, expected a number")


def compare_chain(ops: tuple[str, ...], *values: Any) -> bool:
    """``a < b <= c``; the values are computed before, so they must have no effects."""
    return all(compare(op, a, b) for op, a, b in zip(ops, values, values[1:]))


def store(value: Any, base: Any, index: Any) -> None:
    """``base[index] = value`` in the element's type."""
    base[index] = cast(value, base.dtype) if is_scalar(value) else value


def typed_range(*bounds: Any) -> Iterator[Any]:
    """``range`` over the type that Numba chooses for its bounds."""
    wanted: np.dtype = np.dtype(np.int32)
    if any(dtype_of(b).kind == "u" and dtype_of(b).itemsize >= 4 for b in bounds):
        wanted = UINT64
    elif any(dtype_of(b) == INT64 for b in bounds):
        wanted = INT64
    if wanted == UINT64 and any(dtype_of(b).kind == "i" for b in bounds):
        raise TypeError("range: signed and unsigned bounds; cast them to one type")
    return map(wanted.type, range(*map(int, bounds)))


def call(function: Any, *args: Any, **keywords: Any) -> Any:
    """A function that is neither ``cuda``'s nor the user's."""
    if isinstance(function, types.Number | types.Boolean):
        return cast(args[0], _dtype(function))
    if isinstance(function, type) and issubclass(function, np.generic):
        return cast(args[0], np.dtype(function))
    if function is range:
        return typed_range(*args)
    if function in (len, enumerate, zip, print, tuple):
        return function(*args, **keywords)
    if function is bool:
        return bool(args[0])
    if function in (min, max, abs, int, float, round):
        return _builtin(function, args)
    if getattr(function, "__module__", "") == "math":
        _, result = rule(function, tuple(map(dtype_of, args)))
        return cast(function(*map(float, args)), result)
    raise TypeError(f"the interpreter does not know the function {function!r}")


def _builtin(function: Any, args: tuple[Any, ...]) -> Any:
    if len(args) == 1 and isinstance(args[0], tuple):
        args = args[0]
    if function is int and dtype_of(args[0]).kind == "f":
        return cast(args[0], INT64)
    if function in (int, float) and dtype_of(args[0]).kind == "b":
        return cast(args[0], INT64 if function is int else np.dtype(float))
    wanted, result = rule(function, tuple(map(dtype_of, args)))
    values: Iterable[Any] = (cast(a, w) for a, w in zip(args, wanted))
    if result.kind in "iu":
        values = map(int, values)
    return cast(function(*values), result)
