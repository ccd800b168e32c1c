"""Run chapters as Colab does: python tests/as_on_colab.py CHAPTER.ipynb ...

`make test-colab` gives it the readers' notebooks (book/_ext/reader_notebooks.py).

Each one lies alone in an empty folder, a stand-in for `google.colab` is
loaded, and the address of the repository leads to this checkout, of which the
last commit is read.  Prints what the first cell says; outputs are not
compared, since other versions may make others.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/token-rl-book/token-rl-book"


def prepare(folder):
    """What Colab's machine has, in the environment of the kernels."""
    package = folder / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (folder / "sitecustomize.py").write_text("import google.colab\n", "utf-8")
    os.environ |= {
        "PYTHONPATH": str(folder),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
    }


def run(path, folder):
    """Execute the chapter; print its first cell's text and its seconds."""
    start = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}
    ).execute()
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    for output in cells[0].outputs:
        print(output.get("text", output))
    seconds = time.perf_counter() - start
    print(f"{path.name}: {len(cells)} cells in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as machine:
        prepare(Path(machine))
        for chapter in map(Path, sys.argv[1:]):
            with tempfile.TemporaryDirectory() as folder:
                run(chapter.resolve(), Path(folder))
