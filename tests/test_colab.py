"""The first cell on Colab: what is missing, older or newer is named."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata

import pytest

from book import colab
from tests.conftest import ROOT


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


@pytest.mark.parametrize("name", ["torch", "tensorflow", "numpy", "jieba"])
@pytest.mark.parametrize("version", [2, "", "unknown", "2.x"])
def test_a_broken_package_is_one_line(said, name, version):
    """An interrupted install leaves no version, or a broken one."""
    lines = said(**{name: version})
    assert lines[0].startswith(f"{name}: broken, its version is {version!r}")
    assert len(lines) == 3 and name not in lines[1]


def test_a_machine_with_nothing(said):
    names = colab.pins("requirements.txt", colab.END)
    lines = said(**{name.replace("-", "_"): None for name in names})
    assert lines[:-2] == [f"{n}: missing; cells that need it will stop" for n in names]
    assert lines[-2] == "fit: none"


def first_cell():
    """That of any chapter, as Python: lines for IPython do nothing."""
    text = (ROOT / "book" / "gpt.ipynb").read_text(encoding="utf-8")
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    assert "colab" in cells[0]["metadata"]["tags"]
    return re.sub(r"(?m)^(\s*)[!%].*", r"\1pass", "".join(cells[0]["source"]))


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
@pytest.mark.parametrize("missing", ["tensorflow", "torch"])
def test_the_first_cell_where_a_framework_is_missing(tmp_path, missing, locale):
    (tmp_path / "token-rl-book").symlink_to(ROOT, target_is_directory=True)
    (tmp_path / "machine.py").write_text(
        "import sys, types\n"
        "from importlib import metadata\n"
        "sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
        "found = metadata.version\n"
        "def version(name):\n"
        f"    if name == '{missing}':\n"
        "        raise metadata.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "metadata.version = version\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import machine\n{first_cell()}\nprint('goes on')"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONCOERCECLOCALE": "0", **locale},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"{missing}: missing; cells that need it will stop" in lines
    assert lines[-1] == "goes on" and done.stderr == ""


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
