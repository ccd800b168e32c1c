"""What is declared, pinned and locked agrees with itself and with the code."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# CUDA's parts, which PyTorch's own wheel pins and its other build lacks.
CUDA = re.compile(r"(nvidia|cuda|triton)\b")
# What is there only in a notebook, or with PyTorch for CUDA.
NOT_DECLARED = {"ipython", "matplotlib-inline", "triton"}


def requirements(name):
    lines = (
        line.partition("#")[0].strip()
        for line in (ROOT / name).read_text("utf-8").splitlines()
    )
    return [Requirement(line) for line in lines if line]


def pinned(found):
    """Names and versions; each must be pinned exactly."""
    for requirement in found:
        [only] = requirement.specifier
        assert only.operator == "==" and "*" not in only.version, requirement
        yield canonicalize_name(requirement.name), only.version


def names(lines):
    """What a list of pyproject.toml names, without the project itself."""
    return {canonicalize_name(Requirement(line).name) for line in lines} - {
        PROJECT["name"]
    }


def imported(sources):
    """The distributions that Python code imports, at any depth."""
    known = packages_distributions()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found = [node.module]
            else:
                continue
            for top in {name.split(".")[0] for name in found}:
                if top not in (
                    *sys.stdlib_module_names,
                    "core",
                    "applications",
                    "exercises",
                    "pages",
                    "real",
                    "tests",
                    "google",
                    "colab",
                ):
                    yield canonicalize_name(known.get(top, [top])[0])


# Runs in TRL, which a reader installs for it.
HANDED_OVER = "trl_grpo.py"


def files(pattern):
    paths = [
        p for p in ROOT.glob(pattern) if p.name != HANDED_OVER or p == ROOT / pattern
    ]
    return [path.read_text("utf-8") for path in paths]


def cells():
    """The code of all chapters; lines for IPython have no imports."""
    for text in files("book/*.ipynb"):
        for cell in json.loads(text)["cells"]:
            if cell["cell_type"] == "code":
                lines = "".join(cell["source"]).splitlines()
                yield "\n".join(
                    re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in lines
                )


@pytest.mark.parametrize(
    "line", [*PROJECT["dependencies"], *(x for extra in EXTRAS.values() for x in extra)]
)
def test_what_is_declared_is_pinned_within_its_bounds(line):
    wanted = Requirement(line)
    if wanted.name == PROJECT["name"]:
        assert wanted.extras <= set(EXTRAS)
        return
    here = dict(pinned(requirements("requirements.txt")))
    assert wanted.specifier.contains(here[canonicalize_name(wanted.name)])


def test_a_bound_is_a_version_that_was_tried():
    """That of the book or that of Colab."""
    tried = set(pinned(requirements("requirements.txt"))) | set(
        pinned(r for r in requirements("requirements-colab.txt") if r.specifier)
    )
    for lines in (PROJECT["dependencies"], *EXTRAS.values()):
        for wanted in map(Requirement, lines):
            for bound in wanted.specifier:
                name = canonicalize_name(wanted.name)
                assert (name, bound.version) in tried, wanted


@pytest.mark.parametrize(
    "pattern, extras",
    [
        ("core/*.py", []),
        ("core/pt/*.py", ["pt"]),
        ("core/tf/*.py", ["tf"]),
        ("book/applications/*.py", ["pt", "tf", "book"]),
        ("book/*.ipynb", ["pt", "tf", "book"]),
    ],
)
def test_what_is_imported_is_declared(pattern, extras):
    declared = names(PROJECT["dependencies"]).union(
        *(names(EXTRAS[extra]) for extra in extras)
    )
    if not extras:  # core.quiet, core.load_order, and one program of core.documents
        declared |= {"torch", "tensorflow", "lark"}
    sources = cells() if pattern.endswith("ipynb") else files(pattern)
    assert set(imported(sources)) <= declared | NOT_DECLARED


def test_the_lock_holds_what_is_pinned():
    locked = list(pinned(requirements("requirements.lock")))
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert set(pinned(requirements(name))) <= set(locked)


def test_the_lock_leaves_the_build_of_torch_open():
    """Versions alone: no index, no path, nothing of one build."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"://|^-|@|\+", text, re.MULTILINE)
    assert not [r for r in requirements("requirements.lock") if CUDA.match(r.name)]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_one_version_for_each_python(python):
    """Of what has several, markers choose one."""
    chosen = {}
    for requirement in requirements("requirements.lock"):
        for system, os_name in (
            ("linux", "posix"),
            ("darwin", "posix"),
            ("win32", "nt"),
        ):
            where = {
                "python_version": python,
                "sys_platform": system,
                "python_full_version": f"{python}.9",
                "os_name": os_name,
            }
            marker = requirement.marker
            if marker is None or marker.evaluate(where):
                key = canonicalize_name(requirement.name), system
                assert key not in chosen, requirement
                chosen[key] = requirement


