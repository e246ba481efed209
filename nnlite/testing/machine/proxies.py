"""Two ways to shared memory: ordinary stores, and what TMA and wgmma read (the async proxy).

What a thread stored is only seen the other way after that thread's ``fence.proxy.async``.

Source: PTX ISA, sections "Async proxy" and "Membar/fence".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .memory import Fault

if TYPE_CHECKING:
    from .threads import Threads


class Proxies:
    """Remembers which bytes of shared memory were stored without a fence since."""

    def _writers(self, t: Threads) -> np.ndarray:
        """Per byte of shared memory the thread that stored it last without a fence since, or -1."""
        found = t.state.get("writers")
        if found is None:
            found = t.state["writers"] = np.full(t.shared.data.size, -1, np.int32)
        return found

    def written(self, t: Threads, threads: np.ndarray, places: np.ndarray, item: int) -> None:
        """Threads stored items of so many bytes at places (threads, items)."""
        at = places[:, :, None] + np.arange(item)
        self._writers(t)[at] = threads[:, None, None]

    def fenced(self, t: Threads) -> None:
        """The active threads ran ``fence.proxy.async``."""
        writers = self._writers(t)
        writers[(writers >= 0) & t.active[writers]] = -1

    def replaced(self, t: Threads, places: np.ndarray) -> None:
        """The async proxy wrote these bytes itself."""
        self._writers(t)[places] = -1

    def taken(self, t: Threads, places: np.ndarray) -> None:
        """The async proxy reads these bytes: a Fault if it may not see what was stored there."""
        writers = self._writers(t)[places]
        if (writers >= 0).any():
            thread = int(writers[writers >= 0].flat[0])
            who = f"thread {t.rank[thread]} of block {t.blocks[t.block[thread]]}"
            raise Fault(f"reads shared memory that {who} stored without fence.proxy.async")
