"""The reference: its pages, the names it knows, and which chapters use them.

What is looked at on the built site stands in test_site_api.py.
"""

import json
import re
from pathlib import Path

import api_code
import api_names
import pytest
import toc

ROOT = Path(__file__).resolve().parents[1]
NAMES = api_names.Names()
TOC = re.findall(r"file: (book/api\S*)", (ROOT / "_toc.yml").read_text("utf-8"))
LIBRARY = {
    "core/__init__.py": '"""The map."""\n',
    "core/bits.py": '"""Bits."""\nKNOWN = 1\ndef one_bit():\n    """D."""\n'
    "def _two_bits():\n    '''D.'''\nclass Bit:\n    '''D.'''\n"
    "    def flip(self):\n        '''D.'''\ndef bare():\n    pass\n",
    "core/given/__init__.py": "from core.bits import *\n"
    "from core.bits import Bit as B\n",
    "core/pt/__init__.py": "",
    "core/pt/nets.py": "class Net:\n    '''D.'''\n    def forward(self):\n"
    "        '''D.'''\n",
    "core/tf/__init__.py": "",
    "core/tf/nets.py": "class Net:\n    '''D.'''\n    def call(self):\n"
    "        '''D.'''\n",
    "core/pt/listings/__init__.py": "",
    "core/pt/listings/document.py": "class Their_Net:\n    '''D.'''\n",
    "book/pages/show.py": "def one_line():\n    '''D.'''\n",
    "book/applications/talk_pt.py": "def say():\n    '''D.'''\n",
    "book/applications/talk_tf.py": "def say():\n    '''D.'''\n",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("library")
    for path, text in LIBRARY.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return api_names.Names(root)


def notebook(path, *cells):
    """A file with these code cells; what the reference reads of it."""
    found = [{"cell_type": "code", "source": [cell]} for cell in cells]
    path.write_text(json.dumps({"cells": found}), "utf-8")
    return api_code.page(path)


def test_each_module_has_a_page():
    """Pages and modules are the same, a pair of frameworks being one."""
    listed = {NAMES.page(m) for m in NAMES.modules if m == "core" or shown(m)}
    assert listed == set(TOC)
    assert len(TOC) == len(set(TOC))
    files = {p.with_suffix("") for p in (ROOT / "book" / "api").rglob("*.md")}
    assert {p.relative_to(ROOT).as_posix() for p in files} == set(TOC) - {"book/api"}


def shown(module):
    return NAMES.described(module)


@pytest.mark.parametrize("module", [m for m in NAMES.modules if shown(m)])
def test_a_page_is_that_of_its_module(module):
    """The title says which, and the module says in a sentence what it is for."""
    text = (ROOT / f"{NAMES.page(module)}.md").read_text("utf-8")
    found = re.findall(r"automodule:: (\S+)", text)
    assert NAMES.shared(module) in found
    if module not in ("core.pt", "core.tf"):
        assert text.startswith(f"# {NAMES.title(module)}\n")
    assert NAMES.purpose(module)


def test_a_pair_says_the_same_of_itself():
    """Else the page would show PyTorch's words alone: of layers it shows both."""
    for module in NAMES.modules:
        mirror = NAMES.mirror(module)
        if mirror and module not in ("core.pt", "core.pt.layers") and shown(module):
            ours, theirs = NAMES.places[module].text, NAMES.places[mirror].text
            assert ours.replace("core.pt", "core.tf") == theirs, module


@pytest.mark.parametrize(
    "dotted, full",
    [
        ("core.bits.one_bit", "core.bits.one_bit"),
        ("core.bits.Bit.flip", "core.bits.Bit.flip"),
        ("core.bits.KNOWN", "core.bits.KNOWN"),
        ("core.given.one_bit", "core.bits.one_bit"),
        ("core.given.B.flip", "core.bits.Bit.flip"),
        ("core.bits.none", None),
        ("core.none.one_bit", None),
        ("numpy.sum", None),
    ],
)
def test_resolve(small, dotted, full):
    assert small.resolve(dotted) == full


@pytest.mark.parametrize(
    "name, shared, mirror",
    [
        ("core.tf.nets.Net", "core.pt.nets.Net", None),
        ("core.tf.nets.Net.call", "core.pt.nets.Net.forward", None),
        ("core.pt.nets.Net.forward", None, "core.tf.nets.Net.call"),
        ("applications.talk_tf.say", "applications.talk_pt.say", None),
        ("applications.talk_pt", None, "applications.talk_tf"),
        ("core.bits.Bit", None, None),
    ],
)
def test_pairs(small, name, shared, mirror):
    assert small.shared(name) == (shared or name)
    assert small.mirror(name) == mirror


@pytest.mark.parametrize(
    "code, full",
    [
        ("core.bits", "core.bits"),
        ("core/bits.py", "core.bits"),
        ("core/none.py", None),
        ("book/pages/show.py", "pages.show"),
        ("core.bits.one_bit(3)", "core.bits.one_bit"),
        ("core.nets.Net", "core.pt.nets.Net"),
        ("core.tf.nets.Net", "core.tf.nets.Net"),
        ("one_bit", "core.bits.one_bit"),  # only one module has it
        ("Net(width=3)", "core.pt.nets.Net"),
        ("Bit.flip", "core.bits.Bit.flip"),
        ("_two_bits", None),  # private
        ("KNOWN", None),  # the reference does not describe it
        ("say", None),  # may be a word
        ("t.say", "applications.talk_pt.say"),  # through an import
        ("b.bare", None),  # without a docstring
        ("Their_Net", None),  # a document's
        ("one_line", None),  # the chapter defines it, too
        ("Own.flip", None),  # an import that the chapter overwrites
        ("core", None),
        ("one_bit + 1", None),
    ],
)
def test_of_text(small, tmp_path, code, full):
    page = notebook(
        tmp_path / "a.ipynb",
        "import applications.talk_pt as t\nfrom core import bits as b\nimport core.pt",
        "from core.bits import Bit as Own\nOwn = 1",
        "%pip install x\nif b:\n    !ls\ndef one_line(): pass",
    )
    assert small.of_text(code, page) == full


def test_uses(small, tmp_path, monkeypatch):
    """Imported or mentioned, through an alias; a pair's count together."""
    monkeypatch.setattr(toc, "ROOT", tmp_path)
    part = {"caption": "P", "numbered": 1, "chapters": [{"file": "a"}, {"file": "b"}]}
    (tmp_path / "_toc.yml").write_text(json.dumps({"parts": [part]}), "utf-8")
    monkeypatch.setattr(api_code.contents, "title", lambda path: path.stem.upper())
    notebook(tmp_path / "a.ipynb", "from core.tf import nets as n", "n.Net.call\nx.y")
    notebook(tmp_path / "b.ipynb", "from core.given import one_bit\nimport pages.show")
    found = api_code.uses(small)
    a, b = (1, "a", "A"), (2, "b", "B")
    assert found["core.pt.nets"] == found["core.pt.nets.Net.forward"] == [a]
    assert found["core.bits.one_bit"] == found["pages.show"] == [b]
    assert "core.bits.Bit" not in found


def test_uses_of_the_book():
    """By hand: chapter 20 prints the surrogate, and all begin with core.quiet."""
    found = api_code.uses(NAMES)
    pages = {name: [page for _, page, _ in c] for name, c in found.items()}
    assert "book/ppo" in pages["core.pt.losses.clipped_surrogate"]
    assert "book/first_loop" not in pages["core.pt.losses"]
    assert pages["core.quiet"] == [page for (_, page, _), _ in api_code.chapters()]
