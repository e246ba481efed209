"""Checks of what reaches a driver that notes it; ``test_cuda_core.py`` runs this with such a one.

python tests/recorded_launches.py       # prints JSON: name of a check -> what is wrong
"""

from __future__ import annotations

import ctypes
import json
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.cuda.typing.typeof import typeof

import nnlite as nl
from nnlite.errors import DeviceError
from nnlite.kernels.engine.gpu.arguments import Packed, Packer, describe, signature
from nnlite.kernels.engine.gpu.compile import compiled
from nnlite.kernels.engine.gpu.driver import active
from nnlite.testing.fake_gpu.kernels import Loaded

GRID, BLOCK, SHARED, STREAM = (2, 3, 4), (8, 4, 2), 1000, 0x7770
PLAIN = (  # a value is its own parameter
    *(True, np.bool_(True), -(2**63), 2.5, np.float16(1.5), np.float32(-2.5), np.float64(1e300)),
    *(np.int8(-3), np.int16(-300), np.int32(-70000), np.int64(-5)),
    *(np.uint8(200), np.uint16(60000), np.uint32(2**32 - 1), np.uint64(2**64 - 1)),
)
OTHERS = (2**63 - 1, 2**63, 2**64 - 1, 1.5 - 2j, np.complex64(3 - 1j), np.complex128(1e300 + 1j))


