"""How many pairs of tiles a block keeps in shared memory while the next ones are copied.

With more pairs a copy has more turns to arrive in. They cost shared memory alone, until a
multiprocessor has room for fewer blocks: two of 256 threads is what the registers allow, and what
hides everything else. So there are as many pairs as leave two blocks, and never less than two.
"""

from __future__ import annotations

import functools

from ..engine import Device
from ..engine.device import STATIC_SHARED
from ..engine.resources.architectures import MULTIPROCESSORS, Architecture, occupancy

REGISTERS, THREADS = 128, 256  # what ``launch_bounds=(256, 2)`` lets a thread and a block have
LEAST = 2


def items_of_shared(items: int) -> int:
    """Items of 4 bytes for a kernel to declare: 0 if they are too many, and the launch brings them.

    That is how Numba spells dynamic shared memory.
    """
    return 0 if dynamic_bytes(4 * items) else items


def dynamic_bytes(size: int) -> int:
    """Bytes of shared memory that a launch brings, of the ``size`` that the kernel needs."""
    return size if size > STATIC_SHARED else 0


@functools.lru_cache(maxsize=256)
def stages_for(pair: int, most: int, device: Device) -> int:
    """The most pairs of tiles, up to ``most``, that leave as many blocks resident as two do.

    Args:
        pair: bytes of a pair of tiles.
        most: pairs beyond which there is nothing to gain.
        device: where the kernel is to run; two pairs if nothing is known of its multiprocessors.
    """
    capability = device.limits.compute_capability
    if capability not in MULTIPROCESSORS:
        return LEAST
    arch = Architecture(*capability)

    def resident(count: int) -> float:
        return occupancy(arch, REGISTERS, count * pair, THREADS)

    room = device.limits.shared_per_block
    fitting = (
        count
        for count in range(most, LEAST, -1)
        if count * pair <= room and resident(count) >= resident(LEAST)
    )
    return next(fitting, LEAST)
