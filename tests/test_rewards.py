"""core.rewards against tables worked by hand, and against each other."""

import doctest
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from rapidfuzz.distance import Levenshtein
from trl.rewards import get_soft_overlong_punishment

from core import rewards
from core.text import CharTokenizer

TEXT_REWARDS = [
    rewards.exact_match,
    rewards.edit_similarity,
    rewards.edit_ratio,
    rewards.position_match,
]


@pytest.mark.parametrize("limit, margin", [(10, 4), (10, 10), (7, 1)])
def test_overlong_is_that_of_trl(limit, margin):
    lengths = np.arange(1, limit + 1)
    mask = (np.arange(limit) < lengths[:, None]) * 1.0
    theirs = get_soft_overlong_punishment(limit, margin)
    paid = rewards.token_overlong(mask, mask, mask, margin)
    np.testing.assert_allclose(
        paid.sum(axis=1), theirs([[0] * n for n in lengths]), atol=1e-15
    )
    assert (paid[np.arange(limit), lengths - 1] == paid.sum(axis=1)).all()


@pytest.mark.parametrize("margin", [0, 11, 1.5])
def test_the_margin_lies_within_the_limit(margin):
    mask = np.ones((1, 10))
    with pytest.raises(ValueError, match="^margin: expected 1 to 10"):
        rewards.token_overlong(mask, mask, mask, margin)


def test_docstrings():
    results = [doctest.testmod(part) for part in (rewards.texts, rewards.tokens)]
    assert not any(result.failed for result in results)
    assert sum(result.attempted for result in results) > 8


# completion, target: exact, edit similarity, edit ratio, position match
@pytest.mark.parametrize(
    "completion, target, expected",
    [
        ("kitten", "sitting", [0, 1 / 4, 1 - 3 / 7, 4 / 7]),  # distance 3
        ("你好世界", "你好世界", [1, 1, 1, 1]),
        ("好世界", "你好世界", [0, 1 / 2, 3 / 4, 0]),  # one left out: all move
        ("", "ab", [0, 1 / 3, 0, 0]),
        ("abcd", "ab", [0, 1 / 3, 1 / 2, 1]),  # what follows does not count
    ],
)
def test_text_rewards_by_hand(completion, target, expected):
    for function, value in zip(TEXT_REWARDS, expected, strict=True):
        assert_allclose(function([completion], target=[target]), [value])


def test_edit_ratio_of_two_empty_texts():
    assert rewards.edit_ratio([""], target=[""]) == [1.0]


def test_repetition_by_hand():
    mat = "The cat sat on the mat."  # 7 words with the full stop
    five = " ".join([mat] * 5)  # 35 words, 33 trigrams, 7 of them distinct
    assert rewards.repetition([mat, five]) == [0.0, -26 / 33]
    assert rewards.repetition(["", "a b"]) == [0.0, 0.0]
    assert rewards.repetition(["你好世界，你好世界"], n=2) == [-1 / 4]


def test_rewards_have_the_signature_that_trl_calls():
    """Further columns and `prompts` are accepted; the result is a list."""
    columns = {
        "target": ["ab"],
        "wanted": ["b"],
        "length": [4],
        "prompts": ["?"],
        "completion_ids": [[3, 4]],
    }
    expected = {
        "exact_match": 1.0,
        "edit_similarity": 1.0,
        "edit_ratio": 1.0,
        "position_match": 1.0,
        "contains": 1.0,
        "length_score": 0.5,
        "repetition": 0.0,
    }
    for name, value in expected.items():
        scores = getattr(rewards, name)(completions=["ab"], **columns)
        assert type(scores) is list and type(scores[0]) is float
        assert scores == [value], name


def test_weighted_sum():
    reward = rewards.weighted_sum(
        [rewards.exact_match, rewards.length_score], [2.0, -1.0]
    )
    scores = reward(["ab", "b"], target=["ab", "ab"], length=[2, 2])
    assert scores == [1.0, -0.5]


