"""All that ``bench.gpu`` measures."""

from __future__ import annotations

from . import bandwidth, convolutions, launches, products, steps
from .case import Case


def all_cases() -> list[Case]:
    """Every case, those with goals early."""
    found = [*products.cases(), *bandwidth.cases(), *steps.cases(), *convolutions.cases()]
    return [*found, *launches.cases()]
