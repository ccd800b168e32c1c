"""Reviews, their batches, and the generator's environment."""

from collections import Counter

import numpy as np
import pytest
from rapidfuzz import fuzz, process

from applications import grammar, sentiment
from core.pt import pretrained as pt_pretrained
from core.pt.rollout import rollout as pt_rollout
from core.text import PretrainedTokenizer
from core.tf import pretrained as tf_pretrained
from core.tf.rollout import rollout as tf_rollout

MODELS = sentiment.FOLDER.parents[1] / "models"
SIZES = {"train": 30, "validation": 4, "test": 6}  # of each combination


@pytest.fixture(scope="module")
def tokenizer():
    return PretrainedTokenizer(MODELS / "gpt")


def test_reviews_are_balanced_in_every_split():
    for split, size in SIZES.items():
        found = Counter((r.language, r.topic, r.label) for r in sentiment.load(split))
        assert len(found) == 24 and set(found.values()) == {size}
    assert len(sentiment.load()) == 960


def test_every_review_is_different_and_short():
    reviews = sentiment.load()
    assert len({r.text for r in reviews}) == len(reviews)
    for review in reviews:
        chinese = any("\u4e00" <= c <= "\u9fff" for c in review.text)
        assert chinese == (review.language == "zh")
        size = len(review.text if chinese else review.text.split())
        assert 7 <= size <= 30


@pytest.mark.parametrize("held_out", ["validation", "test"])
def test_no_near_duplicates_across_splits(held_out):
    reviews = sentiment.load()
    one = [r.text for r in reviews if r.split == held_out]
    others = [r.text for r in reviews if r.split != held_out]
    assert process.cdist(one, others, scorer=fuzz.ratio).max() < 80


def test_a_review_and_its_translation_are_in_one_split():
    table = (sentiment.FOLDER / "reviews.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    splits = {}
    for number, split, *_ in rows:
        splits.setdefault(number, []).append(split)
    assert len(splits) == 480
    assert all(len(s) == 2 and len(set(s)) == 1 for s in splits.values())


def test_phrases_say_one_thing_each():
    phrases = sentiment.phrases()
    assert all((p.topic is None) != (p.label is None) for p in phrases)
    labelled = [(p.language, p.text) for p in phrases if p.label]
    assert len(set(labelled)) == len(labelled) == 983


def test_tagged_sentences():
    sentences = sentiment.tagged()
    assert len(sentences) == 8
    assert sentences[0][:2] == [("The", "DET"), ("soup", "NOUN")]
    texts = [r.text.replace(" ", "") for r in sentiment.load()]
    for sentence in sentences:
        start = "".join(word for word, _ in sentence).rstrip(".")
        assert any(text.startswith(start) for text in texts)


@pytest.mark.parametrize(
    "line, message",
    [
        ("fr\tfood\tpositive\tBon.", "language: .* line 2 of"),
        ("en\tcars\tpositive\tGood.", "topic: "),
        ("en\tfood\tgreat\tGood.", "label: "),
        ("en\tfood\tpositive\t ", "text: "),
    ],
)
def test_bad_rows(tmp_path, line, message):
    path = tmp_path / "reviews.tsv"
    path.write_text("language\ttopic\tlabel\ttext\n" + line + "\n", "utf-8")
    with pytest.raises(ValueError, match=message):
        sentiment.load(path=path)


def test_bad_arguments(tmp_path, tokenizer):
    with pytest.raises(ValueError, match="split: "):
        sentiment.load("dev")
    with pytest.raises(ValueError, match="split: "):
        sentiment.prompts("validation")
    path = tmp_path / "reviews.tsv"
    path.write_text("language\ttopic\ttext\nen\tfood\tGood.\n", "utf-8")
    with pytest.raises(ValueError, match="path: .*'label'"):
        sentiment.load(path=path)
    topics = [p for p in sentiment.phrases() if p.label is None][:1]
    with pytest.raises(ValueError, match="label: "):
        sentiment.classes(topics)
    with pytest.raises(ValueError, match="column: "):
        sentiment.classes(topics, "text")
    rng = np.random.default_rng(0)
    for texts, labels, size in ((["a"], [0, 1], 1), (["a"], [0], 2)):
        with pytest.raises(ValueError, match="labels: "):
            next(sentiment.batches(texts, labels, tokenizer, size, rng))


def test_classes():
    reviews = [
        sentiment.Review("a", "en", "film", "positive"),
        sentiment.Review("b", "zh", "food", "negative"),
    ]
    assert sentiment.classes(reviews) == [1, 0]
    assert sentiment.classes(reviews, "topic") == [2, 0]


def test_every_token_is_asked_for_the_label(tokenizer):
    rng = np.random.default_rng(0)
    (ids, mask), targets, counted = next(
        sentiment.batches(["good", "not so bad"], [0, 1], tokenizer, 2, rng)
    )
    assert (counted == mask).all() and ids.shape == targets.shape
    for row, label in zip(ids, targets):
        positive = "so" in tokenizer.decode(row)
        assert (label == positive * (row != tokenizer.pad_id)).all()


def test_meaning_is_the_grammars_label():
    rng = np.random.default_rng(1)
    for _ in range(400):
        review = grammar.review(rng)
        assert sentiment.meaning(review.en) == review.label
    for text in (
        "The cat sat on the mat.",
        "The film was good. The film was bad.",
        "The film was film.",
        "The film was not",
        "",
    ):
        assert sentiment.meaning(text) is None


def test_environment(tokenizer):
    train, test = map(sentiment.prompts, ("train", "test"))
    assert len(train) == len(set(train)) == 30 and len(test) == 20
    assert not set(train) & set(test)
    env = sentiment.environment(
        "test", tokenizer, lambda texts: [len(t) for t in texts]
    )
    end = [*tokenizer.encode(" was good."), tokenizer.eos_id]
    completions = np.zeros((1, len(end) + 2), int)
    completions[0, : len(end)] = end
    mask = (np.arange(len(end) + 2) < len(end)) * 1.0
    paid = env.rewards(completions, mask[None], np.array([0]))
    assert paid.sum() == paid[0, len(end) - 1] == len("The hotel was good.")


def test_both_frameworks_write_the_same(tokenizer):
    env = sentiment.environment("test", tokenizer, lambda t: [0.0] * len(t))
    written = [
        rollout(module.load(str(MODELS / "gpt")), env, np.arange(8))
        for module, rollout in (
            (pt_pretrained, pt_rollout),
            (tf_pretrained, tf_rollout),
        )
    ]
    assert (written[0].completions == written[1].completions).all()
    np.testing.assert_allclose(written[0].logprobs, written[1].logprobs, atol=1e-4)
