"""What a kernel's machine code is expected to hold, said in short strings and checked.

============================  ===================================================================
expectation                   the machine code holds
============================  ===================================================================
``"LDS.128"``                 at least one such instruction
``"LDG.128 >= 2"``            at least two; ``==`` exactly so many, ``<=`` at most
``"FFMA >= 88%"``             so many of the main loop's instructions, as a share of all in it
============================  ===================================================================

Instructions are named as for :meth:`~.figures.Resources.count`: a name, and modifiers that must all
be there. ``LDG.128`` does not stand for the copies to shared memory, ``LDGSTS.128``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable

from ..errors import ArgumentError
from .figures import Resources

_FORM = re.compile(r"([A-Z0-9.]+)(?: (>=|<=|==) (\d+)(%)?)?")
_COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq}


def unmet(found: Resources, expectations: Iterable[str]) -> list[str]:
    """The expectations that a kernel's machine code does not meet, each with what there is instead.

    Raises:
        ArgumentError: an expectation has none of the forms above.

    Example:
        >>> unmet(resources(saxpy_wide, signature), ("LDG.128 >= 2", "STG.128 == 1"))
        ['LDG.128 >= 2: 0 found']
    """
    wrong = []
    for text in expectations:
        form = _FORM.fullmatch(text)
        if form is None:
            raise ArgumentError(
                f"expects: {text!r} given, expected an instruction such as 'LDS.128', a number "
                "of them as in 'LDG.128 >= 2', or a share of the main loop as in 'FFMA >= 88%'"
            )
        pattern, comparison, number, percent = form.groups()
        value: float = 100 * found.share(pattern) if percent else found.count(pattern)
        if not _COMPARE[comparison or ">="](value, int(number or 1)):
            wrong.append(f"{text}: {value:.1f}% found" if percent else f"{text}: {value} found")
    return wrong
