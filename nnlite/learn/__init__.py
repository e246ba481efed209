"""Learning GPU programming with nnlite: the ladders."""

from .ladder import Rung, Traffic, climb, traffic

__all__ = ["Rung", "Traffic", "climb", "traffic"]
