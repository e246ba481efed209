"""Waking a helper thread without the operating system: words in memory that threads watch.

A thread asleep in a queue takes 30 to 60 us to come, as long as many a kernel runs.  A helper that
has just worked therefore keeps watching its word for a moment, in machine code and without the GIL;
a launch *rings* by changing the word.  All words lie in one array, each on a cache line of its own:

    line 0       the launch array of the launch that rings (see ``failures``); word 0: next block
    line 1       how many calls helpers have finished
    line 2 + i   helper i: ASLEEP, RESTING (watching) or CALLED

Two waits are about the GIL.  A helper that is called first waits until the launch has taken its
first blocks: by then the launching thread has let go of the GIL.  And a helper counts itself as
finished only when it has let go of the GIL: the launching thread, which waits for that count
without the GIL, then gets it at once.
"""

from __future__ import annotations

import platform
import time

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .native import compiled_functions
from .rt_atomics import FUNCTIONS

LINE = 8  # words of a cache line
FINISHED = LINE
STATES = 2 * LINE
ASLEEP, RESTING, CALLED = 0, 1, 2

WATCH_SECONDS = 500e-6
"""How long a helper watches: small training steps take less."""

CALIBRATION = 5000
"""Turns of the loop that waits, timed at first."""

PAUSES = {"x86_64": ("llvm.x86.sse2.pause",), "aarch64": ("llvm.aarch64.hint", 1)}
OTHER_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}

atomic_add, exchange, compare = (FUNCTIONS[f"atomic_{f}_"] for f in ("add", "exch", "cas"))


@intrinsic
def peek(tyctx, words, index):
    """Element of an array of words as other threads have left it."""

    def codegen(ctx, bld, sig, args):
        data = ctx.make_array(sig.args[0])(ctx, bld, args[0]).data
        at = ctx.cast(bld, args[1], sig.args[1], types.int64)
        return bld.load_atomic(bld.gep(data, [at]), "acquire", 8)

    return types.int64(words, index), codegen


@intrinsic
def pause(tyctx):
    """Tell the processor that this is a loop that waits."""

    def codegen(ctx, bld, sig, args):
        machine = platform.machine().lower()
        name, *hint = PAUSES.get(OTHER_NAMES.get(machine, machine), ("",))
        if name:
            word = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [word] * len(hint))
            function = cgutils.get_or_insert_function(bld.module, kind, name)
            bld.call(function, [word(h) for h in hint])
        return ctx.get_dummy_value()

    return types.none(), codegen


def ring(words, wanted):
    """Call up to ``wanted`` helpers that watch; returns how many."""
    rung = 0
    for state in range(STATES, words.size, LINE):
        if rung < wanted and compare(words, state, RESTING, CALLED) == RESTING:
            rung += 1
    return rung


def rest(words, helper, finished, turns):
    """Count what was finished, then watch: True when called, False to fall asleep."""
    state = STATES + LINE * helper
    exchange(words, state, RESTING)
    atomic_add(words, FINISHED, finished)
    turn = 0
    while turn < turns and peek(words, state) != CALLED:
        pause()
        turn += 1
    if compare(words, state, RESTING, ASLEEP) == RESTING:
        return False
    turn = 0
    while turn < turns and peek(words, 0) == 0:
        pause()
        turn += 1
    exchange(words, state, ASLEEP)
    return True


def wait(words, target, turns):
    """Wait until ``target`` calls are finished, but not for ever."""
    turn = 0
    while turn < turns and peek(words, FINISHED) < target:
        pause()
        turn += 1


WORDS = types.Array(types.int64, 1, "C")
INT = types.int64
KINDS = {
    ring: INT(WORDS, INT),
    rest: types.boolean(WORDS, INT, INT, INT),
    wait: types.void(WORDS, INT, INT),
}


class Bell:
    """The words for ``helpers`` threads, and the functions above bound to them.

    Attributes:
        helpers: how many can be called.
        launch: the launch array of the launch that may ring; others must not change it.
    """

    def __init__(self, helpers: int) -> None:
        self.helpers = helpers
        size = STATES + LINE * helpers
        room = np.zeros(size + LINE, np.int64)
        skip = -(room.ctypes.data // 8) % LINE
        self.words = room[skip : skip + size]
        self.launch = self.words[:LINE]
        self._ring, self._rest, self._wait = (
            result.entry_point for result in compiled_functions("bell", KINDS)
        )
        once = min(self._time() for _ in range(3))  # others may use the processor meanwhile
        self._turns = int(CALIBRATION * WATCH_SECONDS / once)

    def _time(self) -> float:
        """Seconds that the loop takes for ``CALIBRATION`` turns."""
        start = time.perf_counter()
        self._wait(self.words, 1, CALIBRATION)
        return time.perf_counter() - start

    def ring(self, helpers: int) -> int:
        """Call up to so many helpers that watch; returns how many."""
        return self._ring(self.words, helpers)

    def rest(self, helper: int, finished: bool, watch: bool) -> bool:
        """Helper number ``helper``: say what was finished and watch; False to fall asleep.

        Without ``watch`` it falls asleep at once, unless it is called in this instant.
        """
        return self._rest(self.words, helper, finished, self._turns if watch else 0)

    def finished(self) -> int:
        return int(self.words[FINISHED])

    def wait(self, target: int) -> None:
        """Wait until so many calls are finished, for a moment at most."""
        self._wait(self.words, target, self._turns)
