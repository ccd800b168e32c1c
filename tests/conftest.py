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


@pytest.fixture(scope="session")
def models_of_the_hub(tmp_path_factory):
    """Names of published models, and a tiny directory like each."""
    from tests import hub_names  # here: it imports transformers

    return hub_names.directories(tmp_path_factory.mktemp("hub"))


@pytest.fixture
def hub(models_of_the_hub, monkeypatch):
    """The names of published models lead to tiny directories: {name: Path}."""
    from tests import hub_names

    found = hub_names.download(models_of_the_hub)
    monkeypatch.setattr("huggingface_hub.snapshot_download", found)
    return models_of_the_hub
