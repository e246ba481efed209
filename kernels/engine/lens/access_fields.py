"""Checked accesses to fields of arrays of records.

r = recs[i].x            r = read_field_(lens_, 5, recs, i, 'x')
recs[i]['x'] = v         write_field_(lens_, 6, recs, i, 'x', v)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numba.core import types
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic

from .access import (
    INT,
    Access,
    Lens,
    bytes_of,
    is_element,
    is_scalar,
    typed,
    writing,
    zero_slot,
)
from .state import READ


def _field(array: Any, index: Any, name: Any) -> Any:
    """The type of a field of an array of records, if that is what it is."""
    if not is_element(array, index) or not isinstance(array.dtype, types.Record):
        raise NumbaTypeError(f"{array} has no field {name}")
    kind = array.dtype.typeof(name.literal_value)
    if not is_scalar(kind):
        raise NumbaTypeError(f"the field {name} is more than one number")
    return kind


@intrinsic(prefer_literal=True)
def read_field(tyctx, state, site, array, index, name):
    """``array[index].name``."""
    kind, field = _field(array, index, name), name.literal_value

    def codegen(ctx, bld, sig, args):
        lens, slot = Lens.of(ctx, bld, sig, args), zero_slot(ctx, bld, kind)
        access = Access(bytes_of(ctx, kind), READ, INT(array.dtype.offset(field)))
        with lens.element(sig.args[2], args[2], sig.args[3], args[3], access) as p:
            bld.store(ctx.unpack_value(bld, kind, typed(ctx, bld, kind, p)), slot)
        return bld.load(slot)

    return kind(state, site, array, index, name), codegen


@intrinsic(prefer_literal=True)
def write_field(tyctx, state, site, array, index, name, value):
    """``array[index].name = value``."""
    kind, field = _field(array, index, name), name.literal_value
    value = types.unliteral(value)

    def codegen(ctx, bld, sig, args):
        lens = Lens.of(ctx, bld, sig, args)
        converted = ctx.cast(bld, args[5], sig.args[5], kind)
        access = replace(writing(ctx, bld, kind, converted), offset=INT(array.dtype.offset(field)))
        with lens.element(sig.args[2], args[2], sig.args[3], args[3], access) as p:
            ctx.pack_value(bld, kind, converted, typed(ctx, bld, kind, p))
        return ctx.get_dummy_value()

    return types.none(state, site, array, index, name, value), codegen


FUNCTIONS: dict[str, Any] = {"read_field_": read_field, "write_field_": write_field}
