"""Sampling: exact frequencies, ends of texts, the same tokens twice."""

import numpy as np
import pytest

from core import envs, exact, rewards
from tests.both import BOTH

SIZES = {"embedding_dim": 4, "hidden_dim": 8}


def policy_of(fw, name="LSTMPolicy", vocab=6, seed=2, dtype="float64"):
    return getattr(fw.models, name)(vocab, seed=seed, dtype=dtype, **SIZES)


def small_env(eos_id=None):
    rng = np.random.default_rng(7)
    prompts = rng.integers(1, 6, (8, 2))
    targets = rng.integers(3, 6, (8, 4))
    return envs.BatchedEnvironment(
        prompts, targets, rewards.token_position_match, 6, eos_id=eos_id
    )


@pytest.mark.parametrize("name", ["LSTMPolicy", "LSTMAttentionPolicy"])
@pytest.mark.parametrize("eos_id", [None, 2, 0])  # 0: eos is also the pad
def test_sampler_and_scorer_agree(name, eos_id):
    """One-token steps and the full pass give the same log-probabilities."""
    noise = np.random.default_rng(3).gumbel(size=(16, 5, 6))
    prompts = np.random.default_rng(4).integers(0, 6, (16, 3))
    found = {}
    for fw in BOTH:
        policy = policy_of(fw, name)
        completions, logprobs, mask = fw.rollout.sample(
            policy, prompts, 5, noise, eos_id=eos_id, temperature=0.7
        )
        logits, _ = policy.score(fw.tensor(prompts), fw.tensor(completions))
        again = fw.numpy(fw.logprobs.token_logprobs(
            logits, fw.tensor(completions), 0.7
        ))
        np.testing.assert_allclose(logprobs, again * mask, atol=1e-12)
        found[fw.name] = completions, mask
    np.testing.assert_array_equal(found["pt"][0], found["tf"][0])
    np.testing.assert_array_equal(found["pt"][1], found["tf"][1])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_mask_includes_the_first_eos_and_nothing_after(fw):
    noise = np.random.default_rng(5).gumbel(size=(64, 6, 6))
    completions, logprobs, mask = fw.rollout.sample(
        policy_of(fw), np.ones((64, 1), int), 6, noise, eos_id=2, pad_id=0
    )
    ended = 0
    for row, kept, logprob in zip(completions, mask, logprobs):
        first = np.flatnonzero(row == 2)
        length = first[0] + 1 if len(first) else 6
        ended += len(first) > 0
        np.testing.assert_array_equal(kept, np.arange(6) < length)
        assert (row[length:] == 0).all() and (logprob[length:] == 0).all()
        assert (logprob[:length] < 0).all()
    assert 10 < ended < 64  # both kinds were there


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_stops_when_all_have_ended(fw):
    policy = policy_of(fw)
    noise = np.zeros((3, 6, 6))
    noise[:, 1, 2] = 1e3  # every row takes EOS at position 1
    completions, _, mask = fw.rollout.sample(
        policy, np.ones((3, 1), int), 6, noise, eos_id=2, pad_id=1
    )
    np.testing.assert_array_equal(mask.sum(axis=1), 2)
    assert (completions[:, 2:] == 1).all()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_gumbel_max_draws_from_the_policy(fw):
    """Frequencies of all 27 texts against their exact probabilities."""
    policy = policy_of(fw, vocab=3, dtype="float32")
    mdp = exact.TokenMDP.enumerate(3, 3, lambda text: 0.0)
    logits = exact.policy_logits(mdp, lambda prefixes: last_logits(
        fw, policy, prefixes
    ))
    probs, n = exact.probabilities(mdp, logits), 20_000
    noise = np.random.default_rng(6).gumbel(size=(n, 3, 3))
    completions, _, _ = fw.rollout.sample(
        policy, np.ones((n, 1), int), 3, noise
    )
    index = completions @ [9, 3, 1]
    counts = np.bincount(index, minlength=27)[mdp.completions @ [9, 3, 1]]
    error = (counts - n * probs) / np.sqrt(n * probs * (1 - probs))
    assert np.abs(error).max() < 4


def last_logits(fw, policy, prefixes):
    ids = np.concatenate([np.ones((len(prefixes), 1), int), prefixes], 1)
    return fw.numpy(policy(fw.tensor(ids))[0])[:, -1]


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_greedy_takes_the_most_likely_token(fw):
    policy = policy_of(fw)
    prompts = np.ones((1, 1), int)
    completions, _, _ = fw.rollout.sample(policy, prompts, 4)
    logits, _ = policy.score(fw.tensor(prompts), fw.tensor(completions))
    np.testing.assert_array_equal(
        fw.numpy(logits).argmax(axis=-1), completions
    )


@pytest.mark.parametrize("eos_id", [None, 2])
def test_rollout_is_the_same_in_both(eos_id):
    env = small_env(eos_id)
    found = []
    for fw in BOTH:
        rng = np.random.default_rng(8)
        rows = env.sample(32, rng)
        found.append(fw.rollout.rollout(policy_of(fw), env, rows, rng))
    first, second = found
    for name in ("prompts", "completions", "mask", "rewards", "terminated"):
        np.testing.assert_array_equal(
            getattr(first, name), getattr(second, name), err_msg=name
        )
    np.testing.assert_allclose(first.logprobs, second.logprobs, atol=1e-12)
    has_eos = ((first.completions == 2) & (first.mask > 0)).any(axis=1)
    expected = np.ones(32, bool) if eos_id is None else has_eos
    np.testing.assert_array_equal(first.terminated, expected)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "change, name",
    [
        ({"prompts": np.zeros((2, 0), int)}, "prompts"),
        ({"prompts": np.array([1, 2])}, "prompts"),
        ({"prompts": np.array([[6]])}, "prompts"),
        ({"prompts": np.array([[-1]])}, "prompts"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"noise": np.zeros((1, 3, 6))}, "noise"),
        ({"max_length": 0}, "max_length"),
        ({"prompts": np.zeros((0, 1), int)}, "prompts"),
        ({"prompts": np.array([[1.5]])}, "prompts"),
        ({"noise": np.full((1, 4, 6), np.nan)}, "noise"),
    ],
)
def test_bad_input_is_named(fw, change, name):
    arguments = {"prompts": np.array([[1]]), "max_length": 4} | change
    with pytest.raises(ValueError, match=name):
        fw.rollout.sample(policy_of(fw), **arguments)


