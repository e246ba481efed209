"""Training steps against PyTorch: eager, captured in a CUDA graph, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nnlite as nl

from .. import training
from . import peers
from .case import OURS, Case, Missing, Side
from .place import Place

BATCH, SMALL_BATCH = 64, 4
SAME = 3  # steps after which losses are still to be the same; rounding errors grow with each
CAPTURE = 4  # calls until ``nl.graph`` replays
WARM_UP = 3  # steps before a capture
COMPILING = 25.0  # seconds that ``torch.compile`` may well take for one network


def resnet8(nn: Any) -> Any:
    """ResNet-8 for images of 32 x 32, for either library; the way past grows by a convolution."""

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs), nn.ReLU(),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
            )  # fmt: skip
            self.past = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
            self.last = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.last(self.main(x) + self.past(x))

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


NETWORKS = {
    "MLP": training.NETWORKS["MLP"],
    "LeNet-5": training.NETWORKS["LeNet-5"],
    # The products are not counted: a step is a step.
    "ResNet-8": training.Network(resnet8, (3, 32, 32), 0, 0),
}


def cases() -> list[Case]:
    """Every network."""
    return [case(name) for name in NETWORKS]


def case(name: str) -> Case:
    """A step of a network: forward, cross entropy, backward, SGD.

    Ours is the step replayed by ``nl.graph`` if it can be, with the eager one beside it.
    """
    network = NETWORKS[name]

    def inputs(place: Place) -> dict[str, Any]:
        x, labels = training.batch_of(network, place.size(BATCH, SMALL_BATCH))
        step, weights = training.nnlite_step(network, x, labels, place.device, "sgd")
        return {"x": x, "labels": labels, "weights": weights, "eager": step}

    def our_step(place: Place, given: Any) -> Callable[[], Any]:
        step, _ = training.nnlite_step(network, given["x"], given["labels"], place.device, "sgd")
        return step

    def ours(place: Place, given: Any) -> Callable[[], Any]:
        step = our_step(place, given)
        given["reason"] = "" if place.is_gpu else "CUDA graphs need a GPU"
        if given["reason"]:
            return step
        graphed = nl.graph(step)
        for _ in range(CAPTURE):
            graphed()
        given["reason"] = graphed.reason
        return graphed

    def eager(place: Place, given: Any) -> Callable[[], Any]:
        if given["reason"]:
            raise Missing(f"stands for nnlite above, as there is no graph: {given['reason']}")
        return our_step(place, given)

    def theirs(place: Place, given: Any, kind: str) -> Callable[[], Any]:
        torch = peers.torch_on(place)

        def fresh(compiled: bool = False) -> Callable[[], Any]:
            return torch_step(torch, place, network, given, compiled)

        if kind == "eager":
            training.same_losses(our_step(place, given), fresh(), SAME)
            return fresh()
        if kind == "compile":
            step = fresh(compiled=True)
            training.same_losses(fresh(), step, SAME)
            return step
        replay, known = captured(torch, place, fresh()), fresh()
        for _ in range(WARM_UP):
            known()
        training.same_losses(known, replay, SAME)
        return replay

    def side(kind: str, least: float = 0.0) -> Side:
        return Side(lambda place, given: theirs(place, given, kind), least=least)

    sides = {
        OURS: Side(ours), "nnlite eager": Side(eager), "torch eager": side("eager"),
        "torch graph": side("graph"), "torch compile": side("compile", COMPILING),
    }  # fmt: skip
    return Case(
        f"{name} step, batch {BATCH}, sgd", "training step", sides, inputs, 1.0, "step",
        by_wall=True, weight=15.0,
    )  # fmt: skip


def torch_step(
    torch: Any, place: Place, network: Any, given: Any, compiled: bool = False
) -> Callable[[], Any]:
    """The step in PyTorch from the same weights."""
    data = peers.tensor(torch, place, given["x"])
    target = peers.tensor(torch, place, given["labels"])
    model = network.build(torch.nn).to(data.device)
    model.load_state_dict({k: torch.tensor(v) for k, v in given["weights"].items()})
    update = torch.optim.SGD(model.parameters(), lr=training.RATES["sgd"])
    call = model
    if compiled:
        if not place.is_gpu:
            raise Missing("torch.compile is timed on GPUs alone")
        call = torch.compile(model)

    def step() -> Any:
        update.zero_grad()
        loss = torch.nn.functional.cross_entropy(call(data), target)
        loss.backward()
        update.step()
        return loss

    return step


def captured(torch: Any, place: Place, step: Callable[[], Any]) -> Callable[[], Any]:
    """The step as a CUDA graph, captured as PyTorch's manual says: warmed up on another stream."""
    if not place.is_gpu:
        raise Missing("CUDA graphs need a GPU")
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay(_keeps: Any = step) -> Any:  # a graph owns neither the weights nor the data
        graph.replay()
        return loss

    return replay
