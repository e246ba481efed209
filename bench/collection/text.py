"""Kernels on bytes: ciphers, words, substrings, run lengths, hexadecimal digits."""

from __future__ import annotations

import numpy as np
from numba import cuda, int32, uint8

from .entry import Entry, Launch, ceil_div

BLOCK = 256
LETTERS = b"the quick brown fox jumps over a lazy dog, AND THE REST. \n\t"


@cuda.jit
def caesar(text, shift, out):
    """Moves letters along the alphabet, keeping their case."""
    i = cuda.grid(1)
    if i >= text.size:
        return
    c = text[i]
    if c >= ord("a") and c <= ord("z"):
        c = (c - ord("a") + shift) % 26 + ord("a")
    elif c >= ord("A") and c <= ord("Z"):
        c = (c - ord("A") + shift) % 26 + ord("A")
    out[i] = c


def letters(n, rng):
    return np.frombuffer(LETTERS, np.uint8)[rng.integers(0, len(LETTERS), n)]


def make_caesar(n, rng):
    return Launch(ceil_div(n, BLOCK), BLOCK, (letters(n, rng), 3, np.zeros(n, np.uint8)))


def reference_caesar(text, shift, out):
    result = text.astype(int)
    for first in (97, 65):
        inside = (text >= first) & (text < first + 26)
        result[inside] = (text[inside].astype(int) - first + shift) % 26 + first
    return result


@cuda.jit(device=True)
def is_space(c):
    """Blank, tabulator or line feed."""
    return c == 32 or c == 9 or c == 10


@cuda.jit
def count_words(text, words):
    """Starts of words; each block counts its own with syncthreads_count."""
    i = cuda.grid(1)
    starts = 0
    if i < text.size and not is_space(text[i]):
        starts = 1 if i == 0 or is_space(text[i - 1]) else 0
    n = cuda.syncthreads_count(starts)
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(words, 0, n)


def make_count_words(n, rng):
    return Launch(ceil_div(n, BLOCK), BLOCK, (letters(n, rng), np.zeros(1, np.int32)))


def reference_count_words(text, words):
    space = (text == 32) | (text == 9) | (text == 10)
    return np.array([(~space & np.concatenate([[True], space[:-1]])).sum()])


@cuda.jit
def count_substring(text, word, counts):
    """Where a word occurs, one thread a position; the comparison ends at the first difference."""
    i = cuda.grid(1)
    if i + word.size > text.size:
        return
    found = True
    for k in range(word.size):
        if text[i + k] != word[k]:
            found = False
            break
    if found:
        cuda.atomic.add(counts, 0, 1)


def make_count_substring(n, rng):
    text = np.frombuffer(b"abc", np.uint8)[rng.integers(0, 3, n)]
    word = np.frombuffer(b"abcab", np.uint8).copy()
    return Launch(ceil_div(n, BLOCK), BLOCK, (text, word, np.zeros(1, np.uint32)))


def reference_count_substring(text, word, counts):
    n = max(0, len(text) - len(word) + 1)
    same = np.ones(n, bool)
    for k, letter in enumerate(word):
        same &= text[k : k + n] == letter
    return np.array([same.sum()])


@cuda.jit
def run_lengths(data, lengths):
    """At the start of every run of equal bytes its length, elsewhere 0."""
    i = cuda.grid(1)
    if i < data.size:
        if i > 0 and data[i - 1] == data[i]:
            lengths[i] = 0
        else:
            j = i + 1
            while j < data.size and data[j] == data[i]:
                j += 1
            lengths[i] = j - i


def make_run_lengths(n, rng):
    data = np.repeat(rng.integers(0, 3, n), rng.integers(1, 6, n))[:n].astype(np.uint8)
    return Launch(ceil_div(n, BLOCK), BLOCK, (data, np.full(n, -1, np.int32)))


def reference_run_lengths(data, lengths):
    starts = np.flatnonzero(np.concatenate([[True], data[1:] != data[:-1]]))
    result = np.zeros(len(data), int)
    result[starts] = np.diff(np.append(starts, len(data)))
    return result


DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


@cuda.jit
def hexadecimal(data, out):
    """Two digits a byte from a table in constant memory, staged in shared memory."""
    table = cuda.const.array_like(DIGITS)
    staged = cuda.shared.array(512, uint8)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < data.size:
        staged[2 * t] = table[data[i] >> 4]
        staged[2 * t + 1] = table[data[i] & 15]
    cuda.syncthreads()
    start = cuda.blockIdx.x * 512
    for k in range(t, 512, BLOCK):
        if start + k < out.size:
            out[start + k] = staged[k]


def make_hexadecimal(n, rng):
    data = rng.integers(0, 256, n).astype(np.uint8)
    return Launch(ceil_div(n, BLOCK), BLOCK, (data, np.zeros(2 * n, np.uint8)))


def reference_hexadecimal(data, out):
    return np.frombuffer(data.tobytes().hex().encode(), np.uint8)


@cuda.jit
def parse_numbers(text, starts, numbers):
    """Decimal numbers with an optional sign, one a thread, from their places in a text."""
    i = cuda.grid(1)
    if i >= numbers.size:
        return
    j = starts[i]
    negative = text[j] == ord("-")
    if negative:
        j += 1
    value = int32(0)
    while j < text.size and text[j] >= 48 and text[j] <= 57:
        value = value * 10 + (text[j] - 48)
        j += 1
    numbers[i] = -value if negative else value


def make_parse_numbers(n, rng):
    words = [str(v).encode() for v in rng.integers(-99999, 99999, n)]
    lengths = np.array([0] + [len(w) + 1 for w in words[:-1]])
    text = np.frombuffer(b" ".join(words), np.uint8).copy()
    args = (text, np.cumsum(lengths), np.zeros(n, np.int32))
    return Launch(ceil_div(n, BLOCK), BLOCK, args)


def reference_parse_numbers(text, starts, numbers):
    return np.array(text.tobytes().split(), np.int64)


ODD, LARGE = (1, 257, 1001), 1 << 22
ENTRIES = [
    Entry(caesar, make_caesar, reference_caesar, 300, ODD, LARGE),
    Entry(count_words, make_count_words, reference_count_words, 300, ODD, LARGE),
    Entry(count_substring, make_count_substring, reference_count_substring, 300, (3, 257, 1001),
          LARGE),
    Entry(run_lengths, make_run_lengths, reference_run_lengths, 300, ODD, LARGE),
    Entry(hexadecimal, make_hexadecimal, reference_hexadecimal, 300, ODD, LARGE),
    Entry(parse_numbers, make_parse_numbers, reference_parse_numbers, 100, ODD, 1 << 17),
]  # fmt: skip
