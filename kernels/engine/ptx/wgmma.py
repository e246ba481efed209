"""``wgmma``: tensor cores of sm_90a, by four warps together, straight from shared memory.

For a GPU only: a kernel that uses it is refused by the CPU compiler. Compiled, read as machine code
and run by ``nnlite.testing.machine``; it has not run on a GPU.

The 128 threads of a *warpgroup*, the first of which has a number divisible by 128, add the product
of a, 64 x depth, and b, depth x columns, to 64 x columns sums in their registers. With ``w`` the
warp in its group, ``g = lane // 4`` and ``t = lane % 4``, a thread holds, for each block ``j`` of 8
columns::

    total[4j], total[4j+1]      row 16 w + g,      columns 8j + 2t, 8j + 2t + 1
    total[4j+2], total[4j+3]    row 16 w + g + 8,  the same columns

a and b lie in shared memory with their rows along the depth, 128 bytes to a row, eight rows to a
block of 1024 bytes, the 16-byte units of row r exchanged by ``unit ^ (r % 8)``: what a tensor map
with a swizzle of 128 bytes copies there. A *descriptor* says where; see :func:`descriptor`.

Source: PTX ISA, section "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions".
"""

from __future__ import annotations

import functools
from typing import Any

from numba import types

from .instruction import (
    FLOAT,
    INT64,
    VOLATILE,
    assembler,
    data_pointer,
    element_pointer,
    instruction,
    literal_number,
    require_array,
    require_integer,
    shared_address,
)

DEPTHS = {"tf32": 8, "bf16": 16, "f16": 16}  # of one instruction: 32 bytes of a row
ROW_BYTES = 128  # of a and b in shared memory, so four instructions deep
STEPS = 4
STEP_UNITS = 2  # 16-byte units by which a descriptor moves from one instruction to the next
ADDRESS_BITS = (1 << 18) - 1

# Fields of a descriptor: a swizzle of 128 bytes; 1024 bytes from one block of eight rows to the
# next, in units of 16; the distance along a row is not used with this swizzle and is 1.
LAYOUT = 1 << 62 | (1024 // 16) << 32 | 1 << 16


@instruction()
def descriptor(typing: Any, tile: Any, at: Any) -> Any:
    """``descriptor(tile, at)``: uint64 that names the rows from element ``at`` on to :func:`wgmma`.

    Args:
        tile: array in shared memory; float32 or uint16, one axis.
        at: element at a multiple of 1024 bytes of shared memory.
    """
    require_array("descriptor", "tile", tile, types.float32, types.uint16)
    require_integer("descriptor", "at", at)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = shared_address(builder, element_pointer(context, builder, sig.args, args))
        wide = builder.and_(builder.zext(address, INT64), INT64(ADDRESS_BITS))
        return builder.or_(builder.lshr(wide, INT64(4)), INT64(LAYOUT))

    return types.uint64(tile, at), generate


def _text(kind: str, columns: int) -> str:
    """Four instructions as one group, so that nothing moves a register between them."""
    count = columns // 2
    sums = ", ".join(f"${i}" for i in range(count))
    a, b, keep = (f"${2 * count + i}" for i in range(3))
    turned = "" if kind == "tf32" else ", 0, 0"
    shape = f"m64n{columns}k{DEPTHS[kind]}.f32.{kind}.{kind}"
    lines = [f"{{ .reg .pred keep; .reg .b64 da, db; setp.ne.b32 keep, {keep}, 0;"]
    lines.append("wgmma.fence.sync.aligned;")
    for step in range(STEPS):
        added = "keep" if step == 0 else "1"
        lines.append(f"add.s64 da, {a}, {step * STEP_UNITS}; add.s64 db, {b}, {step * STEP_UNITS};")
        lines.append(
            f"wgmma.mma_async.sync.aligned.{shape} {{{sums}}}, da, db, {added}, 1, 1{turned};"
        )
    lines.append("wgmma.commit_group.sync.aligned; }")
    return "\n".join(lines)


@functools.cache
def wgmma(kind: str, columns: int) -> Any:
    """A function ``multiply(total, a, b, keep)``: begins ``total += a b`` over rows of 128 bytes.

    PTX: ``wgmma.fence``, four ``wgmma.mma_async.sync.aligned.m64nNkK``, ``wgmma.commit_group``
    (SASS ``HGMMA``); sm_90a alone. ``total`` may be used again after :func:`wgmma_wait`.

    Args:
        kind: ``"tf32"`` (float32 in shared memory), ``"bf16"`` or ``"f16"`` (uint16).
        columns: of b; a multiple of 8 up to 256.

    Args of the function:
        total: local array (columns // 2,), float32.
        a, b: descriptors.
        keep: int32; 0 to start from zero.
    """
    count = columns // 2
    text = _text(kind, columns)

    @instruction()
    def multiply(typing: Any, total: Any, a: Any, b: Any, keep: Any) -> Any:
        require_array("multiply", "total", total, types.float32)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            _through(context, builder, sig, args, count, text, "l,l,r")
            return context.get_dummy_value()

        return types.void(total, types.uint64, types.uint64, types.int32), generate

    return multiply


@functools.cache
def wgmma_wait(columns: int, groups: int) -> Any:
    """A function ``wait(total)``: until at most ``groups`` products are under way.

    PTX: ``wgmma.wait_group.sync.aligned``; sm_90a alone. The sums pass through it, so that no
    compiler reads them before.
    """
    count = columns // 2

    @instruction()
    def wait(typing: Any, total: Any) -> Any:
        require_array("wait", "total", total, types.float32)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            text = f"wgmma.wait_group.sync.aligned {groups};"
            _through(context, builder, sig, args, count, text, "")
            return context.get_dummy_value()

        return types.void(total), generate

    return wait


@instruction()
def wgmma_wait_for(typing: Any, groups: Any) -> Any:
    """``wgmma_wait_for(n)``: :func:`wgmma_wait` while sums stay under way, and so untouched.

    A group that is over has read its tiles: they may be filled again. ``n`` is a number, or the
    name of a global one.
    """
    number = literal_number("wgmma_wait_for", "groups", groups)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        assembler(builder, f"wgmma.wait_group.sync.aligned {number};", (), (), VOLATILE)
        return context.get_dummy_value()

    return types.void(groups), generate


def _through(
    context: Any, builder: Any, sig: Any, args: Any, count: int, text: str, kinds: str
) -> None:
    """Assembler that reads and writes every number of a local array, as registers."""
    registers = data_pointer(context, builder, sig.args[0], args[0])
    places = [builder.gep(registers, [INT64(i)]) for i in range(count)]
    sums = [builder.load(place) for place in places]
    tied = [str(i) for i in range(count)]
    constraints = ",".join(["=f"] * count + tied + ([kinds] if kinds else []) + [VOLATILE])
    results = assembler(builder, text, [FLOAT] * count, [*sums, *args[1:]], constraints)
    for place, value in zip(places, results):
        builder.store(value, place)
