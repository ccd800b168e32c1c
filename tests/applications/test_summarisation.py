"""Reports and headlines: the splits, the salience, the rewards, the start."""

import numpy as np
import pytest

from applications import metrics
from applications import summarisation as task
from core.pt import pretrained as pt_pretrained
from core.pt.rollout import rollout as pt_rollout
from core.text import split_words

START = task.DATA.parents[1] / "models" / "summarisation"


@pytest.fixture(scope="module")
def splits():
    return {split: task.reports(split) for split in task.SPLITS}


def sentences(report):
    return report.text.removesuffix(".").split(". ")


# Every sentence that can be told, with its event and place.
TOLD = {
    pattern.format(p=place, n=number): (event, place)
    for event in task.events()
    for pattern in event.sentences
    for place in task.PLACES
    for number in task.NUMBERS
}


def test_sizes_and_seed(splits):
    assert {k: len(v) for k, v in splits.items()} == task.SPLITS
    assert splits["test"] == task.reports("test")
    assert splits["train"][:50] == task.reports("train", 50)
    texts = [report.text for made in splits.values() for report in made]
    assert len(set(texts)) == len(texts)


def test_a_held_out_pair_is_nowhere_in_train(splits):
    news = {(r.event, r.place) for r in splits["test"]}
    assert len(news) == 15 * task.HELD_OUT
    seen = {TOLD[s] for r in splits["train"] for s in sentences(r)}
    assert not news & seen
    assert len(seen) == 20 * 12 - 15 * task.HELD_OUT


def test_the_news_is_the_one_gravest_event(splits):
    for report in splits["test"]:
        events = [TOLD[s][0] for s in sentences(report)]
        levels = sorted(event.level for event in events)
        assert len({e.subject for e in events}) == len(events) == 3
        assert levels[-1] == report.event.level > levels[-2]
        assert report.sentence in sentences(report)


def test_the_place_of_the_news_is_random_and_events_change_roles(splits):
    at = [sentences(r).index(r.sentence) for r in splits["train"]]
    assert np.bincount(at).min() > 0.3 * len(at)
    news = {r.event for r in splits["train"]}
    beside = {
        TOLD[s][0] for r in splits["test"] for s in sentences(r) if s != r.sentence
    }
    assert {event.level for event in news & beside} == {2, 3}


def test_keys_tell_events_apart():
    news = [event for event in task.events() if event.level > 1]
    for event in news:
        for headline in task.styles(event, "Elsby", "two"):
            words = set(split_words(headline))
            assert words & {e.key for e in news} == {event.key}
        assert len(task.styles(event, "Elsby", "two")) == len(task.STYLES)
        assert len({h.split()[0] for h in event.headlines}) == 3
    assert sum(task.STYLES) == pytest.approx(1.0)


def test_every_text_is_in_the_vocabulary(splits):
    tok = task.tokenizer()
    for report in splits["train"][:200]:
        for text in (report.text, report.headline):
            assert tok.decode(tok.encode(text)) == text
    texts, headlines = task.hand_written()
    assert len(texts) == len(headlines) == 20
    assert len(task.from_texts(texts, headlines)) == 20
    assert not set(texts) & {r.text for r in splits["train"]}


def test_another_seed_draws_other_reports_of_the_same_pairs(splits):
    other = task.reports("test", 100, seed=1)
    assert other == task.reports("test", seed=1)[:100]
    assert not {r.text for r in other} & {r.text for r in splits["train"]}
    assert len({r.text for r in other} - {r.text for r in splits["test"]}) > 90
    held_out = task.places("test")
    assert all(r.place in held_out[r.event] for r in other)
    env = task.environment("test", count=3, seed=1)
    assert env.targets_text([0, 1, 2]) == [r.headline for r in other[:3]]


def test_the_environment(splits):
    env = task.environment("test")
    assert env.max_length == task.MAX_LENGTH and len(env) == 400
    assert env.targets_text([0]) == [splits["test"][0].headline]
    ends = env.prompts[:, -1] == env.tokenizer.ids[task.CUE]
    assert ends.all()
    mask = (env.targets != 0).astype(float)
    paid = env.rewards(env.targets, mask, np.arange(400))
    np.testing.assert_allclose(paid.sum(axis=1), 1.0)
    assert ((paid != 0).sum(axis=1) == 1).all()


def test_recall_on_hand_worked_values():
    wanted = ["gale damages two houses in Elsby"]  # 6 words
    for text, recall, f1 in (
        ("gale damages two houses in Elsby", 1, 1),
        ("gale in Elsby", 3 / 6, 2 * 3 / (3 + 6)),
        ("Elsby gale", 1 / 6, 2 / (2 + 6)),
        ("Elsby gale damages two two houses in Elsby", 1, 2 * 6 / (8 + 6)),
        ("", 0, 0),
    ):
        assert task.rouge_recall([text], target=wanted) == [pytest.approx(recall)]
        assert metrics.rouge([text], target=wanted) == [pytest.approx(f1)]
    assert task.rouge_recall(["两艘船", "船"], target=["船"] * 2) == [1, 1]


def test_right_fact_on_hand_worked_values(splits):
    report = next(r for r in splits["test"] if r.event.key == "gale")
    p, n = report.place, report.number
    other = next(x for x in task.PLACES if x != p)
    number = next(x for x in task.NUMBERS if x != n)
    for text, right in (
        (f"gale damages {n} houses in {p}", 1),
        (f"gale in {p}", 1),
        (f"gale damages {number} houses in {p}", 0),
        (f"gale in {other}", 0),
        (f"gale in {p} and {other}", 0),
        (f"flood in {p}", 0),
        (f"flood and gale in {p}", 0),
        ("", 0),
    ):
        assert task.right_fact([text], report=[report]) == [right], text
    made = splits["test"]
    assert all(task.right_fact([r.headline for r in made], report=made))


def test_bad_input():
    with pytest.raises(ValueError, match="split"):
        task.reports("valid")
    with pytest.raises(ValueError, match="split"):
        task.environment("valid")
    for count in (0, 401):
        with pytest.raises(ValueError, match="count"):
            task.reports("test", count)
    with pytest.raises(ValueError, match="report"):
        task.right_fact(["fog in Elsby"], report=[])
    with pytest.raises(ValueError, match="target"):
        task.rouge_recall(["fog in Elsby"], target=[""])
    with pytest.raises(ValueError, match="target"):
        task.rouge_recall(["fog in Elsby"], target=["fog", "fog"])
    with pytest.raises(ValueError, match="vocabulary"):
        task.from_texts(["an eclipse over Elsby."], ["eclipse"])
    with pytest.raises(ValueError, match="texts"):
        task.from_texts([""], ["fog"])
    with pytest.raises(ValueError, match="headlines"):
        task.from_texts(["fog in Elsby"], [" "])


def test_the_start_has_room_for_the_training():
    env = task.environment("test")
    batch = pt_rollout(pt_pretrained.load(START), env, np.arange(32))
    assert 0.5 < batch.rewards.sum(axis=1).mean() < 0.68
    assert all(len(split_words(t)) for t in env.texts(batch.completions))
