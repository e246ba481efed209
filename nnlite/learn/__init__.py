"""Learning GPU programming with nnlite: the ladders."""

from .ladder import Rung, climb

__all__ = ["Rung", "climb"]
