"""Kernels with one small mistake each: the checks of the ops must notice every one of them."""

from __future__ import annotations

import pytest

from nnlite.kernels import all_specs
from nnlite.kernels.update.many_rules import adam_many_kernel
from nnlite.testing.mutants import Mutant, Planter, mutated, noticed

SPECS = {spec.name: spec for spec in all_specs()}

# Grouped by function: (where, op, [(old, new), ...]).
PLANTED = [
    ("bias.bias_add_kernel", "bias_add", [
        ("column < c", "column <= c"),
        ("column = cuda.grid(1)", "column = cuda.threadIdx.x"),
        ("+ b[column]", "- b[column]"),
    ]),
    ("bias.bias_grad", "bias_grad", [
        ("range(ty, n, ROWS)", "range(ty + 1, n, ROWS)"),
        ("for i in range(1, ROWS)", "for i in range(1, ROWS - 1)"),
        ("if ty == 0 and column < c", "if ty == 1 and column < c"),
    ]),
    ("matmul.kernels.matmul", "matmul", [
        ("k0 + tx, row0 + s + ty", "k0 + ty, row0 + s + ty"),
        ("a[row, q] if row < m and q < k", "a[row, q] if row < m and q < k - 1"),
        ("b[q, column] if column < n and q < k", "b[q, column] if column < n and q <= k"),
        ("if row < m and column < n", "if row < m and column < n - 1"),
        ("cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y", "cuda.blockIdx.y + 1"),
        ("total[i, j] += x * b_tile[q, j * T + tx]", "total[i, j] = x * b_tile[q, j * T + tx]"),
        ("finish(total[i, j] + bias[column])", "finish(total[i, j])"),
        ("column = column0 + j * T + tx", "column = column0 + i * T + tx"),
        ("total[i, j] = real(0.0)", "total[i, j] = real(1e-3)"),
    ]),
    ("matmul.kernels.matmul", "matmul_tn", [
        ("k0 + ty, row0 + s + tx", "k0 + tx, row0 + s + ty"),
        ("a_tile[q, i * T + ty] if", "a_tile[q, i * T + tx] if"),
    ]),
    ("matmul.kernels.matmul", "matmul_nt", [
        ("b_tile[tx, s + ty] = b[column, q]", "b_tile[tx, s + ty] = b[column, 0]"),
    ]),
    ("reduce.tree.combined", "sum", [
        ("if tid < half", "if tid <= half"),
        ("tree[first + tid + half]", "tree[first + tid + 1]"),
        ("half //= 2", "half //= 4"),
        ("result = tree[first]", "result = tree[first + 1]"),
    ]),
    ("reduce.tree.larger", "max", [("or a != a", ""), ("a > b", "a < b")]),
    ("reduce.kernels.reduce_rows", "mean", [
        ("x.shape[1])", "x.shape[1] - 1)"),
        ("acc / divisor", "acc"),
        ("part * chunk + tid, stop", "part * chunk, stop"),
    ]),
    ("reduce.kernels.reduce_columns", "sum", [
        ("column >= x.shape[2]", "column > x.shape[2]"),
        ("x[o, k, column]", "x[o, k, first]"),
    ]),
    ("softmax.plain.softmax_thread", "softmax", [
        ("math.exp(x[row, j] - m) / s", "math.exp(x[row, j] - m)"),
    ]),
    ("softmax.plain.of_thread", "softmax", [
        ("s = real(0.0)", "s = real(1.0)"),
        ("m = larger(m, x[row, j])", "m = x[row, j]"),
    ]),
    ("softmax.plain.of_block", "log_softmax", [
        ("m = block_max(tree, m)", "m = block_sum(tree, m)"),
    ]),
    ("softmax.plain.softmax_block", "log_softmax", [("- math.log(s)", "- s")]),
    ("softmax.plain.backward_thread", "softmax", [("(dy[row, j] - s)", "dy[row, j]")]),
    ("softmax.plain.backward_block", "log_softmax", [("s = block_sum(tree, s)", "pass")]),
    ("softmax.entropy.loss_thread", "cross_entropy", [
        ("x[row, label] - m", "x[row, label]"),
        ("loss / divisor", "loss"),
        ("if row < x.shape[0]:", "if row < x.shape[0] - 1:"),
    ]),
    ("softmax.entropy.gradient", "cross_entropy", [
        ("p -= real(1.0)", "p -= real(0.5)"),
        ("row < n and j < c", "row < n and j < c - 1"),
        ("dloss[row * step] * scale", "dloss[row * step]"),
    ]),
    ("pool.maximum.max_windows", "max_pool2d", [
        ("v > best or v != v", "v > best"),
        ("w0 + j * steps[1]", "w0 + j"),
        ("real(-math.inf)", "real(0.0)"),
    ]),
    ("pool.maximum.max_windows_backward", "max_pool2d", [
        ("total += dy", "total = dy"),
        ("h * width + w", "w * height + h"),
    ]),
    ("pool.average.average_windows", "avg_pool2d", [
        ("w0 + j <= w1", "w0 + j < w1"),
        ("if divisor != real(0.0)", "if divisor == real(0.0)"),
    ]),
    ("pool.average.average_windows_backward", "avg_pool2d", [("/ size", "* size")]),
    ("norm.batch_kernels.train_rows", "batch_norm", [
        ("var + eps", "var"),
    ]),
    ("norm.sums.table_sum", "batch_norm", [
        ("for i in range(1, ROWS)", "for i in range(2, ROWS)"),
        ("result = partial[0, 0]", "result = partial[0, 1]"),
    ]),
    ("norm.batch_kernels.train_columns", "batch_norm", [("+ shift", "- shift")]),
    ("norm.batch_kernels.remember", "batch_norm_statistics", [
        ("real(1.0) - momentum", "momentum"),
        ("+ momentum * var", "+ var"),
    ]),
    ("norm.batch_kernels.backward_rows", "batch_norm", [("- plain / count)", "- plain)")]),
    ("norm.batch_kernels.backward_columns", "batch_norm", [("hat * (weighted / count)", "hat")]),
    ("norm.row_kernels.forward", "layer_norm", [
        ("variance_of(square, rest) + eps", "variance_of(square, rest)"),
        ("hat * weight[at]", "hat"),
    ]),
    ("norm.row_kernels.backward", "group_norm", [
        ("- hat * weighted", "+ hat * weighted"),
        ("(g - plain)", "g"),
    ]),
    ("dropout.philox", "dropout", [
        ("^ d ^ k1", "^ d ^ k0"),
        ("uint32(k1 + uint32(W1))", "uint32(k1)"),
    ]),
    ("dropout.dropout", "dropout", [("x[j] * scale if b", "x[j] if b")]),
    ("recurrent.lstm.lstm_forward", "lstm_cell", [
        ("o * math.tanh(new)", "o * new"),
        ("gates_x[row, m + j]", "gates_x[row, j]"),
    ]),
    ("recurrent.lstm.lstm_backward", "lstm_cell", [
        ("dct * c_prev[row, j]", "dct * c[row, j]"),
        ("dct * i * (", "dct * ("),
    ]),
    ("indexing.embedding.embedding_backward_kernel", "embedding", [
        ("dtable[row, column] += dy", "dtable[row, column] = dy"),
    ]),
    ("indexing.embedding.embedding_backward_kernel", "embedding_backward", [
        ("and row != padding", ""),
        ("row < high", "row <= high"),
    ]),
    ("update.common.lerp", "adam_update", [("a + t * (b - a)", "a + t * b")]),
    ("update.adam.step", "adam_update", [
        ("take2 * g * g", "take2 * g"),
        ("v[i] = second", "v[i] = first"),
        ("/ root2 + eps)", "/ root2)"),
        ("if second > most", "if second < most"),
    ]),
]  # fmt: skip
# Barriers that are missing: (where, op, text with the barrier, text without).
DROPPED = [
    ("bias.bias_grad", "bias_grad", "cuda.syncthreads()", "pass"),
    (
        "reduce.tree.combined",
        "sum",
        "tree[first + tid] = value\n    cuda.syncthreads()",
        "tree[first + tid] = value",
    ),
    ("reduce.tree.combined", "max", "cuda.syncthreads()\n        half", "half"),
    ("norm.sums.table_sum", "batch_norm", "cuda.syncthreads()\n    if ty", "if ty"),
    ("norm.sums.table_sum", "batch_norm", "cuda.syncthreads()\n    half = ", "half = "),
    ("matmul.kernels.matmul", "matmul", "cuda.syncthreads()\n        for q0", "for q0"),
]
MUTANTS = [
    Mutant(where, old, new, op) for where, op, changes in PLANTED for old, new in changes
] + [Mutant(where, old, new, op) for where, op, old, new in DROPPED]


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 60
    assert len(set(MUTANTS)) == len(MUTANTS)


