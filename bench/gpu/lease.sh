#!/usr/bin/env bash
# What to run on a lent machine with a GPU, one part a call, each within ten minutes:
#
#   bash bench/gpu/lease.sh bench       tests on the device cut short, compute-sanitizer, all cases
#   bash bench/gpu/lease.sh tests       the whole test-suite on the device, as far as it gets
#   bash bench/gpu/lease.sh lens        the profiler against Nsight Compute; the choices by measurement
#
# Each part looks first whether the machine has what is needed (bench.gpu.preflight) and ends there
# if not; "bash bench/gpu/lease.sh look" does nothing else. Results go to $OUT (here: runs/gpu): one
# JSON file a part, and logs. Commit gpu.json under bench/results/ as DATE-DEVICE.json; where there
# is no git, COMMIT names the commit. No setting of the card is changed. The machine needs no
# network: it uses the python3 there, with numba-cuda, torch and pytest in it. What is missing can
# travel as wheels in a folder .whl, which is installed aside.
set -uo pipefail
cd "$(dirname "$0")/../.."
part=${1:?which part: bench, tests, lens or look}
out=${OUT:-runs/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONUNBUFFERED=1 NNLITE_CACHE_DIR=${NNLITE_CACHE_DIR:-/tmp/nnlite-cache}

case $part in bench | tests | lens | look) ;; *)
  echo "unknown part $part: bench, tests, lens or look" >&2
  exit 2
  ;;
esac

# The compiler's libraries may lie in a toolkit alone; nvcc on the path may be a script elsewhere.
has_nvvm() { [ -e "$1/nvvm/libdevice/libdevice.10.bc" ]; }
if ! has_nvvm "${CUDA_PATH:-${CUDA_HOME:-}}"; then
  unset CUDA_PATH CUDA_HOME
  nvcc=$(readlink -f "$(command -v nvcc)")
  for toolkit in "${nvcc%/bin/nvcc}" /usr/local/cuda /usr/local/cuda-* /opt/cuda; do
    has_nvvm "$toolkit" && export CUDA_HOME=$toolkit && break
  done
fi
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
if compgen -G '.whl/*.whl' >/dev/null; then
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" \
    .whl/*.whl || exit 1
fi
# numba-cuda 0.30 reads np.row_stack, which NumPy 2.5 has not.
cat >"$site/sitecustomize.py" <<'PY'
import numpy

if not hasattr(numpy, "row_stack"):
    numpy.row_stack = numpy.vstack
PY
export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}

"$python" - <<'PY' || exit 1
import importlib.util, os, sys
needed = ("numba", "numba_cuda", "numpy", "typer", "rich", "safetensors", "matplotlib")
lacking = [n for n in needed if importlib.util.find_spec(n) is None]
print("python", sys.version.split()[0], "lacking:", ", ".join(lacking) or "nothing",
      "toolkit:", os.environ.get("CUDA_HOME", "none"))
sys.exit(bool(lacking))
PY
if ! command -v nvidia-smi >/dev/null; then
  echo "no nvidia-smi: nothing was measured" >&2
else
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem --format=csv |
    tee "$out/$part-gpu.txt"
fi
# Some is of peers, or of graphs alone: it ends here only if no kernel can be launched.
timeout -k 5 100 "$python" -m bench.gpu.preflight >"$out/$part-look.txt" 2>&1
ready=$?
cat "$out/$part-look.txt"
if [ "$part" = look ] || ! grep -q '] kernel: ok' "$out/$part-look.txt"; then
  [ "$part" = look ] || echo "no kernel can be launched here: nothing was measured" >&2
  exit $((ready ? 3 : 0))
fi

case $part in
bench)
  timeout -s INT -k 15 500 "$python" -m bench.gpu --quick --minutes 7.5 --out "$out/gpu.json" \
    2>&1 | tee "$out/gpu.txt"
  ;;
tests)
  # The log says what had passed if the time is not enough.
  limit=()
  "$python" -c 'import pytest_timeout' 2>/dev/null && limit=(--timeout 120 --timeout-method thread)
  NNLITE_DEVICE=cuda HYPOTHESIS_PROFILE=ci timeout -s INT -k 20 460 \
    "$python" -m pytest -q --maxfail=50 -n "$(nproc)" "${limit[@]}" -p no:cacheprovider tests \
    2>&1 | tee "$out/tests.txt"
  ;;
lens)
  timeout -s INT -k 10 240 "$python" -m bench.lens_vs_ncu --json "$out/lens.json" 2>&1 |
    tee "$out/lens.txt"
  timeout -s INT -k 10 220 "$python" -m nnlite tune --device cuda 2>&1 | tee "$out/tune.txt"
  ;;
esac
