"""Runs Numba's own CUDA tests without a GPU: under its simulator and under ``nnlite.cudasim``.

    python tests/numba_cuda_suite.py --package cudapy --out tests/results/cudapy.json
    python tests/numba_cuda_suite.py --package doc_examples --out tests/results/doc_examples.json

The tests are those of the installed ``numba.cuda`` (numba-cuda's, when that is installed; they
import ``filecheck``, ``cffi`` and ``ml_dtypes``). Each module runs in a process of its own. If it
runs too long or crashes, that costs the one test it was in, and the rest run in a new process. A
variant that ends in ``+all`` also runs the tests that Numba skips on its simulator.

The result is one JSON file: versions, totals per variant, the tests that pass under the simulator
and not under the drop-in (there should be none), and the outcome of every test.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import inspect
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXPLAINED = {  # what passes under the simulator and cannot pass under the drop-in
    f"cudapy.test_array_alignment.TestCudasimUnsupportedAlignment.test_{kind}_unsupported": (
        "asserts that the simulator refuses what CUDA, and the drop-in, can do"
    )
    for kind in ("local", "shared")
}
SITE = f"""
import sys
sys.path.append({str(ROOT)!r})
import nnlite.cudasim
nnlite.cudasim.enable()
"""

VARIANTS = ("simulator", "drop-in", "simulator+all", "drop-in+all")
DEFAULT_VARIANTS = {"cudapy": VARIANTS[:2], "doc_examples": VARIANTS[2:]}
GOOD = ("passed", "expected failure")


class Recorder(unittest.TestResult):
    """Writes the outcome of each test as it happens, one JSON line each."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.began = file, 0.0

    def _write(self, test: Any, status: str, why: str = "") -> None:
        seconds = round(time.perf_counter() - self.began, 3)
        line = {"test": short(test.id()), "status": status, "why": why, "seconds": seconds}
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.began = time.perf_counter()
        self._write(test, "started")

    def addSuccess(self, test: Any) -> None:
        self._write(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:
        self._write(test, "failed", reason(err))

    def addError(self, test: Any, err: Any) -> None:
        self._write(test, "error", reason(err))

    def addSkip(self, test: Any, why: str) -> None:
        self._write(test, "skipped", why)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._write(test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._write(test, "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._write(test, "failed", reason(err))


def short(test_id: str) -> str:
    """A test's name below ``numba.cuda.tests``; of a class, where a whole class failed."""
    return test_id.replace("numba.cuda.tests.", "")


def reason(err: Any) -> str:
    """The error and the line of the test it came from, without paths of this machine."""
    kind, value, trace = err
    lines = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(trace)]
    where = [line for line in lines if line.startswith("test_")]
    return f"{kind.__name__}: {without_paths(str(value))[:400]} [{(where or lines or ['?'])[-1]}]"


def without_paths(text: str) -> str:
    """The text with files by their last name only."""
    return re.sub(r"(/[\w.+-]+)+/", "", text).strip()


def run_module(module: str, variant: str, file: Path) -> None:
    """In the child: run what has no outcome yet of one module."""
    if variant.startswith("drop-in"):
        sys.path.insert(0, str(ROOT))
        import_module("nnlite.cudasim").enable()
    if variant.endswith("+all"):
        testing = import_module("numba.cuda.testing")
        testing.skip_on_cudasim = lambda reason: lambda test: test  # type: ignore[attr-defined]
    known = outcomes(file)
    try:
        suite = tests_of(module)
    except BaseException as error:  # pytest's Skipped is no Exception
        skipped = isinstance(error, unittest.SkipTest) or type(error).__name__ == "Skipped"
        line = {"test": short(module), "status": "skipped" if skipped else "error"}
        file.write_text(json.dumps({**line, "why": str(error), "seconds": 0.0}) + "\n")
        os._exit(0)
    todo = unittest.TestSuite(t for t in flat(suite) if short(t.id()) not in known)
    todo.run(Recorder(file))
    if variant.startswith("drop-in"):
        for kernel, why in import_module("nnlite.cudasim").simulated().items():
            line = {"test": short(kernel), "status": "simulated", "why": without_paths(why)}
            with file.open("a") as out:
                out.write(json.dumps({**line, "seconds": 0.0}) + "\n")
    os._exit(0)  # threads of a simulated kernel that hangs would keep the process alive


def tests_of(module: str) -> unittest.TestSuite:
    """The test cases of a module, and its test functions, which only pytest would collect."""
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    for name, function in vars(sys.modules[module]).items() if module in sys.modules else ():
        if (
            name.startswith("test")
            and inspect.isfunction(function)
            and not any(
                p.default is p.empty for p in inspect.signature(function).parameters.values()
            )
        ):
            suite.addTest(Function(function))
    return suite


class Function(unittest.FunctionTestCase):
    """A test function, named like a test method."""

    def id(self) -> str:
        function = self._testFunc  # type: ignore[attr-defined]
        return f"{function.__module__}.{function.__name__}"


def flat(suite: Any) -> list[Any]:
    if not isinstance(suite, unittest.TestSuite):
        return [suite]
    return [test for part in suite for test in flat(part)]


def outcomes(file: Path) -> dict[str, dict[str, Any]]:
    """The outcome of each test; of several failed subtests the first."""
    found: dict[str, dict[str, Any]] = {}
    for text in file.read_text().splitlines() if file.exists() else ():
        line = json.loads(text)
        name = line["test"] if line["status"] != "simulated" else f"simulated {line['test']}"
        if found.get(name, {"status": "started"})["status"] == "started":
            found[name] = line
    return found


def run_in_children(module: str, variant: str, folder: Path, limit: float) -> dict[str, Any]:
    """Every outcome of a module, from as many processes as it takes."""
    file = folder / f"{module}-{variant}.jsonl"
    env = dict(os.environ, NNLITE_CACHE_DIR=str(folder / "cache"), NUMBA_ENABLE_CUDASIM="1")
    if variant.startswith("drop-in"):  # for the processes that a test starts, too
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), env.get("PYTHONPATH"))))
        (folder / "sitecustomize.py").write_text(SITE)
    command = [sys.executable, __file__, "--child", module, "--variants", variant, "--out", file]
    while True:
        before = len(outcomes(file))
        child = subprocess.Popen(
            [str(c) for c in command], cwd=folder, env=env, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        try:
            _, errors = child.communicate(timeout=limit)
            why = f"the process ended with {child.returncode}: {errors.strip()[-200:]}"
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            why = f"the module ran for more than {limit:g} s"
        found = outcomes(file)
        hung = [name for name, line in found.items() if line["status"] == "started"]
        for name in hung:
            line = {"test": name, "status": "stopped", "why": why, "seconds": limit}
            with file.open("a") as out:
                out.write(json.dumps(line) + "\n")
        if not hung or len(found) == before:
            if child.returncode and not found:
                found[short(module)] = {"status": "error", "why": why, "seconds": 0.0}
            return outcomes(file) or found


def modules(package: str, only: str) -> list[str]:
    """Test modules of ``numba.cuda.tests.<package>`` whose name contains ``only``."""
    name = f"numba.cuda.tests.{package}"
    probe = f"import numba.cuda, {name} as p; print(p.__path__[0])"
    env = dict(os.environ, NUMBA_ENABLE_CUDASIM="1")
    place = subprocess.check_output([sys.executable, "-c", probe], env=env, text=True).strip()
    return [f"{name}.{p.stem}" for p in sorted(Path(place).glob("test_*.py")) if only in p.stem]


def versions() -> dict[str, str]:
    found = {"date": datetime.date.today().isoformat(), "python": platform.python_version()}
    for name in ("numba", "numba-cuda", "numpy", "llvmlite"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def summary(results: dict[str, dict[str, Any]], variants: list[str]) -> dict[str, Any]:
    """Totals, and what passes under the first variant and not under the last."""
    first, last = variants[0], variants[-1]
    simulated = {
        v: {n.split()[1]: of.pop(n)["why"] for n in list(of) if n.startswith("simulated ")}
        for v, of in results.items()
    }
    names = sorted({name for of in results.values() for name in of})
    table = {
        n: {v: results[v].get(n, {"status": "absent"})["status"] for v in variants} for n in names
    }
    lost = [n for n in names if table[n][first] in GOOD and table[n][last] not in GOOD]
    explained = {n: EXPLAINED[n] for n in lost if n in EXPLAINED}
    won = [n for n in names if table[n][last] in GOOD and table[n][first] not in GOOD]
    whys = {
        v: {n: r["why"] for n, r in results[v].items() if r["why"] and r["status"] != "skipped"}
        for v in variants
    }
    return {
        "totals": {v: collections.Counter(row[v] for row in table.values()) for v in variants},
        "seconds": {v: round(sum(r["seconds"] for r in results[v].values())) for v in variants},
        f"pass under {first}, not under {last}": [n for n in lost if n not in EXPLAINED],
        "the same, explained": explained,
        f"pass under {last}, not under {first}": won,
        "kernels left to the simulator": {v: len(of) for v, of in simulated.items()},
        "tests": table,
        "simulated": simulated,
        "reasons": whys,
    }


def main() -> int:
    """Run the variants and write the file; 1 when the drop-in loses a test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", choices=sorted(DEFAULT_VARIANTS), default="cudapy")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS)
    parser.add_argument("--only", default="", help="part of the name of the modules to run")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds per module")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        run_module(given.child, given.variants[0], given.out)
    variants = list(given.variants or DEFAULT_VARIANTS[given.package])
    tasks = [(m, v) for m in modules(given.package, given.only) for v in variants]
    results: dict[str, dict[str, Any]] = {v: {} for v in variants}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        found = pool.map(lambda t: run_in_children(*t, Path(folder), given.timeout), tasks)
        for (module, variant), lines in zip(tasks, found):
            results[variant].update(lines)
            counts = collections.Counter(line["status"] for line in lines.values())
            print(short(module), variant, dict(counts), flush=True)
    package = f"numba.cuda.tests.{given.package}"
    report = {"suite": package, "versions": versions(), **summary(results, variants)}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    print(
        json.dumps(
            {k: v for k, v in report.items() if k not in ("tests", "reasons", "simulated")},
            indent=1,
        )
    )
    return 1 if report[f"pass under {variants[0]}, not under {variants[-1]}"] else 0


if __name__ == "__main__":
    sys.exit(main())
