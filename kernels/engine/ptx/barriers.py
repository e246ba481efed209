"""Barriers that count bytes, bulk copies by the tensor memory accelerator (TMA), fences: sm_90.

For a GPU only: a kernel that uses them is refused by the CPU compiler. Compiled, read as machine
code and run by ``nnlite.testing.machine``; none has run on a GPU.

A *barrier* is a uint64 in shared memory. A phase of it ends when as many arrivals have come as
:func:`mbarrier_init` said and all bytes that were announced have been copied; the next phase begins
at once. Phases are told apart by their parity: 0 for the first, 1 for the second, 0, 1, …::

    if t == 0:
        mbarrier_init(full, 0, 1)
        fence_mbarrier_init()
    cuda.syncthreads()
    if t == 0:
        mbarrier_expect(full, 0, 128 * 64 * 4)
        tma_load_2d(tile, 0, maps, 0, x, y, full, 0)
    mbarrier_wait(full, 0, 0)

Source: PTX ISA, sections "Parallel Synchronization and Communication Instructions: mbarrier",
"cp.async.bulk", "cp.async.bulk.tensor", "Membar/fence", "setmaxnreg".
"""

from __future__ import annotations

from typing import Any

from numba import types

from .instruction import (
    VOLATILE,
    assembler,
    element_pointer,
    global_address,
    instruction,
    literal_number,
    require_array,
    require_integer,
    shared_address,
)
from .memory import FOUR_BYTES

MAP_WORDS = 16  # a tensor map has 128 bytes
BULK = "shared::cluster.global.mbarrier::complete_tx::bytes"

# The label has to be another one in every copy of the text: ``${:uid}``.
WAIT = (
    "{{ .reg .pred done; AGAIN_{0}: "
    "mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1; @!done bra AGAIN_{0}; }}"
)


def _barrier(context: Any, builder: Any, sig: Any, args: Any, first: int = 0) -> Any:
    """Address of the barrier that two of the arguments name."""
    pointer = element_pointer(context, builder, sig.args[first:], args[first:])
    return shared_address(builder, pointer)


def _require_barrier(name: str, barriers: Any, index: Any) -> None:
    require_array(name, "barriers", barriers, types.uint64)
    require_integer(name, "index", index)


