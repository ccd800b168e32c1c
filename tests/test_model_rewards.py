"""Rewards that need a model: against the model's own outputs."""

import gc
import weakref

import numpy as np
import pytest

from core.envs import BatchedEnvironment
from tests.both import BOTH, TF, traces
from tests.test_rollout import policy_of


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_token_loglikelihood(fw):
    model, rng = policy_of(fw, "GPT"), np.random.default_rng(3)
    prompts, texts = rng.integers(0, 6, (2, 3)), rng.integers(0, 6, (4, 5))
    mask = np.ones((4, 5))
    mask[1, 2:] = 0
    found = fw.rewards.token_loglikelihood(model, prompts, texts, mask)
    logits, _ = model.score(fw.tensor(prompts), fw.tensor(texts))
    expected = fw.numpy(fw.logprobs.token_logprobs(logits, fw.tensor(texts)))
    np.testing.assert_allclose(found, expected * mask, atol=1e-12)
    padded = np.ones((2, 3))
    padded[0, 0] = 0
    found = fw.rewards.token_loglikelihood(model, prompts, texts, mask, padded)
    alone = fw.rewards.token_loglikelihood(model, prompts[:1, 1:], texts[:2], mask[:2])
    np.testing.assert_allclose(found[:2], alone, atol=1e-12)


each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
models = pytest.mark.parametrize("name", ["LSTMPolicy", "GPT"])


def with_scores(fw, model):
    """The model with another value head: a new one's scores are all 0."""
    weights = fw.checkpoints.get_weights(model)
    rng = np.random.default_rng(5)
    for name in ("value_head.weight", "value_head.bias"):
        weights[name] = rng.normal(size=weights[name].shape)
    fw.checkpoints.set_weights(model, weights)
    return model


def texts_of(seed=3):
    """Two prompts of three tokens, two texts of up to five tokens each."""
    rng = np.random.default_rng(seed)
    mask = (np.arange(5) < [[5], [2], [1], [4]]).astype(float)
    return rng.integers(0, 6, (2, 3)), rng.integers(0, 6, (4, 5)), mask


@each
@models
def test_token_scores_are_the_values_behind_the_tokens(fw, name):
    model = with_scores(fw, policy_of(fw, name))
    prompts, texts, mask = texts_of()
    arrays = list(map(fw.tensor, (prompts, texts, mask)))
    found = fw.numpy(fw.rewards.token_scores(model, *arrays))
    ids = np.concatenate([prompts.repeat(2, axis=0), texts], axis=1)
    values = fw.numpy(model(fw.tensor(ids))[1])
    np.testing.assert_allclose(found, values[:, 3:] * mask, atol=1e-12)
    assert np.abs(found[mask > 0]).min() > 0
    # A text that ends after token t has the same score there.
    for t in range(1, 5):
        short = fw.numpy(
            fw.rewards.token_scores(
                model, *map(fw.tensor, (prompts, texts[:, :t], mask[:, :t]))
            )
        )
        np.testing.assert_allclose(found[:, :t], short, atol=1e-12)
    # Tokens behind the end change nothing.
    other = np.where(mask > 0, texts, 5 - texts)
    again = fw.rewards.token_scores(model, arrays[0], fw.tensor(other), arrays[2])
    np.testing.assert_allclose(fw.numpy(again), found, atol=1e-12)


@each
def test_scores_do_not_see_padding(fw):
    model = with_scores(fw, policy_of(fw, "GPT"))
    prompts, texts, mask = texts_of()
    padding = np.array([[0.0, 1, 1], [1, 1, 1]])
    scores = fw.rewards.token_scores
    found = fw.numpy(scores(model, *map(fw.tensor, (prompts, texts, mask, padding))))
    alone = scores(model, *map(fw.tensor, (prompts[:1, 1:], texts[:2], mask[:2])))
    np.testing.assert_allclose(found[:2], fw.numpy(alone), atol=1e-12)
    whole = fw.numpy(scores(model, *map(fw.tensor, (prompts, texts, mask))))
    np.testing.assert_allclose(found[2:], whole[2:], atol=1e-12)
    assert np.abs(found[:2] - whole[:2]).max() > 1e-3


