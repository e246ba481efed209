"""What a kernel takes of a GPU, and what its machine code is made of, found without a GPU.

==================  ============================================================================
file                what it holds
==================  ============================================================================
measure.py          ``resources``, ``usage``, ``usage_of_ptx``: a kernel to figures
together.py         ``usages``, ``resources_of_all``: the same of many kernels, in less time
figures.py          :class:`Usage` and :class:`Resources`
sass.py             reading machine code: opcodes, loops
expectations.py     ``unmet``: what machine code is to hold, and does not
architectures.py    GPU architectures, occupancy
==================  ============================================================================

The compilers behind it are in ``engine/gpu/offline.py``.
"""

from .architectures import ARCHITECTURES, architecture
from .expectations import unmet
from .figures import Resources, Usage
from .measure import ptx, resources, usage, usage_of_ptx
from .together import resources_of_all, shared_ptx, usages

__all__ = [
    "ARCHITECTURES",
    "Resources",
    "Usage",
    "architecture",
    "ptx",
    "resources",
    "resources_of_all",
    "shared_ptx",
    "unmet",
    "usage",
    "usage_of_ptx",
    "usages",
]