# Files of one folder import each other by these names.
OURS = {"book"} | {
    canonicalize_name(path.stem)
    for name in ("book", "tests", ".ci")
    for path in (ROOT / name).rglob("*.py")
}


def brought(found):
    """The packages of requirements, and what these need in their turn."""
    wanted, seen = list(found), {}
    while wanted:
        here = wanted.pop()
        name = canonicalize_name(here.name)
        extras = {"", *here.extras} - seen.setdefault(name, set())
        seen[name] |= extras
        for need in map(Requirement, requires(name) or [] if extras else []):
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in extras
            ):
                wanted.append(need)
    return set(seen)


@pytest.mark.parametrize(
    "pattern, wanted",
    [
        ("core/**/*.py", ["requirements.txt"]),
        ("book/**/*.py", ["requirements.txt"]),
        ("book/*.ipynb", ["requirements.txt"]),
        (f"book/real/{HANDED_OVER}", ["requirements.txt", "requirements-dev.txt"]),
        ("tests/**/*.py", ["requirements.txt", "requirements-dev.txt"]),
        (".ci/*.py", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_what_is_imported_is_installed(pattern, wanted):
    """By `make book` for a reader, and by `make test` for the tests."""
    here = brought(r for file in wanted for r in requirements(file))
    sources = cells() if pattern.endswith("ipynb") else files(pattern)
    assert set(imported(sources)) <= here | OURS | NOT_DECLARED


def test_no_package_is_installed_twice():
    names = [
        {name for name, _ in pinned(requirements(file))}
        for file in ("requirements.txt", "requirements-dev.txt")
    ]
    assert not names[0] & names[1]


def dry(target):
    """What make would run for a target, in a folder without an environment."""
    return subprocess.run(
        ["make", "--dry-run", target, "VENV=.venv-none", "PYTHON="],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


@needs_make
@pytest.mark.parametrize(
    "target", ["book", "lab", "run", "readers", "documents", "models", "checked"]
)
def test_a_reader_installs_no_package_of_the_tests(target):
    script = dry(target)
    assert "-r requirements.txt -c requirements.lock" in script
    assert "requirements-dev.txt" not in script


@needs_make
@pytest.mark.parametrize(
    "target",
    [
        *("install", "test", "unit", "notebooks", "site", "check", "bench"),
        *("mutants", "fuzz", "test-brief", "test-portable"),
    ],
)
def test_what_tests_installs_everything(target):
    script = dry(target)
    first = script.index("-r requirements.txt -c requirements.lock")
    assert first < script.index("-r requirements-dev.txt -c requirements.lock")


def test_jupyterlab_shows_myst():
    # JupyterLab takes what its own environment has there, listed as fit or not.
    found = Path(sys.prefix, "share/jupyter/labextensions/jupyterlab-myst")
    assert (found / "package.json").is_file()


def test_commits_are_formatted_by_the_same_ruff():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    hooks = yaml.safe_load(text)["repos"]
    [ruff] = [hook for hook in hooks if "ruff" in hook["repo"]]
    pins = dict(pinned(requirements("requirements-dev.txt")))
    assert ruff["rev"] == f"v{pins['ruff']}"
