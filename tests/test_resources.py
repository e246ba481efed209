"""What kernels take of a GPU, found without one: figures, machine code, occupancy, command."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from numba import cuda, float32, types, uint8

import nnlite as nl
from nnlite.cli.resources import write
from nnlite.errors import ArgumentError, CompileError
from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.gpu import offline
from nnlite.kernels.engine.resources import ARCHITECTURES, resources, usage
from nnlite.kernels.engine.resources.architectures import architecture, occupancy
from nnlite.kernels.engine.resources.figures import usage_from_log
from nnlite.kernels.ladder import LADDERS
from nnlite.testing.command import fail, succeed

linux = pytest.mark.skipif(sys.platform != "linux", reason="NVIDIA's tools come for Linux only")
KINDS = ("float32", "tf32", "bf16")
ROW = types.Array(types.float32, 1, "C")


@kernel
def exchange(x):
    numbers = cuda.shared.array(100, float32)
    flags = cuda.shared.array(3, uint8)
    numbers[cuda.threadIdx.x] = x[cuda.threadIdx.x]
    flags[0] = uint8(cuda.threadIdx.y)
    cuda.syncthreads()
    x[cuda.threadIdx.x] = numbers[99 - cuda.threadIdx.x] + float32(flags[0])


@kernel
def remembers(x, n):
    seen = cuda.local.array(100, float32)
    for i in range(100):
        seen[i] = x[i]
    x[0] = seen[n]


def polynomial(x, terms):
    """A loop of a hundred multiply-adds inside one of single steps."""
    i = cuda.grid(1)
    total = float32(0.0)
    for _ in range(terms):
        y = x[i]
        for _ in range(10):
            for _ in range(100):
                total = total * y + y
        total += float32(1.0)
    x[i] = total


@kernel
def leaks(x):
    x[0] = x[0] * 0.1


@kernel(max_registers=24)
def cramped(x):
    a = cuda.local.array(40, float32)
    for i in range(40):
        a[i] = x[i]
    cuda.syncthreads()
    for i in range(40):
        x[i] = a[39 - i]


@linux
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_memory_is_that_declared_on_every_architecture(arch):
    found = usage(exchange, (ROW,), arch)
    assert found.arch == arch
    assert found.shared == 403
    assert (found.stack, found.spills) == (0, 0)
    assert 0 < found.registers <= 32


@linux
def test_a_local_array_with_a_variable_index_is_stack():
    found = resources(remembers, (ROW, types.int64), "sm_80")
    assert found.stack == 400
    assert found.spills == 0
    assert found.count("LDL") > 0


@linux
def test_too_few_registers_spill():
    found = usage(cramped, (ROW,), "sm_80")
    assert found.registers <= 24
    assert found.spill_stores > 0
    assert found.spill_loads > 0
    assert found.spills == found.spill_stores + found.spill_loads


@linux
def test_main_loop_is_the_inner_one():
    found = resources(kernel(polynomial), (ROW, types.int64), "sm_90")
    assert 80 <= found.loop["FFMA"] <= 110
    assert found.share("FFMA") > 0.9
    assert found.share("HMMA") == 0.0
    assert found.instructions > sum(found.loop.values())


@linux
def test_main_loop_is_the_one_with_the_products():
    """The outer loop of the tiled product, whose inner one is unrolled; not that of the loading."""
    for step in LADDERS["matmul"].steps[2:5]:
        found = resources(step.kernel, step.signature, "sm_80")
        assert found.loop["FFMA"] >= 16, step.name
        assert 2 * found.loop["FFMA"] >= found.opcodes["FFMA"], step.name


@linux
def test_float64_is_found():
    assert resources(leaks, (ROW,), "sm_80").float64 >= 3  # to float64, multiply, back
    assert resources(exchange, (ROW,), "sm_80").float64 == 0


@linux
def test_examples_stand_for_types():
    given = (np.zeros(4, np.float32), 3)
    assert usage(remembers, given, "sm_80") == usage(remembers, (ROW, types.int64), "sm_80")
    given = (nl.zeros(4, device="cpu"), 3)
    assert usage(remembers, given, "sm_80") == usage(remembers, (ROW, types.int64), "sm_80")


@linux
def test_ptx_is_assembled_once():
    resources(exchange, (ROW,), "sm_89")
    before = offline.link.cache_info()
    resources(exchange, (ROW,), "sm_89")
    usage(exchange, (ROW,), "sm_89")
    after = offline.link.cache_info()
    assert after.misses == before.misses
    assert after.hits == before.hits + 2


@linux
def test_refused_ptx_shows_what_the_assembler_says():
    with pytest.raises(CompileError, match="ptxas refuses the PTX for sm_80: .*nonsense"):
        offline.link(".version 8.0\n.target sm_80\n.address_size 64\nnonsense\n", "sm_80")


@linux
@pytest.mark.parametrize(
    ("missing", "tool"),
    [("cuda.bindings", "nvJitLink"), ("cuda.pathfinder", "nvdisasm")],
)
def test_missing_tools_are_named_with_the_extra(missing, tool, monkeypatch):
    offline.link.cache_clear()
    offline._disassembler.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        CompileError, match=rf"{tool} is not installed; install the extra resources"
    ):
        resources(exchange, (ROW,), "sm_80")


def test_wrong_arguments_are_refused():
    with pytest.raises(
        ArgumentError, match="kernel: .* given, expected a function made by @kernel"
    ):
        nl.resources(polynomial, (ROW, types.int64))
    for arch in ("sm_42", "90", (9, 0)):
        with pytest.raises(ArgumentError, match="arch: .* given, expected one of sm_75, "):
            nl.resources(exchange, (ROW,), arch)


@pytest.mark.parametrize(
    ("arch", "registers", "shared", "threads", "share"),
    [
        ("sm_80", 32, 0, 256, 1.0),  # 2048 threads of 32 registers are all there are
        ("sm_80", 33, 0, 256, 0.75),  # a warp takes 40 * 32 registers: 12 warps a scheduler
        ("sm_80", 64, 0, 256, 0.5),
        ("sm_80", 255, 0, 32, 0.125),
        ("sm_80", 32, 0, 32, 0.5),  # 32 blocks at most
        ("sm_80", 255, 0, 1024, 0.0),  # does not fit at all
        ("sm_80", 32, 81 * 1024, 256, 0.25),  # 82 KiB with what is reserved: twice into 164
        ("sm_80", 32, 82 * 1024, 256, 0.125),
        ("sm_75", 32, 32 * 1024, 512, 1.0),  # nothing is reserved: twice into 64
        ("sm_86", 32, 0, 1024, 2 / 3),  # 48 warps, 32 of them in one block
        ("sm_120", 40, 0, 256, 1.0),
        ("sm_90a", 128, 0, 256, 0.25),
    ],
)
def test_occupancy(arch, registers, shared, threads, share):
    assert occupancy(architecture(arch), registers, shared, threads) == share


def test_figures_from_the_log():
    log = """ptxas info    : Function properties for k
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers
info    : used 40 registers, used 1 barriers, 16 stack, 5120 bytes smem"""
    found = usage_from_log("sm_80", log)
    assert (found.registers, found.spill_stores, found.spill_loads) == (40, 8, 12)
    assert (found.stack, found.shared, found.spills) == (16, 5120, 20)
    assert usage_from_log("sm_90", log).shared == 4096  # of which the system takes 1024


@linux
def test_the_command_prints_a_table_and_json():
    out = succeed("resources", "dropout", "--arch", "sm_80", "--block", "512")
    assert "sm_80, occupancy for blocks of 512" in out
    assert "dropout" in out
    assert "float64 instructions" in out
    rows = json.loads(succeed("resources", "dropout", "--json"))
    assert {row["arch"] for row in rows} == {"sm_90"}
    assert all(row["regs"] > 0 and row["spill"] == 0 for row in rows)
    clean = [row for row in rows if "float64" not in row["signature"]]
    assert clean
    assert all(row["f64"] == 0 for row in clean)


@linux
def test_the_table_knows_what_a_launch_adds():
    """A kernel with bounds and dynamic shared memory, which one multiprocessor holds once."""
    rows = json.loads(succeed("resources", "bf16 nt, wgmma, split", "--arch", "sm_90a", "--json"))
    assert [row["block"] for row in rows] == [384]
    assert rows[0]["shared"] > 200 * 1024
    assert rows[0]["occup"] == 384 / 2048


@linux
def test_the_command_writes_all_architectures_to_a_file(tmp_path):
    json_file, csv_file = tmp_path / "found.json", tmp_path / "found.csv"
    assert "lines written" in succeed(
        "resources", "clip_scale", "--arch", "all", "--out", json_file
    )
    succeed("resources", "clip_scale", "--arch", "sm_80", "--out", csv_file)
    found = json.loads(json_file.read_text())
    assert found["versions"]["numba"]
    kernels = [dict(zip(found["columns"], row)) for row in found["kernels"]]
    assert {k["kernel"] for k in kernels} >= {"clip_scale", "clip_scale_wide"}
    assert all(tuple(k["figures"]) == ARCHITECTURES for k in kernels)
    rows = [
        {"arch": arch, **dict(zip(found["figures"], figures))}
        for k in kernels
        for arch, figures in k["figures"].items()
    ]
    assert all(row["regs"] > 0 and row["spill"] == 0 and not row["missed"] for row in rows)
    lines = list(csv.DictReader(csv_file.read_text().splitlines()))
    of_one = [row for row in rows if row["arch"] == "sm_80"]
    assert [int(row["regs"]) for row in lines] == [row["regs"] for row in of_one]
    assert "expected a .json or .csv file" in fail("resources", "clip_scale", "--out", "x.txt")


def test_kernels_that_look_alike_have_lines_of_their_own(tmp_path):
    """Such as those of one op for arrays with and without gaps: the labels do not tell them."""
    labels = {"op": "exp", "kernel": "exp", "signature": "float32[1]", "expects": ""}
    rows = [{**labels, "arch": a, "regs": r} for a, r in zip(("sm_80", "sm_90") * 2, range(4))]
    write(tmp_path / "found.json", rows, 256)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["figures"] == ["regs"]
    assert [k[-1] for k in found["kernels"]] == [
        {"sm_80": [0], "sm_90": [1]},
        {"sm_80": [2], "sm_90": [3]},
    ]


def test_the_command_refuses_unknown_names():
    assert "no op or kernel is called anything like nothing_like_it" in fail(
        "resources", "nothing_like_it"
    )


def test_kernels_for_some_gpus_only_are_listed_for_those():
    from nnlite.cli.resources import kernels

    def listed(arch):
        return [(k.name, k.kernel) for k in kernels(["gemm"], [arch]) if "matmul" in k.name]

    names = {f"matmul {kind} {order}" for kind in KINDS for order in ("nn", "nt", "tn", "tt")}
    names.add("matmul float32 nn, split")
    assert {op for op, _ in listed("sm_80")} >= names
    assert len({kernel for _, kernel in listed("sm_90a")}) == len(listed("sm_90a"))
    assert listed("sm_75") == []
