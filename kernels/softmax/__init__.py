"""Softmax and what classifiers need of it.

- ``plain``: softmax, log_softmax and their gradients.
- ``entropy``: cross entropy of integer labels, fused with the softmax.
- ``metrics``: accuracy.
- ``specs``: ``SPECS``.
"""

from .entropy import cross_entropy, cross_entropy_backward
from .metrics import accuracy
from .plain import log_softmax, log_softmax_backward, softmax, softmax_backward
from .specs import SPECS

__all__ = [
    "SPECS",
    "accuracy",
    "cross_entropy",
    "cross_entropy_backward",
    "log_softmax",
    "log_softmax_backward",
    "softmax",
    "softmax_backward",
]