@each
@models
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_a_learned_reward_pays_the_sequences_score(fw, name, level):
    model = with_scores(fw, policy_of(fw, name))
    prompts, texts, mask = texts_of()
    arrays = list(map(fw.tensor, (prompts, texts, mask)))
    tokens = fw.numpy(fw.rewards.token_scores(model, *arrays))
    scores = fw.numpy(fw.rewards.sequence_scores(model, *arrays, level))
    last = np.array([4, 1, 0, 3])
    by_hand = tokens.sum(axis=1)
    if level == "sequence":
        by_hand = tokens[range(4), last]
    np.testing.assert_allclose(scores, by_hand, atol=1e-12)
    env = BatchedEnvironment(
        prompts, prompts, fw.rewards.learned_reward(model, level), 6, max_length=5
    )
    paid = env.rewards(texts, mask, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(paid.sum(axis=1), scores, atol=1e-12)
    if level == "token":
        np.testing.assert_allclose(paid, tokens, atol=1e-12)
    else:
        assert (np.argmax(paid != 0, axis=1) == last).all()
        assert ((paid != 0).sum(axis=1) == 1).all()


@each
def test_an_unknown_level_is_named(fw):
    model = policy_of(fw)
    arrays = list(map(fw.tensor, texts_of()))
    with pytest.raises(ValueError, match="^level: expected"):
        fw.rewards.sequence_scores(model, *arrays, "word")
    with pytest.raises(ValueError, match="^level: expected"):
        fw.rewards.learned_reward(model, "word")


def test_tensorflow_compiles_a_reward_once():
    model, (prompts, texts, mask) = policy_of(TF), texts_of()
    for level in ("sequence", "token"):
        reward = TF.rewards.learned_reward(model, level)
        for _ in range(3):
            reward(texts, mask, prompts)
    assert traces(model) == [1]


def test_tensorflow_frees_what_it_compiled():
    model, (prompts, texts, mask) = policy_of(TF), texts_of()
    TF.rewards.learned_reward(model, "token")(texts, mask, prompts)
    TF.rollout.sample(model, prompts, 3, eos_id=2)
    weak = weakref.ref(model)
    del model
    gc.collect()
    assert weak() is None


# --- Masks of texts and of prompts -------------------------------------------


@each
@models
def test_a_likelihood_is_zero_where_the_mask_is(fw, name):
    """Masks that begin with 0, or have no 1; ids behind a text are not read."""
    model, (prompts, texts, _) = policy_of(fw, name), texts_of()
    mask = np.array([[0, 1, 1, 1, 1], [0] * 5, [1, 0, 1, 0, 0], [1] * 5])
    likely = fw.rewards.token_loglikelihood
    whole = likely(model, prompts, texts, np.ones((4, 5)))
    read = mask[:, ::-1].cumsum(axis=1)[:, ::-1] > 0
    found = likely(model, prompts, np.where(read, texts, -100), mask)
    np.testing.assert_allclose(found, whole * mask, atol=1e-12)
    assert (found[mask == 0] == 0).all() and (whole < 0).all()


@each
@models
def test_a_texts_score_is_that_of_the_last_token_under_the_mask(fw, name):
    model, (prompts, texts, _) = with_scores(fw, policy_of(fw, name)), texts_of()
    mask = np.array([[0, 1, 1, 0, 0], [0] * 5, [0, 1, 0, 0, 1], [1] * 5])
    arrays = [fw.tensor(a) for a in (prompts, texts, np.ones((4, 5)))]
    tokens = fw.numpy(fw.rewards.token_scores(model, *arrays))
    wanted = [tokens[0, 2], 0, tokens[2, 4], tokens[3, 4]]
    for kind in (bool, int, np.float32, np.float64):
        arrays[2] = fw.tensor(mask.astype(kind))
        found = fw.rewards.sequence_scores(model, *arrays, "sequence")
        np.testing.assert_allclose(fw.numpy(found), wanted, atol=1e-12)
    found = fw.rewards.sequence_scores(model, *arrays, "token")
    np.testing.assert_allclose(fw.numpy(found), (tokens * mask).sum(1), atol=1e-12)
    other = np.where(mask[:, ::-1].cumsum(1)[:, ::-1] > 0, texts, 10**6)
    again = fw.rewards.sequence_scores(
        model, arrays[0], fw.tensor(other), arrays[2], "token"
    )
    np.testing.assert_allclose(fw.numpy(again), fw.numpy(found), atol=1e-12)


@each
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_a_learned_reward_reads_no_padding(fw, level):
    """Padded prompts, -1 in the targets, earn what they earn alone."""
    model = with_scores(fw, policy_of(fw, "GPT"))
    prompts, texts, mask = texts_of()
    reward = fw.rewards.learned_reward(model, level)
    padded = np.array([prompts[0], prompts[0], prompts[1], prompts[1]])
    padded[:2, 0], padded[2, :2] = -1, -1
    found = reward(texts, mask, padded)
    for row, first in enumerate([1, 1, 2, 0]):
        here = slice(row, row + 1)
        alone = reward(texts[here], mask[here], padded[here, first:])
        np.testing.assert_allclose(found[here], alone, atol=1e-12)
    arrays = map(fw.tensor, (np.maximum(padded, 0), texts, mask))
    scores = fw.rewards.sequence_scores(model, *arrays, level, fw.tensor(padded >= 0))
    np.testing.assert_allclose(found.sum(axis=1), fw.numpy(scores), atol=1e-12)
    with pytest.raises(ValueError, match="^prompt_mask: expected"):
        reward(texts, mask, padded[:, ::-1])  # at the right
    recurrent = fw.rewards.learned_reward(policy_of(fw), level)
    with pytest.raises(ValueError, match="^prompt_mask: expected None"):
        recurrent(texts, mask, padded)


@each
@pytest.mark.parametrize(
    "name, value",
    [
        ("prompts", [[1, 2], [3, 6]]),
        ("prompts", [[1, 2], [3, -1]]),
        ("prompts", [[1.0, 2.0], [3.0, 4.0]]),
        ("prompts", [[1, 2], [3]]),
        ("prompts", [["a", "b"], ["c", "d"]]),
        ("prompts", []),
        ("completions", [[1, 2], [6, 1], [1, 1], [1, 1]]),
        ("completions", [[1, 2], [-1, 1], [1, 1], [1, 1]]),
        ("completions", [[1.5, 2], [1, 1], [1, 1], [1, 1]]),
        ("completions", [[1, 2], [1, 1], [1, 1]]),
        ("completions", [1, 2]),
        ("mask", np.full((4, 2), 2)),
        ("mask", np.full((4, 2), np.nan)),
        ("mask", np.ones((4, 1))),
        ("mask", [["a", "b"]] * 4),
        ("prompt_mask", [[1, 0], [1, 1]]),
        ("prompt_mask", [[0, 0], [1, 1]]),
        ("prompt_mask", [[0.5, 1], [1, 1]]),
        ("prompt_mask", [[np.nan, 1], [1, 1]]),
        ("prompt_mask", [[1], [1]]),
    ],
    ids=str,
)
def test_what_is_no_text_is_named(fw, name, value):
    arrays = {
        "prompts": [[1, 2], [3, 4]],
        "completions": [[1, 2], [3, 5], [1, 1], [1, 1]],
        "mask": [[1, 1], [1, 0], [True, True], [1, 0]],
    }
    model = policy_of(fw, "GPT")
    assert fw.rewards.token_loglikelihood(model, **arrays).shape == (4, 2)
    if name == "completions":
        arrays["mask"] = np.ones(np.shape(value))
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        fw.rewards.token_loglikelihood(model, **arrays | {name: value})
