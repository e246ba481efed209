"""Texts as data, and the character LSTM that learns from docstrings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnlite as nl
from nnlite.data.text import Text, docstrings, unigram_entropy
from nnlite.errors import ArgumentError, DataError


def test_text_is_numbers_and_back() -> None:
    text = Text("abracadabra, said the bear", validation=0.25)
    assert text.alphabet == " ,abcdehirst"
    whole = np.concatenate([text.train, text.validation])
    assert text.decode(whole) == "abracadabra, said the bear"
    assert np.array_equal(text.encode("bad"), [3, 2, 5])
    assert len(text.validation) == 6
    with pytest.raises(DataError, match="'f' is not in"):
        text.encode("fox")
    with pytest.raises(DataError, match="3 characters to train and 0"):
        Text("abc", 0.0)


def test_batches_are_windows_of_the_text() -> None:
    text = Text("abcdefghijklmnopqrstuvwxyz" * 8)
    found = list(text.batches(3, 10, seed=1))
    assert [len(x) for x, _ in found] == [3] * 6
    for x, y in found:
        assert np.array_equal((x + 1) % 26, y)
        assert x.dtype == np.int64
    again = list(text.batches(3, 10, seed=1))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(found, again))
    assert not np.array_equal(found[0][0], next(iter(text.batches(3, 10, seed=2)))[0])
    (only,) = text.validation_batches(8, 10)
    assert np.array_equal(only[0][0], text.validation[:10])
    assert np.array_equal(only[1][0], text.validation[1:11])
    with pytest.raises(ArgumentError, match="windows of 21 steps"):
        text.validation_batches(1, 21)


def test_entropy_of_single_characters() -> None:
    assert unigram_entropy(np.array([0, 1, 2, 3])) == 2.0
    assert unigram_entropy(np.array([5, 5, 5])) == 0.0


def test_docstrings_are_the_same_every_time() -> None:
    text = docstrings(20_000)
    assert len(text) == 20_000
    assert text == docstrings(30_000)[:20_000]
    assert text.isascii()
    with pytest.raises(DataError, match="expected 1000000000"):
        docstrings(10**9)


def bits_per_character(model: Any, text: Text) -> float:
    total, count = 0.0, 0
    with nl.no_grad():
        for x, y in text.validation_batches(32, 64):
            total += loss_of(model, x, y).item() * y.size
            count += y.size
    return total / count / math.log(2)


def loss_of(model: Any, x: np.ndarray, y: np.ndarray) -> nl.Tensor:
    scores, _ = model(x)
    return nl.functional.cross_entropy(scores.reshape(-1, scores.shape[2]), y.reshape(-1))


def test_the_character_lstm_learns_from_docstrings() -> None:
    """At least 1.5 bits per character better than knowing how often each occurs."""
    text = Text(docstrings(200_000))
    nl.manual_seed(0)
    model = nl.models.CharLSTM(len(text.alphabet))
    optimizer = nl.optim.Adam(model.parameters(), lr=4e-3)
    before = unigram_entropy(text.validation)
    assert bits_per_character(model, text) > before
    for epoch in range(5):
        for x, y in text.batches(32, 64, seed=epoch):
            loss = loss_of(model, x, y)
            optimizer.zero_grad()
            loss.backward()
            nl.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    assert bits_per_character(model, text) < before - 1.5
