"""The models that travel with the book: small, whole, as good as they say."""

import importlib.util
import json

import numpy as np
import pytest
import torch
import transformers

from applications import grammar
from core import pretraining
from core.pt import pretrained as pt_pretrained
from core.settings import SupervisedConfig
from core.text import PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from tests.both import BOTH
from tests.conftest import ROOT

FOLDER = ROOT / "book" / "models"
NAMES = ("gpt", "bert")
LOAD = {"pt": pt_pretrained.load, "tf": tf_pretrained.load}
TEXTS = grammar.corpus(12, 7, "both", "both")


@pytest.fixture(scope="module")
def make():
    """The script that made the models, as a module."""
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def models():
    """(framework, name) to the model that is loaded."""
    return {
        (fw.name, name): LOAD[fw.name](FOLDER / name) for fw in BOTH for name in NAMES
    }


@pytest.fixture(scope="module")
def tokenizer():
    return PretrainedTokenizer(FOLDER / "gpt")


def stored(name):
    return json.loads((FOLDER / name / "evaluation.json").read_text("utf-8"))


def test_they_are_small():
    files = [p for name in NAMES for p in (FOLDER / name).iterdir()]
    assert sum(p.stat().st_size for p in files) <= 8_000_000


def test_they_share_a_tokenizer_that_fits(make, models, tokenizer):
    files = [(FOLDER / n / "tokenizer.json").read_bytes() for n in NAMES]
    assert files[0] == files[1]
    assert len(tokenizer) == make.VOCAB_SIZE == tokenizer.mask_id + 1
    assert {m.vocab_size for m in models.values()} == {len(tokenizer)}
    special = {
        f"{n}_token_id": getattr(tokenizer, f"{n}_id") for n in ("pad", "bos", "eos")
    }
    assert special == make.SPECIAL
    config = models["pt", "gpt"].config
    assert {n: getattr(config, n) for n in special} == special
    theirs = transformers.AutoTokenizer.from_pretrained(FOLDER / "gpt")
    for text in [*TEXTS, "一个 new text, 未见过!"]:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert theirs.encode(text, add_special_tokens=False) == ids


@pytest.mark.parametrize(
    "name, kind",
    [("gpt", transformers.GPT2LMHeadModel), ("bert", transformers.BertForMaskedLM)],
)
def test_three_libraries_compute_the_same(name, kind, models, tokenizer):
    ids, mask = pretraining.padded_rows(tokenizer, TEXTS)
    theirs = kind.from_pretrained(FOLDER / name).eval()
    with torch.no_grad():
        expected = theirs(
            torch.tensor(ids), attention_mask=torch.tensor(mask)
        ).logits.numpy()
        for fw in BOTH:
            logits = models[fw.name, name](fw.tensor(ids), fw.tensor(mask))
            logits = fw.numpy(logits[0] if name == "gpt" else logits)
            np.testing.assert_allclose(logits[mask > 0], expected[mask > 0], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_evaluation_loss_is_the_stored_one(fw, name, make, models, tokenizer):
    trainer = fw.trainers.SupervisedTrainer(models[fw.name, name], SupervisedConfig())
    batch = make.held_out_batch(name, tokenizer)
    assert batch[2].sum() == stored(name)["targets"]
    loss = trainer.evaluate([batch])
    assert loss == pytest.approx(stored(name)["loss"], rel=0.01)


def test_the_gpt_writes_by_the_grammar(models, tokenizer):
    """Of 100 texts most parse; evaluation.json tells it of 600."""
    ids = BOTH[0].rollout.sample(
        models["pt", "gpt"],
        np.full((100, 1), tokenizer.bos_id),
        64,
        eos_id=tokenizer.eos_id,
        seed=3,
    )[0]
    judges = {True: grammar.Parser("en"), False: grammar.Parser("zh")}
    texts = [tokenizer.decode(row) for row in ids]
    parses = np.mean([judges[t.isascii()].parses(t) for t in texts])
    assert parses == pytest.approx(stored("gpt")["parses"], abs=0.15)
    assert parses > 0.6 and {t.isascii() for t in texts} == {True, False}


@pytest.mark.parametrize(
    "seen, other", [("bird", "bee"), ("bee", "bird"), ("butterfly", "bird")]
)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_bert_knows_who_flew_away(fw, seen, other, models, tokenizer):
    """The animal that was seen before, and not another one."""
    text = f"The boy walked in the garden. Then he saw a small {seen}."
    ids = [
        tokenizer.bos_id,
        *tokenizer.encode(f"{text} The"),
        tokenizer.mask_id,
        *tokenizer.encode(" flew away."),
        tokenizer.eos_id,
    ]
    logits = fw.numpy(models[fw.name, "bert"](fw.tensor([ids])))[0]
    logits = logits[ids.index(tokenizer.mask_id)]
    [right], [wrong] = (tokenizer.encode(f" {w}") for w in (seen, other))
    assert logits[right] > logits[wrong] + 0.3


@pytest.mark.parametrize("name", NAMES)
def test_the_card_tells_the_numbers(name, make):
    card = (FOLDER / name / "README.md").read_text("utf-8")
    assert f"{stored(name)['loss']:.4f} nats" in card
    assert f"{make.SETTINGS[name].steps:,} steps" in card
    assert f"{make.TEXTS:,} texts" in card
