"""Structured dtypes in kernels: fields, nested records, records in shared and local memory."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda, float32, from_dtype

from nnlite.kernels.engine.cpu import CpuKernel

PLAIN = np.dtype([("x", "f4"), ("n", "i4"), ("ok", "?")])
ALIGNED = np.dtype([("b", "u1"), ("d", "f8"), ("h", "i2")], align=True)
NESTED = np.dtype([("id", "i8"), ("at", [("x", "f8"), ("y", "f8")]), ("v", "f4", (3,))])
PLAIN_TYPE = from_dtype(PLAIN)


def table(dtype, n):
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 60, (n, dtype.itemsize), dtype=np.uint8)
    out = np.zeros(n, dtype)
    out.view(np.uint8).reshape(n, -1)[:] = raw
    if "ok" in dtype.names:
        out["ok"] = raw[:, 0] > 30
    return out


def run(kernel, n, *args):
    CpuKernel(kernel).launch((1, 1, 1), (n, 1, 1), 0, args)


@cuda.jit
def by_attribute(a, out):
    i = cuda.grid(1)
    if a[i].ok:
        out[i] = a[i].x + a[i].n
    a[i].n += 1
    a[i].x = float32(i)


@cuda.jit
def by_name(a, out):
    i = cuda.grid(1)
    if a[i]["ok"]:
        out[i] = a["x"][i] + a[i]["n"]
    a["n"][i] += 1
    a[i]["x"] = float32(i)


@cuda.jit
def by_reference(a, out):
    i = cuda.grid(1)
    r = a[i]
    if r.ok:
        out[i] = r.x + r.n
    r.n = r.n + 1
    r.x = float32(i)


@pytest.mark.parametrize("kernel", [by_attribute, by_name, by_reference])
def test_fields_are_read_and_written(kernel):
    a = table(PLAIN, 40)
    before, out = a.copy(), np.zeros(40)
    run(kernel, 40, a, out)
    expected = np.where(before["ok"], before["x"].astype(np.float64) + before["n"], 0)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(a["n"], before["n"] + 1)
    np.testing.assert_array_equal(a["x"], np.arange(40, dtype=np.float32))
    np.testing.assert_array_equal(a["ok"], before["ok"])


@cuda.jit
def aligned_fields(a, out):
    i = cuda.grid(1)
    out[i] = a[i].b + a[i].d * a[i].h
    a[i].h = i


def test_aligned_structure():
    a, out = np.zeros(9, ALIGNED), np.zeros(9)
    a["b"], a["d"], a["h"] = np.arange(9), 0.5, 4
    run(aligned_fields, 9, a, out)
    np.testing.assert_array_equal(out, np.arange(9) + 2.0)
    np.testing.assert_array_equal(a["h"], np.arange(9))


@cuda.jit
def nested_fields(a, out):
    i = cuda.grid(1)
    a[i].at.x = a[i].id
    point = a[i].at
    point.y = 2 * point.x
    total = float32(0)
    for k in range(3):
        a[i].v[k] += float32(k)
        total += a[i]["v"][k]
    for v in a[i].v:
        total += v
    out[i] = total


def test_nested_records_and_array_fields():
    a, out = np.zeros(7, NESTED), np.zeros(7, np.float32)
    a["id"], a["v"] = np.arange(7), np.arange(21).reshape(7, 3)
    expected = 2 * (a["v"].sum(1) + 3)
    run(nested_fields, 7, a, out)
    np.testing.assert_array_equal(a["at"]["x"], np.arange(7))
    np.testing.assert_array_equal(a["at"]["y"], 2 * np.arange(7))
    np.testing.assert_array_equal(out, expected)


@cuda.jit
def in_shared_and_local_memory(a, out):
    s = cuda.shared.array(32, PLAIN)
    mine = cuda.local.array(2, dtype=PLAIN_TYPE)
    t = cuda.threadIdx.x
    s[t] = a[t]
    mine[0].n = t
    mine[1] = a[t]
    cuda.syncthreads()
    other = s[31 - t]
    out[t].n = other.n + mine[0].n
    out[t].x = mine[1].x
    cuda.syncthreads()
    other.n = -1
    cuda.syncthreads()
    out[t].ok = s[t].n == -1


def test_shared_and_local_records():
    a, out = table(PLAIN, 32), np.zeros(32, PLAIN)
    run(in_shared_and_local_memory, 32, a, out)
    np.testing.assert_array_equal(out["n"], a["n"][::-1] + np.arange(32))
    np.testing.assert_array_equal(out["x"], a["x"])
    assert out["ok"].all()


@cuda.jit
def record_argument(r, out):
    i = cuda.grid(1)
    if i < r.n:
        out[i] = r.x


def test_record_scalars():
    for count in (0, 3):
        r = np.zeros((), PLAIN)
        r["x"], r["n"] = 2.5, count
        out = np.zeros(5, np.float32)
        run(record_argument, 5, r[()], out)
        np.testing.assert_array_equal(out, [2.5] * count + [0] * (5 - count))


TABLE = table(NESTED, 4)


@cuda.jit
def constant_table(out):
    c = cuda.const.array_like(TABLE)
    i = cuda.grid(1)
    out[i] = c[i].id


def test_constant_records_are_frozen():
    out, expected = np.zeros(4, np.int64), TABLE["id"].copy()
    kernel = CpuKernel(constant_table)
    kernel.launch((1, 1, 1), (4, 1, 1), 0, (out,))
    np.testing.assert_array_equal(out, expected)
    TABLE["id"] += 1
    kernel.launch((1, 1, 1), (4, 1, 1), 0, (out,))
    np.testing.assert_array_equal(out, expected)


def test_dtypes_with_other_fields_are_told_apart():
    kernel = CpuKernel(by_attribute)
    swapped = np.dtype([("n", "f4"), ("x", "i4"), ("ok", "?")])
    for dtype in (PLAIN, swapped):
        a, out = np.zeros(3, dtype), np.zeros(3)
        a["x"], a["n"], a["ok"] = 7, 5, True
        kernel.launch((1, 1, 1), (3, 1, 1), 0, (a, out))
        np.testing.assert_array_equal(out, 12)
        np.testing.assert_array_equal(a["x"], [0, 1, 2])
    assert len(kernel.compiled) == 2


def test_recarray():
    a, out = table(PLAIN, 6).view(np.recarray), np.zeros(6)
    a.ok = True
    expected = a.x.astype(np.float64) + a.n
    run(by_attribute, 6, a, out)
    np.testing.assert_array_equal(out, expected)


CLASHING = np.dtype([("size", "i4"), ("real", "f4"), ("shape", "i4", (2,)), ("T", "f8")])


@cuda.jit
def fields_named_like_attributes(a, x, out):
    s = cuda.shared.array(4, float32)
    i = cuda.grid(1)
    r = a[i]
    before = r.size
    s[i] = r.real
    cuda.syncthreads()
    r.size = 7
    out[i, 0] = before + x[before]
    out[i, 1] = s[3 - i] + r.T
    out[i, 2] = a[i].size + r.shape[1]


def test_fields_named_like_attributes_of_arrays():
    a, x, out = np.zeros(4, CLASHING), np.arange(5.0), np.zeros((4, 3))
    a["size"], a["real"], a["shape"][:, 1], a["T"] = [-1, -2, 3, 4], np.arange(4), 5, 0.5
    run(fields_named_like_attributes, 4, a, x, out)
    np.testing.assert_array_equal(out[:, 0], [3, 1, 6, 8])
    np.testing.assert_array_equal(out[:, 1], [3.5, 2.5, 1.5, 0.5])
    np.testing.assert_array_equal(out[:, 2], 12)
