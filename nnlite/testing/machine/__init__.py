"""A machine for PTX: runs the code that a GPU would be given, on NumPy arrays, without a GPU."""

from .machine import Machine

__all__ = ["Machine"]
