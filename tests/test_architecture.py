"""The floors of the house and the size of its rooms, read from the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnlite.kernels import FAMILIES, all_specs
from nnlite.kernels.engine import Kernel

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "kernels"
LAYER = ROOT / "nnlite"
MOST_LINES, MOST_FUNCTION_LINES, MOST_KERNEL_LINES = 300, 60, 60
# Modules below every family, in order; then the families, each importing those before it only;
# then what is there to learn from.
FLOORS = ("engine", "opspec", "checks", *FAMILIES, "ladder")
# The only files that may know numba-cuda and its companions.
GPU_FILES = ("engine/gpu/", "engine/ptx/")


def sources(folder: Path) -> list[Path]:
    """Python files of a folder; not through the symlink nnlite/kernels."""
    found = [p for p in sorted(folder.rglob("*.py")) if "__pycache__" not in p.parts]
    return [p for p in found if folder == KERNELS or KERNELS not in p.resolve().parents]


def imports(path: Path, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything a file imports, functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield node.lineno, ".".join((*module, alias.name))


def kernel_files() -> list[tuple[Path, str, tuple[str, ...]]]:
    """(path, path inside kernels/, dotted package) of every file of kernels/."""
    found = []
    for path in sources(KERNELS):
        inside = path.relative_to(KERNELS)
        found.append((path, inside.as_posix(), ("nnlite", "kernels", *inside.parts[:-1])))
    return found


def test_kernels_import_numba_numpy_and_the_standard_library_only():
    allowed = {*sys.stdlib_module_names, "numba", "numpy", "llvmlite"}
    for path, inside, package in kernel_files():
        for line, name in imports(path, package):
            if name.startswith("nnlite.kernels."):
                continue
            top = name.split(".")[0]
            assert top != "nnlite", f"{path}:{line}: kernels/ imports the layer: {name}"
            if not inside.startswith(GPU_FILES):
                assert top in allowed, f"{path}:{line}: kernels/ imports {name}"


def floor(module: str) -> int:
    return FLOORS.index(module)


def test_each_floor_imports_downward_only():
    for path, inside, package in kernel_files():
        here = inside.split("/")[0].removesuffix(".py")
        if here == "__init__":
            continue
        assert here in FLOORS, f"{path}: no place in the order of the families: {FLOORS}"
        for line, name in imports(path, package):
            parts = name.split(".")
            if parts[:2] != ["nnlite", "kernels"] or len(parts) < 3:
                continue
            target = parts[2]
            assert target in FLOORS, f"{path}:{line}: imports {name}, which has no floor"
            assert floor(target) <= floor(here), f"{path}:{line}: {here} imports upward: {target}"


def test_engine_knows_no_network():
    for path, inside, package in kernel_files():
        if inside.startswith("engine/"):
            for line, name in imports(path, package):
                outside = name.startswith("nnlite") and not name.startswith("nnlite.kernels.engine")
                assert not outside, f"{path}:{line}: engine imports {name}"


def test_only_the_gpu_files_touch_the_gpu_stack():
    for path, inside, package in kernel_files():
        if inside.startswith(GPU_FILES):
            continue
        for line, name in imports(path, package):
            parts = name.split(".")
            low_level = parts[0] in ("cuda", "numba_cuda") or parts[:2] == ["numba", "cuda"]
            # Kernels are written with the name `cuda` itself, and with nothing below it.
            assert not low_level or name == "numba.cuda", f"{path}:{line}: imports {name}"


def test_the_layer_writes_no_kernels():
    for path in sources(LAYER):
        if path.parent.name == "cudasim":  # stands in for numba.cuda, so it must know it
            continue
        package = ("nnlite", *path.relative_to(LAYER).parts[:-1])
        for line, name in imports(path, package):
            writes = name.startswith(("numba.cuda", "numba.njit"))
            assert not writes, f"{path}:{line}: the layer imports {name}"


def test_the_tape_knows_no_kernel():
    path = LAYER / "autograd.py"
    for line, name in imports(path, ("nnlite",)):
        families = tuple(f"nnlite.kernels.{family}" for family in FAMILIES)
        assert not name.startswith(families), f"{path}:{line}: the tape imports {name}"


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))


def own_lines(node: ast.FunctionDef) -> int:
    """Lines of a function's body, without its docstring and the functions inside it."""
    documented = ast.get_docstring(node) is not None
    count = node.end_lineno - node.body[int(documented and len(node.body) > 1)].lineno + 1
    inner = [n for n in functions(node) if n is not node]
    nested = {i for n in inner for i in range(n.lineno, n.end_lineno + 1)}
    return count - len(nested)


