"""Small tasks: the data is what its description says."""

import doctest

import numpy as np
import pytest

from applications import tasks
from core import tasks as core_tasks
from core.text import split_words


@pytest.mark.parametrize("module", [tasks, core_tasks])
def test_docstrings(module):
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted >= 2


def test_the_documents_texts():
    assert tasks.DOCUMENT_000_TEXT == "你好世界，欢迎来到Python编程的世界。"
    prompts, targets = tasks.continuations()
    assert f"{prompts[0]} {targets[0]}" == (
        "The quick brown fox jumps over the lazy dog and quickly catches "
        "the hound that chases it."
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_continuations(language):
    prompts, targets = tasks.continuations(language)
    assert len(prompts) == len(targets) == 8
    assert len(set(prompts)) == len(set(targets)) == 8
    for target in targets:
        words = split_words(target)
        assert 8 <= len(words) <= 12
        assert len(set(words)) == len(words)
    prompts.clear()  # the caller's own lists
    assert len(tasks.continuations(language)[0]) == 8


def test_unknown_language():
    with pytest.raises(ValueError, match=r"language: expected one of \('en', 'zh'\)"):
        tasks.continuations("de")


def test_digits():
    prompts, targets = tasks.sort_digits(500, 5, np.random.default_rng(0))
    for array in (prompts, targets):
        assert array.shape == (500, 5) and array.dtype == np.int64
        assert set(np.unique(array)) == set(range(3, 13))
    assert targets.tolist() == [sorted(row) for row in prompts.tolist()]
    again, _ = tasks.sort_digits(500, 5, np.random.default_rng(0))
    assert (again == prompts).all()
    targets[:] = 0  # not a view of the prompts
    assert (prompts > 0).all()
    for n, length, name in [(0, 3, "n"), (3, 0, "length")]:
        with pytest.raises(ValueError, match=f"^{name}: expected at least 1"):
            tasks.sort_digits(n, length, np.random.default_rng(0))
