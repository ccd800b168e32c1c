"""What the README shows is the book's, what it names exists, and its loop learns."""

import re

import readme
import torch

TEXT = readme.README.read_text("utf-8")


def test_the_contents_are_those_of_the_book():
    found = readme.BETWEEN.search(TEXT)[0]
    assert found == readme.chapters(), "python book/_ext/readme.py writes them"


def test_the_hours_are_those_of_the_first_page():
    assert readme.HOURS.findall(TEXT) == readme.hours()


def test_the_picture_is_the_chapters():
    assert readme.PICTURE.read_bytes() == readme.picture()


def test_every_file_is_there():
    for link in re.findall(r"\]\((?!https:)([^)#]+)\)", TEXT):
        assert (readme.toc.ROOT / link).exists(), link


def test_the_loop_learns(capsys):
    loop = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    torch.manual_seed(0)
    exec(loop, {})
    right = float(re.search(r"[\d.]+", capsys.readouterr().out)[0])
    assert 15 < right <= 16