@pytest.mark.parametrize("folder", ["kernels", "nnlite", "tests", "bench"])
def test_files_and_functions_stay_small(folder):
    for path in sources(ROOT / folder):
        text = path.read_text()
        lines = text.count("\n")
        assert lines <= MOST_LINES, f"{path}: {lines} lines, at most {MOST_LINES}"
        for node in functions(ast.parse(text)):
            size = own_lines(node)
            where = f"{path}:{node.lineno}: {node.name}"
            assert size <= MOST_FUNCTION_LINES, f"{where}: {size} lines"


def test_kernels_stay_small():
    for path, _, _ in kernel_files():
        for node in device_functions(ast.parse(path.read_text())):
            lines = node.end_lineno - node.lineno + 1
            where = f"{path}:{node.lineno}: {node.name}"
            assert lines <= MOST_KERNEL_LINES, f"{where}: {lines} lines with signature and all"


def device_functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions that run on the device: @kernel, @kernel(...), @cuda.jit(...)."""
    for node in functions(tree):
        for decorator in node.decorator_list:
            text = ast.unparse(decorator)
            if text.split("(")[0] in ("kernel", "nl.kernel", "cuda.jit"):
                yield node


def bare_floats(node: ast.FunctionDef) -> Iterator[ast.Constant]:
    """Float literals that are not the argument of a call such as ``float32(0.5)``."""
    wrapped = {
        id(value)
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        for argument in call.args
        for value in ast.walk(argument)
    }
    for value in ast.walk(node):
        literal = isinstance(value, ast.Constant) and isinstance(value.value, float)
        if literal and id(value) not in wrapped:
            yield value


def test_kernels_hold_no_bare_python_float():
    for path, _, _ in kernel_files():
        for node in device_functions(ast.parse(path.read_text())):
            found = [value.lineno for value in bare_floats(node)]
            assert not found, f"{path}:{found[0]}: a Python float is float64: write float32(...)"


def test_the_rule_on_floats_finds_one():
    source = "@kernel\ndef k(x):\n    acc = 0.0\n    x[0] = acc * float32(-0.5) + real(2.0)\n"
    (node,) = device_functions(ast.parse(source))
    assert [value.lineno for value in bare_floats(node)] == [3]


@pytest.mark.parametrize("family", FAMILIES)
def test_families_expose_complete_specs(family):
    module = importlib.import_module(f"nnlite.kernels.{family}")
    assert module.SPECS
    for spec in module.SPECS:
        assert len(spec.wrong) >= 5, f"{spec.name}: {len(spec.wrong)} wrong inputs"
        assert spec.kernels, f"{spec.name} lists no kernel for the compile gate"
        for kernel, signature in spec.kernels:
            assert isinstance(kernel, Kernel)
            parameters = inspect.signature(kernel.py_func).parameters
            assert len(signature) == len(parameters), f"{spec.name}: {kernel} takes {parameters}"
        if spec.tolerance.terms is not None:
            assert spec.magnitude is not None, f"{spec.name}: terms need a magnitude"


def test_every_gradient_launcher_belongs_to_an_op_with_a_gradient():
    names = {spec.name for spec in all_specs() if spec.vjp is not None}
    for family in FAMILIES:
        module = importlib.import_module(f"nnlite.kernels.{family}")
        for name in dir(module):
            op, found, _ = name.partition("_backward")
            if found and not name.startswith("_") and op != "extreme":
                assert op in names, f"{family}.{name}: no spec of {op!r} has a vjp"


@pytest.mark.parametrize("family", FAMILIES)
def test_launchers_have_docstrings(family):
    module = importlib.import_module(f"nnlite.kernels.{family}")
    assert inspect.getdoc(module)
    for spec in module.SPECS:
        launcher = getattr(module, spec.name, None)
        assert launcher is None or inspect.getdoc(launcher), f"{family}.{spec.name}: no docstring"
    for name in getattr(module, "__all__", ()):
        launcher = getattr(module, name)
        if callable(launcher) and not isinstance(launcher, Kernel):
            assert inspect.getdoc(launcher), f"{family}.{name}: no docstring"


def test_every_module_has_a_docstring():
    for path in [*sources(KERNELS), *sources(LAYER)]:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path}: no docstring"


def test_public_functions_and_classes_of_the_layer_have_docstrings():
    for path in sources(LAYER):
        for node in ast.parse(path.read_text()).body:
            public = isinstance(node, (ast.FunctionDef, ast.ClassDef))
            if public and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}:{node.lineno}: {node.name}: no docstring"
