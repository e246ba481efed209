"""Element types as text: in the canonical tree, in generated source, and back to Numba types.

A number type is written by its name, a structured dtype by NumPy's description of it::

    float32                                  'float32'     types.float32
    np.dtype([("x", "f4"), ("n", "i4")])     "[('x', '<f4'), ('n', '<i4')]"     dtype_("[...]")

Both read well in the generated source, and neither needs an object kept beside it.
"""

from __future__ import annotations

import ast
import functools
from typing import Any

import numpy as np
from numba.core import types
from numba.np import numpy_support

SCALARS = (
    types.Integer,
    types.Float,
    types.Boolean,
    types.Complex,
    types.NPDatetime,
    types.NPTimedelta,
)


def type_text(obj: object) -> str | None:
    """The text for a Numba type, NumPy dtype or scalar class; None for anything else."""
    if isinstance(obj, types.Record):
        obj = numpy_support.as_dtype(obj)
    if isinstance(obj, types.Type):
        name = {"bool": "boolean"}.get(str(obj), str(obj))
        return name if isinstance(obj, SCALARS) else None
    if isinstance(obj, type) and issubclass(obj, np.generic):
        obj = np.dtype(obj)
    if not isinstance(obj, np.dtype):
        return None
    if obj.names is not None:
        return _description(obj)
    if obj.kind in "mM":
        return obj.name if "[" in obj.name else None
    name = {"bool": "boolean"}.get(obj.name, obj.name)
    return name if isinstance(getattr(types, name, None), types.Type) else None


def _description(dtype: np.dtype) -> str:
    """``"[('x', '<f4')]"``, or the dictionary form where fields are aligned or out of order."""
    if not dtype.isalignedstruct and np.dtype(dtype.descr) == dtype:
        return repr(dtype.descr)
    assert dtype.names is not None
    assert dtype.fields is not None
    fields = [dtype.fields[name] for name in dtype.names]
    form = {
        "names": list(dtype.names),
        "formats": [_format(f[0]) for f in fields],
        "offsets": [f[1] for f in fields],
        "itemsize": dtype.itemsize,
    }
    return repr((form, dtype.isalignedstruct))


def _format(dtype: np.dtype) -> Any:
    """A field's dtype as text, nested structures and arrays included."""
    base, shape = dtype.subdtype or (dtype, ())
    inner = base.str if base.names is None else _description(base)
    return (inner, shape) if shape else inner


def _dtype(text: str) -> Any:
    if text[0] not in "[(":
        return np.dtype(text)
    form: Any = ast.literal_eval(text)
    if isinstance(form, list):
        return np.dtype(form)
    fields, align = form
    formats = [_inner(f) for f in fields["formats"]]
    layout: Any = {**fields, "formats": formats}
    return np.dtype(layout, align=align)


def _inner(form: Any) -> Any:
    if isinstance(form, tuple):
        return np.dtype((_dtype(form[0]), form[1]))
    return _dtype(form)


@functools.cache
def type_named(text: str) -> Any:
    """The Numba type that ``type_text`` or ``source_of`` described."""
    return getattr(types, text, None) or numpy_support.from_dtype(_dtype(text))


def source_of(t: Any) -> str:
    """How generated source writes an element type."""
    text = type_text(t)
    assert text is not None, t
    return f"types.{text}" if hasattr(types, text) else f"dtype_({text!r})"


def itemsize(t: Any) -> int:
    """Bytes of one element."""
    return numpy_support.as_dtype(t).itemsize
