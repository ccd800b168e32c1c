"""The map of `core`: a module imports only from those above it.

The book stands on core, and core knows nothing of it.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAP = re.findall(
    r"^([a-z_.*]+)  +(\S.*)$",
    ast.get_docstring(ast.parse((ROOT / "core" / "__init__.py").read_text("utf-8"))),
    re.MULTILINE,
)
# Place of each module in reading order; a pair of `pt` and `tf` shares one.
PLACES = {
    name.replace("*", package): place
    for place, (name, _) in enumerate(MAP)
    for package in ("pt", "tf")
}


def place(name):
    """The place of a module: that of its own row, or of its package's."""
    return PLACES.get(name, PLACES.get(name.rpartition(".")[0]))


FRAMEWORKS = {"torch": {"pt"}, "tensorflow": {"tf"}, "keras": {"tf"}}
# A package that gives out the names of its modules is one as well.
MODULES = {
    ".".join(path.relative_to(ROOT / "core").with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted((ROOT / "core").rglob("*.py"))
    if path.name != "__init__.py" or "__all__" in path.read_text("utf-8")
}
BOOK = ROOT / "book"
APPLICATIONS = sorted((BOOK / "applications").glob("[a-z]*.py"))
# An application needs no framework; its networks do, and so do the scripts
# that train the starts, with core.pt, and the models of transformers.
TRAINED = {"starters", "long_text_lstm", "speech_start", "causal_lm"}
FREE = [
    path.stem
    for path in APPLICATIONS
    if not path.stem.endswith(("_pt", "_tf")) and path.stem not in TRAINED
]
# A path into the book, whole or as a part of its own.
OF_THE_BOOK = re.compile(r"\bbook/|[\"']book[\"'] */|/ *[\"']book[\"']")


def imports(path):
    """Every module that a file names in an import, at any depth."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def test_every_module_is_on_the_map():
    packages = {name.rpartition(".")[0] for name in MODULES}
    assert set(PLACES) <= set(MODULES) | packages
    assert not [name for name in MODULES if place(name) is None]


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_from_above_on_the_map(name):
    used = {n.removeprefix("core.") for n in imports(MODULES[name])}
    below = {n for n in used & set(PLACES) if PLACES[n] >= place(name)}
    assert not below


def test_the_api_page_shows_the_map():
    """The same rows in the same order."""
    page = (ROOT / "book" / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.*]+)` \| (.*) \|$", page, re.MULTILINE)
    assert rows == MAP


@pytest.mark.parametrize("name", MODULES)
def test_frameworks_stay_in_their_packages(name):
    package = name.split(".")[0]
    used = {n.split(".")[0] for n in imports(MODULES[name])} & set(FRAMEWORKS)
    exceptions = {"quiet": {"tensorflow"}, "load_order": {"torch"}}
    if name in exceptions:
        assert used == exceptions[name]
        return
    assert not {f for f in used if package not in FRAMEWORKS[f]}
    other = {"pt": "core.tf", "tf": "core.pt"}.get(package, "core.pt")
    assert not any(n.startswith(other) for n in imports(MODULES[name]))


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "core").rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_core_knows_nothing_of_the_book(path):
    """No import, and no path either, which an import would not show."""
    above = {"applications", "book", "benchmarks", "tests"}
    assert not {n.split(".")[0] for n in imports(path)} & above
    assert not OF_THE_BOOK.findall(path.read_text("utf-8"))


def test_the_path_of_the_book_is_found():
    for line in (
        'Path(__file__).parents[1] / "book" / "data"',
        "ROOT/'book'",
        '"../book/data"',
        "# see book/models",
    ):
        assert OF_THE_BOOK.search(line), line
    assert not OF_THE_BOOK.search('THINGS = ("key", "book", "coin")')


@pytest.mark.parametrize(
    "half, other", [("pt", {"tensorflow", "keras"}), ("tf", {"torch"})]
)
def test_the_networks_of_an_application(half, other):
    """One framework each; core's half first, which orders the loading."""
    paths = [p for p in APPLICATIONS if p.stem.endswith(f"_{half}")]
    assert paths
    for path in paths:
        used = [n for n in imports(path) if not n.startswith("__future__")]
        assert used[0] == f"core.{half}"
        assert not {n.split(".")[0] for n in used} & other


def test_core_and_applications_import_no_framework():
    """Really, in a new process: a dependency could import one as well."""
    plain = [
        f"core.{n}"
        for n in MODULES
        if n != "quiet" and not n.startswith(("pt.", "tf."))
    ]
    lines = ["import sys", f"sys.path.append({str(BOOK)!r})"]
    lines += [f"import {name}" for name in plain]
    lines += [f"import applications.{name}" for name in FREE]
    lines.append(f"print(sorted({set(FRAMEWORKS)} & set(sys.modules)))")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
