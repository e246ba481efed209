"""The optimizers for many tensors at once: kernels and launchers, for float32 on a GPU.

Each kernel is ``many.many_kernel`` of the device function that the optimizer's other kernels use:
``sgd_many``, ``sgd_momentum_many``, ``adam_many``, ``amsgrad_many``, ``rmsprop_many`` (with
``_centered``, ``_momentum``), ``adagrad_many``, ``lion_many``; ``average_many`` moves averages. The
launchers take a :class:`~.many.Batch` and all options of the launchers for single arrays, which
have the defaults.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import cuda

from ..checks import FLOAT32, require_between
from ..engine import Kernel
from . import adagrad, adam, lion, rmsprop, sgd
from .common import lerp_function
from .many import Batch, many_kernel


@functools.cache
def sgd_many_kernel(with_velocity: bool) -> Kernel:
    """``sgd_many`` or ``sgd_momentum_many``."""
    plain, with_momentum = sgd.plain_step(FLOAT32), sgd.momentum_step(FLOAT32)

    @cuda.jit(device=True)
    def step(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        if with_velocity:
            with_momentum(param, grad, a, i, n0, n1, n2, n3, n4)
        else:
            plain(param, grad, i, n0, n1)

    name = "sgd_momentum_many" if with_velocity else "sgd_many"
    return many_kernel(name, step, int(with_velocity))


@functools.cache
def adam_many_kernel(amsgrad: bool) -> Kernel:
    """``adam_many`` or ``amsgrad_many``."""
    step = adam.step_function(FLOAT32, amsgrad)
    return many_kernel("amsgrad_many" if amsgrad else "adam_many", step, 3 if amsgrad else 2)


@functools.cache
def rmsprop_many_kernel(centered: bool, with_momentum: bool) -> Kernel:
    """``rmsprop_many``, for every choice of arrays: square, then mean, then buffer."""
    update = rmsprop.step_function(FLOAT32, centered, with_momentum)
    alone = with_momentum and not centered

    @cuda.jit(device=True)
    def step(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        if alone:  # the buffer is the second array
            update(param, grad, a, c, b, i, n0, n1, n2, n3, n4, n5)
        else:
            update(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5)

    name = "rmsprop" + "_centered" * centered + "_momentum" * with_momentum + "_many"
    return many_kernel(name, step, 1 + centered + with_momentum)


@functools.cache
def adagrad_many_kernel() -> Kernel:
    """``adagrad_many``."""
    update = adagrad.step_function(FLOAT32)

    @cuda.jit(device=True)
    def step(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        update(param, grad, a, i, n0, n1, n2)

    return many_kernel("adagrad_many", step, 1)


@functools.cache
def lion_many_kernel() -> Kernel:
    """``lion_many``."""
    update = lion.step_function(FLOAT32)

    @cuda.jit(device=True)
    def step(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        update(param, grad, a, i, n0, n1, n2, n3, n4, n5)

    return many_kernel("lion_many", step, 1)


@functools.cache
def average_many_kernel() -> Kernel:
    """``average_many``: averages are the parameters, weights the gradients."""
    lerp = lerp_function(FLOAT32)

    @cuda.jit(device=True)
    def step(param, grad, a, b, c, i, n0, n1, n2, n3, n4, n5, n6, n7):
        param[i] = lerp(param[i], grad[i], n0)

    return many_kernel("average_many", step, 0)


def sgd_many(batch: Batch, **options: Any) -> None:
    """One step of SGD; the state, if there is one, is the velocity.

    Args:
        batch: what to update.
        options: all of :func:`~.sgd.sgd_update`.

    Raises:
        ArgumentError: an option is out of range. Nothing is changed then.
    """
    velocity = batch.states == 1
    batch.launch(sgd_many_kernel(velocity), sgd.sgd_numbers("sgd_many", velocity, **options))


def adam_many(batch: Batch, **options: Any) -> None:
    """One step of Adam; the states are m, v and, for AMSGrad, the largest v.

    Args:
        batch: what to update.
        options: all of :func:`~.adam.adam_update`.

    Raises:
        ArgumentError: an option is out of range. Nothing is changed then.
    """
    numbers = adam.adam_numbers("adam_many", **options)
    batch.launch(adam_many_kernel(batch.states == 3), numbers)


def rmsprop_many(batch: Batch, centered: bool, **options: Any) -> None:
    """One step of RMSprop; the states are the mean square, the mean if centered, the buffer if any.

    Args:
        batch: what to update.
        centered: which of the two the second state is.
        options: all of :func:`~.rmsprop.rmsprop_update`.

    Raises:
        ArgumentError: an option is out of range. Nothing is changed then.
    """
    momentum = batch.states == 2 + centered
    numbers = rmsprop.rmsprop_numbers("rmsprop_many", momentum, **options)
    batch.launch(rmsprop_many_kernel(centered, momentum), numbers)


def adagrad_many(batch: Batch, **options: Any) -> None:
    """One step of Adagrad; the state is the sum of squares.

    Args:
        batch: what to update.
        options: all of :func:`~.adagrad.adagrad_update`.

    Raises:
        ArgumentError: an option is out of range. Nothing is changed then.
    """
    batch.launch(adagrad_many_kernel(), adagrad.adagrad_numbers("adagrad_many", **options))


def lion_many(batch: Batch, **options: Any) -> None:
    """One step of Lion; the state is the momentum.

    Args:
        batch: what to update.
        options: all of :func:`~.lion.lion_update`.

    Raises:
        ArgumentError: an option is out of range. Nothing is changed then.
    """
    batch.launch(lion_many_kernel(), lion.lion_numbers("lion_many", **options))


def average_many(batch: Batch, decay: float) -> None:
    """Move averages, the parameters of the batch, towards its gradients, which are weights.

    Args:
        batch: what to update; without state.
        decay: how much of the averages stays, in [0, 1].

    Raises:
        ArgumentError: decay outside [0, 1]. Nothing is changed then.
    """
    require_between("average_many", "decay", decay, 0.0, 1.0)
    batch.launch(average_many_kernel(), (1.0 - decay,))


def many_kernels() -> dict[str, tuple[Kernel, int]]:
    """Every kernel for many tensors by its name, and how many states it has."""
    made = [(sgd_many_kernel(False), 0), (sgd_many_kernel(True), 1)]
    made += [(adam_many_kernel(amsgrad), 2 + amsgrad) for amsgrad in (False, True)]
    for centered in (False, True):
        for momentum in (False, True):
            made.append((rmsprop_many_kernel(centered, momentum), 1 + centered + momentum))
    made += [(adagrad_many_kernel(), 1), (lion_many_kernel(), 1), (average_many_kernel(), 0)]
    return {found.__name__: (found, states) for found, states in made}
