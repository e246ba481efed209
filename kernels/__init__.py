"""Hand-written Numba CUDA kernels and the engine that runs them; import it as ``nnlite.kernels``.

``engine`` is how a kernel runs; every other module is a family of kernels: its NumPy references,
kernels, launchers and, in ``SPECS``, the data its tests are made from.
"""

from __future__ import annotations

import importlib

if __name__ != "nnlite.kernels":
    raise ImportError(
        f"this package is nnlite.kernels but was imported as {__name__!r}; "
        "install nnlite (pip install nnlite-cuda) and use `import nnlite.kernels`"
    )

FAMILIES = (
    "elementwise",
    "activations",
    "bias",
    "matmul",
    "reduce",
    "conv",
    "prelu",
    "indexing",
    "arithmetic",
    "softmax",
    "loss",
    "dropout",
    "norm",
    "pool",
    "resample",
    "update",
    "recurrent",
)

# Modules of the engine that have kernels of their own, below all ops.
ENGINE = ("engine.gpu.filling", "engine.gpu.strided")


def all_specs() -> tuple:
    """The ``OpSpec`` of every op of every family, in the order of :data:`FAMILIES`."""
    modules = [importlib.import_module(f"{__name__}.{family}") for family in FAMILIES]
    return tuple(spec for module in modules for spec in module.SPECS)


def gpu_kernels() -> tuple:
    """Every ``GpuKernel`` that a family declares; one that several declare as the first does."""
    modules = [importlib.import_module(f"{__name__}.{family}") for family in FAMILIES]
    declared = [k for module in modules for k in getattr(module, "gpu_kernels", tuple)()]
    return tuple({(k.kernel, k.signature): k for k in reversed(declared)}.values())[::-1]


def all_kernels() -> tuple:
    """Every kernel with every signature, once, as a ``GpuKernel``.

    Those that a family declares are as declared; the other ones behind the ops run on every GPU and
    have nothing to expect but what holds for all, as have those of the engine.
    """
    from .opspec import GpuKernel

    found: dict[tuple, GpuKernel] = {}
    for spec in all_specs():
        for kernel, signature in spec.kernels:
            found.setdefault((kernel, signature), GpuKernel(spec.name, kernel, signature))
    for name in ENGINE:
        for kernel, signature in importlib.import_module(f"{__name__}.{name}").SIGNATURES:
            found[kernel, signature] = GpuKernel(kernel.__name__, kernel, signature)
    found.update({(k.kernel, k.signature): k for k in gpu_kernels()})
    return tuple(found.values())