def test_text_rewards_refuse_bad_columns():
    for function in TEXT_REWARDS:
        for target in (["a"], "ab"):
            with pytest.raises(ValueError, match="target: expected a list of 2"):
                function(["a", "b"], target=target)
    with pytest.raises(ValueError, match="target: expected texts that are"):
        rewards.position_match(["a"], target=[""])
    with pytest.raises(ValueError, match="wanted: expected a list of 2"):
        rewards.contains(["a", "b"], wanted=["a"])
    with pytest.raises(ValueError, match="length: expected at least 1"):
        rewards.length_score(["a"], length=[0])
    with pytest.raises(ValueError, match="n: expected at least 1"):
        rewards.repetition(["a"], n=0)


def test_weighted_sum_refuses_bad_rewards():
    for weights in ([1.0, 1.0], [], [math.nan]):
        with pytest.raises(ValueError, match="weights: expected"):
            rewards.weighted_sum([rewards.exact_match], weights)
    with pytest.raises(ValueError, match="functions: expected at least 1"):
        rewards.weighted_sum([], [])

    def broken(completions, *, value, **columns):
        return value

    reward = rewards.weighted_sum([broken], [1.0])
    for value in ([math.nan, 0.0], [math.inf, 0.0]):
        with pytest.raises(ValueError, match="broken: expected finite"):
            reward(["a", "b"], value=value)
    with pytest.raises(ValueError, match=r"broken: expected the shape \(2,\)"):
        reward(["a", "b"], value=[1.0])


# --- What is a text ---------------------------------------------------------

OF_TEXTS = {
    "exact_match": "target",
    "edit_similarity": "target",
    "edit_ratio": "target",
    "position_match": "target",
    "contains": "wanted",
    "length_score": "length",
    "repetition": None,
}


def score(name, completions, column=None):
    """A reward on texts, with what it wants of them."""
    given = OF_TEXTS[name]
    if given == "length" and column is None:
        column = [2] * len(completions)
    return getattr(rewards, name)(completions, **{given: column} if given else {})


def said(text, role="assistant"):
    return {"role": role, "content": text}


KINDS = {
    "list": list,
    "tuple": tuple,
    "numpy": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "pandas": lambda texts: pd.Series(texts, index=[7, 3]),
    "messages": lambda texts: [[said(text)] for text in texts],
    "conversations": lambda texts: [
        [said("?", "user"), said("no"), said("?", "user"), said(text)] for text in texts
    ],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_TEXTS)
def test_columns_and_conversations_are_texts(name, kind):
    texts = ["ab", "b b"]
    column = [2, 3] if name == "length_score" else texts
    right = score(name, texts, column)
    assert score(name, KINDS[kind](texts), column) == right
    if OF_TEXTS[name] in ("target", "wanted"):
        assert score(name, texts, KINDS[kind](column)) == right == [1.0, 1.0]


NO_TEXTS = {
    "none": [None, "a"],
    "nan": ["a", math.nan],
    "number": [3, 4],
    "bytes": [b"a", b"b"],
    "list": [["a"], ["b"]],
    "no answer": [[said("a", "user")], [said("b")]],
    "no content": [[{"role": "assistant"}], [said("b")]],
    "empty conversation": [[], [said("b")]],
    "bare": "ab",
    "dict": {"a": 1, "b": 2},
    "set": {"a", "b"},
    "table": np.array([["a"], ["b"]]),
    "frame": pd.DataFrame({"a": [1], "b": [2]}),
    "none at all": None,
}


@pytest.mark.parametrize("bad", NO_TEXTS)
@pytest.mark.parametrize("name", OF_TEXTS)
def test_what_is_no_text_is_refused(name, bad):
    good, bad = ["a", "b"], NO_TEXTS[bad]
    column = [2, 2] if name == "length_score" else good
    with pytest.raises(ValueError, match="^completions: expected a list of texts"):
        score(name, bad, column)
    if OF_TEXTS[name] in ("target", "wanted"):
        with pytest.raises(ValueError, match=f"^{OF_TEXTS[name]}: expected a list of"):
            score(name, good, bad)


@pytest.mark.parametrize(
    "length", [[math.nan, 2], [math.inf, 2], [0, 2], [2], 2, None, ["a", "b"]]
)
def test_bad_lengths_are_refused(length):
    with pytest.raises(ValueError, match="^length: "):
        rewards.length_score(["a", "b"], length=length)


