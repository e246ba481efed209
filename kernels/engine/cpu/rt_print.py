"""``print`` in kernels: one line per call, in the format of a GPU's ``printf``.

Integers are written with ``%lld``, real numbers with ``%f``, booleans as True or False, tuples in
parentheses, as numba-cuda does.  The line is written to Python's ``sys.stdout`` at once, while no
other thread can write.
"""

from __future__ import annotations

import string
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

ADDRESS = ir.IntType(8).as_pointer()
LINE_BYTES = 1024
"""A longer line is cut, its end of line included."""


def _item(ctx: Any, bld: Any, t: Any, value: Any) -> tuple[str, list[Any]]:
    """(format, values) for C's ``snprintf``."""
    if isinstance(t, types.Boolean):
        names = [ctx.insert_const_string(bld.module, name) for name in ("True", "False")]
        return "%s", [bld.select(ctx.is_true(bld, t, value), *names)]
    if isinstance(t, types.Integer):
        wide = types.int64 if t.signed else types.uint64
        return ("%lld" if t.signed else "%llu"), [ctx.cast(bld, value, t, wide)]
    if isinstance(t, types.Float):
        return "%f", [ctx.cast(bld, value, t, types.float64)]
    items = [_item(ctx, bld, kind, bld.extract_value(value, i)) for i, kind in enumerate(t)]
    text = ", ".join(form for form, _ in items) + ("," if len(items) == 1 else "")
    return f"({text})", [v for _, values in items for v in values]


def _printable(t: Any) -> bool:
    if isinstance(t, types.BaseTuple):
        return all(_printable(item) for item in t)
    return isinstance(t, (types.Integer, types.Float, types.Boolean))


def _function(bld: Any, name: str, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, args, var_arg=True)
    return cgutils.get_or_insert_function(bld.module, kind, name)


@intrinsic(prefer_literal=True)
def effect_print(tyctx, form, *values):
    """Write a line; ``form`` has ``{}`` in the place of each value."""
    kinds = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    kinds = tuple(types.unliteral(t) for t in kinds)
    if not isinstance(form, types.StringLiteral):
        return None
    for t in kinds:
        if not _printable(t):
            raise NumbaTypeError(f"print takes text, numbers, booleans and tuples, not {t}")

    def codegen(ctx, bld, sig, args):
        given = cgutils.unpack_tuple(bld, args[1], len(kinds))
        items = iter([_item(ctx, bld, t, v) for t, v in zip(kinds, given)])
        text, numbers = "", list[Any]()
        for literal, field, _, _ in string.Formatter().parse(form.literal_value):
            text += literal.replace("%", "%%")
            if field is not None:
                item, more = next(items)
                text, numbers = text + item, numbers + more
        line = cgutils.alloca_once(bld, ir.ArrayType(ir.IntType(8), LINE_BYTES))
        line = bld.bitcast(line, ADDRESS)
        length, whole = ir.IntType(64)(LINE_BYTES), ctx.insert_const_string(bld.module, text + "\n")
        snprintf = _function(bld, "snprintf", ir.IntType(32), [ADDRESS, ir.IntType(64), ADDRESS])
        bld.call(snprintf, [line, length, whole, *numbers])
        python = ctx.get_python_api(bld)
        lock = python.gil_ensure()
        python.sys_write_stdout(ctx.insert_const_string(bld.module, "%s"), line)
        python.gil_release(lock)
        return ctx.get_dummy_value()

    return types.none(form, types.StarArgTuple.from_types(kinds)), codegen


FUNCTIONS: dict[str, Any] = {"effect_print_": effect_print}
