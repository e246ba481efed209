"""Ladders to learn from: one computation in steps, one file a step, one idea a step.

Read a ladder's files in order: each says what changed, why, and what to expect on a GPU. The
kernels are right for every size, on every device; ``nnlite ladder`` runs and compares them. In
``exercises`` there are kernels with holes, to be filled in.
"""

from __future__ import annotations

from . import conv, matmul, reduce
from .step import Ladder, Step

LADDERS: dict[str, Ladder] = {x.name: x for x in (matmul.LADDER, reduce.LADDER, conv.LADDER)}

__all__ = ["LADDERS", "Ladder", "Step"]