@pytest.mark.parametrize("n", [0, -1, 1.5, math.nan, math.inf, "2", None, True])
def test_the_size_of_ngrams_is_a_number_of_words(n):
    with pytest.raises(ValueError, match="^n: expected"):
        rewards.repetition(["a a"], n=n)


def test_weighted_rewards_read_columns_too():
    reward = rewards.weighted_sum([rewards.exact_match, rewards.repetition], [2, 1])
    texts = pd.Series(["a", "b"])
    assert reward(texts, target=texts) == [2.0, 2.0]
    with pytest.raises(ValueError, match="^completions: expected a list of texts"):
        reward(None, target=texts)


# --- On token ids. Target 3 4 5 EOS; and a shorter one, 6 EOS. -------------

TARGETS = [[3, 4, 5, 2], [6, 2, -1, -1]]
COMPLETIONS = [[3, 5, 5, 3], [4, 2, 0, 0]]
MASK = [[1, 1, 1, 1], [1, 1, 0, 0]]


def test_token_indicator():
    paid = rewards.token_indicator(COMPLETIONS, MASK, TARGETS)
    assert_array_equal(paid, [[1, 1, 1, 1], [0, 1, 0, 0]])
    # A pad that was sampled is not in the target.
    paid = rewards.token_indicator([[0, 6, 2, 0]], [[1, 1, 1, 0]], [TARGETS[1]])
    assert_array_equal(paid, [[0, 1, 1, 0]])


def test_token_position_match():
    paid = rewards.token_position_match(COMPLETIONS, MASK, TARGETS)
    assert_array_equal(paid, [[0.25, 0, 0.25, 0], [0, 0.5, 0, 0]])
    paid = rewards.token_position_match([[6, 4, 0]], [[1, 1, 1]], [TARGETS[1]])
    assert_array_equal(paid, [[0.5, 0, 0]])


def test_token_cumulative_match():
    paid = rewards.token_cumulative_match(COMPLETIONS, MASK, TARGETS)
    assert_array_equal(paid, [[0.25, 0.25, 0.5, 0.5], [0, 0.5, 0, 0]])


def test_token_exact_match():
    right = [[3, 4, 5, 2], [6, 2, 0, 0]]
    paid = rewards.token_exact_match(right, MASK, TARGETS)
    assert_array_equal(paid, [[0, 0, 0, 1], [0, 1, 0, 0]])
    assert not rewards.token_exact_match(COMPLETIONS, MASK, TARGETS).any()
    # Going on after the target's end is not exact, pads or not.
    paid = rewards.token_exact_match([[6, 2, 0]], [[1, 1, 1]], [TARGETS[1]])
    assert not paid.any()


def test_edit_potentials():
    potentials = rewards.edit_potentials(COMPLETIONS, MASK, TARGETS)
    # Row 0: distances to 3452 of "", 3, 35, 355, 3553: 4 3 2 2 2
    # (355 -> 3452: 5 for 4 and EOS at the end).  Row 1: to 62: 2 2 1.
    distances = [[4, 3, 2, 2, 2], [2, 2, 1, 1, 1]]
    assert_allclose(potentials, 1 / (1 + np.array(distances)))


def test_token_edit_similarity():
    paid = rewards.token_edit_similarity(COMPLETIONS, MASK, TARGETS)
    expected = [[1 / 20, 1 / 12, 0, 0], [0, 1 / 6, 0, 0]]
    assert_allclose(paid, expected)
    paid = rewards.token_edit_similarity([[6, 4]], [[1, 1]], [[6, -1]])
    assert_allclose(paid, [[1 / 2, -1 / 2]])  # the second token spoils it


def test_terminal_and_shaping_by_hand():
    mask = [[1, 1, 0], [1, 1, 1]]
    assert_array_equal(rewards.terminal([5, -1], mask), [[0, 5, 0], [0, 0, -1]])
    potentials = [[1, 2, 4, 8], [1, 2, 4, 8]]
    assert_array_equal(
        rewards.potential_shaping(potentials, mask, 0.5), [[0, -2, 0], [0, 0, -4]]
    )
    assert_array_equal(
        rewards.potential_difference(potentials, mask), [[1, 2, 0], [1, 2, 4]]
    )


