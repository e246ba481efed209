"""PTX in which a kernel calls functions, on the machine and against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from nnlite.testing.machine import Machine

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
# triangle(x): the sum of 1..x by a loop, 7 at once if x < 5. twice(x): 2 triangle(x) + 1.
FUNCTIONS = """
.func (.param .b32 func_retval0) triangle(.param .b32 triangle_param_0);
.func (.param .b32 func_retval0) twice(.param .b32 twice_param_0)
{
    .reg .b32 %r<4>;
    ld.param.u32 %r1, [twice_param_0];
    { // callseq 0, 0
    .param .b32 param0;
    st.param.b32 [param0+0], %r1;
    .param .b32 retval0;
    call.uni (retval0), triangle, (param0);
    ld.param.b32 %r2, [retval0+0];
    } // callseq 0
    shl.b32 %r3, %r2, 1;
    add.u32 %r3, %r3, 1;
    st.param.b32 [func_retval0+0], %r3;
    ret;
}
.func (.param .b32 func_retval0) triangle(.param .b32 triangle_param_0)
{
    .reg .pred %p<3>;
    .reg .b32 %r<5>;
    ld.param.u32 %r1, [triangle_param_0];
    mov.u32 %r2, 0;
    setp.lt.u32 %p1, %r1, 5;
    @!%p1 bra $L__BB0_1;
    mov.u32 %r2, 7;
    st.param.b32 [func_retval0+0], %r2;
    ret;
$L__BB0_1:
    add.u32 %r2, %r2, %r1;
    sub.u32 %r1, %r1, 1;
    setp.ne.u32 %p2, %r1, 0;
    @%p2 bra $L__BB0_1;
    st.param.b32 [func_retval0+0], %r2;
    ret;
}
"""
CALL = """
    {{
    .param .b32 param0;
    st.param.b32 [param0+0], {given};
    .param .b32 retval0;
    call.uni (retval0), {name}, (param0);
    ld.param.b32 {got}, [retval0+0];
    }}
"""
ODD_AND_EVEN = f"""
.visible .entry k(.param .u64 out)
{{
    .reg .pred %p<3>;
    .reg .b32 %r<9>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    and.b32 %r2, %r1, 1;
    setp.eq.u32 %p1, %r2, 0;
    @%p1 bra $L__BB0_1;
    {CALL.format(given="%r1", name="twice", got="%r3")}
    bra.uni $L__BB0_2;
$L__BB0_1:
    add.u32 %r4, %r1, 100;
    {CALL.format(given="%r4", name="triangle", got="%r3")}
$L__BB0_2:
    mul.wide.u32 %rd2, %r1, 4;
    add.u64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r3;
    ret;
}}
"""


def triangle(x: int) -> int:
    return 7 if x < 5 else x * (x + 1) // 2


@pytest.mark.parametrize("text", [FUNCTIONS + ODD_AND_EVEN, ODD_AND_EVEN + FUNCTIONS])
def test_functions_are_called_where_threads_part(text):
    """Odd threads call one that calls another, even ones that other."""
    machine, out = Machine(HEAD + text), np.zeros(40, np.uint32)
    machine.run(1, 40, np.uint64(machine.pointer(out)).tobytes())
    machine.arrays.download()
    expected = [2 * triangle(t) + 1 if t % 2 else triangle(t + 100) for t in range(40)]
    np.testing.assert_array_equal(out, expected)


def test_a_function_finds_what_it_was_given_after_it_has_called_another():
    """Both are given it under one name, at two calls."""
    text = FUNCTIONS
    for old, new in (
        ("st.param.b32 [param0+0], %r1;", "add.u32 %r3, %r1, 100;\n st.param.b32 [param0+0], %r3;"),
        ("shl.b32 %r3, %r2, 1;", "ld.param.u32 %r1, [twice_param_0];\n add.u32 %r3, %r2, %r1;"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    machine, out = Machine(HEAD + text + ODD_AND_EVEN), np.zeros(40, np.uint32)
    machine.run(1, 40, np.uint64(machine.pointer(out)).tobytes())
    machine.arrays.download()
    expected = [triangle(t + 100) + (t + 1 if t % 2 else 0) for t in range(40)]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(retval0), triangle,", "(retval0), elsewhere,", r"call\.uni \(retval0\w*\), elsewhere"),
        ("(retval0), triangle,", "(retval0), twice,", "calls itself"),
        ("call.uni (retval0), twice", "@%p1 call (retval0), twice", "`@%p1 call"),
    ],
)
def test_calls_that_cannot_be_put_in_place_are_refused(old, new, said):
    text = HEAD + FUNCTIONS + ODD_AND_EVEN
    assert old in text
    with pytest.raises(NotImplementedError, match=said):
        Machine(text.replace(old, new))
