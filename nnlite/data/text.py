"""Texts as numbers of characters: to train a model that guesses each next character."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, DataError


class Text:
    """A text as numbers, cut into a part to train on and, at its end, one to validate on.

    Args:
        text: the text.
        validation: share of the text that is not trained on.

    Attributes:
        alphabet: the characters that occur, sorted; their places are their numbers.
        train, validation: the numbers of the characters, int64.

    Raises:
        DataError: a part would have fewer than two characters.

    Examples:
        >>> text = Text(docstrings())
        >>> for x, y in text.batches(batch_size=32, steps=64, seed=0):
        ...     scores, state = model(x)
    """

    def __init__(self, text: str, validation: float = 0.1) -> None:
        codes = np.array([ord(c) for c in text], np.int64)
        found, numbers = np.unique(codes, return_inverse=True)
        self.alphabet = "".join(chr(c) for c in found)
        cut = len(text) - round(len(text) * validation)
        self.train, self.validation = numbers[:cut], numbers[cut:]
        if min(len(self.train), len(self.validation)) < 2:
            raise DataError(
                f"Text: {len(self.train)} characters to train and {len(self.validation)} to "
                "validate on, expected at least two of each"
            )

    def encode(self, text: str) -> np.ndarray:
        """The numbers of characters of the alphabet.

        Raises:
            DataError: a character is not in the alphabet.
        """
        unknown = sorted(set(text) - set(self.alphabet))
        if unknown:
            raise DataError(f"Text: character {unknown[0]!r} is not in the alphabet")
        return np.array([self.alphabet.index(c) for c in text], np.int64)

    def decode(self, numbers: np.ndarray) -> str:
        """The text that these numbers stand for."""
        return "".join(self.alphabet[i] for i in numbers)

    def batches(
        self, batch_size: int, steps: int, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """One pass over the training part in windows of random places.

        Args:
            batch_size: windows in a batch.
            steps: characters in a window.
            seed: decides the places.

        Returns: pairs (x, y) of shape (batch_size, steps); y is x moved on by one character.

        Raises:
            ArgumentError: the text is shorter than a window and the character after it.
        """
        return self._windows(self.train, batch_size, steps, np.random.default_rng(seed))

    def validation_batches(
        self, batch_size: int, steps: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The validation part in windows one after the other; the rest at its end is left out."""
        return self._windows(self.validation, batch_size, steps, None)

    def _windows(
        self, codes: np.ndarray, batch_size: int, steps: int, rng: np.random.Generator | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if len(codes) <= steps:
            raise ArgumentError(
                f"Text: windows of {steps} steps asked for, expected fewer than the {len(codes)} "
                "characters of the part"
            )
        view = np.lib.stride_tricks.sliding_window_view(codes, steps + 1)
        count = (len(codes) - 1) // steps
        places = np.arange(count) * steps if rng is None else rng.integers(0, len(view), count)
        batches = (view[places[i : i + batch_size]] for i in range(0, count, batch_size))
        return ((windows[:, :-1].copy(), windows[:, 1:].copy()) for windows in batches)


def unigram_entropy(codes: np.ndarray) -> float:
    """Bits per character of the best guess that knows only how often each occurs in ``codes``."""
    counts = np.bincount(codes)
    share = counts[counts > 0] / len(codes)
    return float(-(share * np.log2(share)).sum())


def docstrings(size: int = 200_000) -> str:
    """Docstrings of the modules of Python's standard library, in the order of their names.

    Args:
        size: number of characters.

    Raises:
        DataError: this Python was installed without the source of its library.
    """
    found: list[str] = []
    length = 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            text = ast.get_docstring(node) if isinstance(node, documented) else None
            if text and text.isascii():
                found.append(text + "\n\n")
                length += len(found[-1])
        if length >= size:
            return "".join(found)[:size]
    raise DataError(f"docstrings: {length} characters found, expected {size}")
