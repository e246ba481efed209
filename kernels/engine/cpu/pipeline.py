"""Numba's pipeline for generated code: only the passes that such code needs.

What Numba does besides (closures, ``with`` blocks, literal unrolling, pruning of branches, array
expressions) has been done by the passes of this package or cannot occur.  Without it a kernel
compiles in about three quarters of the time.  Pruning is left out for another reason too: after
the reconstruction of single assignments it may leave ``x = Undefined`` of a phi node, which type
inference then refuses.
"""

from __future__ import annotations

from typing import Any

from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    AnnotateTypes,
    InlineOverloads,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    RewriteSemanticConstants,
    TranslateByteCode,
)

try:
    from numba.core.typed_passes import IRLegalization
except ImportError:  # older versions keep it elsewhere
    from numba.core.untyped_passes import IRLegalization
from .library import KernelLibrary

UNTYPED: tuple[Any, ...] = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    RewriteSemanticConstants,
    GenericRewrites,
    ReconstructSSA,
)
TYPED: tuple[Any, ...] = (NopythonTypeInference, PreLowerStripPhis, InlineOverloads)
NATIVE: tuple[Any, ...] = (
    IRLegalization,
    AnnotateTypes,
    NativeLowering,
    NoPythonBackend,
)


def manager(name: str, *passes: Any) -> PassManager:
    """A pass manager that runs these passes in order."""
    made = PassManager(name)
    for one in passes:
        made.add_pass(one, one.__name__)
    made.finalize()
    return made


class KernelPipeline(CompilerBase):
    """Compiles one generated function."""

    def define_pipelines(self) -> list[PassManager]:
        if self.state.library is None:
            name = self.state.func_id.func_qualname
            self.state.library = KernelLibrary(self.state.targetctx.codegen(), name)
            self.state.library.enable_object_caching()
        return [manager("kernel", *UNTYPED, *TYPED, *NATIVE)]
