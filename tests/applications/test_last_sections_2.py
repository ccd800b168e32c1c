"""The last section of five applications alone behind the imports of its chapter, with
the name of a published model: a tiny one that is built as that one stands for it.
"""

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
HEADING = "## With real data and a real checkpoint"
GPT2, QWEN, QWEN3 = "openai-community/gpt2", "Qwen/Qwen2.5-0.5B", "Qwen/Qwen3-0.6B"
BERT, WHISPER = "google-bert/bert-base-uncased", "openai/whisper-tiny"
SETTINGS = [{"NAME": GPT2}, {"NAME": QWEN3}, {"NAME": QWEN, "LORA": True}]
TEXTS = ["arithmetic", "sentiment", "text_generation", "translation"]


def cells(chapter):
    """The imports of a chapter, and the code cells of its last section."""
    text = (BOOK / f"{chapter}.ipynb").read_text("utf-8")
    imports, section, inside = [], [], False
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heads = re.findall(r"^## .*", source, re.MULTILINE)
            inside = heads[-1] == HEADING if heads else inside
        elif inside:
            section.append(source)
        elif "setup" in cell["metadata"].get("tags", []):
            tree = ast.parse(source).body
            kinds = ast.Import | ast.ImportFrom
            imports += [ast.unparse(x) for x in tree if isinstance(x, kinds)]
    assert section and imports
    return imports, section


def changed(source, settings, done):
    """A cell with other values of NAME and the like."""
    tree = ast.parse(source)
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id in settings:
            node.value = ast.Constant(settings[target.id])
            done.add(target.id)
    return compile(ast.fix_missing_locations(tree), "section", "exec")


def run(chapter, monkeypatch, **settings):
    """The variables of the section, what it printed, and the trained arrays."""
    monkeypatch.chdir(BOOK)
    imports, section = cells(chapter)
    found, printed, done = {}, io.StringIO(), set()
    exec("\n".join(imports), found)
    for source in section:
        with contextlib.redirect_stdout(printed):
            exec(changed(source, settings, done), found)
    assert done == set(settings)
    return found, printed.getvalue()


def count(printed):
    """How many arrays changed, in each line that says so."""
    return [int(n) for n in re.findall(r"(\d+) of \d+ arrays changed", printed)]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s["NAME"].split("/")[1])
@pytest.mark.parametrize("chapter", TEXTS)
def test_a_name_of_the_hub_takes_the_place_of_the_books(
    hub, monkeypatch, chapter, settings
):
    more = {"BERT": BERT} if chapter == "sentiment" else {}
    found, printed = run(chapter, monkeypatch, **settings, **more)
    tok, policy, env = (found[f"real_{key}"] for key in ("tok", "policy", "env"))
    name, lora = settings["NAME"], settings.get("LORA", False)
    assert env.vocab_size == policy.vocab_size == found["trainer"].policy.vocab_size
    assert (policy.vocab_size > len(tok)) == (name != GPT2)
    assert {*env.ends} == {*tok.eos_ids} and env.pad_id == tok.pad_id
    assert len({*env.prompt_mask.sum(axis=1)}) > 1  # prompts of several lengths
    config = found["trainer"].config
    assert config.noise == "device"
    assert config.learning_rate == (1e-4 if lora else 1e-5)
    if chapter in ("arithmetic", "translation"):  # a chat, else text with a cue
        assert ("<|im_start|>user" in printed) == (name != GPT2)
        assert ("<think>\\n\\n</think>" in printed) == (name == QWEN3)
        opens = tok.template and tok.theirs.convert_tokens_to_ids("<|im_start|>")
        assert (env.prompts == opens).any() == (name != GPT2)
    arrays = found["pt_checkpoints"].get_weights(policy)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert any("lora_" in key for key in arrays) == lora
    # Where no answer is right, as those of a drawn model, imitation alone moves.
    assert len(count(printed)) == (2 if chapter == "arithmetic" else 1)
    assert count(printed)[0] > len(arrays) / 3


def test_bert_reads_reviews_between_cls_and_sep(hub, monkeypatch):
    _, printed = run("sentiment", monkeypatch, NAME=GPT2, BERT=BERT)
    assert printed.startswith("[CLS] 'a ") and "[SEP]" in printed.splitlines()[0]


@pytest.mark.parametrize("lora", [False, True])
def test_a_published_recogniser_is_trained_on_its_word_errors(
    monkeypatch, tmp_path, lora
):
    """Its sampled log-probabilities are those that its training computes."""
    monkeypatch.chdir(BOOK)
    imports, section = cells("speech")
    first: dict = {}
    exec("\n".join([*imports, section[0]]), first)
    folder = str(first["random_whisper"](tmp_path / "whisper"))
    load = {WHISPER: folder}.__getitem__
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda n, **_: load(n))
    found, printed = run("speech", monkeypatch, NAME=WHISPER, LORA=lora)
    trainer, policy = found["trainer"], found["real_policy"]
    torch = found["torch"]
    assert trainer.policy is policy
    assert count(printed)[0] > len(found["first"]) / 3
    from core.pt import rollout

    env, rng = found["real_env"], np.random.default_rng(0)
    batch = rollout.rollout(policy, env, [0, 1], rng, 1.0, 4, noise="device")
    kept = [torch.tensor(x) for x in (batch.prompts, batch.completions, batch.mask)]
    scored = policy.evaluate(*kept)[0].detach().numpy()
    np.testing.assert_allclose(scored * batch.mask, batch.logprobs, atol=1e-4)


def test_the_rewards_say_what_is_right():
    """Each reward of a section, on texts by hand."""
    spaces = {}
    for chapter in ("arithmetic", "translation", "speech"):
        imports, section = cells(chapter)
        spaces[chapter] = space = {}
        exec("\n".join(imports) + "\nimport re", space)
        for source in section:
            for node in ast.parse(source).body:
                if isinstance(node, ast.FunctionDef):
                    exec(ast.unparse(node), space)
    number = spaces["arithmetic"]["final_number"]
    texts = ["#### 7\n#### 1500", "#### 1,500.", "#### 15", "1500", "#### -1500"]
    right = ["so <<3*500=1500>>1500\n#### 1,500"] * 5
    assert number(texts, answer=right) == [1, 1, 0, 0, 0]
    chrf = spaces["translation"]["best_chrf"]
    several = [["The cat sat.", "A cat sat."], ["No."]]
    scores = chrf(["A cat sat.\n", "The cat sat."], references=several)
    assert scores[0] == 1 and scores[1] < 0.2
    errors = spaces["speech"]["word_errors"]
    texts, said = [" The cat.", "the dog", "", "a the cat"], ["the cat"] * 4
    assert errors(texts, transcription=said) == [0, -0.5, -1, -0.5]
