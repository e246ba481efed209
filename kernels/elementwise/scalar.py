"""The kernels of a map that compute an item to a thread; see :mod:`.mapping`."""

from __future__ import annotations

from typing import Any

from numba import cuda


def _make_unary(function: Any) -> tuple[Any, Any]:
    def flat(x, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i])

    def strided(x, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j])

    return flat, strided


def _make_unary_scalar(function: Any) -> tuple[Any, Any]:
    def flat(x, alpha, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], alpha)

    def strided(x, alpha, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j], alpha)

    return flat, strided


def _make_binary(function: Any) -> tuple[Any, Any]:
    def flat(x, y, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i])

    def strided(x, y, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j], y[0, p, q, r, j])

    return flat, strided


def _make_binary_scalar(function: Any) -> tuple[Any, Any]:
    def flat(x, y, alpha, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i], alpha)

    def strided(x, y, alpha, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j], y[0, p, q, r, j], alpha)

    return flat, strided


def _make_unary_two_scalars(function: Any) -> tuple[Any, Any]:
    def flat(x, alpha, beta, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], alpha, beta)

    def strided(x, alpha, beta, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j], alpha, beta)

    return flat, strided


def _make_binary_two_scalars(function: Any) -> tuple[Any, Any]:
    def flat(x, y, alpha, beta, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i], alpha, beta)

    def strided(x, y, alpha, beta, out):
        q, r, j = cuda.blockIdx.z, cuda.blockIdx.y, cuda.grid(1)
        for p in range(out.shape[1]):
            if j < out.shape[4]:
                out[0, p, q, r, j] = function(x[0, p, q, r, j], y[0, p, q, r, j], alpha, beta)

    return flat, strided


# Inputs and scalars of a map -> what makes its kernels ``flat`` and ``strided``.
FACTORIES = {
    (1, 0): _make_unary,
    (1, 1): _make_unary_scalar,
    (1, 2): _make_unary_two_scalars,
    (2, 0): _make_binary,
    (2, 1): _make_binary_scalar,
    (2, 2): _make_binary_two_scalars,
}
