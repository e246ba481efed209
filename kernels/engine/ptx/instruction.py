"""How an instruction of the GPU becomes a function that kernels call.

An instruction has two meanings. On a GPU it is code that an intrinsic generates: LLVM's own, or
inline PTX. On the CPU it is an ordinary device function, which the CPU compiler inlines like any
other; it is written with shuffles where the instruction is one of a whole warp. An instruction
without the second is refused there::

    def _meaning(array, index):
        return array[index], array[index + 1], ...

    @instruction(_meaning)
    def load4(typing, array, index):
        ...
        return signature, generate
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.cuda.extending import intrinsic

try:
    from numba.cuda.core import errors  # numba-cuda has its own
except ImportError:
    from numba.core import errors

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
SHARED = 3  # LLVM's number of the address space of shared memory
GLOBAL = 1
VOLATILE = "~{memory}"  # an assembler statement that other accesses to memory may not pass


def instruction(
    meaning: Callable[..., Any] | None = None, watched: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: an intrinsic of the GPU, with its ``meaning`` on the CPU, a device function.

    ``watched`` is another that reads and writes what the instruction does, no more and no less: for
    the lens, where the meaning reads more because that is faster on a CPU.
    """

    def wrap(function: Callable[..., Any]) -> Any:
        made = intrinsic(function)
        if meaning is not None:
            made.py_func = meaning  # the CPU compiler looks for it
        if watched is not None:
            made.watched = watched
        return made

    return wrap


def data_pointer(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Pointer to the first element of an array."""
    return context.make_array(array_type)(context, builder, value=array).data


def wide_index(builder: Any, index_type: Any, index: Any) -> Any:
    """An index as 64 bits, which is how LLVM counts elements."""
    if index.type.width == 64:
        return index
    return (builder.sext if index_type.signed else builder.zext)(index, INT64)


def element_pointer(
    context: Any, builder: Any, types_: Sequence[Any], args: Sequence[Any], offset: int = 0
) -> Any:
    """Pointer to ``array[index + offset]``; ``types_`` and ``args`` begin with array and index."""
    data = data_pointer(context, builder, types_[0], args[0])
    index = wide_index(builder, types_[1], args[1])
    if offset:
        index = builder.add(index, INT64(offset))
    return builder.gep(data, [index], inbounds=True)


def shared_address(builder: Any, pointer: Any) -> Any:
    """The 32-bit address in shared memory that PTX instructions take, of a generic pointer."""
    inside = builder.addrspacecast(pointer, pointer.type.pointee.as_pointer(SHARED))
    return builder.ptrtoint(inside, INT32)


def global_address(builder: Any, pointer: Any) -> Any:
    """The 64-bit address in global memory of a generic pointer."""
    outside = builder.addrspacecast(pointer, pointer.type.pointee.as_pointer(GLOBAL))
    return builder.ptrtoint(outside, INT64)


def assembler(
    builder: Any,
    text: str,
    results: Sequence[Any],
    arguments: Sequence[Any],
    constraints: str,
    effect: bool = True,
) -> list[Any]:
    """Inline PTX.

    Args:
        text: with ``$0``, ``$1``, … for the results and then the arguments.
        results: their LLVM types.
        arguments: LLVM values.
        constraints: as LLVM wants them: ``"=f,r,l"``.
        effect: it touches memory or other threads, and may be neither moved nor left out.

    Returns:
        The results.
    """
    kinds = list(results)
    answer = ir.VoidType() if not kinds else kinds[0]
    if len(kinds) > 1:
        answer = ir.LiteralStructType(kinds)
    function = ir.FunctionType(answer, [a.type for a in arguments])
    code = ir.InlineAsm(function, text, constraints, side_effect=effect)
    value = builder.call(code, list(arguments))
    if len(kinds) < 2:
        return [value] if kinds else []
    return [builder.extract_value(value, i) for i in range(len(kinds))]


def require_array(name: str, argument: str, given: Any, *dtypes: Any, ndim: int = 1) -> None:
    """Refuse what is not a contiguous array of one of the dtypes."""
    fits = isinstance(given, types.Array) and given.ndim == ndim and given.layout == "C"
    if not fits or given.dtype not in dtypes:
        wanted = " or ".join(map(str, dtypes))
        raise errors.NumbaTypeError(
            f"{name}: {argument}: {given} given, expected a contiguous array of {wanted} "
            f"with {ndim} axis"
        )


def require_integer(name: str, argument: str, given: Any) -> None:
    """Refuse an index that is not an integer."""
    if not isinstance(given, types.Integer):
        raise errors.NumbaTypeError(f"{name}: {argument}: {given} given, expected an integer")


def literal_number(name: str, argument: str, given: Any) -> int:
    """The value of an argument that must be a number, or the name of a global one."""
    if not isinstance(given, types.IntegerLiteral):
        raise errors.RequireLiteralValue(f"{name}: {argument} must be a number or a global one")
    return given.literal_value
