"""What several test files use."""

import os
from pathlib import Path

import pytest

import core.quiet  # noqa: F401  before any test imports a framework

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root():
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def unavailable():
    """Skip with a message; on CI, where nothing may be missing, fail."""

    def stop(message):
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)

    return stop
