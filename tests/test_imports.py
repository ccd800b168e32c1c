"""Both frameworks live in one process, whichever is imported first.

Each order has a process of its own: a crash is a failed test.
"""

import itertools
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT

TRITON = find_spec("triton") is not None  # PyTorch's CUDA build
ADAM = "torch.optim.Adam([torch.zeros(1, requires_grad=True)])"
CLASS = "from transformers import GPT2LMHeadModel"
STEPS = {
    "quiet": "import core.quiet",
    "pt": "import core.pt.trainers",
    "tf": "import core.tf.trainers",
    "torch": "import torch",
    "tensorflow": "import tensorflow",
    "transformers": CLASS,
    "optimizer": f"import torch; {ADAM}",
}
# What a chapter does in the end, in both frameworks.
COMPUTE = f"""
import core.quiet
import numpy as np
import torch
from core.pt.logprobs import token_logprobs as pt_logprobs
from core.tf.logprobs import token_logprobs as tf_logprobs
{ADAM}
import tensorflow as tf

logits = np.random.default_rng(0).normal(size=(2, 3, 4))
tokens = np.array([[0, 1, 2], [3, 0, 1]])
shifted = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
expected = np.take_along_axis(shifted, tokens[..., None], -1)[..., 0]
leaf = torch.tensor(logits, requires_grad=True)
pt = pt_logprobs(leaf, torch.tensor(tokens))
pt.sum().backward()
tf_ = tf_logprobs(tf.constant(logits), tf.constant(tokens)).numpy()
np.testing.assert_allclose(pt.detach().numpy(), expected, rtol=1e-12)
np.testing.assert_allclose(tf_, expected, rtol=1e-12)
print("equal")
"""
CORE = ("quiet", "pt", "tf")
# A part of core first, or PyTorch in one of its ways.
ORDERS = [
    (first, second)
    for first in CORE
    for second in (*CORE, "tensorflow", "transformers")
    if first != second
] + list(itertools.product(("torch", "transformers", "optimizer"), CORE))
# Blocks an installed package, as if it were not there.
MISSING = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "{0}":
            raise ModuleNotFoundError("No module named '{0}'", name=name)

sys.meta_path.insert(0, Missing())
import core.quiet
{1}
"""
WORK = """
from core.{0} import models, rollout, trainers
from core.settings import GPTConfig
model = models.GPT(GPTConfig(vocab_size=5, n_embd=4, n_head=1))
print(model.vocab_size)
"""
IMPORT = """
from importlib import import_module
sys.path[:0] = {0}
for name in {1}:
    import_module(name)
print(sorted({{"torch", "tensorflow"}} & set(sys.modules)))
"""
# Modules by the half that they belong to; those of neither need no framework.
MODULES = {"pt": [], "tf": [], "neither": ["pages.plots", "pages.show", "pages.diff"]}
for path in sorted((ROOT / "core").rglob("*.py")):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    part = name.split(".")[1]
    if name != "core.quiet":  # the only one that loads what it finds
        half = part if part in MODULES else "neither"
        MODULES[half].append(name.removesuffix(".__init__"))


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_import_orders(order):
    done = run("\n".join(STEPS[name] for name in order) + COMPUTE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
    if order[0] in ("quiet", "pt"):
        assert "CUDA" not in done.stderr
    if order[0] == "quiet":
        assert done.stderr == ""


@pytest.mark.parametrize(
    "order",
    [
        ("tensorflow", "pt"),
        ("tensorflow", "torch", "pt"),
        ("torch", "tensorflow", "pt"),
        ("tensorflow", "quiet", "pt"),
        ("tensorflow", "tf", "pt"),
    ],
    ids="-".join,
)
def test_tensorflow_first(order):
    """One clear error where the process would die; else it goes on."""
    done = run("\n".join(STEPS[name] for name in order) + COMPUTE)
    if TRITON:
        assert done.returncode == 1, done.stderr
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("ImportError: core.pt: TensorFlow was")
        assert "Restart the kernel" in last and "core.quiet" in last
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["quiet", "pt", "tf"])
def test_triton_and_torch_come_first(name, tmp_path):
    """On every build: stand-ins say what is loaded when they are."""
    for module in ("triton", "torch", "tensorflow"):
        (tmp_path / f"{module}.py").write_text(f"print('{module}')", "utf-8")
    folder = {**os.environ, "PYTHONPATH": str(tmp_path)}
    first = "core.quiet" if name == "quiet" else f"core.{name}"
    done = run(f"import {first}, tensorflow", env=folder, cwd=tmp_path)
    assert done.stdout.split() == ["torch", "triton", "tensorflow"]


def test_the_guard_stops_core_pt_on_every_build(tmp_path):
    for module in ("triton", "torch", "tensorflow"):
        (tmp_path / f"{module}.py").touch()
    folder = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run("import tensorflow, core.pt", env=folder, cwd=tmp_path)
    assert "ImportError: core.pt: TensorFlow was imported" in done.stderr
    done = run("import tensorflow, core.tf", env=folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_nothing_is_loaded_where_triton_is_absent(tmp_path):
    code = """