def masks(batch, length):
    lengths = st.lists(st.integers(1, length), min_size=batch, max_size=batch)
    return lengths.map(
        lambda n: (np.arange(length) < np.array(n)[:, None]).astype(float)
    )


def numbers(*shape):
    return arrays(np.float64, shape, elements=st.floats(-10, 10))


@settings(deadline=None)
@given(numbers(4, 7), masks(4, 6), st.floats(0, 1))
def test_shaping_telescopes_to_minus_the_first_potential(phi, mask, gamma):
    shaping = rewards.potential_shaping(phi, mask, gamma)
    discounted = (shaping * gamma ** np.arange(6)).sum(axis=1)
    assert_allclose(discounted, -phi[:, 0], atol=1e-9)
    assert not shaping[mask == 0].any()


@settings(deadline=None)
@given(numbers(4, 7), masks(4, 6))
def test_difference_telescopes_to_last_minus_first(phi, mask):
    total = rewards.potential_difference(phi, mask).sum(axis=1)
    last = phi[np.arange(4), mask.sum(axis=1).astype(int)]
    assert_allclose(total, last - phi[:, 0], atol=1e-9)


@settings(deadline=None)
@given(numbers(4), masks(4, 6))
def test_terminal_pays_the_whole_score_once(scores, mask):
    paid = rewards.terminal(scores, mask)
    assert_array_equal(paid.sum(axis=1), scores)
    assert not paid[mask == 0].any()
    assert ((paid != 0).sum(axis=1) <= 1).all()


# Text, its mask and, times L, what progress and regret pay; target 3 4 5 EOS.
@pytest.mark.parametrize(
    "text, generated, progress, regret",
    [
        ([3, 4, 5, 2], 4, [0, 0, 0, 0], [0, 0, 0, 0]),
        ([3, 6, 5, 2], 4, [0, -1, 0, 0], [0, -1, 0, 0]),  # one word replaced
        # The first word left out: 4 for 3, 45 for 34 (2), then 452 for 3452 (1).
        ([4, 5, 2, 0], 3, [-1, -1, 1, 0], [-1, 0, 0, 0]),
        # A word twice: 33 for 34 (1), 334 for 345 (2), the limit cuts off (2).
        ([3, 3, 4, 5], 4, [0, -1, -1, 0], [0, -1, 0, -1]),
        ([3, 2, 0, 0], 2, [0, -2, 0, 0], [0, -2, 0, 0]),  # stopped early
        ([6, 6, 6, 6], 4, [-1, -1, -1, -1], [-1, -1, -1, -1]),
    ],
)
def test_edit_progress_and_regret_by_hand(text, generated, progress, regret):
    arguments = [text], [[1] * generated + [0] * (4 - generated)], TARGETS[:1]
    paid = rewards.token_edit_progress(*arguments)
    assert_allclose(paid, [np.array(progress) / 4], atol=1e-15)
    paid = rewards.token_edit_regret(*arguments)
    assert_allclose(paid, [np.array(regret) / 4], atol=1e-15)


@settings(deadline=None)
@given(arrays(np.int64, (6, 5), elements=st.integers(1, 4)), masks(6, 5))
def test_edit_progress_and_regret_sum_to_the_distance(completions, mask):
    targets = np.array([[3, 4, 4, 2], [3, 2, -1, -1], [4, 3, 4, 2]] * 2)
    lengths = mask.sum(axis=1).astype(int)
    distances = [
        Levenshtein.distance(row[:n].tolist(), target[target >= 0].tolist())
        for row, n, target in zip(completions, lengths, targets, strict=True)
    ]
    expected = -np.array(distances) / (targets >= 0).sum(axis=1)
    for function in (rewards.token_edit_progress, rewards.token_edit_regret):
        total = function(completions, mask, targets).sum(axis=1)
        assert_allclose(total, expected, atol=1e-12)


def test_edit_regret_of_a_target_without_an_end():
    """What is longer than the whole target pays for its last token alone."""
    paid = rewards.token_edit_regret([[3, 4, 5]], np.ones((1, 3)), [[3, 4]])
    assert_allclose(paid, [[0, 0, -0.5]])


