"""What ``cuda.jit`` makes in the drop-in: a kernel whose launches are compiled for the CPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numba.core import typing
from numba.cuda.errors import normalize_kernel_dimensions
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator.cudadrv.driver import CudaAPIError

from ..kernels.engine.cpu import CpuKernel
from ..kernels.engine.cpu.signature import argument_types, launch_key
from ..kernels.engine.device import check_launch, reference_gpu
from ..kernels.engine.errors import LaunchError, UnsupportedKernelError
from . import fallback
from .arguments import After, Arguments, extended

Dim3 = tuple[int, int, int]
FORALL_BLOCK = 256  # threads per block where CUDA's occupancy calculator would choose


class LaunchFailure(LaunchError, CudaAPIError):
    """A launch that a GPU would refuse; also the error class that Numba's driver raises."""


class CompiledKernel(simulator.FakeCUDAKernel):
    """A kernel or device function; used as Numba's dispatcher is.

    Args:
        fn: the Python function.
        device: a device function, which kernels call and host code may call too.
        fastmath, debug, extensions, launch_bounds: as in ``cuda.jit``.
        declared: the signatures given to ``cuda.jit``, if any.
    """

    def __init__(
        self,
        fn: Any,
        *,
        device: bool,
        fastmath: bool,
        debug: bool,
        extensions: Any,
        launch_bounds: Any,
        declared: Any,
    ) -> None:
        super().__init__(fn, device, fastmath=fastmath, extensions=extensions, debug=debug)
        self.declared = declared
        self.launch_bounds = launch_bounds
        self.overloads = Overloads(self)
        self.refused: dict[Any, UnsupportedKernelError] = {}
        self.warned = False  # that the simulator runs it
        self._ready: set[Any] = set()
        self._cpu: CpuKernel | None = None
        self._lock = threading.Lock()

    @property
    def cpu(self) -> CpuKernel:
        """The kernel as the CPU compiler sees it."""
        with self._lock:
            if self._cpu is None:
                self._cpu = CpuKernel(self.fn, fastmath=self._fastmath, debug=self._debug)
        return self._cpu

    overloads: Any = None  # a property of the simulator's kernel; an attribute of this one

    @property
    def signatures(self) -> list[Any]:
        """The argument types launched so far."""
        return list(self.overloads)

    def inspect_cpu(self, block: Any = None, args: tuple[Any, ...] = ()) -> str:
        """The generated source: what one block does, region by region.

        Args:
            block: a block shape to compile for; None shows what launches have compiled so far.
            args: example arguments for ``block``; their types decide.

        Raises:
            LaunchError: nothing has been compiled and no block is given.
            UnsupportedKernelError: the kernel cannot be compiled; the simulator runs it.
        """
        if block is None:
            if self.refused and not self.cpu.compiled:
                raise next(iter(self.refused.values()))
            return self.cpu.inspect_cpu()
        _, shape = normalize_kernel_dimensions(1, block)
        return self.cpu.inspect_cpu(shape, Arguments(self.__name__, args).values)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """A device function called from the host or by a simulated kernel."""
        context = simulator._get_kernel_context()
        if context is None and not self._device:
            normalize_kernel_dimensions(None, None)  # raises: no launch configuration was given
        with simulator.swapped_cuda_module(self.fn, context):
            return fallback.adapted(self.fn)(*args, **keywords)

    def __getitem__(self, configuration: Any) -> Launch:
        if len(configuration) not in (2, 3, 4):
            raise ValueError("must specify at least the griddim and blockdim")
        return Launch(self, *configuration)

    def configure(self, griddim: Any, blockdim: Any, stream: Any = 0, sharedmem: int = 0) -> Launch:
        """The same as ``kernel[griddim, blockdim, stream, sharedmem]``."""
        return Launch(self, griddim, blockdim, stream, sharedmem)

    def forall(self, ntasks: int, tpb: int = 0, stream: Any = 0, sharedmem: int = 0) -> Any:
        """A launch of at least ``ntasks`` threads in one dimension."""
        if ntasks < 0:
            raise ValueError(f"Can't create ForAll with negative task count: {ntasks}")
        block = tpb or FORALL_BLOCK
        if ntasks == 0:
            return lambda *args: None
        return Launch(self, -(-ntasks // block), block, stream, sharedmem)

    def prepare(self, block: Dim3, values: tuple[Any, ...]) -> UnsupportedKernelError | None:
        """Compile for these arguments; the reason where that cannot be done."""
        key = launch_key(block, values)
        if key not in self._ready:
            try:
                self.cpu.source(block, values)
                kinds = argument_types(self.__name__, values)
            except UnsupportedKernelError as error:
                self.refused[key] = error
            except (TypeError, ValueError) as error:  # an argument that the compiler does not take
                code = self.fn.__code__
                why = UnsupportedKernelError(
                    code.co_filename,
                    code.co_firstlineno,
                    self.__name__,
                    str(error).removeprefix(f"{self.__name__}: "),
                )
                self.refused[key] = why
            else:
                self.overloads[kinds] = Overload(self, kinds)
            self._ready.add(key)
        return self.refused.get(key) if self.refused else None


class Launch:
    """A kernel with grid, block, stream and dynamic shared memory; calling it runs the kernel."""

    def __init__(
        self, kernel: CompiledKernel, grid: Any, block: Any, stream: Any = 0, shared: Any = 0
    ) -> None:
        self.kernel, self.stream, self.shared = kernel, stream, int(shared)
        self.grid, self.block = normalize_kernel_dimensions(grid, block)
        self.checked = False

    def __call__(self, *args: Any) -> None:
        kernel = self.kernel
        after: After = []
        mapped = extended(kernel.extensions, args, self.stream, after)
        converted = Arguments(kernel.__name__, mapped)
        values = converted.values
        if kernel.declared is not None:
            values = kernel.declared.cast(values)
        refused = kernel.prepare(self.block, values)
        if not self.checked:
            self._check(refused is None)
        if refused is None:
            kernel.cpu.launch(self.grid, self.block, self.shared, values)
            for finish in converted.after:
                finish()
        else:
            fallback.simulate(kernel, self, mapped, refused)
        for finish in after:
            finish()

    def _check(self, compiled: bool) -> None:
        """The limits of the reference GPU, as ``nnlite.kernels`` checks them."""
        kernel = self.kernel
        static = kernel.cpu.static_shared_bytes if compiled else 0
        sizes = self.grid, self.block, static, self.shared
        try:
            check_launch(reference_gpu(), kernel.__name__, *sizes, kernel.launch_bounds)
        except LaunchError as error:
            raise LaunchFailure(str(error)) from None
        self.checked = True


class Overload:
    """One compiled version, with what Numba's ``_Kernel`` tells about it."""

    def __init__(self, kernel: CompiledKernel, argument_types: Any) -> None:
        self.kernel, self.argument_types = kernel, argument_types

    @property
    def signature(self) -> Any:
        """The Numba signature; the result type of a device function is inferred."""
        from ..kernels.engine.cpu.result import result_type  # only this needs the front end

        declared = self.kernel.declared
        result = declared.results.get(tuple(self.argument_types)) if declared else None
        if result is None:
            result = result_type(self.kernel.fn, tuple(self.argument_types))
        return typing.signature(result, *self.argument_types)

    @property
    def shared_mem_per_block(self) -> int:
        return self.kernel.cpu.static_shared_bytes

    def max_cooperative_grid_blocks(self, blockdim: Any, dynsmemsize: int = 0) -> int:
        """Blocks of a cooperative launch that are on the reference GPU at the same time."""
        limits = reference_gpu()
        threads = int(np.prod(blockdim))
        return limits.sms * max(1, limits.threads_per_block // max(threads, 1))


class Overloads(dict):
    """Compiled versions by argument types; like the simulator's, it knows every signature."""

    def __init__(self, kernel: CompiledKernel) -> None:
        super().__init__()
        self.kernel = kernel

    def __missing__(self, argument_types: Any) -> Overload:
        return Overload(self.kernel, argument_types)
