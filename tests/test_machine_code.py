"""Reading machine code: opcodes, loops, and whether it holds what is expected of a kernel."""

from __future__ import annotations

import json

import pytest
from numba import types

from nnlite.errors import ArgumentError
from nnlite.kernels import all_kernels, all_specs, gpu_kernels
from nnlite.kernels.engine import kernel
from nnlite.kernels.engine.resources import ARCHITECTURES, Resources, unmet
from nnlite.kernels.engine.resources.sass import (
    Instruction,
    called,
    has,
    instructions,
    is_float64,
    main_loop,
)
from nnlite.kernels.opspec import GpuKernel

ROW = types.Array(types.float32, 1, "C")


@kernel
def nothing(x):
    pass


def test_patterns_name_opcodes():
    assert has("LDG.E.128", "LDG.128")
    assert has("LDG.E.128.CONSTANT", ".128")
    assert not has("LDGSTS.E.128", "LDG.128")
    assert not has("LDG.E.64", "LDG.128")
    assert is_float64("DFMA.RZ")
    assert is_float64("F2F.F32.F64")
    assert is_float64("MUFU.RCP64H")
    assert not is_float64("DEPBAR.LE")
    assert not is_float64("LDG.E.64")


def test_loops_in_a_listing():
    names = [
        "MOV",
        "LDG",
        "FADD",
        "FFMA",
        "BRA 0x30",
        "IADD3",
        "BRA 0x10",
        "EXIT",
        "BRA 0x80",
        "NOP",
    ]
    items = [dict(zip(("opcode", "operands"), name.split())) for name in names]
    function = {"function-name": "k", "start": 0, "length": 16 * len(items)}
    (code,) = instructions(json.dumps([{}, [function | {"sass-instructions": items}]])).values()
    assert [i.name for i in code] == ["MOV", "LDG", "FADD", "FFMA", "BRA", "IADD3", "BRA", "EXIT"]
    assert [i.opcode for i in main_loop(code)] == ["FFMA", "BRA"]
    assert main_loop(code[:4]) == []
    assert Instruction(0, "BRA", "`(.L_x_1)").target is None


def test_functions_that_are_called():
    call = [Instruction(0, "CALL.ABS.NOINC", "`(div)"), Instruction(16, "EXIT")]
    deep = [Instruction(0, "CALL.REL.NOINC", "`(slow)")]
    end = [Instruction(0, "RET.ABS.NODEC", "R20,0x0")]
    functions = {"div": deep, "slow": end, "sqrt": end, "k": call, "other": end}
    assert called(functions, "k") == [call, deep, end]
    assert called(functions, "other") == [end]


def found_with(opcodes, loop):
    return Resources("sm_90", 32, 0, 0, 0, 0, kernel="k", opcodes=opcodes, loop=loop)


def test_what_is_expected_of_machine_code():
    found = found_with({"FFMA": 9, "LDG.E.128": 2, "EXIT": 1}, {"FFMA": 7, "BRA": 1})
    met = ("FFMA", "FFMA >= 87%", "FFMA <= 9", "LDG.128 == 2", ".128 >= 2", "LDL == 0", "LDL <= 0%")
    assert unmet(found, met) == []
    missed = ("LDS.128", "FFMA >= 88%", "FFMA >= 10", "LDG.128 == 1", "FFMA == 0", "LDG <= 1")
    assert unmet(found, missed) == [
        "LDS.128: 0 found",
        "FFMA >= 88%: 87.5% found",
        "FFMA >= 10: 9 found",
        "LDG.128 == 1: 2 found",
        "FFMA == 0: 9 found",
        "LDG <= 1: 2 found",
    ]
    for wrong in ("ffma", "FFMA > 3", "FFMA >= 0.88", "", "FFMA>=3", "LDG.128 >= two"):
        with pytest.raises(ArgumentError, match="expects: .* given, expected an instruction"):
            unmet(found, [wrong])


def test_kernels_for_some_architectures_only():
    every = GpuKernel("a", nothing, (ROW,))
    assert all(every.runs_on(arch) for arch in ARCHITECTURES)
    later = GpuKernel("b", nothing, (ROW,), since=(8, 9))
    runs = [arch for arch in ARCHITECTURES if later.runs_on(arch)]
    assert runs == ["sm_89", "sm_90", "sm_90a", "sm_100", "sm_120"]
    hopper = GpuKernel("c", nothing, (ROW,), since=(9, 0), only=("sm_90a",))
    assert [arch for arch in ARCHITECTURES if hopper.runs_on(arch)] == ["sm_90a"]


def test_every_kernel_is_named_once():
    found = {(k.kernel, k.signature): k for k in all_kernels()}
    assert len(found) == len(all_kernels())
    assert set(found) >= {pair for spec in all_specs() for pair in spec.kernels}
    for declared in gpu_kernels():
        assert found[declared.kernel, declared.signature] == declared
