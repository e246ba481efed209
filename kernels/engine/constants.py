"""Arrays that launchers need again and again, such as tables of indices, and remember."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .device import Device
from .replay import here

F = TypeVar("F", bound=Callable[..., Any])
_caches: list[Any] = []
_others: list[Any] = []


def cached_constant(most: int) -> Callable[[F], F]:
    """Let a function remember the arrays that it makes on a device; nobody may write to them.

    Arguments are hashable, one of them is the :class:`Device`. Any thread may ask, and use the
    arrays in any stream: on a GPU the host waits for them once, when they are made. They are no
    part of a graph: one that is being captured is captured again by the next call.

    Args:
        most: how many calls are remembered; beyond it the one that was not needed for longest goes.

    Example:
        >>> @cached_constant(64)
        ... def ones(n: int, device: Device) -> Array:
        ...     return full((n,), 1, np.float32, device)
    """

    def wrap(make: F) -> F:
        @functools.lru_cache(most)
        @functools.wraps(make)
        def remembered(*args: Any) -> Any:
            device = next(a for a in args if isinstance(a, Device))
            if device.is_cpu:
                return make(*args)
            if here.recorder is not None:
                here.recorder.stop("a constant is made for a kernel", for_good=False)
            made = make(*args)
            from .gpu import work

            work.settle(device.index)
            return made

        _caches.append(remembered)
        return remembered  # type: ignore[return-value]

    return wrap


def forgotten_with_driver(cache: F) -> F:
    """Have a cache of arrays cleared when the driver changes, to which they belong.

    For what is no :func:`cached_constant`, as it differs from stream to stream.
    """
    _others.append(cache)
    return cache


def forget_constants() -> None:
    """Make all that is remembered anew when it is needed again."""
    for cache in (*_caches, *_others):
        cache.cache_clear()


def is_constant(function: Any) -> bool:
    """Whether a function is one of :func:`cached_constant`."""
    return any(function is cache for cache in _caches)
