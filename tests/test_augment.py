"""Augmentation: what each does to an image, that a seed decides it, in the loader and command."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnlite.data import Compose, Cutout, DataLoader, Normalise, RandomCrop, RandomFlip
from nnlite.data.augment import parse_augmentation
from nnlite.errors import ArgumentError
from nnlite.testing.command import QUICK, fail, succeed, tensor_bytes

X = np.random.default_rng(0).uniform(1, 2, (40, 3, 9, 7)).astype(np.float32)


def run(augment: Any, x: np.ndarray = X, seed: int = 0) -> np.ndarray:
    before = x.copy()
    found = augment(x, np.random.default_rng(seed))
    assert np.array_equal(x, before)
    assert found.dtype == x.dtype
    assert found.shape == x.shape
    assert np.array_equal(found, augment(x, np.random.default_rng(seed)))
    return found


def test_crop_moves_images_over_a_border_of_zeros() -> None:
    found = run(RandomCrop(2))
    moves = set()
    for image, original in zip(found, X):
        padded = np.pad(original, ((0, 0), (2, 2), (2, 2)))
        (place,) = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.array_equal(image, padded[:, i : i + 9, j : j + 7])
        ]
        moves.add(place)
    assert {i for i, _ in moves} == {j for _, j in moves} == {0, 1, 2, 3, 4}


def test_flip_mirrors_some_images() -> None:
    found = run(RandomFlip())
    flipped = [np.array_equal(a, b[:, :, ::-1]) for a, b in zip(found, X)]
    kept = [np.array_equal(a, b) for a, b in zip(found, X)]
    assert all(a != b for a, b in zip(flipped, kept))
    assert 8 < sum(flipped) < 32
    assert np.array_equal(run(RandomFlip(1.0)), X[:, :, :, ::-1])
    assert np.array_equal(run(RandomFlip(0.0)), X)


def test_cutout_sets_one_square_to_zero() -> None:
    found = run(Cutout(4, p=0.75))
    sizes = set()
    for image, original in zip(found, X):
        hole = image == 0
        assert np.array_equal(hole[0], hole[1])
        assert np.array_equal(image[~hole], original[~hole])
        rows, columns = np.nonzero(hole[0].any(1))[0], np.nonzero(hole[0].any(0))[0]
        assert hole[0].sum() == len(rows) * len(columns)
        if len(rows):
            assert np.ptp(rows) == len(rows) - 1
            assert np.ptp(columns) == len(columns) - 1
        sizes.add((len(rows), len(columns)))
    assert (0, 0) in sizes
    assert (4, 4) in sizes
    assert (2, 4) in sizes  # cut off by the border
    assert max(map(max, sizes)) == 4


def test_normalise() -> None:
    found = run(Normalise([1.0, 2.0, 0.5], 2.0))
    expected = (X - np.array([1, 2, 0.5]).reshape(3, 1, 1)) / 2
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(ArgumentError, match="mean: 2 numbers given, expected 1 or 3"):
        run(Normalise([1.0, 2.0], 1.0))


def test_composition_runs_in_order() -> None:
    steps = [RandomCrop(1), Normalise(1.0, 1.0), RandomFlip()]
    rng = np.random.default_rng(3)
    x = X
    for step in steps:
        x = step(x, rng)
    assert np.array_equal(run(Compose(steps), seed=3), x)


def test_the_loader_repeats_and_resumes_its_augmentation() -> None:
    y = np.arange(40)
    augment = Compose([RandomCrop(2), RandomFlip(), Cutout(3)])

    def batches(loader: DataLoader) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(a.numpy(), b.numpy()) for a, b in loader]

    first, second = (DataLoader((X, y), 16, True, seed=5, augment=augment) for _ in range(2))
    whole = batches(first) + batches(first)
    second.set_epoch(1, 2)
    (last,) = batches(second)
    assert np.array_equal(last[0], whole[-1][0])
    assert np.array_equal(last[1], whole[-1][1])
    for x, labels in whole:
        assert not np.array_equal(x, X[labels])
    plain = batches(DataLoader((X, y), 16, True, seed=5))
    assert np.array_equal(plain[0][1], whole[0][1])


def test_names_with_numbers() -> None:
    found = parse_augmentation("crop:3, flip,cutout:5")
    assert found is not None
    assert found.steps == (RandomCrop(3), RandomFlip(), Cutout(5))
    assert parse_augmentation("") is None
    plain = parse_augmentation("crop")
    assert plain is not None
    assert plain.steps == (RandomCrop(4),)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: RandomCrop(0), "RandomCrop: padding: 0"),
        (lambda: Cutout(2.5), "Cutout: size: 2.5"),  # type: ignore[arg-type]
        (lambda: RandomFlip(1.5), "RandomFlip: p: 1.5"),
        (lambda: Normalise(0.0, 0.0), "Normalise: std: 0.0"),
        (lambda: RandomFlip()(X[0], np.random.default_rng()), r"shape \(3, 9, 7\) given"),
        (lambda: parse_augmentation("flip:2"), "'flip:2' given"),
        (lambda: parse_augmentation("crop:-1"), "'crop:-1' given"),
        (lambda: parse_augmentation("crop:"), "'crop:' given"),
        (lambda: parse_augmentation("rotate"), "'rotate' given"),
    ],
)
def test_wrong_arguments(make: Any, match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.usefixtures("command_on_the_cpu")
def test_the_command_augments_and_resumes(tmp_path: Any) -> None:
    options = ("--augment", "crop:1,cutout:2", "--schedule", "constant", *QUICK)
    output = succeed("train", "digits", "--epochs", 2, "--out", tmp_path / "a", *options)
    assert "augmented by crop:1,cutout:2" in " ".join(output.split())
    succeed("train", "digits", "--epochs", 1, "--out", tmp_path / "b", *options)
    succeed("train", "--epochs", 2, "--resume", tmp_path / "b")
    succeed("train", "digits", "--epochs", 2, "--out", tmp_path / "c", *options[2:])
    assert tensor_bytes(tmp_path / "a") == tensor_bytes(tmp_path / "b")
    assert tensor_bytes(tmp_path / "a") != tensor_bytes(tmp_path / "c")
    message = fail("train", "--resume", tmp_path / "b", "--epochs", 3, "--augment", "flip")
    assert "--augment 'flip' given, but the training to resume has 'crop:1,cutout:2'" in message
