"""The first cell on Colab: what is missing, older or newer is named."""

from importlib import metadata

import pytest

from book import colab


@pytest.fixture
def said(monkeypatch, capsys):
    def check(**versions):
        made = colab.pins("requirements.txt", colab.END)

        def version(name):
            here = versions.get(name.replace("-", "_"), made[name])
            if here is None:
                raise metadata.PackageNotFoundError(name)
            return here

        monkeypatch.setattr(metadata, "version", version)
        colab.check()
        return capsys.readouterr().out.splitlines()

    return check


def test_the_versions_of_the_outputs_fit(said):
    lines = said()
    assert len(lines) == 2
    assert (
        lines[0] == "fit: torch 2.13.0, tensorflow 2.21.0, "
        "transformers 5.23.0, numpy 2.4.6"
    )


def test_the_versions_of_colab_fit(said):
    oldest = colab.pins("requirements-colab.txt")
    lines = said(**oldest)
    assert lines[0].startswith("fit: torch 2.11.0, ")
    assert "numpy 2.4.6" in lines[1]


def test_a_missing_package_is_one_line(said):
    lines = said(tensorflow=None, rouge_score=None)
    assert lines[0] == "tensorflow: missing; cells that need it will stop"
    assert lines[1].startswith("rouge-score: missing")
    assert "tensorflow" not in lines[2]


@pytest.mark.parametrize(
    "here, word",
    [
        ("2.9.1", "older than 2.11.0"),
        ("2.10.0+cu128", "older than 2.11.0"),
        ("2.13.1", "newer than 2.13.0"),
        ("3.0.0rc1", "newer than 2.13.0"),
    ],
)
def test_what_does_not_fit_is_named(said, here, word):
    line, fit, _ = said(torch=here)
    assert line.startswith(f"torch {here}: {word}")
    assert "torch" not in fit


def test_a_build_of_the_same_version_fits(said):
    assert "torch 2.13.0+cpu" in said(torch="2.13.0+cpu")[0]
