"""The last sections in TensorFlow, by the replacements that they name; and their
rewards as TRL calls them.
"""

import ast
import contextlib
import io
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.applications.test_last_sections import BOOK, REWARDS, cells

QWEN = "Qwen/Qwen2.5-0.5B"
# What a section says: core.tf for core.pt, and no device.
CHANGES = [
    (r"from applications import causal_lm as pt_pretrained", "from core.tf import"
     " pretrained as pt_pretrained"),
    (r"core\.pt\b", "core.tf"),
    (r"^real_policy = real_policy\.to\(.*\)$", ""),
    (r"\.to\(device\)", ""),
    (r"deepcopy\(real_policy\)", "copied(pt_pretrained, pt_checkpoints)"),
    # And shorter than on the page.
    (r"\bsteps=\d+", "steps=1"),
    (r"max_length=24, stop", "max_length=6, stop"),
]  # fmt: skip
IN_BOTH = ["arithmetic", "dialogue", "long_text", "personal_rewards"]
IN_BOTH += ["question_answering", "sentiment", "summarisation"]
IN_BOTH += ["text_generation", "translation"]
# The reward of sentiment, which computes with PyTorch.
PRAISE = """
def praise(completions, *, beginning, **columns):
    whole = [a + b for a, b in zip(beginning, completions, strict=True)]
    rows, seen = map(tf.constant, pretraining.padded_rows(words, whole))
    seen = tf.cast(seen, tf.float32)
    votes = tf.reduce_sum(classifier(rows, seen) * seen[..., None], axis=1)
    mean = votes / tf.reduce_sum(seen, axis=1, keepdims=True)
    return tf.nn.softmax(mean)[:, 1].numpy().tolist()
"""
# Chapter, reward, completions, columns of the data, what they earn.
CALLS = [(chapter, *rest) for chapter, rest in REWARDS.items()]
CALLS += [
    ("arithmetic", "final_number", ["It is 7.\n#### 7", "#### 8", "7"],
     {"answer": ["3+4=<<3+4=7>>7\n#### 7"] * 3}, [1, 0, 0]),
    ("translation", "best_chrf", ["A cat sat.\n", "xyz"],
     {"references": [["The cat sat.", "A cat sat."]] * 2}, [1, 0]),
    ("speech", "word_errors", [" The cat.", "the dog", ""],
     {"transcription": ["the cat"] * 3}, [0, -0.5, -1]),
]  # fmt: skip


def in_tensorflow(source):
    source = re.sub(
        r"@torch\.no_grad\(\)\ndef praise.*?\n\n\n", PRAISE, source, flags=re.DOTALL
    )
    for old, new in CHANGES:
        source = re.sub(old, new, source, flags=re.MULTILINE)
    return source


@pytest.fixture
def eagerly():
    """Without compilation, which takes longer than these few updates."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("chapter", IN_BOTH)
def test_the_section_runs_in_tensorflow(hub, monkeypatch, chapter):
    monkeypatch.chdir(BOOK)
    imports, section = cells(chapter)
    found, printed = {}, io.StringIO()

    def copied(pretrained, checkpoints):
        copy = pretrained.load(QWEN)
        checkpoints.set_weights(copy, checkpoints.get_weights(found["real_policy"]))
        return copy

    exec(in_tensorflow(imports), found)
    found["copied"] = copied
    for source in section:
        source = re.sub(r"^NAME = .*$", f"NAME = {QWEN!r}", source, flags=re.MULTILINE)
        with contextlib.redirect_stdout(printed):
            exec(in_tensorflow(source), found)
    policy = found["real_policy"]
    assert type(policy).__module__.startswith("core.tf.models")
    arrays = found["pt_checkpoints"].get_weights(policy)
    assert all(np.isfinite(array).all() for array in arrays.values())
    first = found["pt_checkpoints"].get_weights(found["pt_pretrained"].load(QWEN))
    moved = [name for name in first if (first[name] != arrays[name]).any()]
    assert len(moved) > len(arrays) / 3
    assert "arrays changed" in printed.getvalue()


def as_trl(reward, completions, columns):
    """The call of TRL 1.16's GRPOTrainer, a row for each completion."""
    return reward(
        prompts=["Begin:"] * len(completions),
        completions=completions,
        completion_ids=[[1, 2]] * len(completions),
        **columns,
        trainer_state=object(),
        log_extra=print,
        log_metric=print,
    )


@pytest.mark.parametrize(("chapter", "name", "texts", "columns", "earned"), CALLS)
def test_trl_calls_the_reward_of_the_section(chapter, name, texts, columns, earned):
    imports, section = cells(chapter)
    found = {}
    exec(imports + "\nimport re", found)
    for node in ast.parse("\n".join(section)).body:
        if isinstance(node, ast.FunctionDef):
            exec(ast.unparse(node), found)
    scores = as_trl(found[name], texts, columns)
    assert scores == pytest.approx(earned) and len(scores) == len(texts)


def test_trl_calls_chrf_and_the_classifier(monkeypatch):
    """The reward of notes, and that of a BERT which the section trains first."""
    found = {}
    exec(cells("long_text")[0], found)
    target = {"target": ["The cat saw a mouse."] * 2}
    scores = as_trl(found["metrics"].chrf, ["The cat saw a mouse.", ""], target)
    assert scores == pytest.approx([1, 0])
    monkeypatch.chdir(BOOK)
    imports, section = cells("sentiment")
    found = {}
    exec(imports, found)
    for source in section[:2]:
        exec(source, found)
    good, bad = found["mine_texts"][:2]
    scores = as_trl(found["praise"], [good[6:], bad[9:]], {
        "beginning": [good[:6], bad[:9]]})  # fmt: skip
    assert scores[0] > 0.9 and scores[1] < 0.1
