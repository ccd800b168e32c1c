"""Execute notebooks in place and store what does not change between runs.

A check that fails is an error here; those that hold are gathered in checked.json.

python book/_ext/run_notebook.py book/source_documents.ipynb ...
"""

import os
import sys
from pathlib import Path

import checked
import nbformat
from nbclient import NotebookClient

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def clean(notebook):
    """Leave nothing that differs between two runs on equal machines."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        for key in ("execution", "collapsed", "scrolled", "jupyter"):
            cell.metadata.pop(key, None)
    return notebook


def run(path):
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    nbformat.write(clean(notebook), path)  # reached only without an error
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: make run CH=book/topic.ipynb")
    os.environ["BOOK_CHECKS"] = "strict"
    for argument in sys.argv[1:]:
        run(Path(argument))
    checked.write()
