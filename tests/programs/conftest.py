"""Fixtures of the test files here, which run under the drop-in."""

import pytest

import nnlite.cudasim


@pytest.fixture(autouse=True)
def compiled_only(request):
    """No kernel here may fall back to the simulator, but those of ``simulated`` tests."""
    before = nnlite.cudasim.simulated()
    yield
    if "simulated" not in request.fixturenames:
        assert nnlite.cudasim.simulated() == before


@pytest.fixture
def simulated():
    """Asked for by tests whose kernels the compiler refuses."""
