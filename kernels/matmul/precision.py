"""How exactly large float32 products are computed on a GPU: the setting of PyTorch by that name."""

from __future__ import annotations

from ..checks import require_option

# Precision -> the numbers to which tensor cores take the factors; None for no tensor cores.
KINDS: dict[str, str | None] = {"highest": None, "high": "tf32", "medium": "bf16"}
_precision = "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Allow the matrix product to round float32 factors, which lets a GPU use its tensor cores.

    Sums are float32 with every setting. It is heeded by ``matmul``, and so by linear layers, for
    products large enough for the wide tile, on a GPU from compute capability 8.0 on whose tensor
    cores are the faster way; everything else, all of the CPU included, computes as with
    ``"highest"``. On Hopper GPUs the memory accelerator rounds to tf32 itself, and does not say
    which way: by at most 2^-10 of a factor, where other GPUs round to the nearest, by 2^-11.

    It governs convolutions of many channels and their gradients on such a GPU as well, unlike in
    PyTorch, where they have a setting of their own: less than ``"highest"`` lets them round images,
    weights and gradients to the same numbers, or compute 3x3 kernels by Winograd's algorithm, in
    float32, whose error is bounded less closely; whichever is expected to be faster.

    Args:
        precision: ``"highest"`` (float32, the default), ``"high"`` (tf32: 10 bits after the point)
            or ``"medium"`` (bfloat16: 7 bits).

    Raises:
        ArgumentError: another precision.

    Source: ``torch.set_float32_matmul_precision``.
    """
    global _precision
    name = "set_float32_matmul_precision"
    require_option(name, "precision", precision, tuple(KINDS))
    _precision = precision


def get_float32_matmul_precision() -> str:
    """What :func:`set_float32_matmul_precision` was last given; ``"highest"`` at first."""
    return _precision


def kind() -> str | None:
    """The numbers to which factors are rounded, or None."""
    return KINDS[_precision]
