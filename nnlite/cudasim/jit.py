"""``cuda.jit`` of the drop-in: takes every option of the real one and makes a kernel of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import config, sigutils, types

from ..kernels.engine.errors import UnsupportedKernelError
from .kernel import CompiledKernel
from .signatures import Declared


def jit(
    func_or_sig: Any = None,
    device: bool = False,
    inline: Any = "never",
    link: Any = (),
    debug: bool | None = None,
    opt: bool | None = None,
    fastmath: Any = False,
    extensions: Any = (),
    launch_bounds: Any = None,
    boundscheck: Any = None,
    **options: Any,
) -> Any:
    """Decorator of kernels and device functions, as ``numba.cuda.jit``.

    Args:
        func_or_sig: the function, a signature or a list of signatures.
        device: make a device function.
        debug: report exceptions raised in the kernel.
        fastmath: allow reassociation and approximations.
        extensions: objects whose ``prepare_args`` may change each argument.
        launch_bounds: most threads per block, or a tuple that begins with it.
        inline, opt, options: taken for compatibility; they do not change results.
        link, boundscheck: refused, as by Numba's simulator.
    """
    if boundscheck:
        raise NotImplementedError("bounds checking is not supported for CUDA")
    signatures: list[Any] | None = None
    if isinstance(func_or_sig, list):
        signatures = func_or_sig
    elif sigutils.is_signature(func_or_sig):
        signatures = [func_or_sig]
    function = None if signatures is not None else func_or_sig

    def declared(fn: Callable[..., Any]) -> Declared | None:
        if signatures is None:
            return None
        known = dict(_types(s, device) for s in signatures)
        return Declared(fn.__name__, known, only=signatures is not func_or_sig)

    def wrap(fn: Callable[..., Any]) -> CompiledKernel:
        if link:
            code = fn.__code__
            why = "linked PTX or CUDA C++ cannot run on the CPU"
            raise UnsupportedKernelError(code.co_filename, code.co_firstlineno, "link", why)
        return CompiledKernel(
            fn,
            device=device,
            fastmath=bool(fastmath),
            debug=bool(config.CUDA_DEBUGINFO_DEFAULT if debug is None else debug),
            extensions=extensions,
            launch_bounds=launch_bounds,
            declared=declared(fn),
        )

    return wrap if function is None else wrap(function)


def _types(signature: Any, device: bool) -> tuple[tuple[Any, ...], Any]:
    """The argument types and the result type, None where it is to be inferred."""
    arguments, result = sigutils.normalize_signature(signature)
    if result not in (None, types.void) and not device:
        raise TypeError("CUDA kernel must have void return type.")
    return arguments, result
