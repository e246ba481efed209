"""The wheel, installed in a fresh environment and used from another folder."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMOKE = """
import sys
import nnlite as nl
assert "numba.cuda" not in sys.modules, "import nnlite must not load numba.cuda"
import importlib.util, os
import numpy as np
from numba import cuda
assert importlib.util.find_spec("kernels") is None, "a top-level package kernels was installed"
assert "site-packages" in nl.__file__, nl.__file__
from nnlite.kernels.matmul import matmul
a = np.random.default_rng(0).random((17, 33), dtype=np.float32)
got = matmul(nl.array(a), nl.array(a), transpose_b=True).numpy()
np.testing.assert_allclose(got, a @ a.T, rtol=1e-5)
assert nl.__version__ == __import__("importlib.metadata").metadata.version("nnlite-cuda")
print("works on", *nl.devices())
"""


def run(*command: object, cwd: Path) -> str:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of the files that git would put in a clone, plus those not committed yet."""
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        path = ROOT / name
        if not path.exists() and not path.is_symlink():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, source / name, follow_symlinks=False)
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, source, cwd=out)
    return next(out.glob("*.whl"))


def test_wheel_holds_every_module_once(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for top, package in (("nnlite", "nnlite"), ("kernels", "nnlite/kernels")):
        for path in (ROOT / top).rglob("*.py"):
            relative = path.relative_to(ROOT / top)
            if top == "nnlite" and relative.parts[0] == "kernels":
                continue
            expected.add(f"{package}/{relative.as_posix()}")
    assert {n for n in names if n.endswith(".py")} == expected
    assert {"nnlite/py.typed", "nnlite/kernels/py.typed"} <= names
    page = ROOT / "kernels" / "engine" / "lens" / "html"
    assets = {
        f"nnlite/{p.relative_to(ROOT)}" for p in page.iterdir() if p.suffix in (".css", ".js")
    }
    assert assets
    assert assets == {n for n in names if n.endswith((".css", ".js"))}
    tops = {n.split("/")[0] for n in names}
    assert tops == {"nnlite", next(t for t in tops if t.endswith(".dist-info"))}


@pytest.mark.slow
def test_wheel_works_in_a_fresh_environment(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    bin_dir = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(bin_dir / "python", "-m", "pip", "install", "-q", "--no-compile", wheel, cwd=tmp_path)
    assert "works on cpu" in run(bin_dir / "python", "-c", SMOKE, cwd=tmp_path)
    assert "0.1.0" in run(bin_dir / "nnlite", "info", cwd=tmp_path)


def test_uninstalled_kernels_refuse_to_be_imported_by_the_wrong_name():
    code = "import kernels"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "this package is nnlite.kernels" in done.stderr


def test_import_is_light():
    """What makes the import slow is loaded when it is first used, not before."""
    code = (
        "import sys, nnlite as nl; heavy = {'numba', 'numba.cuda', 'matplotlib', 'rich', 'typer',"
        " 'safetensors', 'sklearn', 'mlxtend', 'hypothesis', 'torch'};"
        "print(sorted(heavy & set(sys.modules)));"
        "nl.nn, nl.optim, nl.data, nl.fit;"
        "print(sorted((heavy - {'numba', 'numba.cuda'}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout + done.stderr


def test_every_lazy_name_resolves():
    import nnlite as nl

    for name in nl.__all__:
        assert getattr(nl, name) is not None, name
    assert callable(nl.tensor)
    assert callable(nl.summary)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nl.nothing
