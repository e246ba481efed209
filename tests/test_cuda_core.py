"""``cuda.core`` and the driver of the machine in front of a driver that notes what reaches it.

A C compiler makes that one; the launches are made in a process of their own, with memory whose
bytes are not 0 where nobody has written, so that a parameter narrower than its kernel wants shows.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.launch_cost import environment

ROOT = Path(__file__).parents[1]
NOTING = r"""
#include <string.h>
typedef unsigned long long word;
struct launch { unsigned grid[3], block[3], shared; void *stream, *attributes; unsigned count; };
struct node { void *function; unsigned grid[3], block[3], shared; void **given; };

struct { word context, function; unsigned grid[3], block[3], shared, attributes; word stream, count;
} head;
unsigned char data[128][8];
static int sizes[128], parameters, failing;
static word current, made = 0x100;

void declare(int count, const int *given) {
    parameters = count;
    memcpy(sizes, given, count * sizeof *given);
}
void put_context(word context) { current = context; }
void fail(int error) { failing = error; }

static void note(const unsigned *sizes_of_launch, void *function, void **given) {
    head.context = current;
    head.function = (word)function;
    memcpy(head.grid, sizes_of_launch, 7 * sizeof *sizes_of_launch);  /* grid, block, shared */
    for (int i = 0; i < parameters; i++) memcpy(data[i], given[i], sizes[i]);
    head.count++;
}
static int launch(const struct launch *wanted, void *function, void **given, void **extra) {
    if (failing) return failing;
    note(wanted->grid, function, given);
    head.attributes = wanted->count;
    head.stream = (word)wanted->stream;
    return 0;
}
static int change(void *graph, void *node, const struct node *wanted) {
    note(wanted->grid, wanted->function, wanted->given);
    head.attributes = head.stream = 0;
    return 0;
}
static int two(int *out) { *out = 2; return 0; }
static int device(int *out, int number) { *out = number; return 0; }
static int retain(word *out, int number) { *out = 0x1000 * (number + 1); return 0; }
static int put(word context) { current = context; return 0; }
static int get(word *out) { *out = current; return 0; }
static int new(word *out) { *out = made += 0x100; return 0; }
static int function_of(word *out, word kernel) { *out = kernel + current; return 0; }
static int capturing(void *stream, int *out) { *out = 1; return 0; }
static int name_of(int error, const char **out) {
    *out = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_ILLEGAL_ADDRESS";
    return 0;
}
#define MORE \
    {"cuLaunchKernelEx", launch}, {"cuGraphExecKernelNodeSetParams", change}, \
    {"cuDeviceGetCount", two}, {"cuDeviceGet", device}, {"cuDevicePrimaryCtxRetain", retain}, \
    {"cuCtxSetCurrent", put}, {"cuCtxGetCurrent", get}, {"cuMemAlloc", new}, \
    {"cuLibraryLoadData", new}, {"cuLibraryGetKernel", new}, \
    {"cuKernelGetFunction", function_of}, {"cuGetErrorName", name_of}, \
    {"cuStreamIsCapturing", capturing},
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, str]:
    """What is wrong, by check."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.core") is None:
        pytest.skip("cuda.core is not installed")
    inside = environment(tmp_path_factory.mktemp("driver"), NOTING)
    if inside is None:
        pytest.skip("no C compiler (cc) to make the driver that notes launches")
    inside |= {"PYTHONMALLOC": "debug", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests/recorded_launches.py")]
    done = subprocess.run(command, env=inside, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "check", ["parameters", "nodes_of_graphs", "contexts", "threads", "errors"]
)
def test_launches_reach_the_driver(found, check):
    assert found[f"check_{check}"] == "", "see tests/recorded_launches.py"
