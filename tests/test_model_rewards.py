"""Rewards that need a model: against the model's own outputs."""

import gc
import weakref

import numpy as np
import pytest

from core.envs import BatchedEnvironment
from tests.both import BOTH, TF
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
    scores = model.once(TF.rewards._scores)
    assert scores.experimental_get_tracing_count() == 1


def test_tensorflow_frees_what_it_compiled():
    model, (prompts, texts, mask) = policy_of(TF), texts_of()
    TF.rewards.learned_reward(model, "token")(texts, mask, prompts)
    TF.rollout.sample(model, prompts, 3, eos_id=2)
    weak = weakref.ref(model)
    del model
    gc.collect()
    assert weak() is None
