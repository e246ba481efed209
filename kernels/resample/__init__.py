"""Up- and down-sampling of images: the nearest element, or bilinear interpolation.

- ``axes``: tables of an axis, and the reference in NumPy.
- ``kernels``, ``launchers``: the kernels and what runs them.
- ``specs``: ``SPECS``.
"""

from .launchers import resample, resample_backward
from .specs import SPECS

__all__ = ["SPECS", "resample", "resample_backward"]
