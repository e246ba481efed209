"""Tensor maps: what the tensor memory accelerator (TMA) of a GPU is told of a matrix in memory.

:func:`tensor_map` says in plain numbers what a kernel needs, and refuses what the hardware cannot
do; :meth:`TensorMap.encode` has the driver turn it into the 128 bytes that a kernel is given.

Source: CUDA Driver API, ``cuTensorMapEncodeTiled``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DeviceError, ShapeError

ROW_BYTES = 128  # of a box: as many as the swizzle exchanges units in
LONGEST = 256  # rows of a box
ALIGNMENT = 16  # of the address, and of a row in memory
MOST, MOST_STRIDE = 2**32, 2**40  # items of an axis, bytes of a row

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

    def encode(self) -> tuple[int, ...]:
        """The 16 words of 64 bits that the driver makes of it.

        Raises:
            DeviceError: the driver refuses it, or is older than such maps.
        """
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise DeviceError(
                f"tensor map: cuda-bindings is not installed: {error}; "
                "install the extra cuda12 or cuda13"
            ) from error
        wide, narrow = driver.cuuint64_t, driver.cuuint32_t
        result, made = driver.cuTensorMapEncodeTiled(
            getattr(driver.CUtensorMapDataType, KINDS[self.kind][1]),
            2,
            self.address,
            [wide(n) for n in self.sizes],
            [wide(self.pitch)],
            [narrow(n) for n in self.box],
            [narrow(1), narrow(1)],
            driver.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            driver.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_128B,
            driver.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
            driver.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
        if result != driver.CUresult.CUDA_SUCCESS:
            raise DeviceError(f"tensor map: the driver refuses {self}: {result}")
        return tuple(int(word) for word in made.opaque)


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