import sys
sys.modules["triton"] = None  # as if it were not installed
import core.load_order
core.load_order.find_spec = lambda name: None
del sys.modules["triton"]
import core.tf
print([m for m in ("torch", "triton", "tensorflow") if m in sys.modules])
"""
    assert run(code).stdout.strip() == "[]"


@pytest.mark.parametrize("missing, half", [("tensorflow", "pt"), ("torch", "tf")])
def test_each_half_works_without_the_other_framework(missing, half):
    done = run(MISSING.format(missing, WORK.format(half)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "5"


@pytest.mark.parametrize("missing, half", [("tensorflow", "pt"), ("torch", "tf")])
def test_every_module_of_a_half_works_without_the_other(missing, half):
    modules = MODULES[half] + MODULES["neither"]
    assert f"core.{half}.listings.document_004" in modules and "core.hub" in modules
    folders = [str(ROOT), str(ROOT / "book")]
    done = run(MISSING.format(missing, IMPORT.format(folders, modules)))
    assert done.returncode == 0, done.stderr
    assert missing not in done.stdout


@pytest.mark.parametrize("missing", ["tensorflow", "torch"])
def test_what_needs_both_names_the_missing_one(missing):
    code = f"sys.path[:0] = {[str(ROOT), str(ROOT / 'book')]}\nimport pages.parity"
    done = run(MISSING.format(missing, code))
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: No module named '{missing}'"
    )


@pytest.mark.parametrize("broken", ["", "raise ImportError('no DLL')"])
@pytest.mark.parametrize("package", [True, False])
def test_quiet_goes_on_where_tensorflow_is_broken(broken, package, tmp_path):
    """Its folder is still there, or its libraries do not fit the machine."""
    path = tmp_path / "tensorflow"
    if package:
        path.mkdir()
        path = path / "module" if not broken else path / "__init__"
    path.with_suffix(".py").write_text(broken, "utf-8")
    code = "import core.quiet; print('goes on')"
    folders = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run(code, env={**os.environ, "PYTHONPATH": folders}, cwd=tmp_path)
    assert done.stdout.strip() == "goes on", done.stderr


@pytest.mark.parametrize("error", ["ImportError", "OSError"])
def test_tensorflow_works_where_pytorch_is_broken(error, tmp_path):
    (tmp_path / "triton.py").touch()
    (tmp_path / "torch.py").write_text(f"raise {error}('no DLL')", "utf-8")
    (tmp_path / "tensorflow.py").write_text("print('goes on')", "utf-8")
    folders = os.pathsep.join([str(tmp_path), str(ROOT)])
    for name in ("quiet", "tf"):
        code = f"import core.{name}, tensorflow"
        done = run(code, env={**os.environ, "PYTHONPATH": folders}, cwd=tmp_path)
        assert done.stdout.strip() == "goes on", done.stderr


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_process_with_closed_streams(closed):
    """A daemon, or pythonw on Windows, has none."""
    command = f"{sys.executable} -c 'import core.quiet' {closed}"
    assert subprocess.run(command, shell=True, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stderr(closed, tmp_path):
    """What C++ writes there would else stand in the file."""
    path = tmp_path / "data"
    code = (
        "import os, sys, core.quiet; assert sys.stderr is None; "
        f'file = open("{path}", "w"); os.write(2, b"a line of C++"); '
        'file.write("data"); file.close()'
    )
    command = f"{sys.executable} -c '{code}' {closed}"
    assert subprocess.run(command, shell=True, cwd=ROOT).returncode == 0
    assert path.read_text("utf-8") == "data"


def test_stderr_is_back_behind_quiet():
    code = "import os, core.quiet; os.write(2, b'here')"
    assert run(code, cwd=ROOT).stderr == "here"
