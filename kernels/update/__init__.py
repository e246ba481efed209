"""Optimizer updates in place: SGD with momentum, Adam and AdamW; one launch per parameter.

SGD (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013,
in the form that PyTorch uses)::

    g = grad + weight_decay * p
    v = momentum * v + (1 - dampening) * g
    p = p - lr * (g + momentum * v  if nesterov else  v)

Adam (Kingma and Ba, 2015), and AdamW (Loshchilov and Hutter, 2019) if ``decoupled``::

    g = grad + weight_decay * p            (Adam)       p = p * (1 - lr * weight_decay)  (AdamW)
    m = m + (1 - beta1) (g - m)            v = beta2 * v + (1 - beta2) g^2
    p = p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)

Kernels, each with one thread per element and everything read and written once:

- ``sgd``: without velocity.
- ``sgd_momentum``: with velocity.
- ``adam``: both forms of weight decay.
"""

from .launch import adam_update, sgd_update
from .specs import SPECS

__all__ = ["SPECS", "adam_update", "sgd_update"]
