"""A whole run of ``bench.gpu`` as on a GPU: PyTorch's CPU stands for its CUDA, ours for our GPU.

Every line of the peers runs, graphs and all, with the PyTorch that is installed; no figure means
anything. What hardware alone can show is left: kernels, clocks, the real capture.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import types
import weakref

import pytest
import typer

import nnlite as nl
from bench.gpu import __main__ as command
from bench.gpu import case as timed
from bench.gpu import convolutions, correctness, peers, place, products, steps
from bench.gpu.case import OURS, measure
from bench.gpu.correctness import Output
from bench.gpu.place import StandIn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
CASES = {
    "matmul tf32 mma.sync 1024x1024x1024": {OURS, "cuBLAS"},
    "conv 1x1 64x256x28x28 to 128 dgrad": {OURS, "cuDNN NCHW", "cuDNN NHWC"},
    "relu": {OURS, "torch", "copy"},
    "column sum of 16384x16384": {OURS, "torch", "copy"},
    "MLP step, batch 64, sgd": {OURS, "nnlite eager", "torch eager", "torch graph",
                                "torch compile"},
}  # fmt: skip


class Pretended(StandIn):
    """What the cases take for a GPU."""

    is_gpu = True

    def tidy(self):
        """There is no pool."""


def small_matrices(where):
    return where.random((40, 48), 1), where.random((48, 36), 2)


class Graph:
    """A CUDA graph as far as a step shows: capturing notes it, replaying does it."""

    captured = None

    def replay(self):
        self.loss.data = self.captured().data


class Noted:
    """A step: done when it is called, but noted when it is captured."""

    def __init__(self, step):
        self.step = step

    def __call__(self):
        if Graph.captured is None:
            self.last = self.step()
            return self.last
        Graph.captured.captured = self.step
        Graph.captured.loss = self.last.detach().clone()
        return Graph.captured.loss


@contextlib.contextmanager
def capturing(graph):
    Graph.captured = graph
    try:
        yield
    finally:
        Graph.captured = None


@pytest.fixture
def pretended(monkeypatch):
    """PyTorch with CUDA, small sizes, and each case measured in this process."""
    found, before = Pretended(nl.device("cpu")), nl.default_device()
    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "is_available": lambda: True,
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda s: contextlib.nullcontext(),
        "CUDAGraph": Graph,
        "graph": capturing,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch, "compile", lambda model: model)
    monkeypatch.setattr(peers, "tensor", lambda t, p, x, dtype=None: t.tensor(x).to(dtype=dtype))
    monkeypatch.setattr(peers, "cupy_on", lambda p: (_ for _ in ()).throw(ValueError("no cupy")))
    real = found.captured = steps.captured
    monkeypatch.setattr(steps, "captured", lambda t, p, step: real(t, p, Noted(step)))
    monkeypatch.setattr(convolutions, "LAYERS", convolutions.LAYERS[3:4])
    small = convolutions.replace(convolutions.LAYERS[0], n=2, c=3, size=8, o=4)
    monkeypatch.setattr(convolutions.Layer, "at", lambda self, where: small)
    monkeypatch.setattr(products, "SQUARES", ((1024, 1024, 1024),))
    monkeypatch.setattr(place, "BIG", StandIn.items)
    monkeypatch.setattr(timed, "WALL", 0.0)

    class InProcess:
        def __init__(self, argv):
            assert argv[1:3] == ["-m", "bench.gpu.worker"]

        def measure(self, case, seconds, result):
            measure(case, found, seconds, result)

        def close(self):
            """There is no process."""

    monkeypatch.setattr(command, "Worker", InProcess)
    monkeypatch.setattr(command, "place_of", lambda device: found)
    wanted = []
    for case in command.all_cases():
        if case.name in CASES:
            if case.group == "matmul":
                case = dataclasses.replace(case, inputs=small_matrices)
            wanted.append(case)
    monkeypatch.setattr(command, "all_cases", lambda: wanted)
    torch_state = torch.get_float32_matmul_precision()
    yield found
    torch.set_float32_matmul_precision(torch_state)
    nl.set_default_device(before)


def test_a_whole_run(pretended, tmp_path, monkeypatch, capsys):
    """Checks first, each case with all its peers, the goals, and one file with all of it."""
    programs = []

    def ran(argv, seconds, env=None):
        programs.append(argv)
        if "pytest" in argv:
            return Output("collected 1 item\ntests/a.py::test_one PASSED [100%]\n", 0, 1.0)
        return Output("========= ERROR SUMMARY: 0 errors\n", 0, 1.0)

    monkeypatch.setattr(correctness, "run", ran)
    monkeypatch.setattr(correctness.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(command.machine, "state", lambda index: {"clocks.sm": "1 MHz"})
    out = tmp_path / "gpu.json"
    with pytest.raises(typer.Exit) as exit_:
        command.main(out=out, minutes=5.0, only="", rounds=2, quick=True, check=True, device="cuda")
    found = json.loads(out.read_text())
    assert (exit_.value.exit_code, found["ended"]) == (0, "complete")
    assert len(programs) == 3
    assert [check["ok"] for check in found["checks"]] == [True] * 3
    results = {r["case"]: r for r in found["results"]}
    assert set(results) == set(CASES)
    for name, sides in CASES.items():
        assert set(results[name]["sides"]) == sides, (name, results[name]["errors"])
        assert results[name]["is_gpu"]
    assert "no cupy" in results["column sum of 16384x16384"]["errors"]["CUB (cupy)"]
    assert {s["after"] for s in found["states"]} >= {"start", "matmul", "bandwidth", "convolution"}
    relu = next(goal for goal in found["goals"] if goal["goal"] == "activations")
    assert (relu["cases_measured"], relu["cases"]) == (1, 5)
    said = capsys.readouterr().out
    assert "[   0 s] tests and compute-sanitizer" in said
    assert f"figures written to {out}" in said.replace("\n", "")


def test_a_graph_of_pytorch_keeps_what_it_reads(pretended):
    """A graph owns neither weights nor data: the function that replays it must."""

    class Step:
        def __call__(self):
            return torch.ones(1)

    step = Step()
    known = weakref.ref(step)
    replay = pretended.captured(torch, pretended, step)
    del step
    gc.collect()
    assert known() is not None
    del replay
