"""Capturing work for a GPU as a CUDA graph, and replaying it.

:class:`Recorder` stands between ``work`` and the driver while a function runs:

- :func:`capture`: the driver notes the work instead of doing it, and so does the recorder.
- :func:`verify`: the function runs once more, and its work is compared with what was noted.
  Whatever differs - a number that the host has counted on, an array in another place - would have
  been wrong in a replay.
- :func:`replay`: only the sections of ``replay.repeated`` run; their launches update those
  noted. Then the driver does all the work at once.

Whatever a graph cannot hold ends the capture in the middle: the work so far is done, the rest of
the function goes on without a graph, and the result is as if there had never been one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import LaunchError
from ..replay import here
from .arrays import GpuArray
from .driver import active
from .graph import Graph, Section, Work
from .launch import Entry, name_of
from .pool import Buffer, catch_up

T = TypeVar("T")


class Recorder:
    """Sees the work of a thread before the driver does.

    Args:
        graph: the work noted, or to be noted.
        doing: ``"capture"``, ``"verify"`` or ``"sections"``.

    Attributes:
        reason: why the graph cannot be used; empty if it can.
        for_good: whether another attempt would end the same way.
        at, taken: how much of the graph's work, and of its blocks, has come by.
    """

    def __init__(self, graph: Graph, doing: str) -> None:
        self.graph, self.doing = graph, doing
        self.reason, self.for_good = "", True
        self.at = self.taken = 0
        self.before = here.index, here.stream
        self._in_section = doing == "sections"
        self._done: list[tuple[Work, list[Any]]] = []  # with the parameters of a launch
        self._after: list[Callable[[], None]] = []

    # -- beginning and end -------------------------------------------------------------------------
    def __enter__(self) -> Recorder:
        here.recorder = self  # first: what is freed from now on waits for the end
        if self.doing == "capture":
            index, stream = self.graph.index, self.graph.memory.stream
            try:
                active().begin_capture(index, stream)
            except BaseException:
                here.recorder = None
                raise
            here.index, here.stream = index, stream
        return self

    def __exit__(self, kind: Any, *exc: object) -> None:
        if here.recorder is not self:  # stopped on the way
            return
        if kind is not None:
            self.stop("the function has raised an exception", for_good=False)
        elif self.doing == "verify" and self.at < len(self.graph.work):
            self.stop("it queues less work than before")
        else:
            self._leave()
            if self.doing == "capture":
                self.graph.after = self._after
            self.graph.run()
            self._run_later()

    def _leave(self) -> None:
        """End the capture, and then, as what is freed waits for that, go back to the driver."""
        try:
            if self.doing == "capture":
                self.graph.finish()
        finally:
            here.recorder = None
            here.index, here.stream = self.before
            catch_up()

    def _run_later(self) -> None:
        for function in self._after:
            function()
        self._after = []

    def stop(self, reason: str, for_good: bool = True) -> None:
        """Give the graph up: do the work so far, and let the rest go to the driver."""
        if self.doing == "sections":
            raise LaunchError(
                f"graph: code that runs before each replay does what it did not do at first: "
                f"{reason}"
            )
        self.reason, self.for_good = reason, for_good
        self._leave()
        if self.doing == "capture":
            self.graph.run()
        else:
            for work, values in self._done:
                self._do(work, values)
        self._done = []
        self._run_later()

    def _do(self, work: Work, values: list[Any]) -> None:
        """Ask the driver for what was held back."""
        driver, index = active(), self.graph.index
        stream = here.stream if here.index == index else 0
        if work[0] == "launch":
            _, kernel, configuration, _ = work
            driver.launch(index, kernel, configuration, stream, values)
        else:
            getattr(driver, work[0])(*work[1:], stream)

    # -- what comes by -----------------------------------------------------------------------------
    def section(self, function: Callable[[], T], depends_on: Callable[[], Any]) -> T:
        """Run a function whose launches may have other arguments in each replay."""
        if self._in_section:
            return function()
        if self.doing == "capture":
            made = Section(function, depends_on)
            made.work, made.blocks = len(self.graph.work), len(self.graph.blocks)
            self.graph.sections.append(made)
        self._in_section = True
        try:
            return function()
        finally:
            self._in_section = False

    def later(self, function: Callable[[], None]) -> None:
        """Run a function after the work, and after each replay."""
        if self.doing == "sections":
            self.stop("it leaves something to be done afterwards")
        self._after.append(function)

    def take(self, index: int, size: int) -> Buffer | None:
        """The block that was taken at this place before; None to take one from the pool."""
        if self._elsewhere(index) or self.doing == "capture":
            return None
        self.taken += 1
        if self.taken > len(self.graph.blocks) or self.graph.blocks[self.taken - 1][1] != size:
            self.stop("an array has another size")
            return None
        address = self.graph.blocks[self.taken - 1][0]
        return Buffer(address, size, None, self.graph.memory)

    def took(self, buffer: Buffer) -> None:
        """Note a block that came from the pool."""
        self.graph.blocks.append((buffer.pointer, buffer.nbytes))
        buffer.owner = self.graph.memory

    def hold(self, args: tuple[Any, ...]) -> None:
        """Keep the memory of a launch for the graph: a launcher may forget its constants."""
        if self.doing == "capture":
            for a in args:
                if isinstance(a, tuple):
                    self.hold(a)
                elif isinstance(a, GpuArray) and a.buffer.owner is not self.graph.memory:
                    a.buffer.used_by(self.graph)

    def same(self, work: Work) -> bool:
        """A copy inside the GPU; returns whether it has been dealt with."""
        if self._elsewhere(work[1]) or not self._comes(work):
            return False
        if self.doing == "capture":
            self.graph.work.append(work)
            return False
        self._done.append((work, []))
        return True

    def launch(self, entry: Entry, configuration: Any, values: list[Any]) -> bool:
        """A launch; returns whether it has been dealt with."""
        index, kernel = entry.index, entry.kernel
        work = "launch", kernel, configuration, entry.packer.pack(*values)
        if self._elsewhere(index) or not self._comes(work):
            return False
        driver, graph = active(), self.graph
        if self.doing == "capture":
            graph.work.append(work)
            driver.launch(index, kernel, configuration, graph.memory.stream, values)
            if self._in_section:
                node = driver.last_node(index, graph.memory.stream)
                graph.nodes[len(graph.work) - 1] = node
            return True
        if self._in_section:
            graph.update(self.at - 1, work, entry.packer)
        if self.doing == "verify":
            self._done.append((work, values))
        return True

    def _elsewhere(self, index: int) -> bool:
        """Whether something is asked of another GPU, whose work no graph here holds; then stops."""
        if index == self.graph.index:
            return False
        self.stop("it uses several GPUs")
        return True

    def _comes(self, work: Work) -> bool:
        """Compare work with what was noted at this place; stops if it is other work."""
        if self.doing == "capture":
            return True
        self.at += 1
        if self.at > len(self.graph.work):
            self.stop("it queues more work than before")
            return False
        noted = self.graph.work[self.at - 1]
        fixed = 2 if self._in_section and work[0] == "launch" else len(work)
        if noted[:fixed] != work[:fixed]:
            self.stop(_difference(noted, work))
            return False
        return True


def _difference(noted: Sequence[Any], work: Sequence[Any]) -> str:
    """What differs between two pieces of work, in words."""
    if noted[0] != "launch" or work[0] != "launch":
        return "it copies other memory than before"
    if noted[1] != work[1]:
        return f"it launches {name_of(work[1])} where it launched {name_of(noted[1])} before"
    return f"the arguments of {name_of(work[1])} have changed"


def capture(index: int, function: Callable[[], T]) -> tuple[T, Graph, Recorder]:
    """Run a function on GPU ``index`` and capture its work, which is done when it returns.

    Returns:
        What it returned, the graph, and the recorder, whose ``reason`` says why the graph cannot be
        used, if so.
    """
    graph = Graph(index)
    with Recorder(graph, "capture") as recorder:
        result = function()
    return result, graph, recorder


def verify(graph: Graph, function: Callable[[], T]) -> tuple[T, Recorder]:
    """Run the function again, comparing its work, which is done when it returns, with the graph."""
    with Recorder(graph, "verify") as recorder:
        result = function()
    return result, recorder


def replay(graph: Graph) -> None:
    """Do the work again, with the arguments that the sections give it now."""
    recorder = Recorder(graph, "sections")
    here.recorder = recorder
    try:
        for section in graph.sections:
            recorder.at, recorder.taken = section.work, section.blocks
            section.function()
    finally:
        here.recorder = None
        catch_up()
    graph.run()
    for function in graph.after:
        function()
