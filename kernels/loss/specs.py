"""``SPECS`` of the losses.

Each is measured as a sum (``terms``): of all items, or of one with the reduction ``"none"``. The
gradients, for prediction and target, are those of the one vjp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import int64, types

from ..engine import ArgumentError, Array, DtypeError, ShapeError
from ..opspec import Arg, OpSpec, Tolerance, Wrong
from . import launchers, probabilities, reference
from .kernels import BLOCK, gradient_kernels, value_kernels, weighted_kernels
from .launchers import BCE, BCE_LOGITS, HUBER, KL, KL_LOG, L1, MSE, REDUCTIONS, SMOOTH_L1, Loss

_TABLE = np.ones((2, 3), np.float32)


def _signatures(*losses: Loss, weighted: bool = False) -> tuple[Any, ...]:
    found: list[tuple[Any, tuple[Any, ...]]] = []
    for real in (types.float32, types.float64):
        line, number = types.Array(real, 1, "C"), real
        extra: tuple[Any, ...]
        for with_weights in (False, True)[: 1 + weighted]:
            extra = (line, line) if with_weights else (number,)
            for loss in losses:
                make = weighted_kernels if with_weights else value_kernels
                each, total = make(loss.value, np.dtype(str(real)))
                found.append((each, (line, line, *extra, line)))
                found.append((total, (line, line, *extra, line, int64, number)))
                for slope in filter(None, (loss.slope, loss.target_slope)):
                    kernel = gradient_kernels(slope)[with_weights]
                    found.append((kernel, (line, line, line, *extra, line, int64, number)))
    return tuple(found)


def _terms(p: np.ndarray, *others: Any, **options: Any) -> int:
    return 1 if options["reduction"] == "none" else p.size


def _vjp(backward: Callable[..., Array], optional: int = 0) -> Callable[..., Any]:
    """Gradients for prediction and target, none for the weights."""

    def vjp(dloss: Array, p: Array, t: Array, *rest: Any, **options: Any) -> tuple[Any, ...]:
        both = (
            backward(dloss, p, t, *rest, **options, of_target=target) for target in (False, True)
        )
        return (*both, *[None] * optional)

    return vjp


def _wrong(name: str, extra: tuple[Any, ...] = (), **options: Any) -> tuple[Wrong, ...]:
    wide = _TABLE.astype(np.float64)
    return (
        Wrong(
            (_TABLE, _TABLE[:1], *extra),
            ShapeError,
            rf"{name}: target: shape \(1, 3\) given",
            options,
        ),
        Wrong(
            (_TABLE, np.ones((), np.float32), *extra),
            ShapeError,
            rf"{name}: target: shape \(\)",
            options,
        ),
        Wrong((_TABLE, wide, *extra), DtypeError, f"{name}: target: dtype float64", options),
        Wrong(
            (_TABLE.astype(int), _TABLE, *extra), DtypeError, f"{name}: pred: dtype int64", options
        ),
        Wrong((_TABLE, 1.0, *extra), DtypeError, f"{name}: target: float given", options),
        Wrong(
            (_TABLE, _TABLE, *extra),
            ArgumentError,
            f"{name}: reduction: None",
            {**options, "reduction": None},
        ),
    )


def _refused(name: str, option: str, value: Any, expected: str) -> tuple[Wrong, ...]:
    match = f"{name}: {option}: {value!r} given, expected {expected}"
    return (Wrong((_TABLE, _TABLE), ArgumentError, match, {option: value}),)


def _wrong_weight(name: str, which: str, place: int) -> tuple[Wrong, ...]:
    def call(weight: Any) -> tuple[Any, ...]:
        return (_TABLE, _TABLE, *[None] * place, weight)

    return (
        Wrong(call(_TABLE[:, :2]), ShapeError, rf"{name}: {which}: shape \(2, 2\) given"),
        Wrong(call(_TABLE[None]), ShapeError, rf"{name}: {which}: shape \(1, 2, 3\) given"),
        Wrong(call(_TABLE.astype(np.float64)), DtypeError, f"{name}: {which}: dtype float64"),
        Wrong(call(2.0), DtypeError, f"{name}: {which}: float given"),
    )


def _spec(name: str, losses: tuple[Loss, ...], **more: Any) -> OpSpec:
    module = launchers if hasattr(launchers, name) else probabilities
    weights = len(more.get("args", ())) - 2
    return OpSpec(
        **{
            "name": name,
            "forward": getattr(module, name),
            "reference": getattr(reference, name),
            "args": (Arg("pred", "..."), Arg("target", "...")),
            "vjp": _vjp(getattr(module, f"{name}_backward"), max(weights, 0)),
            "magnitude": reference.tripled(getattr(reference, name)),
            "tolerance": Tolerance(terms=_terms),
            "block": BLOCK,
            "kernels": _signatures(*losses, weighted=weights > 0),
            **more,
            "options": {"reduction": REDUCTIONS, **more.get("options", {})},
            "wrong": (*_wrong(name), *more.get("wrong", ())),
        }
    )


def _probability(name: str) -> Arg:
    return Arg(name, "...", low=0.0, high=1.0, bounded=True)


def _weight(name: str) -> Arg:
    return Arg(name, "...", low=0.0, optional=True, differentiable=False)


SPECS = (
    _spec("mse", (MSE,)),
    _spec("l1", (L1,)),
    _spec(
        "smooth_l1",
        (SMOOTH_L1,),
        options={"beta": (1.0, 0.25, 0.0)},
        magnitude=reference.smooth_l1_magnitude,
        wrong=(
            *_refused("smooth_l1", "beta", -1.0, "a number not below 0"),
            *_refused("smooth_l1", "beta", None, "a real number"),
        ),
    ),
    _spec(
        "huber",
        (HUBER,),
        options={"delta": (1.0, 0.25)},
        magnitude=reference.huber_magnitude,
        wrong=(
            *_refused("huber", "delta", 0.0, "a number above 0"),
            *_refused("huber", "delta", "1", "a real number"),
        ),
    ),
    _spec(
        "bce",
        (BCE,),
        # Away from 0 and 1, where a difference of logarithms would step outside.
        args=(
            Arg("pred", "...", low=1 / 64, high=63 / 64, bounded=True),
            _probability("target"),
            _weight("weight"),
        ),
        wrong=_wrong_weight("bce", "weight", 0),
    ),
    _spec(
        "bce_logits",
        (BCE_LOGITS,),
        args=(Arg("pred", "..."), _probability("target"), _weight("weight"), _weight("pos_weight")),
        wrong=(
            *_wrong_weight("bce_logits", "weight", 0),
            *_wrong_weight("bce_logits", "pos_weight", 1),
        ),
    ),
    _spec(
        "kl_div",
        (KL, KL_LOG),
        args=(Arg("pred", "..."), Arg("target", "...", low=1 / 64)),
        options={"reduction": probabilities.KL_REDUCTIONS, "log_target": (False, True)},
        magnitude=reference.kl_div_magnitude,
        wrong=_refused("kl_div", "log_target", "yes", "one of False, True"),
    ),
)
