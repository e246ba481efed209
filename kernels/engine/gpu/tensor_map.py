"""Tensor maps: what the tensor memory accelerator (TMA) of a GPU is told of a matrix in memory.

:func:`tensor_map` says in plain numbers what a kernel needs, and refuses what the hardware cannot
do; :meth:`TensorMap.encode` has the driver turn it into the 128 bytes that a kernel is given.

Source: CUDA Driver API, ``cuTensorMapEncodeTiled``.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError, ShapeError
from ..replay import works_on
from .driver import active

if TYPE_CHECKING:
    from .arrays import GpuArray

ROW_BYTES = 128  # of a box: as many as the swizzle exchanges units in
LONGEST = 256  # rows of a box
ALIGNMENT = 16  # of the address, and of a row in memory
MOST, MOST_STRIDE = 2**32, 2**40  # items of an axis, bytes of a row
MAP_BYTES = 128  # of a map, and its alignment in the headers of CUDA 13; the driver asks for 64
FUNCTION, SINCE = b"cuTensorMapEncodeTiled", 12000  # the version of CUDA that brought it

# Where the map goes, type, number of axes, address, four lists, four enumerations -> error code.
_PROTOTYPE = ctypes.CFUNCTYPE(
    *(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32),
    *([ctypes.c_void_p] * 5 + [ctypes.c_int] * 4),
)

# Kind -> bytes of a number, and the name of the driver's type. The TMA rounds float32 to tf32.
KINDS = {
    "tf32": (4, "CU_TENSOR_MAP_DATA_TYPE_TFLOAT32"),
    "bf16": (2, "CU_TENSOR_MAP_DATA_TYPE_BFLOAT16"),
    "f16": (2, "CU_TENSOR_MAP_DATA_TYPE_FLOAT16"),
}


@dataclass(frozen=True)
class TensorMap:
    """A matrix whose boxes the TMA copies to shared memory with a swizzle of 128 bytes.

    Unit u of 16 bytes of row r of a box goes to place ``u ^ r % 8`` of its row; beyond the edges of
    the matrix a box holds zeros. Axes are those of the driver, the one without gaps first.

    Args:
        kind: ``"tf32"``, ``"bf16"`` or ``"f16"``.
        address: of the first number.
        sizes: numbers to a row, rows.
        pitch: bytes from one row to the next.
        box: numbers to a row of a box, rows of a box.
    """

    kind: str
    address: int
    sizes: tuple[int, int]
    pitch: int
    box: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of a box, those beyond the edges too: what a copy adds to its barrier."""
        return self.box[0] * self.box[1] * KINDS[self.kind][0]

    def encode(self, index: int = 0) -> tuple[int, ...]:
        """The 16 words of 64 bits that the driver makes of it, for GPU ``index``.

        Raises:
            DeviceError: the driver refuses it, or is older than such maps.
        """
        active().make_current(index)  # this may be the first that a thread wants of the driver
        driver, function = _encoder()
        # The driver takes aligned memory alone; the object that the function of cuda.bindings makes
        # for the map lies wherever Python has room.
        room = (ctypes.c_ubyte * (2 * MAP_BYTES))()
        start = -(-ctypes.addressof(room) // MAP_BYTES) * MAP_BYTES
        result = driver.CUresult(
            function(
                start,
                getattr(driver.CUtensorMapDataType, KINDS[self.kind][1]),
                2,
                self.address,
                (ctypes.c_uint64 * 2)(*self.sizes),
                (ctypes.c_uint64 * 1)(self.pitch),
                (ctypes.c_uint32 * 2)(*self.box),
                (ctypes.c_uint32 * 2)(1, 1),
                driver.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
                driver.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_128B,
                driver.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                driver.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
        )
        if result:
            raise DeviceError(f"tensor map: the driver refuses {self}: {result}")
        return tuple((ctypes.c_uint64 * (MAP_BYTES // 8)).from_address(start))


@functools.cache
def _encoder() -> tuple[Any, Any]:
    """``cuda.bindings.driver``, and the driver's function that encodes maps."""
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise DeviceError(
            f"tensor map: cuda-bindings is not installed: {error}; "
            "install the extra cuda12 or cuda13"
        ) from error
    result, address, _ = driver.cuGetProcAddress(FUNCTION, SINCE, 0)
    if result or not address:
        raise DeviceError(f"tensor map: the driver has no {FUNCTION.decode()}: {result}")
    return driver, _PROTOTYPE(int(address))


def tensor_map(
    kind: str, address: int, rows: int, length: int, pitch: int, box_rows: int
) -> TensorMap:
    """A matrix of ``rows`` rows of ``length`` numbers, in boxes of ``box_rows`` times 128 bytes.

    Args:
        kind: ``"tf32"`` (of float32), ``"bf16"`` or ``"f16"``.
        address: of the first number, a multiple of 16.
        rows, length: at least 1.
        pitch: bytes from one row to the next, a multiple of 16.
        box_rows: 1 to 256.

    Raises:
        ShapeError: the hardware has no map for this.
    """
    size = KINDS[kind][0]
    for name, value, fits in (
        ("address", address, address % ALIGNMENT == 0),
        ("rows", rows, 1 <= rows <= MOST),
        ("length", length, 1 <= length <= MOST),
        ("pitch", pitch, pitch % ALIGNMENT == 0 and length * size <= pitch < MOST_STRIDE),
        ("box_rows", box_rows, 1 <= box_rows <= LONGEST),
    ):
        if not fits:
            raise ShapeError(
                f"tensor map: {name}: {value} given, expected an address and a pitch that are "
                f"multiples of {ALIGNMENT}, rows that do not overlap, 1 to {MOST} rows and numbers "
                f"of each, boxes of 1 to {LONGEST} rows"
            )
    return TensorMap(kind, address, (length, rows), pitch, (ROW_BYTES // size, box_rows))


def map_words(
    kind: str, x: GpuArray, rows: int, length: int, pitch: int, box_rows: int
) -> tuple[int, ...]:
    """The words of the map of a matrix that begins where an array does; see :func:`tensor_map`.

    A launch that comes next is expected to work on the array.
    """
    works_on((x,))
    found = tensor_map(kind, x.pointer, rows, length, pitch, box_rows)
    return found.encode(x.device.index)
