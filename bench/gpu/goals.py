"""The goals, on one H200, and whether what was measured meets them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .case import Result


@dataclass(frozen=True)
class Goal:
    """A ratio to reach against every peer of a kind, in every case of a kind.

    Args:
        text: as a reader wants it.
        case, peer: regular expressions for their whole names.
        least: our rate over the peer's.
        cases: how many cases there are to be; with fewer measured it is not met.
    """

    text: str
    case: str
    peer: str
    least: float
    cases: int = 1

    def measured(self, results: Sequence[Result]) -> dict[tuple[str, str], float]:
        """(case, peer) -> ratio."""
        return {
            (r.case, peer): r.of_peer(peer)
            for r in results
            if re.fullmatch(self.case, r.case) and r.rounds and not r.stand_in
            for peer in r.peers
            if re.fullmatch(self.peer, peer)
        }

    def judged(self, results: Sequence[Result]) -> dict[str, Any]:
        """The lowest ratio, where it is, and whether the goal is met: None where not measured."""
        found = self.measured(results)
        seen = len({case for case, _ in found})
        lowest = min(found, key=lambda key: found[key], default=None)
        met = None
        if found:
            met = found[lowest] >= self.least
            if met and seen < self.cases:
                met = None  # what is missing could be lower
        return {
            "goal": self.text,
            "least": self.least,
            "measured": None if lowest is None else found[lowest],
            "case": None if lowest is None else lowest[0],
            "peer": None if lowest is None else lowest[1],
            "cases_measured": seen,
            "cases": self.cases,
            "met": met,
        }


SQUARES = "(4096x4096x4096|8192x8192x8192)"
GOALS = (
    Goal("float32 matmul, 4096 and 8192", f"matmul float32 {SQUARES}", "cuBLAS", 0.95, 2),
    Goal("tf32 matmul with mma.sync", f"matmul tf32 mma.sync {SQUARES}", "cuBLAS", 0.65, 2),
    Goal("tf32 matmul with wgmma", f"matmul tf32 wgmma {SQUARES}", "cuBLAS", 0.94, 2),
    Goal("bf16 matmul with mma.sync", f"matmul bf16 mma.sync {SQUARES}", "cuBLAS", 0.55, 2),
    Goal("bf16 matmul with wgmma", f"matmul bf16 wgmma {SQUARES}", "cuBLAS", 0.95, 2),
    Goal("3x3 convolution, float32", r"conv 3x3 \d.*", "cuDNN .*", 1.0, 9),
    Goal("3x3 convolution, by Winograd", "conv 3x3 winograd .*", "cuDNN .*", 1.0, 6),
    Goal("softmax", "softmax .*", "copy", 0.97, 2),
    Goal("layer norm", "layer_norm .*", "copy", 0.97),
    Goal("activations", "(relu|gelu|silu|sigmoid|tanh)", "copy", 0.97, 5),
    Goal("Adam of many tensors", "Adam .*", "copy", 0.95),
    Goal("LeNet-5 step against PyTorch", "LeNet-5 step.*", "torch eager", 10.0),
    Goal("LeNet-5 step against a CUDA graph of it", "LeNet-5 step.*", "torch graph", 1.5),
)


def judge(results: Sequence[Result], goals: Sequence[Goal] = GOALS) -> list[dict[str, Any]]:
    """Every goal with what was measured."""
    return [goal.judged(results) for goal in goals]
