"""A chapter runs with one framework where the other is not installed.

The switch in its second cell finds what there is; what needs the other is left out.
"""

import os

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

OTHER = {"torch": ("tensorflow", "keras"), "tensorflow": ("torch",)}
TAG = {"torch": "torch", "tensorflow": "tf"}
HIDE = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name in NAMES else found(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
"""


def said(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.parametrize("framework", OTHER)
def test_the_first_loop_with_one_framework(framework, tmp_path, monkeypatch):
    hide = HIDE.replace("NAMES", str(OTHER[framework]))
    (tmp_path / "sitecustomize.py").write_text(hide, "utf-8")
    paths = [str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, str(ROOT)]))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    notebook = nbformat.read(ROOT / "book" / "first_loop.ipynb", as_version=4)
    here = {"metadata": {"path": str(ROOT / "book")}}
    NotebookClient(notebook, kernel_name="python3", resources=here).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert f"{framework} alone is installed" in said(cells[1])
    other = "TensorFlow" if framework == "torch" else "PyTorch"
    left_out = [c for c in cells if said(c) == f"left out: needs {other}\n"]
    tagged = {
        t: [c for c in cells if t in c.metadata.get("tags", [])] for t in TAG.values()
    }
    assert not any(cell in left_out for cell in tagged[TAG[framework]])
    (hidden,) = {"torch", "tf"} - {TAG[framework]}
    assert all(cell in left_out for cell in tagged[hidden])