@instruction()
def mbarrier_init(typing: Any, barriers: Any, index: Any, arrivals: Any) -> Any:
    """``mbarrier_init(barriers, index, arrivals)``: a barrier for so many arrivals.

    PTX: ``mbarrier.init.shared::cta.b64``; sm_80 and later. One thread does it; other threads may
    use the barrier after :func:`fence_mbarrier_init` and ``cuda.syncthreads``.
    """
    _require_barrier("mbarrier_init", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _barrier(context, builder, sig, args)
        text = "mbarrier.init.shared::cta.b64 [$0], $1;"
        assembler(builder, text, (), (address, args[2]), f"r,r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(barriers, index, types.uint32), generate


@instruction()
def mbarrier_expect(typing: Any, barriers: Any, index: Any, size: Any) -> Any:
    """``mbarrier_expect(barriers, index, size)``: arrives, and announces ``size`` bytes of copies.

    PTX: ``mbarrier.arrive.expect_tx.shared::cta.b64``; sm_90 and later.
    """
    _require_barrier("mbarrier_expect", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _barrier(context, builder, sig, args)
        text = "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;"
        assembler(builder, text, (), (address, args[2]), f"r,r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(barriers, index, types.uint32), generate


@instruction()
def mbarrier_arrive(typing: Any, barriers: Any, index: Any) -> Any:
    """``mbarrier_arrive(barriers, index)``: one arrival.

    PTX: ``mbarrier.arrive.shared::cta.b64``; sm_80 and later.
    """
    _require_barrier("mbarrier_arrive", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _barrier(context, builder, sig, args)
        text = "mbarrier.arrive.shared::cta.b64 _, [$0];"
        assembler(builder, text, (), (address,), f"r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(barriers, index), generate


@instruction()
def mbarrier_wait(typing: Any, barriers: Any, index: Any, parity: Any) -> Any:
    """``mbarrier_wait(barriers, index, parity)``: until the phase of this parity has ended.

    PTX: a loop of ``mbarrier.try_wait.parity.shared::cta.b64``; sm_90 and later.
    """
    _require_barrier("mbarrier_wait", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _barrier(context, builder, sig, args)
        text = WAIT.format("${:uid}")
        assembler(builder, text, (), (address, args[2]), f"r,r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(barriers, index, types.uint32), generate


# -- bulk copies -----------------------------------------------------------------------------------
@instruction()
def bulk_copy(
    typing: Any, tile: Any, at: Any, source: Any, start: Any, size: Any, barriers: Any, index: Any
) -> Any:
    """``bulk_copy(tile, at, source, start, size, barriers, index)``: ``size`` bytes in one piece.

    PTX: ``cp.async.bulk.shared::cluster.global`` (SASS ``UBLKCP``); sm_90 and later. One thread
    starts it; the bytes count for the barrier. Both addresses and the size are multiples of 16
    bytes.

    Args:
        tile: array in shared memory; ``at``: first element written.
        source: array in global memory of the same dtype; ``start``: first element read.
        size: bytes.
        barriers, index: the barrier, to which :func:`mbarrier_expect` announced them.
    """
    require_array("bulk_copy", "tile", tile, *FOUR_BYTES, types.uint16)
    require_array("bulk_copy", "source", source, tile.dtype)
    _require_barrier("bulk_copy", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = shared_address(builder, element_pointer(context, builder, sig.args, args))
        origin = global_address(builder, element_pointer(context, builder, sig.args[2:], args[2:]))
        barrier = _barrier(context, builder, sig, args, 5)
        text = f"cp.async.bulk.{BULK} [$0], [$1], $2, [$3];"
        arguments = target, origin, args[4], barrier
        assembler(builder, text, (), arguments, f"r,l,r,r,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(tile, at, source, start, types.uint32, barriers, index), generate


def _map_address(context: Any, builder: Any, sig: Any, args: Any, first: int = 0) -> Any:
    """Address of the tensor map that two of the arguments name."""
    number = context.cast(builder, args[first + 1], sig.args[first + 1], types.int64)
    place = builder.mul(number, number.type(MAP_WORDS))
    types_ = sig.args[first], types.int64
    pointer = element_pointer(context, builder, types_, (args[first], place))
    return builder.ptrtoint(pointer, place.type)


@instruction()
def tma_load_2d(
    typing: Any,
    tile: Any,
    at: Any,
    maps: Any,
    number: Any,
    x: Any,
    y: Any,
    barriers: Any,
    index: Any,
) -> Any:
    """``tma_load_2d(tile, at, maps, number, x, y, barriers, index)``: one box of a matrix.

    PTX: ``cp.async.bulk.tensor.2d.shared::cluster.global`` (SASS ``UTMALDG.2D``); sm_90 and later.
    One thread starts it. Beyond the edge of the matrix the box is filled with zeros.

    Args:
        tile: array in shared memory, at a multiple of 128 bytes; ``at``: first element written.
        maps: uint64 array in global memory, at a multiple of 64 bytes: tensor maps as the driver's
            ``cuTensorMapEncodeTiled`` makes them, 16 words each; ``number`` of the one to use.
        x, y: column and row of the matrix at which the box begins, int32.
        barriers, index: the barrier for which the bytes count.
    """
    require_array("tma_load_2d", "tile", tile, *FOUR_BYTES, types.uint16)
    require_array("tma_load_2d", "maps", maps, types.uint64)
    _require_barrier("tma_load_2d", barriers, index)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = shared_address(builder, element_pointer(context, builder, sig.args, args))
        origin = _map_address(context, builder, sig, args, 2)
        barrier = _barrier(context, builder, sig, args, 6)
        text = f"cp.async.bulk.tensor.2d.{BULK} [$0], [$1, {{$2, $3}}], [$4];"
        arguments = target, origin, args[4], args[5], barrier
        assembler(builder, text, (), arguments, f"r,l,r,r,r,{VOLATILE}")
        return context.get_dummy_value()

    whole = types.int32
    return types.void(tile, at, maps, number, whole, whole, barriers, index), generate


# -- fences and registers --------------------------------------------------------------------------
def _statement(text: str) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        assembler(builder, text, (), (), VOLATILE)
        return context.get_dummy_value()

    return generate


@instruction()
def fence_mbarrier_init(typing: Any) -> Any:
    """``fence_mbarrier_init()``: barriers made before it are known to the TMA.

    PTX: ``fence.mbarrier_init.release.cluster``; sm_90 and later.
    """
    return types.void(), _statement("fence.mbarrier_init.release.cluster;")


@instruction()
def fence_async(typing: Any) -> Any:
    """``fence_async()``: what threads wrote to shared memory is seen by the TMA and by wgmma.

    PTX: ``fence.proxy.async.shared::cta``; sm_90 and later.
    """
    return types.void(), _statement("fence.proxy.async.shared::cta;")


@instruction()
def tensor_map_release(typing: Any) -> Any:
    """``tensor_map_release()``: tensor maps that this thread wrote may be acquired from now on.

    PTX: ``fence.proxy.tensormap::generic.release.gpu``; sm_90 and later.
    """
    return types.void(), _statement("fence.proxy.tensormap::generic.release.gpu;")


@instruction()
def tensor_map_acquire(typing: Any, maps: Any, number: Any) -> Any:
    """``tensor_map_acquire(maps, number)``: this thread's copies use the map as it was written.

    PTX: ``fence.proxy.tensormap::generic.acquire.gpu``; sm_90 and later. For maps in global memory
    that a kernel wrote; arguments as for :func:`tma_load_2d`.
    """
    require_array("tensor_map_acquire", "maps", maps, types.uint64)
    require_integer("tensor_map_acquire", "number", number)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _map_address(context, builder, sig, args)
        text = f"fence.proxy.tensormap::generic.acquire.gpu [$0], {8 * MAP_WORDS};"
        assembler(builder, text, (), (address,), f"l,{VOLATILE}")
        return context.get_dummy_value()

    return types.void(maps, number), generate


@instruction()
def more_registers(typing: Any, count: Any) -> Any:
    """``more_registers(n)``: the warps of this group of four have n registers a thread from now on.

    PTX: ``setmaxnreg.inc.sync.aligned.u32``; sm_90a. ``n`` is a number, a multiple of 8 from 24 to
    256; the kernel needs ``launch_bounds``. The registers must have been given up by others.
    """
    number = literal_number("more_registers", "count", count)
    return types.void(count), _statement(f"setmaxnreg.inc.sync.aligned.u32 {number};")


@instruction()
def fewer_registers(typing: Any, count: Any) -> Any:
    """``fewer_registers(n)``: :func:`more_registers` downward: ``setmaxnreg.dec``."""
    number = literal_number("fewer_registers", "count", count)
    return types.void(count), _statement(f"setmaxnreg.dec.sync.aligned.u32 {number};")
