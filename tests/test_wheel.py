"""The library alone, installed elsewhere: it needs nothing of the book."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "core").rglob("*.py")
)
# An editable install may have put the checkout on the path, or a finder.
IMPORT = f"""
import sys
from importlib import import_module
from pathlib import Path

elsewhere, checkout = (Path(name).resolve() for name in sys.argv[1:])
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
sys.path = [str(elsewhere)] + [
    name for name in sys.path if name and Path(name).resolve() != checkout
]
import core.quiet
for name in {MODULES}:
    module = import_module(name)
    assert Path(module.__file__).resolve().is_relative_to(elsewhere), name

print(len({MODULES}))
"""


def pip(*arguments):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            *map(str, arguments),
            "--no-deps",
            "--no-index",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with nothing but what the wheel holds.

    The wheel is built from a copy: building leaves files, and nothing else
    of the repository may be needed.
    """
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT / "core",
        folder / "source" / "core",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "pyproject.toml", folder / "source")
    pip(
        "wheel",
        "--no-build-isolation",
        "--wheel-dir",
        folder / "built",
        folder / "source",
    )
    [wheel] = (folder / "built").iterdir()
    pip("install", "--target", folder / "installed", wheel)
    return folder / "installed"


def test_the_wheel_holds_core_alone(installed):
    held = [path.name for path in installed.iterdir()]
    assert "core" in held
    assert all(name == "core" or name.endswith(".dist-info") for name in held)


def test_every_module_of_core_imports_elsewhere(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, installed, ROOT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(MODULES))]
