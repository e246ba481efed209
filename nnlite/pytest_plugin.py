"""Plugin of pytest, installed with nnlite: the fixture ``check_kernel`` and ``--nnlite-check``.

    def test_my_kernel(check_kernel):
        check_kernel(my_kernel, 4, 128, x, out)      # raises CheckError with the report

With ``pytest --nnlite-check`` every launch on the CPU in every test runs under the checker, and a
test fails at the first launch in which it finds a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("nnlite").addoption(
        "--nnlite-check",
        action="store_true",
        help="run every kernel launch on the CPU under nnlite's checker (races, bounds, barriers)",
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Switch the checker on around a test, if the option is given."""
    if not item.config.getoption("nnlite_check"):
        yield
        return
    from .kernels.engine.lens import checking

    with checking():
        yield


@pytest.fixture
def check_kernel() -> Callable[..., Any]:
    """``check_kernel(kernel, grid, block, *args, shared_bytes=0)``: launch under the checker.

    It returns the report, and raises CheckError if there is a mistake in it.
    """
    from .kernels.engine.lens import check

    def run(kernel: Any, grid: Any, block: Any, *args: Any, shared_bytes: int = 0) -> Any:
        report = check(kernel, grid, block, args, shared_bytes)
        report.raise_if_errors()
        return report

    return run
