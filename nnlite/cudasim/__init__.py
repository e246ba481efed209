"""Runs any Numba CUDA program without a GPU, unmodified, with its kernels compiled.

    python -m nnlite.cudasim script.py [arguments]
    python -m nnlite.cudasim -m package.module [arguments]

or, as the first lines of a program, before anything imports ``numba.cuda``::

    import nnlite.cudasim
    nnlite.cudasim.enable()

The host side (``cuda.to_device``, streams, events, pinned arrays, ...) is that of Numba's own
simulator. A kernel launch is compiled by ``nnlite.kernels.engine.cpu`` and runs on all cores. Where
that compiler refuses a kernel, the simulator runs it, one Python thread per CUDA thread, and a
:class:`SimulatedKernelWarning` names the construct, once per kernel. Works with Numba alone and
with the numba-cuda package.

What differs from a GPU: launches are over when they return, streams and events order nothing, host
memory is device memory (an array given to a kernel is not copied unless the copy could be seen),
and launch limits are those of the reference GPU (``NNLITE_REFERENCE_GPU``, by default an A100).
As on a GPU, compiled kernels check no index, unless they are compiled with ``debug=True``; which
element of which array it was says the simulator alone, ``NUMBA_ENABLE_CUDASIM=1 python script.py``.
"""

from __future__ import annotations

__all__ = ["SimulatedKernelWarning", "disable", "enable", "enabled", "simulated"]

RUN_BY_SIMULATOR: dict[str, str] = {}


class SimulatedKernelWarning(UserWarning):
    """A kernel could not be compiled for the CPU; Numba's slow simulator runs it."""


def enable() -> None:
    """Switch Numba to its CUDA simulator and compile every kernel launch; may be called twice.

    Sets ``NUMBA_ENABLE_CUDASIM`` in the environment, so that programs which look at it see what
    they would see under the simulator.

    Raises:
        DeviceError: ``numba.cuda`` has been imported for GPUs; Numba cannot switch it any more.

    Example:
        >>> import nnlite.cudasim
        >>> nnlite.cudasim.enable()
        >>> from numba import cuda
    """
    from . import install

    install.enable()


def disable() -> None:
    """Give Numba's simulator back as it was; kernels already made stay compiled."""
    from . import install

    install.disable()


def enabled() -> bool:
    """True between :func:`enable` and :func:`disable`."""
    from . import install

    return install.enabled()


def simulated() -> dict[str, str]:
    """The kernels that ran on the simulator so far, each with the reason."""
    return dict(RUN_BY_SIMULATOR)
