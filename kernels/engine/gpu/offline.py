"""Compiling a kernel for a GPU that need not be there: to PTX, to machine code, to its listing.

====================  ===========================================  ===============================
step                  what does it                                 where it comes from
====================  ===========================================  ===============================
kernel to PTX         numba-cuda with NVVM                         package numba-cuda[cu13]
PTX to machine code   nvJitLink, which holds the assembler ptxas   package numba-cuda[cu13]
listing (SASS)        nvdisasm                                     package nvidia-cuda-nvdisasm
====================  ===========================================  ===============================

The extra ``resources`` installs them all; none needs a driver.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CompileError
from ..kernel import Kernel

LOWEST = (7, 5)  # the oldest architecture that CUDA 13 knows
REMEDY = "install the extra resources: pip install 'nnlite-cuda[resources]'"
Capability = tuple[int, int] | tuple[int, int, str]


@dataclass(frozen=True)
class Linked:
    """Machine code of one kernel, and what the assembler said of it."""

    cubin: bytes
    log: str


@dataclass(frozen=True)
class _Pretended:
    """What numba-cuda asks of a device when a kernel calls a device function."""

    compute_capability: tuple[int, int]


@contextlib.contextmanager
def _pretended_device() -> Iterator[None]:
    """Lets numba-cuda compile device functions, which it does for the current device, without one.

    Nothing but the PTX depends on the architecture, and that is made later, from the whole kernel.
    """
    from numba.cuda import dispatcher

    real = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: _Pretended(LOWEST)
    try:
        yield
    finally:
        dispatcher.get_current_device = real


@functools.lru_cache(maxsize=64)
def _library(kernel: Kernel, signature: tuple[Any, ...]) -> Any:
    """The kernel as numba-cuda's code library: LLVM IR, from which each architecture's PTX comes.

    ``cuda.compile`` would repeat type inference, four fifths of the time, for each architecture.
    """
    try:
        from numba.cuda.compiler import _compile_pyfunc_with_fixup
    except ImportError as error:
        raise CompileError(f"{kernel.__name__}: numba-cuda is not installed; {REMEDY}") from error
    with _pretended_device():
        library, _ = _compile_pyfunc_with_fixup(
            kernel.py_func,
            signature,
            device=False,
            cc=LOWEST,
            abi="numba",
            fastmath=kernel.fastmath,
            launch_bounds=kernel.launch_bounds,
        )
    return library


def ptx(kernel: Kernel, signature: tuple[Any, ...], capability: Capability) -> str:
    """PTX of a kernel for the numba types of its arguments and a compute capability.

    Raises:
        CompileError: a tool is missing, or refuses the kernel.
        numba.core.errors.TypingError: the kernel does not fit the types.
    """
    library = _library(kernel, signature)
    try:
        return library.get_asm_str(cc=capability)
    except Exception as error:  # NVVM's errors have no class that could be imported without it
        raise CompileError(
            f"{kernel.__name__}: NVVM makes no PTX for {capability}: {error}; is it there? {REMEDY}"
        ) from error


@functools.lru_cache(maxsize=256)
def link(text: str, arch: str, max_registers: int | None = None) -> Linked:
    """What :func:`assemble` makes, remembered within the process."""
    return assemble(text, arch, max_registers)


def assemble(text: str, arch: str, max_registers: int | None = None) -> Linked:
    """Machine code of PTX, of one kernel or several, for an architecture such as ``"sm_90"``.

    Raises:
        CompileError: nvJitLink is missing, or its assembler refuses the PTX.
    """
    try:
        from cuda.bindings import nvjitlink
    except ImportError as error:
        raise CompileError(f"link: nvJitLink is not installed; {REMEDY}") from error
    options = [f"-arch={arch}", "-verbose", "-Xptxas=-v"]
    if max_registers is not None:
        options.append(f"-maxrregcount={max_registers}")
    code = text.encode()
    try:
        handle = nvjitlink.create(len(options), options)
    except Exception as error:
        raise CompileError(
            f"link: nvJitLink does not start for {arch}: {error}; {REMEDY}"
        ) from error
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(handle)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
        log = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, log)
    except nvjitlink.nvJitLinkError as error:
        said = bytearray(nvjitlink.get_error_log_size(handle))
        nvjitlink.get_error_log(handle, said)
        raise CompileError(
            f"link: ptxas refuses the PTX for {arch}: {said.decode().strip(chr(0)) or error}"
        ) from error
    finally:
        nvjitlink.destroy(handle)
    return Linked(bytes(cubin), log.decode())


@functools.cache
def _disassembler() -> str:
    found: str | None = None
    with contextlib.suppress(ImportError):
        from cuda.pathfinder import find_nvidia_binary_utility

        found = find_nvidia_binary_utility("nvdisasm")
    found = found or shutil.which("nvdisasm")
    if found is None:
        raise CompileError(f"disassemble: nvdisasm is not installed; {REMEDY}")
    return found


def disassemble(cubin: bytes) -> str:
    """Listing of machine code in the JSON form of ``nvdisasm``.

    Raises:
        CompileError: nvdisasm is missing or does not know the architecture.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        done = subprocess.run(
            [_disassembler(), "-json", str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise CompileError(f"disassemble: nvdisasm fails: {done.stderr.strip()}")
    return done.stdout
