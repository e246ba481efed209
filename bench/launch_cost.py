"""``python -m bench.launch_cost``: what a launch costs the host, with a driver that does nothing.

Needs a C compiler and no GPU. In a process of its own the driver is a library whose functions
return at once, so that all of the time is that of the packages in front of it. Each side launches
the same kernel of three arrays, its arguments and its configuration ready; the figures are CPU time
of the process, and their ratio to nnlite's is taken within each round.

Seen on one core of a busy x86 machine (cuda-core 1.2, cuda-bindings 13.5, Python 3.11): nnlite 2.3
us, of which most is finding the types of the arguments and the kernel for them. In it are 0.65 us
of ``cuda.core`` for parameters that are ready, and 0.13 us for making the context of the GPU
current, without which a launch in the default stream could go to another GPU. With parameters
packed and launched through ``cuda.bindings``, as before, nnlite's launch took 2.3 us as well.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

INSIDE = "NNLITE_DRIVER_THAT_DOES_NOTHING"
ROUNDS, LAUNCHES = 31, 2000
DRIVER = r"""
#include <string.h>
#ifndef MORE  /* functions that do something */
#define MORE
#endif
typedef void *handle;
static int nothing(void) { return 0; }
static int make(handle *out) { *out = (handle)4096; return 0; }
static int make_of(handle in, handle *out) { (void)in; *out = (handle)4096; return 0; }
static int one(int *out) { *out = 1; return 0; }
static int zero(int *out) { *out = 0; return 0; }
static int zero_of(handle in, int *out) { (void)in; *out = 0; return 0; }
static int version(int *out) { *out = 13000; return 0; }
static int name(char *out, int size) { strncpy(out, "a driver that does nothing", size); return 0; }
static int attribute(int *out, int which) {
    *out = which == 75 ? 9 : which == 76 ? 0 : 1024;  /* the compute capability */
    return 0;
}
static const struct { const char *name; void *function; } known[] = {
    {"cuDriverGetVersion", version}, {"cuDeviceGetCount", one}, {"cuDeviceGet", zero},
    {"cuDeviceGetName", name}, {"cuDeviceGetAttribute", attribute}, {"cuCtxGetDevice", zero},
    {"cuDevicePrimaryCtxRetain", make}, {"cuCtxGetCurrent", make}, {"cuModuleLoadData", make},
    {"cuModuleGetFunction", make}, {"cuLibraryLoadData", make}, {"cuLibraryGetKernel", make},
    {"cuKernelGetFunction", make}, {"cuMemAlloc", make}, {"cuStreamCreate", make},
    {"cuStreamIsCapturing", zero_of}, {"cuStreamGetCtx", make_of}, {"cuStreamGetDevice", zero_of},
    MORE
};
int cuGetProcAddress_v2(const char *symbol, void **out, int wanted, unsigned long long flags,
                        int *status) {
    (void)wanted; (void)flags;
    *out = (void *)nothing;
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(symbol, known[i].name)) *out = known[i].function;  /* the last of a name */
    if (!strcmp(symbol, "cuGetProcAddress")) *out = (void *)cuGetProcAddress_v2;
    if (status) *status = 0;
    return 0;
}
int cuGetProcAddress(const char *symbol, void **out, int wanted, unsigned long long flags) {
    return cuGetProcAddress_v2(symbol, out, wanted, flags, 0);
}
"""


def environment(folder: Path, more: str = "") -> dict[str, str] | None:
    """Compile the driver into a folder.

    Args:
        more: C before it: functions, and a macro ``MORE`` of their places in its table.

    Returns:
        The environment of a process that has this driver; None without a C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made = [compiler, "-shared", "-fPIC", "-O1", "-w", "-x", "c", "-"]
    made += ["-o", str(folder / "libcuda.so.1")]
    subprocess.run(made, input=more + DRIVER, text=True, check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def sides() -> dict[str, Callable[[], Any]]:
    """A launch by each package, ready to be called."""
    from cuda.bindings import driver
    from cuda.core import Device, LaunchConfig, ObjectCode, Stream, launch

    import nnlite as nl
    from bench.gpu.launches import nothing
    from nnlite.kernels.engine.gpu.arguments import Packed, Packer

    arrays = [nl.array(np.ones(32, np.float32), device="cuda") for _ in range(3)]
    ours = nothing[1, 32]
    ours(*arrays)  # compiled and loaded
    values = [value for a in arrays for value in a.parameters]  # type: ignore[attr-defined]
    current = Device(0)
    current.set_current()
    kernel = ObjectCode.from_cubin(b"\x7fELF" + bytes(60)).get_kernel("nothing")
    config, stream = LaunchConfig(grid=1, block=32), Stream.from_handle(0)
    packer = Packer("QQqqQqq" * 3)  # an array of one axis is seven parameters
    packed = Packed(packer, packer.pack(*values))
    given = 4096, 1, 1, 1, 32, 1, 1, 0, 0, packed.table, 0

    def pack_and_launch() -> None:
        packer.pack(*values)
        driver.cuLaunchKernel(*given)

    return {
        "nnlite": lambda: ours(*arrays),
        "cuda.core": lambda: launch(stream, config, kernel, *values),
        "cuda.core, making a GPU current": current.set_current,
        "cuda.bindings": pack_and_launch,
        "cuda.bindings, arguments packed": lambda: driver.cuLaunchKernel(*given),
    }


def seconds(run: Callable[[], Any]) -> float:
    """CPU time of one launch."""
    start = time.process_time()
    for _ in range(LAUNCHES):
        run()
    return (time.process_time() - start) / LAUNCHES


def measure() -> None:
    """Print a line for each side."""
    found = sides()
    rounds = []
    for number in range(ROUNDS + 1):
        order = list(found) if number % 2 else list(found)[::-1]
        rounds.append({name: seconds(found[name]) for name in order})
    del rounds[0]  # warming up
    print(
        f"{'a launch of three arrays':34}{'us':>8}{'times nnlite, median (lowest to highest)':>44}"
    )
    for name in found:
        ratios = [r[name] / r["nnlite"] for r in rounds]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:34}{statistics.median(r[name] for r in rounds) * 1e6:8.2f}{spread:>44}")


def main() -> None:
    """Compile the driver, and measure in a process that has it."""
    if INSIDE in os.environ:
        measure()
        return
    with tempfile.TemporaryDirectory() as folder:
        inside = environment(Path(folder))
        if inside is None:
            sys.exit("launch_cost: no C compiler (cc) found to make the driver that does nothing")
        inside[INSIDE] = "1"
        subprocess.run([sys.executable, "-m", "bench.launch_cost"], env=inside, check=True)


if __name__ == "__main__":
    main()
