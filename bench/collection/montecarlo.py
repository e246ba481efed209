"""Monte Carlo: Numba's xoroshiro128+ and a linear congruential generator in the kernel."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda, float32, uint32
from numba.cuda.random import (
    xoroshiro128p_dtype,
    xoroshiro128p_normal_float32,
    xoroshiro128p_uniform_float32,
)

from .entry import Entry, Launch, Tolerance, ceil_div

THREADS = 64
DRAWS = 128


@cuda.jit
def pi_xoroshiro(states, draws, inside):
    """Points of the unit square inside the circle, with numba.cuda.random."""
    i = cuda.grid(1)
    if i < states.shape[0]:
        count = 0
        for _ in range(draws):
            x = xoroshiro128p_uniform_float32(states, i)
            y = xoroshiro128p_uniform_float32(states, i)
            if x * x + y * y <= float32(1):
                count += 1
        inside[i] = count


@cuda.jit
def random_walk(states, steps, end):
    """Sum of normal steps per walker."""
    i = cuda.grid(1)
    if i < end.shape[0]:
        place = float32(0)
        for _ in range(steps):
            place += xoroshiro128p_normal_float32(states, i)
        end[i] = place


def make_states(draws, dtype):
    def make(n, rng):
        states = np.empty(n, xoroshiro128p_dtype)
        for name in ("s0", "s1"):
            states[name] = rng.integers(1, 1 << 63, n)
        return Launch(ceil_div(n, THREADS), THREADS, (states, draws, np.zeros(n, dtype)))

    return make


def uniforms(states):
    """Endless rows of float32 uniforms, one number per state: xoroshiro128+ in NumPy."""

    def turned(v, k):
        return v << np.uint64(k) | v >> np.uint64(64 - k)

    s0, s1 = states["s0"].copy(), states["s1"].copy()
    while True:
        word = s0 + s1
        s1 ^= s0
        s0 = turned(s0, 55) ^ s1 ^ (s1 << np.uint64(14))
        s1 = turned(s1, 36)
        yield ((word >> np.uint64(11)) * 2.0**-53).astype(np.float32)


def reference_pi_xoroshiro(states, draws, inside):
    source, count = uniforms(states), np.zeros(len(states), int)
    for _ in range(draws):
        x, y = next(source).astype(float), next(source).astype(float)
        count += x * x + y * y <= 1
    return count


def reference_random_walk(states, steps, end):
    source, place = uniforms(states), np.zeros(len(states))
    for _ in range(steps):
        u1, u2 = next(source).astype(float), next(source).astype(float)
        place += np.sqrt(-2 * np.log(u1)) * np.cos(2 * math.pi * u2)
    return place


@cuda.jit
def pi_lcg(seeds, draws, total):
    """The same with an own 32-bit generator and one atomic addition per thread."""
    i = cuda.grid(1)
    if i >= seeds.size:
        return
    state = seeds[i]
    count = 0
    for _ in range(draws):
        state = uint32(state * uint32(1664525) + uint32(1013904223))
        x = float32(state >> uint32(16)) / float32(65536)
        state = uint32(state * uint32(1664525) + uint32(1013904223))
        y = float32(state >> uint32(16)) / float32(65536)
        if x * x + y * y < 1:
            count += 1
    cuda.atomic.add(total, 0, count)


def make_pi_lcg(n, rng):
    seeds = rng.integers(0, 1 << 32, n).astype(np.uint32)
    return Launch(ceil_div(n, THREADS), THREADS, (seeds, DRAWS, np.zeros(1, np.int64)))


def reference_pi_lcg(seeds, draws, total):
    state, count = seeds.astype(np.uint64), 0
    for _ in range(draws):
        state = (state * 1664525 + 1013904223) % 2**32
        x = (state >> 16) / 65536
        state = (state * 1664525 + 1013904223) % 2**32
        y = (state >> 16) / 65536
        count += (x * x + y * y < 1).sum()
    return np.array([count])


@cuda.jit
def option_paths(states, steps, price, strike, drift, volatility, payoff):
    """Mean price of an Asian call: the arithmetic mean along a geometric random walk."""
    i = cuda.grid(1)
    if i < payoff.size:
        value = price
        total = 0.0
        for _ in range(steps):
            z = xoroshiro128p_normal_float32(states, i)
            value *= math.exp(drift + volatility * z)
            total += value
        payoff[i] = max(total / steps - strike, 0.0)


def make_option_paths(n, rng):
    states, _, payoff = make_states(1, np.float64)(n, rng).args
    args = (states, 32, 100.0, 100.0, -0.0002, 0.02, payoff)
    return Launch(ceil_div(n, THREADS), THREADS, args)


def reference_option_paths(states, steps, price, strike, drift, volatility, payoff):
    source, value, total = uniforms(states), price, 0.0
    for _ in range(steps):
        u1, u2 = next(source).astype(float), next(source).astype(float)
        z = np.sqrt(-2 * np.log(u1)) * np.cos(2 * math.pi * u2)
        value = value * np.exp(drift + volatility * z)
        total = total + value
    return np.maximum(total / steps - strike, 0)


ODD, LARGE = (1, 67, 1001), 1 << 14
CIRCLE = Tolerance(0, 1, "a point within a rounding of the circle may fall on either side", 0)
WALK = Tolerance(
    1e-5, 2e-5, "32 float32 steps below 6; 2 pi u rounds at 6, so a cosine is off by 4e-7"
)
ENTRIES = [
    Entry(pi_xoroshiro, make_states(DRAWS, np.int32), reference_pi_xoroshiro, 20, ODD, LARGE,
          tolerance=CIRCLE, work=lambda s, *_: 30.0 * DRAWS * len(s), unit="FLOP"),
    Entry(random_walk, make_states(32, np.float32), reference_random_walk, 20, ODD, LARGE,
          tolerance=WALK, work=lambda s, *_: 40.0 * 32 * len(s), unit="FLOP"),
    Entry(pi_lcg, make_pi_lcg, reference_pi_lcg, 67, ODD, LARGE,
          work=lambda s, *_: 12.0 * DRAWS * len(s), unit="FLOP"),
    Entry(option_paths, make_option_paths, reference_option_paths, 67, ODD, LARGE,
          tolerance=Tolerance(1e-5, 1e-4, "prices near 100 moved by float32 normals"),
          work=lambda s, *_: 60.0 * 32 * len(s), unit="FLOP"),
]  # fmt: skip
