"""Switches ``numba.cuda`` to its simulator and puts the compiler in its place; and back."""

from __future__ import annotations

import importlib
import linecache
import os
import sys
from typing import Any

from ..kernels.engine.errors import DeviceError

VARIABLE = "NUMBA_ENABLE_CUDASIM"
_ABSENT: Any = object()

# Numba alone defines these in a module that cannot be imported beside the simulator.
_WARP_FUNCTIONS = (
    *("all_sync", "any_sync", "eq_sync", "ballot_sync"),
    *("shfl_sync", "shfl_up_sync", "shfl_down_sync", "shfl_xor_sync"),
)

_changes: list[tuple[Any, str, Any]] = []
"""Every attribute replaced: (object, name, former value), to be put back in reverse order."""

_environment: list[str | None] = []
"""The variable's value before :func:`enable`; empty while not enabled."""


class KernelFunction:
    """A function of ``numba.cuda`` that only kernels can call."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *args: Any) -> Any:
        raise NotImplementedError(f"cuda.{self.__name__} can only be called in a kernel")


def enabled() -> bool:
    """See :func:`nnlite.cudasim.enabled`."""
    return bool(_environment)


def enable() -> None:
    """See :func:`nnlite.cudasim.enable`."""
    if enabled():
        return
    loaded = sys.modules.get("numba.cuda")
    if loaded is not None and "numba.cuda.simulator_init" not in sys.modules:
        raise DeviceError(
            "nnlite.cudasim.enable(): numba.cuda has already been imported for GPUs and cannot be "
            "switched to the simulator any more; call enable() before the first import of "
            "numba.cuda (in a notebook: restart, then enable() first), or run the program as "
            "`python -m nnlite.cudasim SCRIPT`"
        )
    former = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    config = sys.modules.get("numba.core.config")
    if config is not None:
        config.ENABLE_CUDASIM = 1  # type: ignore[attr-defined]
    _environment.append(former)
    try:
        cuda = importlib.import_module("numba.cuda")
        _install(cuda)
    except BaseException:
        disable()
        raise


def disable() -> None:
    """See :func:`nnlite.cudasim.disable`."""
    while _changes:
        owner, name, former = _changes.pop()
        if former is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, former)
    if _environment:
        former = _environment.pop()
        if former is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = former


def put(owner: Any, name: str, value: Any) -> None:
    """Set an attribute and remember what was there."""
    _changes.append((owner, name, vars(owner).get(name, _ABSENT)))
    setattr(owner, name, value)


def put_missing(owner: Any, name: str, value: Any) -> None:
    """Set an attribute that is absent or None."""
    if getattr(owner, name, None) is None:
        put(owner, name, value)


def _install(cuda: Any) -> None:
    # These modules build on the simulator's classes, which exist only now.
    from . import children, host, jit

    original = cuda.jit
    for name, module in list(sys.modules.items()):
        if name.startswith("numba.cuda") and getattr(module, "jit", None) is original:
            put(module, "jit", jit.jit)
    _add_kernel_names(cuda)
    _remember_command()
    host.install(cuda, put, put_missing)
    children.install(put)


def _remember_command() -> None:
    """Let the kernels of ``python -c "..."`` be found; Python itself does so from 3.13 on."""
    if sys.argv[:1] == ["-c"] and "-c" in sys.orig_argv[:-1]:
        text = sys.orig_argv[sys.orig_argv.index("-c") + 1]
        entry = len(text), None, text.splitlines(True), "<string>"
        linecache.cache.setdefault("<string>", entry)


def _add_kernel_names(cuda: Any) -> None:
    """Give ``numba.cuda`` the names used inside kernels, which the simulator defines only there.

    With them ``from numba.cuda import threadIdx, grid`` works, and so does ``cuda.grid`` in a
    kernel that imports ``cuda`` where it is defined and not at the top of its file.
    """
    from ..kernels.engine.cpu.names import TOP

    for module in ("stubs", "intrinsics", "cache_hints"):
        try:
            source = importlib.import_module(f"numba.cuda.{module}")
        except ImportError:  # cache hints are numba-cuda's alone
            continue
        for name in TOP:
            if hasattr(source, name):
                put_missing(cuda, name, getattr(source, name))
    for name in _WARP_FUNCTIONS:
        put_missing(cuda, name, KernelFunction(name))
    for module in ("cg", "libdevice"):
        put_missing(cuda, module, importlib.import_module(f"numba.cuda.{module}"))
