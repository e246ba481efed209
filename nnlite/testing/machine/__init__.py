"""A machine for PTX: runs the code that a GPU would be given, on NumPy arrays, without a GPU."""

from . import access, arithmetic, barriers, bits, bulk, comparisons, mbarriers, warps, wgmma
from .machine import Machine
from .memory import Fault, GlobalMemory
from .tensor_maps import TensorMap

# Each of these gives the machine its instructions.
INSTRUCTIONS = (access, arithmetic, barriers, bits, bulk, comparisons, mbarriers, warps, wgmma)

__all__ = ["Fault", "GlobalMemory", "Machine", "TensorMap"]
