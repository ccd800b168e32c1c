"""What every application owes its reader: data card, start, results."""

import json

import numpy as np
import pytest
import results_table
import tensorflow as tf
import toc
import torch

from applications import results, starters
from core.pt import pretrained as pt_pretrained
from core.tf import pretrained as tf_pretrained
from tests.conftest import ROOT

NAMES = sorted(  # what has an environment is an application
    path.stem
    for path in (ROOT / "book" / "applications").glob("*.py")
    if "\ndef environment(" in path.read_text("utf-8")
)
CHAPTERS = toc.chapters("Applications")


@pytest.mark.parametrize("name", NAMES)
def test_a_data_card(name):
    card = (ROOT / "book" / "data" / name / "README.md").read_text("utf-8").lower()
    for word in ("how", "size", "licence", "split", "limits"):
        assert word in card, word


@pytest.mark.parametrize("name", starters.STARTS)
def test_the_start_is_as_good_as_it_says(name):
    folder = ROOT / "book" / "models" / name
    kept = json.loads((folder / "evaluation.json").read_text("utf-8"))
    held_out = starters.STARTS[name].environment("test")
    model = pt_pretrained.load(folder)
    found = starters.evaluation(model, held_out)
    assert found["held_out"] == kept["held_out"]
    assert found["exact"] == pytest.approx(kept["exact"], abs=0.01)
    assert f"{kept['exact']:.1%}" in (folder / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", starters.STARTS)
def test_the_start_in_both_frameworks(name):
    folder = ROOT / "book" / "models" / name
    env = starters.STARTS[name].environment("test")
    rows = np.arange(4)
    ids = np.hstack([env.prompts[rows], env.targets[rows]])
    seen = np.ones(ids.shape)
    if env.prompt_mask is not None:
        seen[:, : env.prompts.shape[1]] = env.prompt_mask[rows]
    one = pt_pretrained.load(folder, dtype="float64")
    other = tf_pretrained.load(folder, dtype="float64")
    with torch.no_grad():
        logits = one(torch.tensor(ids), torch.tensor(seen))[0].numpy()
    theirs = other(tf.constant(ids), tf.constant(seen))[0].numpy()
    first = env.prompts.shape[1]
    np.testing.assert_allclose(logits[:, first:], theirs[:, first:], atol=1e-9)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_keeps_its_results(path):
    """PyTorch's trainings are the evidence; TensorFlow's say whether the
    two agree, seed by seed."""
    (name, outcomes), *more = results.stored(path)
    assert name and not more
    for framework, least in (("PyTorch", 3), ("TensorFlow", 2)):
        own = [o for o in outcomes if o.framework == framework]
        assert {o.rewarded for o in own} == {True, False}
        assert all(len(o.values) >= least and o.seconds > 0 for o in own)
    pt, tf_ = (
        {o.metric for o in outcomes if o.framework == framework}
        for framework in ("PyTorch", "TensorFlow")
    )
    assert tf_ <= pt  # PyTorch may have trainings more


def test_the_page_lists_the_chapters():
    page = results_table.page()
    assert all(f"]({path.name})" in page for path in CHAPTERS)