def test_a_kernel_that_its_factory_has_renamed_is_concerned_too():
    renamed = adam_many_kernel(amsgrad=True).py_func
    assert renamed.__name__ != renamed.__code__.co_name
    with_mistake = Planter(next(m for m in MUTANTS if m.where == "update.common.lerp"))
    assert with_mistake.rewritten(renamed) is not None
    unrelated = Planter(next(m for m in MUTANTS if m.where == "bias.bias_grad"))
    assert unrelated.rewritten(renamed) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_mistake_is_noticed(mutant):
    assert noticed(mutant, SPECS[mutant.op])


def test_without_a_mistake_nothing_is_noticed():
    same = Mutant("bias.bias_grad", "total = real(0.0)", "total = real(0)", "bias_grad")
    assert noticed(same, SPECS["bias_grad"]) == ""


def test_a_mistake_that_cannot_be_planted_is_an_error():
    absent = Mutant("bias.bias_grad", "no such text", "", "bias_grad")
    with pytest.raises(ValueError, match="found 0 times, expected once"):
        noticed(absent, SPECS["bias_grad"])
    unused = Mutant("bias.bias_grad", "total = real(0.0)", "total = real(1)", "bias_add")
    with pytest.raises(ValueError, match="no kernel that ran uses"), mutated(unused):
        pass
