"""The questions: who sees which, what an answer earns."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from applications import metrics
from applications import question_answering as qa

FACTS = (
    ("Ann", "New York"),
    ("Ida", qa.NOWHERE),
    ("Mia", "San Juan"),
    ("cook", "Mia"),
    ("nurse", "Ida"),
)
TWO = qa.Question(FACTS, (3, 2), qa.HOME[0])


@pytest.mark.parametrize("split", qa.SIZES)
def test_sizes_and_kinds(split):
    asked = qa.questions(split)
    assert len(asked) == qa.SIZES[split]
    kinds = Counter(question.kind for question in asked)
    shares = qa.SHARES.get(split, (1 / 3, 1 / 3, 1 / 3))
    for kind, share in zip(qa.KINDS, shares, strict=True):
        assert kinds[kind] / len(asked) == pytest.approx(share, abs=0.05)


def test_no_prompt_of_two_splits_but_worked_and_train():
    prompts = {s: {q.prompt for q in qa.questions(s)} for s in qa.SIZES}
    held_out = prompts["test"] | prompts["pairs"]
    assert not held_out & (prompts["worked"] | prompts["train"])
    assert not prompts["test"] & prompts["pairs"]


def test_what_is_held_out():
    for split in ("worked", "train"):
        for question in qa.questions(split):
            assert not any(qa.new_pair(*fact) for fact in question.facts)
            assert not qa.new_people(question)
            assert "tell me the home" not in question.prompt
    for question in qa.questions("test"):
        assert not any(qa.new_pair(*fact) for fact in question.facts)
        assert qa.new_people(question)
    for question in qa.questions("pairs"):
        for subject, value in (question.facts[i] for i in question.asked):
            assert qa.new_pair(subject, value) or value in (qa.NOWHERE, qa.NOBODY)
    new = [
        "tell me the home" in q.prompt
        for q in qa.questions("test")
        if q.template not in qa.HOLDER
    ]
    assert np.mean(new) == pytest.approx(0.5, abs=0.05)


def test_guesses_are_written_in_worked_alone():
    for split in qa.SIZES:
        asked, told = qa.questions(split), qa.written(split)
        wrong = [(q, a) for q, a in zip(asked, told) if a != q.answer]
        assert bool(wrong) == (split == qa.WORKED)
        for question, answer in wrong:
            assert question.kind == "no answer"
            assert answer in [b for _, b in question.facts]
    none = sum(q.kind == "no answer" for q in qa.questions(qa.WORKED))
    guesses = sum(
        a != q.answer for q, a in zip(qa.questions(qa.WORKED), qa.written(qa.WORKED))
    )
    assert guesses / none == pytest.approx(qa.GUESSED, abs=0.05)


def test_the_same_seed_gives_the_same_questions():
    first = qa.questions("test")
    qa.questions.cache_clear()
    assert qa.questions("test") == first
    assert qa.questions("test", seed=1) != first


def test_the_environment_of_another_seed():
    env, asked = qa.environment("test", seed=1), qa.questions("test", 1)
    assert env.texts(env.prompts[:1]) == [asked[0].prompt]
    assert env.targets_text([0]) == [asked[0].answer]
    assert all(map(qa.new_people, asked))


def test_prompt_and_answer_by_hand():
    assert TWO.prompt == (
        "Ann lives in New York. Ida lives in another town. Mia lives in San "
        "Juan. the cook is Mia. the nurse is Ida. where is the home of the "
        "cook"
    )
    assert (TWO.answer, TWO.kind) == ("San Juan", "two hops")
    one = replace(TWO, asked=(0,))
    assert one.prompt.endswith("where is the home of Ann")
    assert (one.answer, one.kind) == ("New York", "one hop")
    none = replace(TWO, asked=(4, 1))
    assert (none.answer, none.kind) == (qa.UNKNOWN, "no answer")
    who = replace(TWO, asked=(3,), template=qa.HOLDER[0])
    assert (who.prompt[-15:], who.answer) == ("who is the cook", "Mia")


def test_the_tokenizer_has_every_word():
    tok = qa.tokenizer()
    for question in qa.questions("test")[:100]:
        for text in (question.prompt, question.answer):
            assert tok.decode(tok.encode(text)) == text


def test_abstention_by_hand():
    texts = ["San Juan", "unknown", "San Jose", "", "San"]
    target = ["San Juan"] * 5
    paid = qa.abstention(texts, target=target, cost=2.0)
    assert paid == [1.0, 0.0, -2.0, -2.0, -2.0]
    paid = qa.abstention(["unknown", "Mia"], target=["unknown"] * 2)
    assert paid == [0.0, -1.0]  # silence earns nothing where it is right


def test_the_reward_stands_on_the_last_token():
    env = qa.environment("test", qa.token_abstention(0.5))
    ids = env.tokenizer.encode_batch(["Mia", "unknown", "Cape Town"], 3, True)
    mask = (ids != 0).astype(float)
    rows = [i for i, q in enumerate(qa.questions("test")) if q.answer == "Mia"][:1] * 3
    paid = env.rewards(ids, mask, rows)
    np.testing.assert_array_equal(paid, [[0, 1, 0], [0, 0, 0], [0, 0, -0.5]])


def test_scores_by_hand():
    asked = [
        TWO,
        replace(TWO, asked=(0,)),
        replace(TWO, asked=(1,)),
        replace(TWO, asked=(2,)),
    ]
    found = qa.scores(asked, ["San Jose", "New York", "unknown", "San Juan"])
    assert found["exact match"] == 0.75
    assert found["exact match, one hop"] == 1.0
    assert found["exact match, two hops"] == 0.0
    assert found["exact match, no answer"] == 1.0
    assert found["F1, two hops"] == pytest.approx(0.5)
    assert found["abstained"] == 0.25
    assert found["accuracy if answered"] == pytest.approx(2 / 3)
    silent = qa.scores(asked, ["unknown"] * 4)
    assert silent["accuracy if answered"] == 1.0


def test_bad_input():
    with pytest.raises(ValueError, match="split: expected one of"):
        qa.questions("validation")
    with pytest.raises(ValueError, match="cost: expected at least 0"):
        qa.abstention(["a"], target=["a"], cost=-1)
    with pytest.raises(ValueError, match="asked: expected places"):
        replace(TWO, asked=())
    with pytest.raises(ValueError, match="asked: expected places"):
        replace(TWO, asked=(5,))
    with pytest.raises(ValueError, match="facts: expected"):  # no answer
        replace(TWO, facts=(("Ann", ""),), asked=(0,))
    with pytest.raises(ValueError, match="template"):
        replace(TWO, template="where")
    with pytest.raises(ValueError, match="asked: expected at least one"):
        qa.scores([TWO], ["San Juan"])
    with pytest.raises(ValueError, match="target: expected texts"):
        metrics.token_f1(["San Juan"], target=[""])
    assert metrics.token_f1([""], target=["San Juan"]) == [0.0]
