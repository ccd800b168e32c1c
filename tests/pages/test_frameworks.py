"""Which statements of a chapter are left out where one framework is run alone."""

import ast

import pytest
from IPython.core.interactiveshell import InteractiveShell

from pages import frameworks

SETUP = """
import numpy as np
import tensorflow as tf
import torch
from core.pt import losses as pt_losses
from core.tf import losses as tf_losses, models as tf_models
from applications import speech, speech_tf
for module in (np, tf, torch):
    print(module.__name__)
"""


@pytest.fixture
def left():
    """What is left of a cell, after the cells before it."""
    without = {n: frameworks.WithoutTheOther(n) for n in ("torch", "tensorflow")}

    def run(framework, *cells):
        for cell in cells:
            tree = without[framework].visit(ast.parse(cell))
        return ast.unparse(tree)

    return run


def test_the_imports(left):
    assert left("torch", SETUP) == (
        "import numpy as np\nimport torch\nfrom core.pt import losses as pt_losses\n"
        "from applications import speech\nfor module in (np, torch):\n"
        "    print(module.__name__)"
    )
    assert "core.tf" in left("tensorflow", SETUP)
    assert "torch" not in left("tensorflow", SETUP)


def test_what_depends_on_the_other_is_left_out(left):
    cells = SETUP, "a = tf_models.GPT()\nb = a.x\nc = 1", "print(b)\nprint(c)"
    assert left("torch", *cells) == "print(c)"


def test_a_cell_of_the_other_says_so(left):
    assert (
        left("torch", SETUP, "a = tf.zeros(3)") == "print('left out: needs TensorFlow')"
    )
    said = left("tensorflow", SETUP, "a = torch.zeros(3)")
    assert said == "print('left out: needs PyTorch')"
    assert left("torch", SETUP, "x = 1", "print(x)") == "print(x)"


def test_a_function_that_needs_the_other(left):
    cells = SETUP, "def f(x):\n    return tf.abs(x)", "y = f(2)\nz = 3"
    assert left("torch", *cells) == "z = 3"


def test_an_argument_of_the_same_name_is_not_the_other(left):
    cells = SETUP, "def f(tf):\n    return tf + 1"
    assert left("torch", *cells) == "def f(tf):\n    return tf + 1"


def test_a_table_that_the_other_would_have_filled(left):
    """A dict without one of its entries is not the chapter's dict."""
    cells = SETUP, "runs = {}", "runs['a'] = tf.zeros(3)", "print(runs)\nprint(1)"
    assert left("torch", *cells) == "print(1)"


def test_a_name_that_is_made_anew(left):
    cells = SETUP, "a = tf.zeros(3)", "a = 2", "print(a)"
    assert left("torch", *cells) == "print(a)"


@pytest.mark.parametrize("cell", ["print([x for x in y])", "for x in y:\n    print(x)"])
def test_a_name_that_a_loop_binds_itself(left, cell):
    cells = SETUP, "y = [1]", "a = [x + tf.ones(1) for x in y]", "x = tf.ones(1)"
    assert left("torch", *cells, cell) == cell


@pytest.fixture
def shell(monkeypatch):
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.delenv("BOOK_FRAMEWORK", raising=False)
    return shell


def test_use(shell, monkeypatch):
    frameworks.use("both")
    assert not shell.ast_transformers
    frameworks.use("torch")
    frameworks.use("tensorflow")
    assert [t.framework for t in shell.ast_transformers] == ["tensorflow"]
    monkeypatch.setenv("BOOK_FRAMEWORK", "torch")
    frameworks.use("both")
    assert [t.framework for t in shell.ast_transformers] == ["torch"]


def test_one_framework_is_installed(shell, monkeypatch, capsys):
    monkeypatch.setattr(frameworks, "find_spec", lambda name: name == "torch")
    frameworks.use("both")
    assert capsys.readouterr().out.startswith("torch alone is installed")
    assert [t.framework for t in shell.ast_transformers] == ["torch"]
    with pytest.raises(ValueError, match="framework: expected one that is installed"):
        frameworks.use("tensorflow")
    with pytest.raises(ValueError, match="framework"):
        frameworks.use("jax")
