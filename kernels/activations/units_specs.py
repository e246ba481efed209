"""``SPECS`` of the further units and, as ops of their own, of their gradients.

Options are exact in float32. Bounds in ulp that are not the 4 of DESIGN.md, with their reason (u
is half an ulp of 1, ``tanh`` and ``log`` are good to 4 u, ``exp`` to 2 u):

* ``elu``, ``celu``, ``selu``: ``2 t / (1 - t)`` carries the 4 u of the tanh and two roundings, the
  scaling one or two more: 10 u, 5 ulp; in ``celu`` the rounding of x / alpha adds one: 6 ulp hold
  all. Their gradients: exp(x / alpha) magnifies the rounding of its argument by up to 16 (alpha
  0.25) to 16 u; with five more, 12 ulp.
* ``softplus`` with beta 1.5 on [-4, 4]: exp magnifies the rounding of beta x by 6; with exp, log
  and five roundings, 16 u: 8 ulp, also for its gradient.
* ``logsigmoid``, ``mish`` and the gradients of both: up to nine roundings in a row, 8 ulp.
* the gradient of Mish cancels near x = -1.19, ``x - tanh(x)`` where |x| >= 1: the bound is
  measured at the size of the terms (``magnitude``).
* ``tanhshrink`` below 1: 4 ulp, and 6 for its float64 reference, a sum of eleven powers: 10 ulp.
* ``tanhshrink_backward``: the square doubles the 4 u of the tanh: 8 ulp.
"""

from __future__ import annotations

from typing import Any

from ..elementwise.specs import FLOATS, wrong_pair, wrong_unary
from ..engine import ArgumentError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from . import units, units_reference

X, DY = Arg("x", "..."), Arg("dy", "...")


def _refused(arrays: int, wrong: tuple[tuple[dict[str, Any], str], ...]) -> tuple[Wrong, ...]:
    return tuple(Wrong((FLOATS,) * arrays, ArgumentError, match, given) for given, match in wrong)


def _pair(
    name: str,
    ulp: tuple[float, float] = (4.0, 4.0),
    options: dict[str, tuple[float, ...]] | None = None,
    wrong: tuple[tuple[dict[str, Any], str], ...] = (),
    slope: str | None = None,
    smooth: bool = True,
) -> tuple[OpSpec, OpSpec]:
    """The specs of a unit and of its gradient."""
    unit, backward, slope = units.UNITS[name], f"{name}_backward", slope or f"{name}_backward"
    needed = {key: choices[0] for key, choices in (options or {}).items()}
    plain = [Wrong(w.args, w.error, w.match, needed) for w in wrong_unary()]
    pairs = [Wrong(w.args, w.error, w.match, needed) for w in wrong_pair("dy", "x")]
    common: dict[str, Any] = {"options": options or {}, "block": 256}
    return (
        OpSpec(
            name=name,
            forward=getattr(units, name),
            reference=getattr(units_reference, name),
            args=(X,),
            vjp=getattr(units, backward),
            magnitude=getattr(units_reference, f"{name}_magnitude", None),
            wrong=(*plain, *_refused(1, wrong)),
            tolerance=Tolerance(ulp=ulp[0]),
            kernels=unit.signatures(slope=False),
            smooth=smooth,
            **common,
        ),
        OpSpec(
            name=backward,
            forward=getattr(units, backward),
            reference=getattr(units_reference, slope),
            args=(DY, X),
            magnitude=getattr(units_reference, f"{backward}_magnitude", None),
            wrong=(*pairs, *_refused(2, wrong)),
            tolerance=Tolerance(ulp=ulp[1]),
            kernels=unit.signatures(slope=True),
            **common,
        ),
    )


SPECS: tuple[OpSpec, ...] = (
    *_pair(
        "elu",
        (6.0, 4.0),
        {"alpha": (1.0, 0.5)},
        (({"alpha": None}, "alpha: None given, expected a real number"),),
        smooth=False,
    ),
    *_pair("selu", (6.0, 4.0), smooth=False),
    *_pair(
        "celu",
        (6.0, 12.0),
        {"alpha": (1.0, 0.25)},
        (
            ({"alpha": 0.0}, "alpha: 0.0 given, expected a number above 0"),
            ({"alpha": True}, "alpha: True given, expected a real number"),
        ),
    ),
    *_pair(
        "softplus",
        (8.0, 8.0),
        {"beta": (1.0, 1.5), "threshold": (20.0, 2.0)},
        (
            ({"beta": -1.0}, "beta: -1.0 given, expected a number above 0"),
            ({"threshold": "low"}, "threshold: 'low' given, expected a real number"),
        ),
    ),
    *_pair("logsigmoid", (8.0, 8.0)),
    *_pair("mish", (8.0, 8.0)),
    *_pair("softsign"),
    *_pair("tanhshrink", (10.0, 8.0)),
    *_pair(
        "hardtanh",
        options={"min_val": (-1.0, 0.0), "max_val": (1.0, 6.0)},
        wrong=(
            ({"min_val": 2.0}, "max_val: 1.0 given, expected a number not below min_val"),
            ({"max_val": None}, "max_val: None given, expected a real number"),
        ),
    ),
    *_pair("hardsigmoid"),
    *_pair("hardswish"),
    *_pair(
        "softshrink",
        options={"lambd": (0.5, 0.0)},
        wrong=(({"lambd": -0.5}, "lambd: -0.5 given, expected a number not below 0"),),
        slope="shrink_backward",
    ),
    *_pair(
        "hardshrink",
        options={"lambd": (0.5, 0.0)},
        wrong=(({"lambd": "wide"}, "lambd: 'wide' given, expected a real number"),),
        slope="shrink_backward",
    ),
    *_pair(
        "threshold",
        options={"threshold": (0.5, -0.25), "value": (0.0, -2.0)},
        wrong=(({"threshold": None, "value": 0.0}, "threshold: None given, expected a real"),),
    ),
)
