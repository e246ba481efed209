"""What ``nnlite check`` and ``nnlite profile`` run: a kernel of a file, or an op of nnlite."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ArgumentError
from ..kernels.opspec import OpSpec


def in_file(target: str) -> tuple[Path, str] | None:
    """File and name of ``FILE.py:KERNEL``; None for anything else."""
    file, found, kernel = target.rpartition(":")
    return (Path(file), kernel) if found and Path(file).suffix == ".py" else None


def launch_of(command: str, path: Path, name: str) -> tuple[Any, tuple[Any, ...]]:
    """The kernel ``name`` of a file, and (grid, block, args[, shared_bytes]) of its inputs()."""
    module = loaded(command, path)
    kernel = getattr(module, name, None)
    if kernel is None:
        raise ArgumentError(f"{command}: {path} has no kernel {name!r}")
    inputs = getattr(module, "inputs", None)
    if inputs is None:
        raise ArgumentError(
            f"{command}: {path} has no function inputs(); write one that returns (grid, block, "
            "args) or (grid, block, args, shared_bytes)"
        )
    given: Any = inputs()
    if not isinstance(given, tuple) or len(given) not in (3, 4):
        raise ArgumentError(
            f"{command}: inputs() of {path} returns {type(given).__name__}, expected a tuple "
            "(grid, block, args) or (grid, block, args, shared_bytes)"
        )
    return kernel, given


def loaded(command: str, path: Path) -> ModuleType:
    """The module in a file."""
    if not path.is_file():
        raise ArgumentError(f"{command}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def spec_of(command: str, name: str) -> OpSpec:
    """The op of this name, or the first op behind which a kernel of this name stands."""
    from ..kernels import all_specs

    specs = all_specs()
    known = {k.__name__: spec for spec in reversed(specs) for k, _ in spec.kernels}
    known |= {spec.name: spec for spec in specs}
    found = known.get(name)
    if found is None:
        raise ArgumentError(
            f"{command}: {name!r} given, expected FILE.py:KERNEL or the name of an op or a "
            "kernel of nnlite, such as softmax"
        )
    if importlib.util.find_spec("hypothesis") is None:
        raise ArgumentError(
            f"{command}: samples of an op need Hypothesis; install it with: "
            "pip install 'nnlite-cuda[test]'"
        )
    return found
