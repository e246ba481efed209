"""Numba's pipeline for generated code: only the passes that such code needs.

What Numba does besides (closures, ``with`` blocks, literal unrolling, pruning of branches, array
expressions) has been done by the passes of this package or cannot occur.  Without it a kernel
compiles in about three quarters of the time.  Pruning is left out for another reason too: after
the reconstruction of single assignments it may leave ``x = Undefined`` of a phi node, which type
inference then refuses.

After several passes Numba works out anew which variables are alive where.  Only generators need it
before the last time, so for other functions it is left out too.
"""

from __future__ import annotations

from typing import Any

from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.ir import Del
from numba.core.ir_utils import build_definitions
from numba.core.postproc import PostProcessor
from numba.core.rewrites import rewrite_registry
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import (
    InlineOverloads,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.types import Boolean, Function, Number
from numba.core.untyped_passes import (
    FixupArgs,
    RewriteSemanticConstants,
    TranslateByteCode,
)

try:
    from numba.core.typed_passes import IRLegalization
except ImportError:  # older versions keep it elsewhere
    from numba.core.untyped_passes import IRLegalization
from .library import KernelLibrary
from .single_assignment import SingleAssignment


@register_pass(mutates_CFG=True, analysis_only=False)
class Canonical(FunctionPass):
    """Loops with one edge back each."""

    _name = "nnlite_canonical"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        function = state.func_ir
        function.blocks = canonicalize_cfg(function.blocks)
        lifetimes_of_generator(function)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class Rewrites(FunctionPass):
    """Numba's rewrites before inference: constant indices, exponents and exceptions."""

    _name = "nnlite_rewrites"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        function = state.func_ir
        for kind in rewrite_registry.rewrites["before-inference"]:
            rewrite = kind(state)
            for label in list(function.blocks):
                while rewrite.match(function, function.blocks[label], None, None):
                    function.blocks[label] = rewrite.apply()
        lifetimes_of_generator(function)
        return True


class Remembering:
    """Numba's typing context, which finds the signature of equal calls once."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._found: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, args: Any, keywords: Any) -> Any:
        if type(function) is not Function or keywords:
            return self._context.resolve_function_type(function, args, keywords)
        key = (function, args)
        if key not in self._found:
            self._found[key] = self._context.resolve_function_type(function, args, keywords)
        return self._found[key]


@register_pass(mutates_CFG=True, analysis_only=False)
class TypeInference(NopythonTypeInference):
    """Numba's inference, which asks for the type of a call again whenever any type was found."""

    _name = "nnlite_type_inference"

    def run_pass(self, state: Any) -> bool:
        context = state.typingctx
        state.typingctx = Remembering(context)
        try:
            return super().run_pass(state)
        finally:
            state.typingctx = context


@register_pass(mutates_CFG=True, analysis_only=False)
class WithoutPhis(PreLowerStripPhis):
    """Assignments in place of phi nodes."""

    _name = "nnlite_without_phis"

    def run_pass(self, state: Any) -> bool:
        if state.func_ir.is_generator:  # its type names the variables that are alive
            return super().run_pass(state)
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class Legal(IRLegalization):
    """Ends the life of what counts its references; a number needs no end.

    Makes no annotated text either, with which every kernel would keep this representation alive.
    """

    _name = "nnlite_legal"

    def run_pass(self, state: Any) -> bool:
        super().run_pass(state)
        state.type_annotation = ""
        numbers = {k for k, t in state.typemap.items() if isinstance(t, (Number, Boolean))}
        for block in state.func_ir.blocks.values():
            block.body = [s for s in block.body if not (isinstance(s, Del) and s.value in numbers)]
        return True


def lifetimes_of_generator(function: Any) -> None:
    if function.is_generator:
        PostProcessor(function).run()


UNTYPED: tuple[Any, ...] = (
    TranslateByteCode,
    FixupArgs,
    Canonical,
    RewriteSemanticConstants,
    Rewrites,
    SingleAssignment,
)
TYPED: tuple[Any, ...] = (TypeInference, WithoutPhis, InlineOverloads)
NATIVE: tuple[Any, ...] = (
    Legal,
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
