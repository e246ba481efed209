"""Convolution of images and sequences, transposed convolution, and their gradients.

================  ==================================================================================
file              what it holds
================  ==================================================================================
tiles.py          the sum that all of them are; the halo tile in shared memory
direct.py         the kernel that reads a halo tile; how the work is divided among blocks
gemm.py           the kernel that multiplies matrices, one of which is never stored (implicit GEMM)
weight.py         the gradients of weights and bias
correlate.py      which of direct.py and gemm.py runs
tiled.py          on a GPU, for many channels: implicit GEMM with wide tiles, NHWC inside
tiled_weight.py   the same for the gradient of the weights
channels_last.py  their launch, and the order of the numbers that they take
tensor.py         both on tensor cores, of factors rounded to tf32 or bfloat16
winograd.py       3x3 taps by fewer multiplications, on the same tiles
algorithm.py      whether these are used
geometry.py       sizes and options; which taps meet which pixels
passes.py         the four passes on checked images
launchers.py      ``conv1d``, ``conv2d``, ``conv_transpose1d``, ``conv_transpose2d``
backward.py       their gradients
reference.py      NumPy references
specs.py          wrong inputs, tolerances, the sizes that tests draw
================  ==================================================================================
"""

from ..opspec import GpuKernel
from . import channels_last, winograd
from .backward import conv2d_backward, conv_transpose2d_backward
from .launchers import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from .reference import conv_reference, conv_transpose_reference
from .specs import SPECS


def gpu_kernels() -> tuple[GpuKernel, ...]:
    """The kernels that only some GPUs run."""
    return channels_last.gpu_kernels() + winograd.gpu_kernels()


__all__ = [
    "SPECS",
    "conv1d",
    "conv2d",
    "conv2d_backward",
    "conv_reference",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose_reference",
    "gpu_kernels",
]