def test_edit_regret_is_the_optimal_advantage():
    """Against all texts: Q*(s, y) - V*(s) of the reward -d / L at the end."""
    target, vocabulary, limit = [3, 4, 3, 2], (2, 3, 4), 6
    best = {}  # the best distance of the texts that begin so
    for length in range(1, limit + 1):
        for text in itertools.product(vocabulary, repeat=length):
            if 2 in text[:-1] or text[-1] != 2:
                continue
            distance = Levenshtein.distance(text, target)
            for t in range(length + 1):
                key = text[:t]
                best[key] = min(best.get(key, 99), distance)
    texts = [text for text in best if 0 < len(text) < limit - 3]
    texts += [text for text in best if text and text[-1] == 2]
    for text in texts:
        # The last token's pay is that of a finished text: judge the others,
        # and the last one where it is EOS.
        paid = rewards.token_edit_regret([text], [[1] * len(text)], [target])
        for t in range(1, len(text) + (text[-1] == 2)):
            if t < len(text) and limit - t < len(target):
                continue  # so near the limit a best ending may not fit
            loss = best[text[: t - 1]] - best[text[:t]]
            assert_allclose(paid[0, t - 1], loss / 4, atol=1e-15)


TOKEN_REWARDS = [
    rewards.token_indicator,
    rewards.token_position_match,
    rewards.token_cumulative_match,
    rewards.token_exact_match,
    rewards.token_edit_similarity,
    rewards.token_edit_progress,
    rewards.token_edit_regret,
]


@pytest.mark.parametrize("function", TOKEN_REWARDS)
@settings(deadline=None)
@given(data=st.data())
def test_token_rewards_agree_with_loops_over_rows(function, data):
    """A batch is paid as its rows alone; what mask hides does not count."""
    ids = arrays(np.int64, (3, 5), elements=st.integers(0, 6))
    completions, mask = data.draw(ids), data.draw(masks(3, 5))
    targets = np.array([[3, 4, 0, 6, 2], [4, 0, 2, -1, -1], [3, 2, -1, -1, -1]])
    paid = function(completions, mask, targets)
    assert paid.shape == (3, 5) and paid.dtype == np.float64
    assert not paid[mask == 0].any()
    for row in range(3):
        n = int(mask[row].sum())
        wanted = targets[row][targets[row] >= 0]
        alone = function(
            completions[row : row + 1, :n], mask[row : row + 1, :n], wanted[None]
        )
        assert_allclose(alone[0], paid[row, :n], atol=1e-15)


def test_a_perfect_completion_sums_to_one_less_what_the_empty_text_has():
    for target, mask in zip(TARGETS, MASK, strict=True):
        arguments = [np.maximum(target, 0)], [mask], [target]
        length = sum(mask)
        for function, total in [
            (rewards.token_indicator, length),
            (rewards.token_position_match, 1),
            (rewards.token_cumulative_match, (length + 1) / 2),
            (rewards.token_exact_match, 1),
            (rewards.token_edit_similarity, 1 - 1 / (1 + length)),
            (rewards.token_edit_progress, 0),
            (rewards.token_edit_regret, 0),
        ]:
            assert_allclose(function(*arguments).sum(), total, atol=1e-15)


@pytest.mark.parametrize("function", TOKEN_REWARDS)
def test_token_rewards_refuse_bad_arrays(function):
    with pytest.raises(ValueError, match="completions: expected the shape of mask"):
        function([[3, 4]], [[1]], [[3, 4]])
    with pytest.raises(ValueError, match=r"mask: expected ones \(at least one\)"):
        function([[3, 4]], [[0, 0]], [[3, 4]])
    with pytest.raises(ValueError, match=r"targets: expected \(1, L\)"):
        function([[3, 4]], [[1, 1]], [[3, 4], [3, 4]])
    with pytest.raises(ValueError, match=r"targets: expected \(2, L\)"):
        function([[3, 4]] * 2, [[1, 1]] * 2, [[3, 4]])
    with pytest.raises(ValueError, match="targets: expected ids, at least one"):
        function([[3, 4]], [[1, 1]], [[-1, -1]])


