"""Which Python make takes, and what it says where none fits."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="make and this script run in WSL there"
)


@pytest.fixture
def machine(tmp_path):
    """A PATH with what the script calls, and stand-ins of the Pythons given."""
    for name in ("bash", "cat", "sed"):
        (tmp_path / name).symlink_to(shutil.which(name))

    def find(*versions, PYTHON="", **pythons):
        for name, version in pythons.items():
            path = tmp_path / name.replace("_", ".")
            path.write_text(f"#!/bin/sh\necho {version}\n", "utf-8")
            path.chmod(0o755)
        return subprocess.run(
            ["bash", ROOT / ".ci" / "find_python", *versions],
            env={"PATH": str(tmp_path), "PYTHON": PYTHON.format(tmp_path)},
            capture_output=True,
            text=True,
        )

    return find


@pytest.mark.parametrize(
    "pythons, versions, chosen",
    [
        ({"python3": "3.12"}, [], "python3"),
        ({"python": "3.11", "python3": "3.10"}, [], "python"),
        ({"python3_11": "3.11", "python3_13": "3.13"}, [], "python3.13"),
        ({"python3_11": "3.11", "python3_13": "3.13"}, ["3.12", "3.11"], "python3.11"),
    ],
)
def test_the_newest_that_fits(machine, pythons, versions, chosen):
    done = machine(*versions, **pythons)
    assert done.stdout.strip().endswith(f"/{chosen}") and not done.stderr


@pytest.mark.parametrize("pythons", [{}, {"python3": "3.10"}, {"python3": "3.14"}])
def test_where_none_fits(machine, pythons):
    done = machine(**pythons)
    assert done.returncode == 1 and not done.stdout
    for word in ("No Python 3.13 or 3.12 or 3.11", "Install one", "PYTHON=/path/to/"):
        assert word in done.stderr


def test_a_named_python(machine):
    done = machine(PYTHON="mine", mine="3.12", python3="3.13")
    assert done.stdout.strip().endswith("/mine")


@pytest.mark.parametrize(
    "named, got",
    [("/nonexistent", "it does not run or lacks them"), ("{}/old", "3.10")],
)
def test_a_named_python_that_does_not_fit(machine, named, got):
    done = machine(PYTHON=named, old="3.10", python3="3.13")
    assert done.returncode == 1 and not done.stdout
    assert "expected one of 3.13 3.12 3.11" in done.stderr
    name = named.rpartition("/")[2]
    assert done.stderr.strip().endswith(f"/{name} ({got})")


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_says_so_and_makes_nothing(tmp_path):
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["make", "book", f"VENV={venv}", "PYTHON=/nonexistent"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True,
        text=True,
    )
    assert done.returncode and "PYTHON: expected one of 3.13" in done.stderr
    assert "Traceback" not in done.stderr and not venv.exists()
