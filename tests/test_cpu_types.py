"""Every variable has the type on the CPU that numba-cuda infers for the GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from numba import cuda, float32, float64, int8, int16, int32, int64, typeof, types, uint8, uint32

from bench.collection import ENTRIES
from nnlite.kernels.engine.cpu.canonical import Unit, canonical
from nnlite.kernels.engine.cpu.flatten import flatten
from nnlite.kernels.engine.cpu.infer import variable_types
from nnlite.kernels.engine.cpu.webs import split_webs

pytest.importorskip("numba_cuda", reason="needs numba-cuda to compare with its types")

Types = dict[str, set[types.Type]]


def grouped(variables) -> Types:
    """Types of all versions of each variable that the user wrote."""
    found: Types = {}
    for name, t in variables.items():
        if not name.startswith(("$", "arg.")):
            base = name.split(".")[0].split("__")[0]
            found.setdefault(base, set()).add(types.unliteral(t))
    return found


def ours(function, signature) -> Types:
    """What the CPU compiler infers; variables of device functions are among them, inlined."""
    unit = Unit()
    tree = flatten(canonical(function, unit), unit.devices, unit.names)
    split_webs(tree, unit.names)
    hidden = tuple(typeof(a) for a in unit.arrays.values())
    return grouped(variable_types(tree, list(unit.arrays), signature + hidden, unit.names))


@dataclass(frozen=True)
class Pretended:
    """What numba-cuda asks of a device when a kernel calls a device function."""

    compute_capability: tuple[int, int] = (8, 0)


def theirs(function, signature) -> tuple[Types, Types]:
    """What numba-cuda infers: for the kernel, and for the device functions that it calls."""
    from numba.cuda import dispatcher
    from numba.cuda.compiler import compile_cuda

    with mock.patch.object(dispatcher, "get_current_device", return_value=Pretended()):
        compiled = compile_cuda(function, types.void, signature, cc=(8, 0))
    inner: Types = {}
    waiting, known = [compiled], set()
    while waiting:
        for t in waiting.pop().type_annotation.typemap.values():
            if isinstance(t, types.Dispatcher) and t.dispatcher not in known:
                known.add(t.dispatcher)
                for overload in t.dispatcher.overloads.values():
                    waiting.append(overload)
                    for name, found in grouped(overload.type_annotation.typemap).items():
                        inner.setdefault(name, set()).update(found)
    return grouped(compiled.type_annotation.typemap), inner


def narrower(t, wanted) -> bool:
    """The first turn of a loop over a tuple may hold the same integer in fewer bits."""
    return isinstance(t, types.Integer) and any(
        isinstance(w, types.Integer) and w.signed == t.signed and w.bitwidth > t.bitwidth
        for w in wanted
    )


def differences(function, signature) -> dict[str, tuple[set[str], set[str]]]:
    """Variables that have another type here, and those that are missing here."""
    kernel, inner = theirs(function, signature)
    mine = ours(function, signature)
    found = {}
    for name, wanted in kernel.items():
        grid = any(type(t).__name__ == "GridGroup" for t in wanted)  # nothing is stored of it
        inlined = "_v" in name and name not in function.__code__.co_varnames  # by inline="always"
        if name == "_" or grid or inlined:
            continue
        extra = {
            t
            for t in mine.get(name, {None})
            if t not in wanted | inner.get(name, set()) and not narrower(t, wanted)
        }
        if extra and not all(isinstance(t, types.Array) for t in extra):
            found[name] = (set(map(str, extra)), set(map(str, wanted)))
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_collection(entry):
    signature = tuple(map(typeof, entry.launches(entry.tiny)[0].args))
    assert not differences(entry.kernel.py_func, signature)


F4 = types.Array(types.float32, 2, "C")


@cuda.jit
def indices(x, n):
    i = cuda.grid(1)
    row, col = cuda.grid(2)
    t = cuda.threadIdx.x
    b = cuda.blockIdx.y * cuda.blockDim.y
    product = t * t
    half = cuda.blockDim.x // 2
    rest = t % 32
    size = cuda.gridsize(1) + n
    narrow = int32(i) + int32(1)
    unsigned = np.uint32(t) * np.uint32(3)
    lane = cuda.laneid
    length = len(x) + x.size
    x[row, col] = b + product + half + rest + size + narrow + unsigned + lane + length


@cuda.jit
def floats(x, n):
    a = x[0, 0]
    wide = a * 2.0
    mixed = a * n
    kept = a * float32(2)
    small = a * int16(3)
    tiny = a + int8(1)
    t = a * cuda.threadIdx.x
    flag = a + (a > 0)
    root = math.sqrt(a)
    e = math.exp(a - kept)
    whole = math.exp(n)
    power = a**2
    fractional = a**0.5
    by_float = a ** float32(3)
    by_pow = math.pow(a, 2)
    biggest = max(a, kept)
    either = max(a, wide)
    clamped = min(max(a, 0), 1)
    chosen = a if n > 3 else 0
    chosen_float = a if n > 3 else 0.0
    acc = 0
    for k in range(n):
        acc += x[k, 0]
    x[0, 1] = wide + mixed + root + e + whole + power + biggest + either + chosen + acc + small
    x[0, 2] = tiny + t + flag + fractional + by_float + by_pow + clamped + chosen_float


@cuda.jit
def loops(x, n):
    total = float32(0)
    s = cuda.blockDim.x // 2
    while s > 0:
        s //= 2
        total += float32(s)
    rows, cols = x.shape
    for k in range(0, rows, 2):
        last = k + cols
        flag = last > n
        both = flag and k < 3
        if both:
            total = total + x[k, 0]
    x[0, 0] = total


@cuda.jit
def divisions(x, n):
    q = n // 3
    r = n % 3
    f = n / 3
    g = x[0, 0] // float32(2)
    h = x[0, 0] % 2
    j = x[0, 0] / n
    z = abs(x[0, 0])
    m = min(n, 3)
    c = int(x[0, 0])
    d = float(n)
    u = uint32(n) // uint32(3)
    v = uint32(n) // 3
    w = uint8(n) % uint8(3)
    negative = -uint8(n)
    near = round(x[0, 0])
    up = math.ceil(x[0, 0])
    down = math.floor(x[0, 0])
    cut = math.trunc(x[0, 0])
    x[0, 0] = q + r + f + g + h + j + z + m + c + d
    x[0, 1] = u + v + w + negative + near + up + down + cut


@cuda.jit
def integers(x, n):
    a, b, c, d = int32(n), uint8(n), uint32(n), int8(n)
    u = np.uint64(n)
    products = a * a
    bytes_sum = b + b
    bytes_and_ints = b + a
    unsigned_sum = c + c
    mixed_signs = c + a
    huge = u + n
    huge_unsigned = u + u
    left = b << 3
    right = c >> 5
    signed_right = d >> 1
    both = b & 15
    either = b | c
    one_of = a ^ d
    inverse = ~b
    square = a**2
    flags = (a > 1) + (b > 1)
    flag_and_int = (a > 1) & (n > 2)
    xor = (a > 1) ^ (n > 2)
    negation = not n
    least = min(a, b)
    largest = max(b, 3)
    x[0, 0] = products + bytes_sum + bytes_and_ints + unsigned_sum + mixed_signs + huge + left
    x[0, 1] = right + signed_right + both + either + one_of + inverse + square + flags + least
    x[0, 2] = huge_unsigned + flag_and_int + xor + negation + largest


@cuda.jit
def mathematics(x, n):
    a, f, i = x[0, 0], float64(x[0, 0]), int32(n)
    sine, sine_wide, sine_int = math.sin(a), math.sin(f), math.sin(i)
    tangent, angle = math.tanh(a), math.atan2(a, float32(1))
    angle_mixed = math.atan2(a, f)
    length, magnitude = math.hypot(a, a), math.fabs(a)
    logarithm, decimal, after = math.log(a), math.log10(a), math.log1p(a)
    error, gamma = math.erf(a), math.lgamma(a)
    remainder, sign = math.fmod(a, a), math.copysign(a, f)
    nothing, endless = math.isnan(a), math.isinf(f)
    constant, scaled = math.pi, a * math.pi
    kept = a * float32(math.pi)
    infinity = max(a, float32(-math.inf))
    fused = cuda.fma(a, a, a)
    bits, zeros = cuda.popc(i), cuda.clz(n)
    picked = cuda.selp(i > 3, a, a)
    x[0, 0] = sine + sine_wide + sine_int + tangent + angle + angle_mixed + length + magnitude
    x[0, 1] = logarithm + decimal + after + error + gamma + remainder + sign + constant + scaled
    x[0, 2] = kept + infinity + nothing + endless + fused + bits + zeros + picked


@cuda.jit
def warp_operations(x, n):
    lane = cuda.laneid
    value, number = x[0, lane], int32(n)
    moved = cuda.shfl_down_sync(0xFFFFFFFF, value, 1)
    moved_int = cuda.shfl_xor_sync(0xFFFFFFFF, number, 1)
    moved_wide = cuda.shfl_up_sync(0xFFFFFFFF, int64(n), 1)
    moved_double = cuda.shfl_sync(0xFFFFFFFF, value * 2.0, 0)
    sum_of = value + moved
    mask = cuda.ballot_sync(0xFFFFFFFF, value > 0)
    every = cuda.all_sync(0xFFFFFFFF, value > 0)
    some = cuda.any_sync(0xFFFFFFFF, value > 0)
    present = cuda.activemask()
    before = cuda.lanemask_lt()
    peers = cuda.match_any_sync(0xFFFFFFFF, number)
    group, agree = cuda.match_all_sync(0xFFFFFFFF, number)
    count = cuda.syncthreads_count(number)
    rank = cuda.popc(mask & before)
    place = cuda.ffs(peers) - 1
    low = mask & ((1 << lane) - 1)
    x[0, 0] = moved + moved_int + moved_wide + moved_double + sum_of + every + some + present
    x[0, 1] = group + agree + count + rank + place + low


@cuda.jit
def atomics(x, n):
    s = cuda.shared.array(8, int32)
    u = cuda.shared.array(8, uint32)
    f = cuda.shared.array(8, float64)
    w = cuda.shared.array(8, int64)
    added = cuda.atomic.add(x, (0, 0), 1)
    largest = cuda.atomic.max(f, 0, 2)
    least = cuda.atomic.min(w, 0, n)
    taken = cuda.atomic.cas(s, 0, 0, 1)
    swapped = cuda.atomic.exch(u, 0, uint32(1))
    turned = cuda.atomic.inc(u, 0, uint32(9))
    joined = cuda.atomic.or_(s, 0, 4)
    x[0, 0] = added + largest + least + taken + swapped + turned + joined


TABLES = [indices, floats, loops, divisions, integers, mathematics, warp_operations, atomics]


@pytest.mark.parametrize("kernel", TABLES, ids=lambda kernel: kernel.py_func.__name__)
@pytest.mark.parametrize("number", [types.int64, types.int32, types.uint32], ids=str)
def test_expressions(kernel, number):
    assert not differences(kernel.py_func, (F4, number))


def test_a_difference_is_found():
    """With the same kernel for other arguments, the comparison itself is seen to fail."""
    kernel, _ = theirs(floats.py_func, (F4, types.int64))
    other = ours(floats.py_func, (types.Array(types.float64, 2, "C"), types.int64))
    assert kernel["kept"] == {types.float32}
    assert other["kept"] == {types.float64}
