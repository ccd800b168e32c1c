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
HIDDEN = {"hide-cell", "hide-input"}
SOLUTION = "#### Solution"
FOLDING = ("execution", "collapsed", "scrolled", "jupyter", "id")


def clean(notebook):
    """Leave nothing that differs between two runs on equal machines.

    What the site folds is folded in JupyterLab and on Colab, too: the code of cells
    with a tag hide-..., and all below a heading "Solution".
    """
    book = notebook.metadata.get("book")  # what the chapter defines and needs
    notebook.metadata = nbformat.from_dict(METADATA)
    if book:
        notebook.metadata.book = book
    solutions = []
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        for key in FOLDING:
            cell.metadata.pop(key, None)
        if HIDDEN & set(cell.metadata.get("tags", [])):
            cell.metadata["jupyter"] = {"source_hidden": True}
        if cell.source == SOLUTION:
            cell.metadata |= {"jp-MarkdownHeadingCollapsed": True, "id": cell.id}
            solutions.append(cell.id)
    if solutions:
        notebook.metadata.colab = {"collapsed_sections": solutions}
    return notebook


def run(path):
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata |= nbformat.from_dict(METADATA)
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
    os.environ |= {"BOOK_CHECKS": "strict", "TQDM_DISABLE": "1"}  # no bars are stored
    for argument in sys.argv[1:]:
        run(Path(argument))
    checked.write()
