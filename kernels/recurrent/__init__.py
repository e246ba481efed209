"""Recurrent cells: the pointwise part of one step, between two matrix products.

A step of a recurrent layer is ``h W_hh^T`` (``matmul``), then one of these kernels; the products
with the inputs of all steps are one ``matmul`` before, and the gradients of the weights one after.

- ``lstm``: long short-term memory.
- ``gru``: gated recurrent unit.
- ``plain``: Elman's network with tanh or ReLU.
"""

from . import gru, lstm, plain
from .gru import gru_cell, gru_cell_backward, gru_step, gru_step_back
from .lstm import lstm_cell, lstm_cell_backward, lstm_step, lstm_step_back
from .plain import plain_step, plain_step_back, rnn_cell, rnn_cell_backward

SPECS = (*plain.SPECS, *lstm.SPECS, *gru.SPECS)

__all__ = [
    "SPECS",
    "gru_cell",
    "gru_cell_backward",
    "gru_step",
    "gru_step_back",
    "lstm_cell",
    "lstm_cell_backward",
    "lstm_step",
    "lstm_step_back",
    "plain_step",
    "plain_step_back",
    "rnn_cell",
    "rnn_cell_backward",
]
