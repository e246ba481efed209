"""``python -m bench.gpu --out FILE.json``: is it right on this GPU, and how fast beside its peers?

1. The test-suite runs on the device, and a sample of all kernel families under compute-sanitizer
   (memcheck and racecheck).
2. Each case times nnlite and its peers in turns, in this process: products against cuBLAS,
   convolutions against cuDNN, memory-bound ops against a copy, PyTorch and CUB, training steps
   against PyTorch eager, graphed and compiled, launches against the driver.
3. Tables show the ratios to the peers and to the limits of the hardware, and which goals are met;
   the file has every round's figures with device, clocks, versions and commit.

A run takes less than ``--minutes`` (8): its time is divided among the cases, and a case that got
fewer rounds says so. What fails is recorded and does not end the run; Ctrl-C writes what there is.
Without a GPU nothing is measured, and it says so. ``--device cpu`` tries the harness with small
sizes on the CPU and marks all of it as not of a GPU.

Where a machine with a GPU is lent for calls of ten minutes, ``bench/gpu/lease.sh`` holds what to
run in each of them.
"""