class Head(ctypes.Structure):
    """Of the launch, or of the change to a node of a graph, that has reached the driver last."""

    _fields_ = (
        ("context", ctypes.c_uint64),
        ("function", ctypes.c_uint64),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("shared", ctypes.c_uint32),
        ("attributes", ctypes.c_uint32),
        ("stream", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
    )


C = ctypes.CDLL("libcuda.so.1")
C.put_context.argtypes = [ctypes.c_uint64]
HEAD = Head.in_dll(C, "head")
DATA = (ctypes.c_ubyte * 8 * 128).in_dll(C, "data")


@nl.kernel
def plain(a, b, c, d, e, f, g, h, i, j, k, n, m, p, q, x):
    """Numbers of all kinds, none of them used."""


@nl.kernel
def others(numbers, a, b, c, d, e, f, after):
    """The other numbers and arrays, none of them used."""


def arrays(device: str) -> list[Any]:
    """Of several dtypes, axes, orders and strides; some have been given sizes of NumPy's."""
    x = nl.empty((4, 6), device=device)
    return [
        *(x, x[::-2, 1:5:3], x.reshape(np.int16(8), np.int8(3)).T),
        nl.empty((np.int32(3), np.uint8(5)), np.float16, device=device),
        nl.empty((2, 1, 3), np.complex128, device=device).broadcast_to((2, np.int32(4), 3)),
        nl.empty((), bool, device=device),
    ]


def arguments(kernel: Any, device: str = "cuda:0") -> tuple[Any, ...]:
    if kernel is plain:
        return *PLAIN, nl.empty(7, device=device)
    return (OTHERS, *arrays(device), np.float32(3))


def expected(value: Any) -> Iterator[bytes]:
    """Parameters of an argument by the rules of numba-cuda, made by NumPy."""
    if isinstance(value, tuple):
        for item in value:
            yield from expected(item)
    elif hasattr(value, "buffer"):
        head = 0, 0, value.size, value.dtype.itemsize, value.pointer
        for number in (*head, *value.shape, *value.strides):
            yield np.int64(number).tobytes()
    else:
        made = np.array(value, str(typeof(value)))
        for part in (made.real, made.imag) if made.dtype.kind == "c" else (made,):
            yield part.tobytes()


def declare(kernel: Any, args: tuple[Any, ...]) -> list[int]:
    """Tell the driver how many bytes it shall read of each parameter: as the PTX declares them."""
    types, _ = signature([describe(a, []) for a in args])
    code = compiled(kernel, types, (9, 0), True)
    assert code is not None
    sizes = Loaded(code, "machine").sizes
    C.declare(len(sizes), (ctypes.c_int * len(sizes))(*sizes))
    ctypes.memset(DATA, 0xEE, ctypes.sizeof(DATA))
    return sizes


def require(args: tuple[Any, ...], sizes: list[int], stream: int) -> None:
    """What has been noted must have these arguments, and the configuration above."""
    wanted = [*map(bytes.hex, expected(args))]
    found = [bytes(row)[:size].hex() for row, size in zip(DATA, sizes)]
    assert [len(w) // 2 for w in wanted] == sizes
    wrong = [(i, f, w) for i, (f, w) in enumerate(zip(found, wanted)) if f != w]
    assert not wrong, f"parameters (number, found, expected): {wrong}"
    assert ((*HEAD.grid,), (*HEAD.block,)) == (GRID, BLOCK)
    assert (HEAD.shared, HEAD.attributes, HEAD.stream) == (SHARED, 0, stream)


def check_parameters() -> None:
    """Every kind of argument, by the first launch, which compiles, and by a second one.

    The driver says of the stream that it is being captured.
    """
    for kernel in (plain, others):
        args = arguments(kernel)
        for _ in range(2):
            sizes, before = declare(kernel, args), HEAD.count
            kernel[GRID, BLOCK, STREAM, SHARED](*args)
            assert HEAD.count == before + 1
            require(args, sizes, STREAM)


def check_nodes_of_graphs() -> None:
    """They are given the same parameters, packed."""
    device, driver = nl.device("cuda:0"), active()
    for kernel in (plain, others):
        args = arguments(kernel)
        sizes = declare(kernel, args)
        kernel[GRID, BLOCK, 0, SHARED](*args)
        (entry,) = kernel.loaded[device].values()
        values: list[Any] = []
        _, code = signature([describe(a, values) for a in args])
        packer = Packer(code)
        packed = Packed(packer, packer.pack(*values))
        declare(kernel, args)
        configuration = driver.configuration(GRID, BLOCK, SHARED)
        driver.set_parameters(0, 5, 6, entry.kernel, configuration, packed.table)
        require(args, sizes, stream=0)
        assert HEAD.function == entry.kernel


def check_contexts() -> None:
    """Each launch is made in that of its GPU, whatever another library has put there."""
    for device, context in (("cuda:0", 0x1000), ("cuda:1", 0x2000), ("cuda:0", 0x1000)):
        args = arguments(plain, device)
        declare(plain, args)
        for other in (0, 0xBAD):
            C.put_context(other)
            plain[GRID, BLOCK](*args)
            assert (HEAD.context, HEAD.stream) == (context, 0)
    found = [next(iter(plain.loaded[nl.device(d)].values())) for d in ("cuda:0", "cuda:1")]
    assert found[0].kernel != found[1].kernel


def check_threads() -> None:
    """What one thread has loaded is launched by another, in the right context."""
    args = arguments(plain, "cuda:1")
    sizes = declare(plain, args)
    plain[GRID, BLOCK, 0, SHARED](*args)
    C.put_context(0)
    thread = threading.Thread(target=plain[GRID, BLOCK, 0, SHARED], args=args)
    before = HEAD.count
    thread.start()
    thread.join()
    assert HEAD.count == before + 1
    require(args, sizes, stream=0)
    assert HEAD.context == 0x2000


def check_errors() -> None:
    """The driver's have its names."""
    args = arguments(plain)
    declare(plain, args)
    for error, kind, name in (
        (700, DeviceError, "CUDA_ERROR_ILLEGAL_ADDRESS"),
        (2, MemoryError, "CUDA_ERROR_OUT_OF_MEMORY"),
    ):
        C.fail(error)
        found: BaseException | None = None
        try:
            plain[GRID, BLOCK](*args)
        except Exception as raised:
            found = raised
        C.fail(0)
        assert isinstance(found, kind)
        assert name in str(found)


def main() -> None:
    """Run all checks."""
    found = {}
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            try:
                check()
                found[name] = ""
            except Exception:
                found[name] = traceback.format_exc()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
