"""nnlite: hand-written Numba CUDA kernels and a thin neural-network layer on top of them.

The same kernel source runs on an NVIDIA GPU and, compiled, on any CPU:

    import nnlite as nl

    model = nl.nn.Sequential(nl.nn.Flatten(), nl.nn.Linear(784, 128), nl.nn.ReLU(),
                             nl.nn.Linear(128, 10))

Names are loaded when they are first used, so that ``import nnlite`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = (
    "autograd",
    "checkpoint",
    "data",
    "errors",
    "functional",
    "init",
    "kernels",
    "models",
    "nn",
    "optim",
    "plots",
    "testing",
    "train",
)
_NAMES = {
    "Array": "kernels.engine",
    "Device": "kernels.engine",
    "Function": "function",
    "Stream": "kernels.engine",
    "Tensor": "tensor",
    "array": "kernels.engine",
    "check": "kernels.engine.lens",
    "checking": "kernels.engine.lens",
    "profile": "kernels.engine.lens.profiler",
    "profiling": "kernels.engine.lens.profiler",
    "default_device": "kernels.engine",
    "device": "kernels.engine",
    "devices": "kernels.engine",
    "empty": "kernels.engine",
    "enable_grad": "autograd",
    "evaluate": "train",
    "fit": "train",
    "full": "kernels.engine",
    "get_float32_matmul_precision": "kernels.matmul",
    "graph": "graph",
    "kernel": "kernels.engine",
    "load_checkpoint": "checkpoint",
    "manual_seed": "random",
    "no_grad": "autograd",
    "predict": "train",
    "resources": "kernels.engine.resources",
    "save_checkpoint": "checkpoint",
    "set_default_device": "kernels.engine",
    "set_float32_matmul_precision": "kernels.matmul",
    "summary": "summary",
    "tensor": "tensor",
    "tune": "kernels.engine.tuning",
    "zeros": "kernels.engine",
}

__all__ = ["__version__", *_MODULES, *_NAMES]  # noqa: PLE0604 (all are strings)

if TYPE_CHECKING:
    from . import autograd as autograd
    from . import checkpoint as checkpoint
    from . import data as data
    from . import errors as errors
    from . import functional as functional
    from . import init as init
    from . import kernels as kernels
    from . import models as models
    from . import nn as nn
    from . import optim as optim
    from . import plots as plots
    from . import testing as testing
    from . import train as train
    from .autograd import enable_grad as enable_grad
    from .autograd import no_grad as no_grad
    from .checkpoint import load_checkpoint as load_checkpoint
    from .checkpoint import save_checkpoint as save_checkpoint
    from .function import Function as Function
    from .graph import graph as graph
    from .kernels.engine import Array as Array
    from .kernels.engine import Device as Device
    from .kernels.engine import Stream as Stream
    from .kernels.engine import array as array
    from .kernels.engine import default_device as default_device
    from .kernels.engine import device as device
    from .kernels.engine import devices as devices
    from .kernels.engine import empty as empty
    from .kernels.engine import full as full
    from .kernels.engine import kernel as kernel
    from .kernels.engine import set_default_device as set_default_device
    from .kernels.engine import zeros as zeros
    from .kernels.engine.lens import check as check
    from .kernels.engine.lens import checking as checking
    from .kernels.engine.lens.profiler import profile as profile
    from .kernels.engine.lens.profiler import profiling as profiling
    from .kernels.engine.resources import resources as resources
    from .kernels.engine.tuning import tune as tune
    from .kernels.matmul import get_float32_matmul_precision as get_float32_matmul_precision
    from .kernels.matmul import set_float32_matmul_precision as set_float32_matmul_precision
    from .random import manual_seed as manual_seed
    from .summary import summary as summary
    from .tensor import Tensor as Tensor
    from .tensor import tensor as tensor
    from .train import evaluate as evaluate
    from .train import fit as fit
    from .train import predict as predict


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    elif name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(types.ModuleType):
    """Keeps ``nnlite.tensor`` the function although loading ``tensor.py`` binds the module."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _NAMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
