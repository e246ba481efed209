"""The machine: memory, launches, and what every instruction shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .arguments import Arrays
from .banks import Passes
from .memory import LOCAL_BASE, SHARED_BASE, Fault, GlobalMemory, Space
from .operands import Symbol
from .program import Instruction, Program
from .proxies import Proxies
from .tensor_maps import TensorMap
from .threads import Threads
from .watch import Watch

TOGETHER = 4096  # threads whose blocks run at the same time
MOST_STEPS = 20_000_000
ALIGN = 1024  # of the shared memory of a block
# Builders: instruction -> what it does to the threads that run it.
OPERATIONS: dict[str, Callable[[Instruction, Machine], Any]] = {}
# Instructions for which threads wait until others stand there too.
COLLECTIVE: set[str] = set()


def operation(*names: str, collective: bool = False) -> Callable[[Any], Any]:
    """Decorator: the builder of the instructions of these names."""

    def wrap(builder: Any) -> Any:
        for name in names:
            OPERATIONS[name] = builder
            if collective:
                COLLECTIVE.add(name)
        return builder

    return wrap


class Machine:
    """Runs the kernel of a PTX text.

    Args:
        ptx: the text.
        timing: when what runs by itself takes effect: ``"late"``, at the last moment that the
            program leaves it, or ``"early"``, at once. A kernel must be right with both.
        memory: global memory that outlives the machine; an own one if None.
        most_steps: instructions after which a launch is given up.

    Attributes:
        program: the kernel, taken apart.
        memory: global memory.
        passes: number of an instruction -> what bank conflicts cost it.
        steps: instructions run so far, each for all threads that stood there.
        registers: what ``setmaxnreg`` asked for, in order: (``"inc"`` or ``"dec"``, count, warps).
    """

    def __init__(
        self,
        ptx: str,
        *,
        timing: str = "late",
        memory: GlobalMemory | None = None,
        most_steps: int = MOST_STEPS,
    ) -> None:
        if timing not in ("late", "early"):
            raise ValueError(f"timing: {timing!r} given, expected 'late' or 'early'")
        self.program = Program(ptx)
        self.timing, self.most_steps = timing, most_steps
        self.memory = GlobalMemory() if memory is None else memory
        self.arrays = Arrays(self.memory)
        self.actions: list[Any] = [None] * len(self.program.code)
        self.collective = COLLECTIVE
        self.rng = np.random.default_rng(0)
        self.passes: dict[int, Passes] = {}
        self.registers: list[tuple[str, int, str]] = []
        self.steps = 0
        self.grid = (1, 1, 1)
        self.dynamic_shared = 0
        self.parameters = b""
        names = {i.text for i in self.program.code}
        self.watch = Watch() if any(n.startswith("wgmma") for n in names) else None
        asynchronous = any(n.startswith(("wgmma", "cp.async.bulk")) for n in names)
        self.proxies = Proxies() if asynchronous else None
        self._places: dict[str, int] = {}
        self._sizes = {"shared": 0, "local": 0}
        self._place_variables()

    # -- launches ----------------------------------------------------------------------------------
    def launch(self, grid: Any, block: Any, *arguments: Any, shared: int = 0) -> None:
        """Run all blocks of a grid; arrays among the arguments change in place.

        Args:
            grid, block: a size, or up to three.
            arguments: as the Numba kernel takes them: arrays, numbers, tuples of them.
            shared: bytes of dynamic shared memory.

        Raises:
            Fault: the kernel does what a GPU refuses, or nobody in it can go on.
            NotImplementedError: an instruction that the machine does not know.
        """
        packed = self.arrays.pack(self.program.parameters, arguments)
        self.arrays.upload()
        try:
            self.run(grid, block, packed, shared)
        finally:
            self.arrays.download()

    def run(self, grid: Any, block: Any, parameters: bytes, shared: int = 0) -> None:
        """Run all blocks of a grid with the bytes of the parameters as the program lays them."""
        self.grid, shape = _three(grid), _three(block)
        self.parameters, self.dynamic_shared = parameters, shared
        blocks = ((x, y, z) for z, y, x in np.ndindex(self.grid[::-1]))
        size = shape[0] * shape[1] * shape[2]
        for part in _parts(blocks, max(1, TOGETHER // size)):
            with np.errstate(all="ignore"):
                Threads(self, part, shape).run()

    @property
    def ways(self) -> dict[str, int]:
        """Instruction -> the most accesses of a warp to one bank of shared memory at a time."""
        found: dict[str, int] = {}
        for number, passes in self.passes.items():
            text = self.program.code[number].text
            found[text] = max(found.get(text, 0), passes.most)
        return found

    def pointer(self, array: np.ndarray) -> int:
        """Address of an array, for a kernel that takes addresses; launches copy it there and back.

        Args:
            array: it stays known, so keep it as it is.
        """
        return self.arrays.address(array)

    def tensor_map(self, array: np.ndarray, box: tuple[int, ...], swizzle: int = 0) -> np.ndarray:
        """The 16 words that name boxes of an array to ``cp.async.bulk.tensor``.

        Args:
            array: its last axis without gaps; as for :meth:`pointer`.
            box: sizes of a box, in the order of the array's axes.
            swizzle: 0, 32, 64 or 128.
        """
        sizes, strides = array.shape[::-1], array.strides[::-1]
        found = TensorMap(
            self.pointer(array), array.itemsize, sizes, strides[1:], box[::-1], swizzle
        )
        return found.words()

    # -- what instructions ask for -----------------------------------------------------------------
    def compile(self, instruction: Instruction) -> Any:
        """What an instruction does, made when it is first reached."""
        builder = OPERATIONS.get(instruction.name)
        if builder is None:
            raise NotImplementedError(instruction.source)
        made = self.actions[instruction.number] = builder(instruction, self)
        return made

    def shared_space(self, blocks: int) -> Space:
        """Shared memory of so many blocks, each with its dynamic part behind the static one."""
        size = self._sizes["shared"] + self.dynamic_shared
        return Space("shared", SHARED_BASE, size + -size % ALIGN, blocks, size)

    def local_space(self, threads: int) -> Space:
        """Local memory of so many threads."""
        return Space("local", LOCAL_BASE, self._sizes["local"], threads)

    def address_of(self, symbol: Symbol) -> int:
        """The address of a variable in its space."""
        if symbol.name not in self._places:
            raise NotImplementedError(f"the address of {symbol.name}")
        return self._places[symbol.name] + symbol.offset

    def check_steps(self, instruction: Instruction) -> None:
        """Give up a launch that does not end."""
        if self.steps > self.most_steps:
            raise Fault(
                f"{self.steps} instructions and no end, at `{instruction.source}`: it waits for "
                "what never comes, or needs a larger most_steps"
            )

    def stuck(self, threads: Threads) -> None:
        """Nobody can go on: let the next thing that runs by itself happen, else it is a Fault."""
        pending = threads.state.get("pending")
        if pending:
            pending.pop(0)()
            threads._wake()
            return
        waits = []
        reasons = threads.state.get("reasons", {})
        for place in np.unique(threads.at[threads.live()]):
            number = int(place % (1 << 40))
            where = threads.who(threads.at == place)
            why = f" ({reasons[number]})" if number in reasons else ""
            waits.append(f"{where} at `{self.program.code[number].source}`{why}")
        raise Fault("deadlock: nobody can go on; waiting: " + "; ".join(waits))

    def _place_variables(self) -> None:
        dynamic = []
        for v in self.program.variables:
            if v.space in ("global", "const"):
                self._places[v.name] = address = self.memory.allocate(v.size)
                self.memory.write(address, np.frombuffer(v.data or bytes(v.size), np.uint8))
            elif v.size == 0 or v.name.startswith("extern"):
                dynamic.append(v.name)
            else:
                start = self._sizes[v.space]
                start += -start % v.align
                base = SHARED_BASE if v.space == "shared" else LOCAL_BASE
                self._places[v.name] = base + start
                self._sizes[v.space] = start + v.size
        self._sizes["shared"] += -self._sizes["shared"] % 16
        for name in dynamic:
            self._places[name] = SHARED_BASE + self._sizes["shared"]


def _three(sizes: Any) -> tuple[int, int, int]:
    given = sizes if isinstance(sizes, (tuple, list)) else (sizes,)
    x, y, z = (*map(int, given), 1, 1)[:3]
    return x, y, z


def _parts(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while part := list(itertools.islice(items, size)):
        yield part