def test_bridges_refuse_bad_numbers():
    mask = np.ones((2, 3))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="scores: expected finite"):
            rewards.terminal([bad, 1], mask)
        with pytest.raises(ValueError, match="potentials: expected finite"):
            rewards.potential_difference(np.full((2, 4), bad), mask)
    with pytest.raises(ValueError, match=r"scores: expected the shape \(2,\)"):
        rewards.terminal([1, 1, 1], mask)
    with pytest.raises(ValueError, match=r"potentials: expected the shape \(2, 4\)"):
        rewards.potential_shaping(np.ones((2, 3)), mask, 1.0)
    for gamma in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="gamma: expected a number in"):
            rewards.potential_shaping(np.ones((2, 4)), mask, gamma)


def test_token_length_by_hand():
    made = np.array([[3, 4, 3, 4, 3, 4], [3, 3, 3, 5, 0, 0]])
    mask = (made != 0).astype(float)
    targets = np.array([[3, 4, 3, 2, -1, -1], [3, 3, 3, 5, 5, 2]])
    np.testing.assert_allclose(
        rewards.token_length(made, mask, targets), [[0, 0, 0, 0, -0.25, -0.25], [0] * 6]
    )


def test_token_weighted_sum():
    made, mask = np.array([[3, 3, 4]]), np.ones((1, 3))
    targets = np.array([[3, 4, 4]])
    both = rewards.token_weighted_sum(
        [rewards.token_position_match, rewards.token_exact_match], [3.0, 2.0]
    )
    np.testing.assert_allclose(both(made, mask, targets), [[1, 0, 1]])
    np.testing.assert_allclose(both(targets, mask, targets), [[1, 1, 3]])
    for weights in ([1.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="weights"):
            rewards.token_weighted_sum(
                [rewards.token_indicator, rewards.token_length], weights
            )


def test_a_text_reward_becomes_a_token_reward():
    tokenizer = CharTokenizer(["abc"])
    a, b, c = tokenizer.encode("abc")
    made = np.array([[a, b, 2, 0], [c, 2, 0, 0]])
    targets = np.array([[a, b, 2, -1], [a, b, 2, -1]])
    reward = rewards.token_from_text(rewards.edit_similarity, tokenizer)
    np.testing.assert_allclose(
        reward(made, made != 0, targets), [[0, 0, 1, 0], [0, 1 / 3, 0, 0]]
    )


@pytest.mark.parametrize("mask", [[[1, 0, 1]], [[1, 0.5, 0]]])
def test_a_mask_is_ones_and_then_zeros(mask):
    with pytest.raises(ValueError, match="mask: expected ones"):
        rewards.terminal([1.0], mask)


def test_potentials_from_text_score_every_beginning():
    tokenizer = CharTokenizer(["cat"])  # c 3, a 4, t 5
    completions = np.array([[3, 4, 2], [5, 2, 0]])
    mask = np.array([[1.0, 1, 1], [1, 1, 0]])
    targets = np.array([[3, 4, 5]] * 2)
    score = rewards.potentials_from_text(rewards.edit_ratio, tokenizer)
    potentials = score(completions, mask, targets)
    assert_allclose(potentials, [[0, 1 / 3, 2 / 3, 2 / 3], [0, 1 / 3, 1 / 3, 1 / 3]])
    paid = rewards.potential_difference(potentials, mask)
    whole = rewards.token_from_text(rewards.edit_ratio, tokenizer)
    assert_allclose(paid.sum(1), whole(completions, mask, targets).sum(1))


# --- Padding is no id ----------------------------------------------------------


@pytest.mark.parametrize(
    "text, eos_id, pad_id, target",
    [
        ([3, 4, 2, 0, 0], 2, 0, [3, 4, 2, -1, -1]),
        ([3, 4, 2, 2, 2], 2, 2, [3, 4, 2, -1, -1]),  # GPT-2 pads with its EOS
        ([2, 2, 2, 2, 2], 2, 2, [2, -1, -1, -1, -1]),  # the empty text
        ([0, 3, 0, 2, 0], 2, 0, [0, 3, 0, 2, -1]),  # 0 is a letter
        ([3, 0, 4, 0, 0], 2, 0, [3, 0, 4, -1, -1]),  # cut off before its EOS
        ([3, 0, 4, 0, 0], None, 0, [3, 0, 4, -1, -1]),
        ([3, 0, 4, 5, 0], 2, 9, [3, 0, 4, 5, 0]),  # as long as the row
        ([3, 4, 5, 6, 7], 2, 2, [3, 4, 5, 6, 7]),
        ([0, 0, 0, 0, 0], None, 0, [-1, -1, -1, -1, -1]),
        ([3, 2, 9, 2, 9], 2, 9, [3, 2, -1, -1, -1]),
        ([2**62, 2, 0, 0, 0], 2, 0, [2**62, 2, -1, -1, -1]),  # of any vocabulary
    ],
)
def test_unpadded_texts(text, eos_id, pad_id, target):
    assert rewards.unpadded([text], eos_id, pad_id).tolist() == [target]
    both = rewards.unpadded([text, [3, 4, 5, 6, 7]], eos_id, pad_id)
    assert both.tolist() == [target, [3, 4, 5, 6, 7]]


def test_what_goes_on_behind_its_end_is_no_text():
    for ids in ([[2, 2, 3, 4]], [[3, 2, 4, 0]]):  # padded at the left; a dialogue
        with pytest.raises(ValueError, match="^texts: expected 0 behind the first 2"):
            rewards.unpadded(ids, eos_id=2)
    with pytest.raises(ValueError, match="^texts: expected integers"):
        rewards.unpadded([[3.0, 2.0]], eos_id=2)


def test_ids_of_ends_and_pads_begin_with_0():
    assert rewards.unpadded([[3, 0, 1, 1]], 0, 1).tolist() == [[3, 0, -1, -1]]
    with pytest.raises(ValueError, match="^eos_id: expected a token id in .*, got -1"):
        rewards.unpadded([[3, 4]], eos_id=-1)
    with pytest.raises(ValueError, match="^pad_id: expected at least 0, got -1"):
        rewards.unpadded([[3, 4]], pad_id=-1)
    above = np.array([[2**63, 3]], dtype=np.uint64)  # an int64 would be negative
    with pytest.raises(ValueError, match="^texts: expected token ids in"):
        rewards.unpadded(above)


def test_the_id_0_is_a_letter_of_a_target():
    class Letters:
        def decode(self, ids):
            return "".join("abc"[i] for i in ids)

    reward = rewards.token_from_text(rewards.edit_ratio, Letters())
    paid = reward(np.array([[0, 1]]), np.ones((1, 2)), np.array([[0, 1, -1]]))
    assert paid.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "text", [[39, 0, 220], [0, 39, 220], [39, 220, 0], [0, 0, 0], [0], [7, 2], [2]]
)
def test_a_copy_is_right_whatever_its_ids_are(text):
    """0 is "!" for GPT-2; L is the text's length."""
    n = len(text)
    padded = [*text, 0, 5]  # the mask alone says where it ends
    mask, target = [[1] * n + [0, 0]], [[*text, -1, -1, -1]]
    for function, total in [
        (rewards.token_indicator, n),
        (rewards.token_position_match, 1),
        (rewards.token_cumulative_match, (n + 1) / 2),
        (rewards.token_exact_match, 1),
        (rewards.token_edit_similarity, 1 - 1 / (1 + n)),
        (rewards.token_edit_progress, 0),
        (rewards.token_edit_regret, 0),
        (rewards.token_length, 0),
    ]:
        paid = function([padded], mask, target)
        assert_allclose(paid.sum(), total, atol=1e-15, err_msg=function.__name__)
        assert not paid[0, n:].any()


