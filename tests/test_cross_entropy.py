"""Softmax, cross entropy, accuracy beyond their specs: stability, batches, labels, launches."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnlite.kernels.engine import ArgumentError, Kernel, array, empty, full
from nnlite.kernels.engine.kernel import _Launch
from nnlite.kernels.softmax import (
    accuracy,
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    softmax,
)
from nnlite.kernels.softmax.entropy import (
    REDUCTIONS,
    ROWS,
    cross_entropy_reference,
    gradient_kernel,
    loss_kernels,
)
from nnlite.kernels.softmax.plain import log_softmax_reference, softmax_reference
from nnlite.kernels.update import adam_update, sgd_update
from nnlite.testing import assert_close, assert_same_bits

# Columns for one thread per row, and for a sixteenth, a half and the whole of a block.
COLUMNS = [1, 8, 10, 64, 257, 1030]


def table(n, c, scale=1.0, seed=0):
    return (np.random.default_rng(seed).normal(size=(n, c)) * scale).astype(np.float32)


def labels_for(n, c, seed=1):
    return np.random.default_rng(seed).integers(0, c, n)


@pytest.fixture
def launches(monkeypatch):
    """Names of the kernels launched so far."""
    names = []
    plain = _Launch.__call__

    def counted(self, *args):
        names.append(self.kernel.__name__)
        plain(self, *args)

    monkeypatch.setattr(_Launch, "__call__", counted)
    return names


@pytest.mark.parametrize("c", COLUMNS)
def test_huge_logits_neither_overflow_nor_vanish(device, c):
    x = table(5, c) * np.float32(1e4)
    x[0] = 3e38
    x[1] = -3e38
    wide = x.astype(np.float64)
    shifted = np.abs(wide - wide.max(1, keepdims=True))
    a = array(x, device=device)
    probability = softmax(a).numpy()
    assert_close(
        probability,
        softmax_reference(wide),
        dtype=np.float32,
        magnitude=softmax_reference(wide) * (1 + shifted),
        terms=c,
    )
    assert np.allclose(probability.sum(1), 1, rtol=1e-5)
    assert_close(
        log_softmax(a).numpy(),
        log_softmax_reference(wide),
        dtype=np.float32,
        magnitude=1 + shifted + math.log(c),
        terms=c,
    )


@pytest.mark.parametrize("c", COLUMNS[1:])
def test_impossible_classes_have_probability_zero_and_infinite_loss(device, c):
    x = table(3, c)
    x[:, 1] = -np.inf
    a = array(x, device=device)
    assert np.array_equal(softmax(a).numpy()[:, 1], np.zeros(3, np.float32))
    y = array(np.array([0, 1, 0]), device=device)
    losses, saved = cross_entropy(a, y, "none")
    assert np.isinf(losses.numpy()).tolist() == [False, True, False]
    ones = full((3,), 1.0, device=device)
    gradient = cross_entropy_backward(ones, saved, y, "none").numpy()
    assert gradient[:, 1].tolist() == [0, -1, 0]


@pytest.mark.parametrize("c", COLUMNS[1:])
def test_nan_stays_in_its_row(device, c):
    x = table(4, c)
    x[2, c - 1] = math.nan
    a, y = array(x, device=device), array(np.zeros(4, np.int64), device=device)
    losses, saved = cross_entropy(a, y, "none")
    rows = [False, False, True, False]
    assert np.isnan(losses.numpy()).tolist() == rows
    ones = full((4,), 1.0, device=device)
    gradient = cross_entropy_backward(ones, saved, y, "none").numpy()
    assert np.isnan(gradient).all(1).tolist() == rows
    assert not np.isnan(gradient[[0, 1, 3]]).any()
    assert np.isnan(softmax(a).numpy()).all(1).tolist() == rows


@pytest.mark.parametrize("c", COLUMNS)
@pytest.mark.parametrize("n", [1, ROWS, ROWS + 1, 3 * ROWS + 7])
def test_mean_over_many_rows(device, n, c):
    x, y = table(n, c), labels_for(n, c)
    loss, saved = cross_entropy(array(x, device=device), array(y, device=device))
    wide = x.astype(np.float64)
    magnitude = np.asarray(np.abs(log_softmax_reference(wide)).max() + 1)
    expected = np.asarray(cross_entropy_reference(wide, y))
    assert_close(loss.numpy(), expected, dtype=np.float32, magnitude=magnitude, terms=n * c)
    one = full((), 1.0, device=device)
    gradient = cross_entropy_backward(one, saved, array(y, device=device)).numpy()
    # Probabilities sum to one, so every row of the gradient sums to zero.
    assert np.abs(gradient.sum(1)).max() <= 1e-6
    again, _ = cross_entropy(array(x, device=device), array(y, device=device))
    assert_same_bits(again.numpy(), loss.numpy())


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_labels_may_be_strided(device, dtype):
    x, y = table(6, 5), labels_for(12, 5).astype(dtype)
    strided = array(y, device=device)[::-2]
    loss, saved = cross_entropy(array(x, device=device), strided)
    packed = array(y[::-2].copy(), device=device)
    expected, _ = cross_entropy(array(x, device=device), packed)
    assert_same_bits(loss.numpy(), expected.numpy())
    one = full((), 1.0, device=device)
    assert_same_bits(
        cross_entropy_backward(one, saved, strided).numpy(),
        cross_entropy_backward(one, saved, packed).numpy(),
    )
    assert accuracy(array(x, device=device), strided).item() == (x.argmax(1) == y[::-2]).sum()


@pytest.mark.parametrize("bad", [-1, 5, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("c", [5, 70])
def test_kernels_survive_labels_out_of_range(device, bad, c):
    """The rule for a GPU, where labels are not read back: NaN in that row, nothing else read."""
    bad = bad if bad != 5 else c
    x = array(table(3, c), device=device)
    y = array(np.array([0, bad, 1], np.int32), device=device)
    stats, losses, total = (empty(s, device=device) for s in ((3, 2), (3,), (1,)))
    by_thread, by_block = loss_kernels(x.dtype)
    if c == 5:
        by_thread[1, ROWS](x, y, stats, losses, total, np.float32(3))
        assert math.isnan(total.item())
    else:
        by_block[3, 32](x, y, stats, losses)
    assert np.isnan(losses.numpy()).tolist() == [False, True, False]
    gradient, one = empty((3, c), device=device), full((1,), 1.0, device=device)
    gradient_kernel(x.dtype)[(c, 3), 1](one, x, stats, y, gradient, np.int64(0), np.float32(1))
    assert np.isnan(gradient.numpy()).all(1).tolist() == [False, True, False]


def test_the_first_bad_label_is_named_before_anything_is_launched(launches):
    x = array(table(4, 3), device="cpu")
    y = array(np.array([0, 2, 3, -1]), device="cpu")
    with pytest.raises(ArgumentError, match=r"labels: 3 given at index 2, expected .* \[0, 3\)"):
        cross_entropy(x, y)
    with pytest.raises(ArgumentError, match="accuracy: labels: 3 given at index 2"):
        accuracy(x, y)
    with pytest.raises(ArgumentError, match=r"labels: 0 given at index 0, expected .* \[0, 0\)"):
        cross_entropy(array(table(4, 0), device="cpu"), y)
    assert launches == []


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("c", "dtype"), [(10, np.int32), (10, np.int64), (1030, np.int64)])
def test_the_first_bad_label_is_named_and_nothing_changed(c, dtype, reduction):
    x = array(table(4, c), device="cpu")
    for bad in (c, -1, int(np.iinfo(dtype).max)):
        given = np.array([0, c - 1, bad, -1], dtype)
        y = array(given, device="cpu")
        said = rf"labels: {bad} given at index 2, expected .* \[0, {c}\)"
        with pytest.raises(ArgumentError, match=said):
            cross_entropy(x, y, reduction)
        assert (x.numpy() == table(4, c)).all()
        assert (y.numpy() == given).all()


def test_a_loss_that_is_not_a_number_is_no_wrong_label():
    x = table(4, 3)
    x[1, 2] = math.nan
    loss, _ = cross_entropy(array(x, device="cpu"), array(labels_for(4, 3), device="cpu"))
    assert math.isnan(loss.item())


@pytest.mark.parametrize("c", COLUMNS)
def test_accuracy_counts_first_maxima(device, c):
    x = np.random.default_rng(5).integers(0, 3, (500, c)).astype(np.float32)
    x[7, c // 2] = math.nan
    y = labels_for(500, c)
    count = accuracy(array(x, device=device), array(y, device=device))
    assert (count.shape, count.dtype) == ((), np.int64)
    assert count.item() == (x.argmax(1) == y).sum()


def test_a_training_step_needs_one_launch_for_each_of_these(launches):
    x, y = array(table(64, 10)), array(labels_for(64, 10))
    loss, saved = cross_entropy(x, y)
    gradient = cross_entropy_backward(full((), 1.0), saved, y)
    sgd_update(x, gradient, None, 0.1)
    sgd_update(x, gradient, empty((64, 10)), 0.1, 0.9)
    adam_update(x, gradient, full((64, 10), 0.0), full((64, 10), 0.0))
    assert launches == ["loss_thread", "gradient", "sgd", "sgd_momentum", "adam"]
    assert isinstance(loss_kernels(x.dtype)[0], Kernel)
