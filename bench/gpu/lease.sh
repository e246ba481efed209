#!/usr/bin/env bash
# What to run on a lent machine with a GPU, one part a call, each within ten minutes:
#
#   bash bench/gpu/lease.sh bench       tests on the device cut short, compute-sanitizer, all cases
#   bash bench/gpu/lease.sh tests       the whole test-suite on the device, as far as it gets
#   bash bench/gpu/lease.sh lens        the profiler against Nsight Compute; the choices by measurement
#
# Results go to $OUT (here: runs/gpu): one JSON file a part, and logs. Commit gpu.json under
# bench/results/ as DATE-DEVICE.json. No setting of the card is changed. The machine needs no
# network: it uses the python3 there, with numba-cuda, torch and pytest in it.
set -uo pipefail
cd "$(dirname "$0")/../.."
part=${1:?which part: bench, tests or lens}
out=${OUT:-runs/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONUNBUFFERED=1 NNLITE_CACHE_DIR=${NNLITE_CACHE_DIR:-/tmp/nnlite-cache}

# What the image lacks can travel as wheels: unpack them first and set PYTHONPATH.
"$python" - <<'PY' || exit 1
import importlib.util, sys
needed = ("numba", "numba_cuda", "numpy", "typer", "rich", "safetensors", "matplotlib")
lacking = [n for n in needed if importlib.util.find_spec(n) is None]
print("python", sys.version.split()[0], "lacking:", ", ".join(lacking) or "nothing")
sys.exit(bool(lacking))
PY
nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv | tee "$out/$part-gpu.txt"

case $part in
bench)
  timeout -s INT -k 20 570 "$python" -m bench.gpu --quick --minutes 8 --out "$out/gpu.json" 2>&1 |
    tee "$out/gpu.txt"
  ;;
tests)
  # The log says what had passed if the time is not enough.
  NNLITE_DEVICE=cuda HYPOTHESIS_PROFILE=ci timeout -s INT -k 20 560 \
    "$python" -m pytest -q --maxfail=50 -n "$(nproc)" -p no:cacheprovider tests 2>&1 |
    tee "$out/tests.txt"
  ;;
lens)
  timeout -s INT -k 10 240 "$python" -m bench.lens_vs_ncu --json "$out/lens.json" 2>&1 |
    tee "$out/lens.txt"
  timeout -s INT -k 10 240 "$python" -m nnlite tune --device cuda 2>&1 | tee "$out/tune.txt"
  ;;
*)
  echo "unknown part $part: bench, tests or lens" >&2
  exit 2
  ;;
esac
