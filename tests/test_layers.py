"""`core` is built in floors: a file imports only from lower ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "load_order": -1,
    "types": 0, "text": 0, "quiet": 0, "sampling": 0, "pretraining": 0,
    "weights": 1, "metrics": 1, "buffer": 1, "tasks": 1, "grammar": 1,
    "rewards": 1, "returns": 1,
    "algorithms": 2, "exact": 2, "envs": 2, "show": 2, "plots": 2,
    "hub": 2, "training": 2, "tabular": 3, "results": 3, "pt.causal_lm": 3,
    "parity": 8,
}
MIRRORED = {
    "checkpoints": 2, "logprobs": 2, "attention": 2, "layers": 2, "models": 3,
    "speech": 4,
    "losses": 4, "preferences": 4, "rewards": 4, "pretrained": 4,
    "rollout": 5, "trainers": 6, "preference_trainers": 7, "dqn": 7,
}
for _path in (ROOT / "core" / "applications").glob("[a-z]*.py"):
    FLOORS[f"applications.{_path.stem}"] = 3
for _package in ("pt", "tf"):
    FLOORS |= {f"{_package}.{name}": n for name, n in MIRRORED.items()}
FRAMEWORKS = {"torch": {"pt"}, "tensorflow": {"tf"}, "keras": {"tf"}}
MODULES = {
    ".".join(path.relative_to(ROOT / "core").with_suffix("").parts): path
    for path in sorted((ROOT / "core").rglob("*.py"))
    if path.name != "__init__.py"
}


def imports(path):
    """Every module that a file names in an import, at any depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOORS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_from_lower_floors(name):
    used = {
        n.removeprefix("core.") for n in imports(MODULES[name])
    } & set(FLOORS)
    assert not {n for n in used if FLOORS[n] >= FLOORS[name]}


@pytest.mark.parametrize("name", MODULES)
def test_frameworks_stay_in_their_packages(name):
    package = name.split(".")[0]
    used = {n.split(".")[0] for n in imports(MODULES[name])} & set(FRAMEWORKS)
    if name == "parity":
        return  # the one module that imports both
    exceptions = {"quiet": {"tensorflow"}, "load_order": {"torch"}}
    if name in exceptions:
        assert used == exceptions[name]
        return
    assert not {f for f in used if package not in FRAMEWORKS[f]}
    other = {"pt": "core.tf", "tf": "core.pt"}.get(package, "core.pt")
    assert not any(n.startswith(other) for n in imports(MODULES[name]))


def test_core_imports_no_framework():
    """Really, in a new process: a dependency could import one as well."""
    plain = [n for n in MODULES if n not in ("parity", "quiet")
             and not n.startswith(("pt.", "tf."))]
    lines = ["import sys, core", *(f"import core.{n}" for n in plain)]
    lines.append(f"print(sorted({set(FRAMEWORKS)} & set(sys.modules)))")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True, text=True, cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
