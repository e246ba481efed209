"""Arithmetic rounded up, down or towards zero.

The rounding mode of the processor is changed for one operation, in a small function that LLVM may
neither inline nor look into::

    float fadd_up(float a, float b)
        set.rounding(2)                      # upward
        r = constrained.fadd(a, b, "round.dynamic", "fpexcept.strict")
        set.rounding(1)                      # back to nearest
        return r
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .rt_scalar import I32

MODES = {"rz": 0, "rn": 1, "ru": 2, "rd": 3}
VOID = ir.VoidType()


def rounded(bld: Any, mode: str, operation: str, result: Any, *args: Any) -> Any:
    """``operation`` (``fadd``, ``sqrt``, ``fptrunc``, ``sitofp`` ...) rounded as ``mode`` says."""
    module = bld.module
    kinds = [result, *(a.type for a in args if a.type != result)][:2]
    name = ".".join(["nnlite", operation, mode, *map(str, kinds)])
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(result, [a.type for a in args]), name)
        function.linkage = "internal"
        for attribute in ("noinline", "strictfp", "nounwind"):
            set.add(function.attributes, attribute)  # llvmlite does not know the second
        _write(function, MODES[mode], operation, kinds)
    return bld.call(function, args)


def _write(function: Any, mode: int, operation: str, kinds: list[Any]) -> None:
    module, bld = function.module, ir.IRBuilder(function.append_basic_block())
    set_mode = module.declare_intrinsic("llvm.set.rounding", [], ir.FunctionType(VOID, [I32]))
    meta = ir.MetaDataType()
    args = list(function.args)
    kind = ir.FunctionType(function.ftype.return_type, [*function.ftype.args, meta, meta])
    strict = module.declare_intrinsic(f"llvm.experimental.constrained.{operation}", kinds, kind)
    words = [ir.MetaDataString(module, w) for w in ("round.dynamic", "fpexcept.strict")]
    bld.call(set_mode, [I32(mode)])
    value = bld.call(strict, [*args, *words])
    bld.call(set_mode, [I32(MODES["rn"])])
    bld.ret(value)