def test_a_letter_0_counts_as_any_other():
    """Against targets with 9 in its place."""
    rng = np.random.default_rng(0)
    made, wanted = rng.integers(0, 3, (2, 50, 6))
    wanted[:, 3:] = np.where(np.arange(3) < rng.integers(0, 3, (50, 1)), -1, 0)
    wanted = np.where(np.cumsum(wanted < 0, axis=1) > 0, -1, wanted)
    mask = (np.arange(6) < rng.integers(1, 7, (50, 1))) * 1.0
    for function in [*TOKEN_REWARDS, rewards.token_length]:
        other = [np.where(x == 0, 9, x) for x in (made, wanted)]
        assert_array_equal(
            function(made, mask, wanted), function(other[0], mask, other[1])
        )


BAD_TOKENS = {
    "nan": [[3.0, math.nan]],
    "inf": [[3.0, math.inf]],
    "fraction": [[3.5, 4.0]],
    "whole, but float": [[3.0, 4.0]],
    "text": [["3", "4"]],
    "bool": [[True, False]],
    "objects": [[None, 3]],
    "ragged": [[3], [3, 4]],
    "flat": [3, 4],
    "number": 3,
    "none": None,
    "three axes": [[[3, 4]]],
    "empty": [[]],
}


@pytest.mark.parametrize("bad", BAD_TOKENS)
@pytest.mark.parametrize("function", [*TOKEN_REWARDS, rewards.token_length])
def test_tokens_are_integers(function, bad):
    bad = BAD_TOKENS[bad]
    with pytest.raises(ValueError, match="^completions: "):
        function(bad, [[1, 1]], [[3, 4]])
    with pytest.raises(ValueError, match="^targets: "):
        function([[3, 4]], [[1, 1]], bad)


