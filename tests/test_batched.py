"""core.batched: columns, several ends, stop texts, targets that are absent."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import pretraining, rewards
from core.batched import BatchedEnvironment
from core.text import ByteBPETokenizer, CharTokenizer
from core.trainers.loop import SamplingTrainer

TOK = CharTokenizer(["abc;"])  # a 3, b 4, c 5, ; 6
BPE = ByteBPETokenizer(["one two;; three\n\n 四"] * 3, 290)


def environment(reward, columns=None, **options):
    texts = ["a", "bc", "c"]
    return BatchedEnvironment.from_texts(
        texts, reward, TOK, 4, columns=columns, **options
    )


def ids(*texts, end=(2,)):
    """Completions and their mask."""
    rows = [TOK.encode(text) + list(end) for text in texts]
    return TOK.padded(rows)


def test_a_reward_gets_the_columns_of_its_rows():
    seen = {}

    def reward(completions, **columns):
        seen.update(columns, completions=completions)
        return [float(test["max"]) for test in columns["test"]]

    columns = {"test": [{"max": 1}, {"max": 2}, {"max": 3}]}
    columns |= {"right": np.array(["x", "y", "z"]), "lists": [[], ["a"], ["b", "c"]]}
    env = environment(reward, columns)
    made, mask = ids("ab", "c", "a", "b")
    paid = env.rewards(made, mask, [2, 2, 0, 1])  # a group of two, and two more
    assert paid.tolist() == [[0, 0, 3], [0, 3, 0], [0, 1, 0], [0, 2, 0]]
    assert seen["completions"] == ["ab", "c", "a", "b"]
    assert seen["lists"] == [["b", "c"], ["b", "c"], [], ["a"]]
    assert seen["right"] == ["z", "z", "x", "y"]
    assert "target" not in seen and env.targets is None


def test_targets_are_the_column_target_and_can_be_imitated():
    env = environment(rewards.exact_match, targets=["ab", "c", "abcabc"])
    assert env.max_length == 4 and env.targets.shape == (3, 7)
    made, mask = ids("ab", "a")
    assert env.rewards(made, mask, [0, 1]).sum(axis=1).tolist() == [1, 0]
    assert env.targets_text([2]) == ["abcabc"]
    inputs, targets, counted = next(
        pretraining.answers(env, 8, np.random.default_rng(0))
    )
    assert set(counted.sum(axis=1)) <= {3, 2, 7}
    assert (targets[counted > 0] == 2).sum() == 8  # each end is taught


def test_a_column_of_that_name_takes_the_targets_place():
    env = environment(rewards.exact_match, {"target": ["a", "b", "c"]})
    made, mask = ids("a", "b", "b")
    assert env.rewards(made, mask, [0, 1, 2]).sum(axis=1).tolist() == [1, 1, 0]


def test_columns_go_through_sums_and_potentials():
    def is_right(completions, *, right, **columns):
        return [float(c == r) for c, r in zip(completions, right)]

    single = rewards.token_from_text(is_right, TOK)
    env = environment(is_right, {"right": ["ab", "b", "c"]})
    env.token_reward = rewards.token_weighted_sum([single, single], [1, 2])
    made, mask = ids("ab", "c")
    assert env.rewards(made, mask, [0, 0]).tolist() == [[0, 0, 3], [0, 0, 0]]
    potentials = rewards.potentials_from_text(is_right, TOK)
    found = potentials(made, mask, None, right=["ab", "c"])
    assert found.tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]


def test_any_of_several_ids_ends_a_text():
    env = environment(rewards.exact_match, {"target": ["a"] * 3})
    assert (env.eos_id, env.ends) == (2, (2,))
    task = [[3]], [[4, 6, 0]], rewards.token_position_match, 7
    env = BatchedEnvironment(*task, eos_id=np.array([2, 6, 2]), tokenizer=TOK)
    assert env.eos_id == [2, 6] and env.target_mask.tolist() == [[1, 1, 0]]
    completions = np.array([[3, 2, 0], [3, 6, 0], [3, 4, 5]])
    mask = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    assert env.terminated(completions, mask).tolist() == [True, True, False]
    assert env.texts(completions, mask) == ["a", "a", "abc"]
    assert json.loads(json.dumps(env.eos_id)) == env.eos_id  # a checkpoint's form


def test_a_stop_text_ends_with_the_token_that_completes_it():
    env = environment(rewards.exact_match, {"target": ["a"] * 3}, stop=[";", "bc"])
    made, mask = TOK.padded([[3, 6, 4, 4], [4, 3, 4, 5], [3, 4, 2], [3, 3, 3, 3]])
    found = env.stopped(made, -np.ones(made.shape), mask)
    assert found[2].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0], [1] * 4]
    assert found[0].tolist() == [[3, 6, 0, 0], [4, 3, 4, 5], [3, 4, 2, 0], [3] * 4]
    assert (found[1] == -found[2]).all()
    ended = env.terminated(found[0], found[2])
    assert ended.tolist() == [True, True, True, False]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(3, len(BPE) - 1), min_size=1, max_size=12))
def test_halving_finds_the_first_token(row):
    """For bytes, too, of which several make a character."""
    env = BatchedEnvironment.from_texts(
        ["one"], len, BPE, len(row), stop=[";", "\n", " t", "四"]
    )
    made, mask = np.array([row]), np.ones((1, len(row)))
    stops = [
        n
        for n in range(1, len(row) + 1)
        if any(s in BPE.decode(row[:n]) for s in env.stop)
    ]
    length = env.stopped(made, mask, mask)[2].sum()
    assert length == min([*stops, len(row)])
    assert env.terminated(made, mask).tolist() == [bool(stops)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_length": None}, "max_length: expected one without targets"),
        ({"columns": {"a": [1, 2]}}, "columns: expected 1 entries of 'a', got 2"),
        ({"columns": {"a": "x"}}, "columns: expected a dict of lists, got 'a': 'x'"),
        ({"columns": [1]}, "columns: expected a dict of lists, got"),
        ({"stop": [""]}, "stop: expected texts that are not empty"),
        ({"stop": ";"}, "stop: expected a list of texts"),
        ({"stop": [";"], "tokenizer": None}, "stop: expected texts .* a tokenizer"),
        ({"eos_id": [2, 9]}, r"eos_id: expected a token id in \[0, 7\), got 9"),
    ],
)
def test_bad_tasks_are_named(change, message):
    task = {"prompts": [[3]], "targets": None, "token_reward": len, "vocab_size": 7}
    task |= {"tokenizer": TOK, "max_length": 3}
    with pytest.raises(ValueError, match="^" + message):
        BatchedEnvironment(**(task | change))


def test_what_has_no_targets_says_so():
    env = environment(rewards.exact_match, {"target": ["a"] * 3})
    assert env.wanted([0, 1]) is None
    with pytest.raises(ValueError, match="^targets: this task has none"):
        env.targets_text([0])
    with pytest.raises(ValueError, match="^env: expected one with targets"):
        next(pretraining.answers(env, 2, np.random.default_rng(0)))


def test_a_checkpoint_knows_columns_and_stops():
    def told(columns, stop=()):
        trainer = object.__new__(SamplingTrainer)
        trainer.env = environment(rewards.exact_match, columns, stop=stop)
        trainer.models = {}
        trainer._settings = dict
        trainer._checkpoints = SimpleNamespace(get_weights=dict)
        found = trainer._identity()["task"]
        return json.loads(json.dumps(found)), found

    objects = {"tests": [{"f": len}, {("a", 1): 2}, None]}
    for columns in (None, {"a": [1, [2], "3"]}, objects):
        kept, own = told(columns, [";"])
        assert kept == own and own["stop"] == [";"]
    one, other = told({"a": [1, 2, 3]})[1], told({"a": [1, 2, 4]})[1]
    assert one["columns"] != other["columns"] and one["stop"] is None
