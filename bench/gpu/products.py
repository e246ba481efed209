"""Matrix products against cuBLAS (through PyTorch), each precision against the same one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

import nnlite as nl
from nnlite.errors import ArgumentError, DeviceError
from nnlite.kernels import matmul
from nnlite.kernels.engine import tuning
from nnlite.kernels.matmul import large

from . import peers
from .case import OURS, Case, Missing, Side
from .place import Place, host, require_close

SQUARES = ((1024, 1024, 1024), (4096, 4096, 4096), (8192, 8192, 8192))
# Odd sizes, few columns, few tiles with many steps.
OTHERS = ((4095, 4097, 1023), (65536, 64, 1024), (128, 128, 65536))
TENSOR_CORES = "matmul tensor cores"  # the choice between mma.sync and wgmma, by that name
WAYS = ("mma.sync", "wgmma")
SETTING = {"float32": "highest", "tf32": "high", "bf16": "medium"}
EPS = float(np.finfo(np.float32).eps)

# Relative error of a result. Factors rounded to 10 or 7 bits after the point are off by at most
# 2^-11 and 2^-8 of their size, two to a product; hardware may cut them off, which is twice that.
ROUNDED = {"tf32": 2e-3, "bf16": 1.6e-2, "f16": 2e-3}


def bound(kind: str, k: int) -> float:
    """Largest relative error of a right result; sums of k terms are float32 throughout."""
    return ROUNDED.get(kind, 0.0) + 4 * k**0.5 * EPS


def cases() -> list[Case]:
    """All products."""
    found = [case("float32", *shape) for shape in (*SQUARES, *OTHERS)]
    for kind in ("tf32", "bf16"):
        found += [case(kind, *shape) for shape in (*SQUARES[1:], *OTHERS[:2])]
    for way in WAYS:
        found += [case("tf32", *shape, way=way) for shape in SQUARES]
        found += [halves("bf16", *shape, way=way) for shape in SQUARES]
        found += [halves("f16", *shape, way=way) for shape in SQUARES[1:]]
    return found


def case(kind: str, m: int, n: int, k: int, way: str = "") -> Case:
    """A product of float32 matrices: by the kernel that the launcher chooses, or by one way.

    Those that round to bf16 read twice the bytes of cuBLAS, whose matrices are bf16.
    """
    settings = contextlib.ExitStack()

    def before() -> None:
        settings.callback(nl.set_float32_matmul_precision, nl.get_float32_matmul_precision())
        nl.set_float32_matmul_precision(SETTING[kind])

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        if way and place.is_gpu:
            if not large.by_cores(m, n, k, kind, place.device):
                raise Missing(f"{kind}: tensor cores are not expected to pay on this GPU")
            settings.enter_context(forced(way))
        a, b = (nl.array(x, device=place.device) for x in given)
        out = nl.empty((a.shape[0], b.shape[1]), device=place.device)
        return possible(lambda: matmul.matmul(a, b, out=out))

    rounded = "bf16 of float32" if kind == "bf16" else kind
    title = " ".join(("matmul", rounded, *[way] * bool(way), f"{m}x{n}x{k}"))
    return _case(title, kind, (m, n, k), ours, False, before, settings.close)


def halves(kind: str, m: int, n: int, k: int, way: str) -> Case:
    """A product of 16-bit matrices by one way, b stored as its transpose, as wgmma wants it."""
    settings = contextlib.ExitStack()

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        a, b = (nl.array(as_halves(x, kind), device=place.device) for x in (given[0], given[1].T))
        out = nl.empty((a.shape[0], b.shape[0]), device=place.device)
        if place.is_gpu:
            settings.enter_context(forced(way))
        return possible(lambda: matmul.matmul_halves(a, b, kind=kind, out=out))

    title = f"matmul {kind} {way} {m}x{n}x{k}"
    return _case(title, kind, (m, n, k), ours, True, after=settings.close)


def as_halves(x: np.ndarray, kind: str) -> np.ndarray:
    """float16, or the bits of bfloat16, to nearest even."""
    if kind == "f16":
        return x.astype(np.float16)
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _case(
    title: str,
    kind: str,
    shape: tuple[int, int, int],
    ours: Callable[[Place, Any], Callable[[], Any]],
    turned: bool,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> Case:
    """A product against cuBLAS; there, too, the second matrix may be stored as its transpose."""
    m, n, k = shape

    def inputs(place: Place) -> tuple[np.ndarray, np.ndarray]:
        rows, columns, steps = shape if place.is_gpu else (min(m, 40), min(n, 36), min(k, 48))
        return place.random((rows, steps), 1), place.random((steps, columns), 2)

    def cublas(place: Place, given: Any) -> Callable[[], Any]:
        torch = peers.torch_on(place, kind)
        dtype = {"bf16": torch.bfloat16, "f16": torch.float16}.get(kind, torch.float32)
        a, b = (peers.tensor(torch, place, x, dtype) for x in given)
        if turned:
            b = b.T.contiguous().T
        out = torch.empty((a.shape[0], b.shape[1]), dtype=dtype, device=a.device)
        return lambda: torch.mm(a, b, out=out)

    def check(place: Place, given: Any, name: str, found: Any) -> None:
        a, b = given
        limit = bound(kind, a.shape[1])
        for row in {0, a.shape[0] // 2, a.shape[0] - 1}:
            expected = a[row : row + 1].astype(np.float64) @ b[:, :256].astype(np.float64)
            require_close(host(found[row : row + 1])[:, :256], expected, limit)

    return Case(
        title, "matmul", {OURS: Side(ours), "cuBLAS": Side(cublas)}, inputs, 2.0 * m * n * k,
        "FLOP", check, limit=kind, before=before, after=after,
    )  # fmt: skip


def forced(way: str) -> contextlib.AbstractContextManager[None]:
    """Products by one kind of tensor core instruction."""
    return tuning.override(TENSOR_CORES, way)


def possible(product: Callable[[], Any]) -> Callable[[], Any]:
    """The function, after a first call.

    Raises:
        Missing: this GPU has not the instruction that was asked for.
    """
    try:
        product()
    except (ArgumentError, DeviceError) as error:
        raise Missing(str(error)) from error
    return product
