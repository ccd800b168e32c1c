"""The last section of each application, with a name of the hub in place of the book's
small GPT: the cells themselves run, on a tiny model that is built as the published one.

A section needs the imports of its chapter and no other cell.
"""

import ast
import contextlib
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import pages.parity  # noqa: F401  first: it sets up both frameworks

# isort: split
from core.pt import pretrained
from core.pt.checkpoints import get_weights as weights
from core.pt.trainers import PolicyGradientTrainer

BOOK = Path(__file__).resolve().parents[2] / "book"
HEADING = "## With real data and a real checkpoint"
GPT2, QWEN3 = "openai-community/gpt2", "Qwen/Qwen3-0.6B"
NAMES = [GPT2, "Qwen/Qwen2.5-0.5B", QWEN3]
# A chapter's reward, the texts that it is given, a column of the data for each, and
# what they earn.
REWARDS = {
    "question_answering": (
        "squad_abstention",
        ["The Garden!", "Unknown.", "in a garden\n", "by the boat", "unknown", "king"],
        {"answers": [{"text": ["garden", "in the garden"]}] * 4 + [{"text": []}] * 2},
        [1, 0, 1, -1, 0, -1],
    ),
    "summarisation": (
        "best_rouge",
        ["the cat saw\n", "a dog ran", "it"],
        {"summaries": [["a dog ran", "the cat saw"]] * 3},
        [1, 1, 0],
    ),
    "dialogue": (
        "slots_right",
        [" book monday noon two\nuser:", "book monday noon six", "day ?", ""],
        {"booking": ["book monday noon two"] * 4},
        [1, 0.75, 0, 0],
    ),
    "personal_rewards": (
        "for_its_reader",
        ["a cat\n", "a cat\n", "a dog", ""],
        {"wanted": ["cat"] * 4, "weights": [[4, 0], [0, 4], [4, 0], [2, 2]]},
        [1, 1 - 2 / 12, 0, 0.5],
    ),
}
CHAPTERS = [*REWARDS, "long_text"]


def cells(chapter):
    """The chapter's imports, and the code of its last section."""
    text = (BOOK / f"{chapter}.ipynb").read_text("utf-8")
    imports, section, inside = [], [], False
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heads = re.findall(r"^## .*", source, re.MULTILINE)
            inside = (heads or [HEADING if inside else ""])[-1] == HEADING
        elif inside:
            section.append(source)
        elif "setup" in cell["metadata"].get("tags", []):
            imports += [
                ast.unparse(node)
                for node in ast.parse(source).body
                if isinstance(node, ast.Import | ast.ImportFrom)
            ]
    assert section and imports, f"{chapter} has no section {HEADING!r}"
    return "\n".join(imports), section


def run(chapter, monkeypatch, **settings):
    """Run the section with other settings; its variables, and what it printed."""
    monkeypatch.chdir(BOOK)
    imports, section = cells(chapter)
    found, printed, changed = {}, io.StringIO(), set()
    exec(imports, found)
    for source in section:
        tree = ast.parse(source)
        for node in tree.body:  # NAME = ..., LORA = ...
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name in settings:
                    node.value = ast.Constant(settings[name])
                    changed.add(name)
        code = compile(ast.fix_missing_locations(tree), chapter, "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, found)
    assert changed == set(settings), f"{chapter} sets {changed} alone"
    return found, printed.getvalue()


def trainers(found):
    """What of a section's variables trains by policy gradients."""
    return [x for x in found.values() if isinstance(x, PolicyGradientTrainer)]


def check(found, printed, chapter, name):
    tok, policy, env = (found[f"real_{key}"] for key in ("tok", "policy", "env"))
    assert str(found["NAME"]) == name
    assert env.vocab_size == policy.vocab_size >= len(tok)
    assert set(env.ends) == set(tok.eos_ids) and env.pad_id == tok.pad_id
    # A chat where there is a template, its special tokens as tokens; else plain text.
    start = tok.theirs.convert_tokens_to_ids("<|im_start|>") if tok.template else None
    assert (tok.template is None) == (name == GPT2)
    for row, seen in zip(env.prompts, env.prompt_mask):
        assert (start in row[seen > 0]) == (tok.template is not None)
    assert ("<|im_start|>" in printed) == (tok.template is not None)
    assert ("<think>\n\n</think>" in printed) == (name == QWEN3)
    assert len({*env.prompt_mask.sum(axis=1)}) > 1  # prompts of several lengths
    [trainer] = trainers(found)
    config = trainer.config
    assert config.noise == "device" and config.learning_rate <= 1e-4
    assert config.algorithm.pull is not None and trainer.reference is not policy
    for step in trainer.history:
        assert all(map(math.isfinite, step.values()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_name_of_the_hub_is_all_that_changes(hub, monkeypatch, chapter, name):
    found, printed = run(chapter, monkeypatch, NAME=name)
    check(found, printed, chapter, name)
    first, now = weights(pretrained.load(name)), weights(found["real_policy"])
    moved = {n for n in first if not np.array_equal(first[n], now[n])}
    assert moved == {n for n in first if not n.startswith("value_head.")}
    assert all(np.isfinite(array).all() for array in now.values())
    if chapter in REWARDS:
        reward, texts, columns, earned = REWARDS[chapter]
        assert found[reward](texts, **columns) == pytest.approx(earned), reward


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_adapters_alone_are_trained(hub, monkeypatch, chapter, name):
    found, printed = run(chapter, monkeypatch, NAME=name, LORA=True)
    check(found, printed, chapter, name)
    now = weights(found["real_policy"])
    assert {"lora_" in n or n.startswith("value_head.") for n in now} == {True}
    moved = any("lora_B" in n and array.any() for n, array in now.items())
    [trainer] = trainers(found)  # drawn weights may earn the same with all texts
    differ = any(step["informative"] for step in trainer.history)
    assert moved or not (differ or chapter == "long_text")