@pytest.mark.parametrize("function", TOKEN_REWARDS)
def test_a_target_has_no_holes(function):
    with pytest.raises(ValueError, match="^targets: expected ids, at least one, then"):
        function([[3, 4]], [[1, 1]], [[-1, 4]])
    for target in ([-1, -1, -1], [3, -1, 4]):  # beside one that is right
        with pytest.raises(ValueError, match="^targets: expected ids, at least one"):
            function([[3, 4]] * 2, [[1, 1]] * 2, [[3, 4, -1], target])
    with pytest.raises(ValueError, match="^completions: expected ids of at least 0"):
        function([[3, -1]], [[1, 1]], [[3, -1]])


def test_texts_of_tokens_end_with_their_mask():
    """Pads may be letters: here "a" is the pad, and nothing ends a text."""
    tokenizer = CharTokenizer(["abc"])
    a, b, c = tokenizer.encode("abc")
    made = np.array([[b, c, a, a], [b, a, a, a]])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
    targets = np.array([[b, c, -1], [b, a, -1]])
    reward = rewards.token_from_text(rewards.exact_match, tokenizer)
    assert_array_equal(reward(made, mask, targets).sum(axis=1), [1, 0])
    score = rewards.potentials_from_text(rewards.edit_ratio, tokenizer)
    assert_allclose(
        score(made, mask, targets), [[0, 1 / 2, 1, 1, 1], [0, 1 / 2, 1, 2 / 3, 1 / 2]]
    )
    # A reward that reads no target needs none.
    paid = rewards.token_from_text(rewards.repetition, tokenizer)
    assert not paid(made, mask, [[-1], [-1]]).any()


def test_weighted_token_rewards_are_of_every_token():
    for value in (np.ones(2), np.ones((1, 2)), np.full((2, 2), math.nan)):
        reward = rewards.token_weighted_sum([lambda c, m, t, v=value: v], [1.0])
        with pytest.raises(ValueError, match="^<lambda>: expected"):
            reward(np.full((2, 2), 3), np.ones((2, 2)), np.full((2, 2), 3))


def test_potentials_need_a_score_for_each_beginning():
    score = rewards.potentials_from_text(
        lambda texts, target: [1.0], CharTokenizer(["a"])
    )
    with pytest.raises(ValueError, match=r"^function: expected the shape \(2,\)"):
        score([[3, 3]], [[1, 1]], [[3]])


def test_no_completions_have_no_scores():
    for function in TEXT_REWARDS:
        assert function([], target=[]) == []
    assert rewards.length_score([], length=[]) == []
    assert rewards.repetition([]) == []


def test_one_empty_target_is_refused():
    with pytest.raises(ValueError, match="^target: expected texts that are"):
        rewards.position_match(["a", "b"], target=["a", ""])


def test_a_weighted_sum_reads_conversations():
    talk = [[{"role": "assistant", "content": "a b"}]]
    reward = rewards.weighted_sum([rewards.exact_match], [2.0])
    assert reward(talk, target=["a b"]) == [2.0]
