"""Training, evaluation and prediction: :func:`fit`, :func:`evaluate`, :func:`predict`."""

from __future__ import annotations

from .inference import evaluate, predict
from .loop import fit
from .state import Callback, FitState, History, Meter

__all__ = ["Callback", "FitState", "History", "Meter", "evaluate", "fit", "predict"]
