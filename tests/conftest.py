"""Fixtures and settings of every test: this checkout, Hypothesis profiles, devices."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test another nnlite than the one beside these tests; choose the profile."""
    try:
        import nnlite
    except ModuleNotFoundError:
        raise pytest.UsageError(
            f"nnlite cannot be imported: run the tests from {ROOT} with `python -m pytest`, or "
            "install it there first (pip install -e .)"
        ) from None

    found = Path(nnlite.__file__).resolve()
    if ROOT not in found.parents and "NNLITE_TEST_INSTALLED" not in os.environ:
        raise pytest.UsageError(
            f"the tests would import nnlite from {found.parent}, not from {ROOT}: run them from "
            f"{ROOT} with `python -m pytest`, or install it there (pip install -e .)"
        )
    from hypothesis import HealthCheck, settings

    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    # The time of one example includes a compilation now and then, so no deadline.
    settings.register_profile("dev", deadline=None, suppress_health_check=slow)
    settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
    default = "ci" if "CI" in os.environ else "dev"
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", default))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that take ``device`` on every device present."""
    if "device" in metafunc.fixturenames:
        from nnlite.kernels.engine import devices

        metafunc.parametrize("device", devices(), ids=str, scope="session")
