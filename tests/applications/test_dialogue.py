"""The booking dialogue: its users, its conversations and its credit."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from applications import dialogue

TOK = dialogue.tokenizer()
GOAL = ("friday", "7pm", "four")


class Sure:
    """A generator of chance that always says everything in plain words."""

    def random(self):
        return 1.0

    def integers(self, low, high=None):
        return low if high is not None else 0

    def permutation(self, items):
        return np.array(items)


def user(later=None):
    return dialogue.User(GOAL, later, 0.0, Sure())


def agent(turns):
    """A stand-in for `rollout`: turns[k][i] is said in turn k."""
    said = iter(turns)

    def rollout(policy, env, rows, rng):
        ids = TOK.encode_batch(next(said), dialogue.TURN_LENGTH, add_eos=True)
        mask = 1.0 * (ids != TOK.pad_id)
        return dialogue.Rollout(
            env.prompts[rows],
            ids,
            mask,
            -mask,
            np.zeros(ids.shape),
            np.ones(len(ids), bool),
            rows,
            env.prompt_mask[rows],
        )

    return rollout


def test_splits_share_no_goal():
    train, test = dialogue.goals("train"), dialogue.goals("test")
    assert len(set(train) | set(test)) == len(train) + len(test) == 210
    assert len(test) == 42
    for split, pool in (("train", train), ("test", test)):
        for one in dialogue.users(split, 200, np.random.default_rng(0)):
            assert one.goal in pool and one.later in (None, *pool)


def test_the_same_seed_gives_the_same_dialogues():
    first, again = (dialogue.environment("train", dialogues=50) for _ in range(2))
    assert_array_equal(first.prompts, again.prompts)
    assert_array_equal(first.targets, again.targets)


@pytest.mark.parametrize(
    "turn, meaning",
    [
        ("book friday 7pm four", ("book", dict(zip(dialogue.SLOTS, GOAL)))),
        ("friday people?", ("ask", {"day": "friday", "people": "people"})),
        ("people friday?", None),
        ("friday friday?", None),
        ("friday", None),
        ("book friday 7pm", None),
        ("book friday 7pm people", None),
        ("yes?", None),
        ("?", None),
        ("", None),
    ],
)
def test_what_turns_mean(turn, meaning):
    assert dialogue.parse(turn) == meaning


def test_answers_of_a_user():
    assert user().opening() == "monday user on friday at 7pm for four"
    assert user().answer("friday 7pm?") == "yes"
    assert user().answer("people?") == "for four"
    assert user().answer("sunday people?") == "no on friday for four"
    assert user().answer("book sunday") == "pardon"


def test_a_change_of_mind_is_told_once():
    moved = user(("saturday", "7pm", "four"))
    assert moved.answer("people?") == "for four wait on saturday"
    assert moved.changed and moved.goal == ("saturday", "7pm", "four")
    assert moved.answer("friday 7pm four?") == "no on saturday"
    asked = user(("saturday", "7pm", "four"))
    assert asked.answer("day?") == "on saturday"  # once, without a "wait"


def test_a_misheard_value_is_another_one():
    rng = np.random.default_rng(0)
    for one in dialogue.users("train", 50, rng, changes=0.0, misheard=1.0):
        one.opening()
        wanted = dict(zip(dialogue.SLOTS, one.goal))
        assert one.heard and all(
            value != wanted[slot] for slot, value in one.heard.items()
        )


def test_the_careful_script_nearly_always_books_right():
    rng, right = np.random.default_rng(0), []
    for one in dialogue.users("test", 300, rng):
        pairs = dialogue.scripted(one, rng, {"careful": 1.0}, slip=0.0)
        right.append(pairs[-1][1] == " ".join(["book", *one.goal]))
    assert 0.93 < np.mean(right) < 1.0


def test_conversations_are_paid_and_end():
    talks = dialogue.converse(
        agent(
            [
                ["book friday 7pm four", "friday 7pm four?", "people?"],
                ["book", "book friday 7pm two", "day?"],
                ["book", "book", "time?"],
            ]
        ),
        None,
        [user(), user(), user()],
    )
    assert_array_equal(talks.reached, [True, False, False])
    assert_array_equal(talks.going, [[1, 1, 1], [0, 1, 1], [0, 0, 1]])
    assert_array_equal(talks.booked.reshape(3, 3).sum(axis=0), [1, 1, 0])
    assert_array_equal(talks.right[0], [0, 1, 1, 1, 0])
    assert_array_equal(talks.right[4], [0, 1, 1, 0, 0])
    paid = talks.batch.rewards.sum(axis=1).reshape(3, 3)
    cost = dialogue.TURN_COST
    assert_allclose(paid, -cost * talks.going + [[1, 0, 0]] * np.eye(3)[0][:, None])
    assert talks.texts[1][2:] == ["yes", "book friday 7pm two"]
    # A conversation that is over keeps one token, for the record alone.
    assert_array_equal(talks.batch.mask[3], [1, 0, 0, 0, 0])


def test_credit_by_hand():
    talks = dialogue.converse(
        agent(
            [
                ["book friday 7pm four", "people?"],
                ["book", "book friday 7pm two"],
                ["book", "book"],
            ]
        ),
        None,
        [user(), user()],
    )
    cost = dialogue.TURN_COST
    whole = dialogue.advantages(talks, "conversation")
    half = (1 - cost + 2 * cost) / 2
    assert_allclose(whole[0], half)
    assert_allclose(whole[3, :5], -half)
    turn = dialogue.advantages(talks, "turn")
    assert_allclose(turn[1, :3], -half)
    assert_allclose(turn[3], 0.0, atol=1e-12)  # alone in its turn
    token = dialogue.advantages(talks, "token")
    assert_allclose(token[0], [half, 0, 0, 0.5, half], atol=1e-12)
    assert_allclose(token[3], [0, 0, 0, -0.5, 0], atol=1e-12)
    for level in dialogue.LEVELS:
        adv = dialogue.advantages(talks, level)
        assert not adv[[2, 4, 5]].any()  # behind the end
        paid = dialogue.credited(talks, level).rewards
        assert_allclose(np.cumsum(paid[:, ::-1], axis=1)[:, ::-1], adv, atol=1e-12)


def test_the_examples_by_hand(root):
    path = root / "book/data/dialogue/by_hand.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 20
    for one in map(json.loads, lines):
        assert one["kind"] in ("usual", "free") and len(one["texts"]) % 2
        assert all(dialogue.parse(turn) for turn in one["texts"][1::2])
        assert tuple(one["booking"].split()[1:]) in dialogue.goals("test")
        env = dialogue.next_turns([one["texts"]])
        assert env.prompt_mask.sum() < dialogue.PROMPT_LENGTH  # nothing cut


@pytest.mark.parametrize(
    "name, call",
    [
        ("split", lambda: dialogue.goals("dev")),
        ("count", lambda: dialogue.users("train", 0, np.random.default_rng(0))),
        (
            "changes",
            lambda: dialogue.users("train", 1, np.random.default_rng(0), changes=2.0),
        ),
        (
            "misheard",
            lambda: dialogue.users("train", 1, np.random.default_rng(0), misheard=-0.1),
        ),
        ("goal", lambda: dialogue.User(("friday",), None, 0.0, Sure())),
        ("people", lambda: dialogue.converse(None, None, [])),
        ("texts", lambda: dialogue.next_turns([])),
        ("level", lambda: dialogue.advantages(None, "word")),
    ],
)
def test_bad_input(name, call):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        call()


def test_dialogues_that_miss_their_goal_can_be_left_out():
    """Only whole dialogues go, and each that stays books what was wanted."""
    every = dialogue.environment("train", dialogues=80)
    kept = dialogue.environment("train", dialogues=80, reached=True)
    books = [
        sum(text.startswith("book") for text in env.texts(env.targets))
        for env in (every, kept)
    ]
    assert books[0] == 80 and 20 < books[1] < 80
    assert len(kept) < len(every)
