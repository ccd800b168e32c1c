"""The corners where implementations break: groups of one, groups without
spread, rows that are all masked, texts without EOS, pad = EOS, one token."""

from dataclasses import replace

import numpy as np
import pytest

from core import envs, returns
from core.advantages import Group, LeaveOneOut, MinimumRisk
from core.algorithms import ALGORITHMS, TRAINING
from core.settings import PolicyGradientConfig
from tests.both import BOTH

FRAMEWORKS = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
B, T = 3, 4


def masked_losses(fw):
    """Each loss of a batch as a function of (B, T) numbers and a mask."""
    losses, rng = fw.losses, np.random.default_rng(0)
    adv, old = (fw.tensor(rng.normal(size=(B, T))) for _ in range(2))
    tokens = fw.tensor(rng.integers(0, 2, (B, T)))

    def surrogate(level, how, length=None):
        def loss(x, mask):
            ratio = losses.policy_ratio(x, old, mask, level)
            gain = losses.clipped_surrogate(ratio, adv, 0.2, 0.2)
            return -losses.aggregate(gain, mask, how, length)

        return loss

    return {
        "policy gradient": lambda x, mask: losses.policy_gradient_loss(x, adv, mask),
        "entropy": losses.entropy_loss,
        "value": lambda x, mask: losses.value_loss(x, adv, mask),
        "clipped value": lambda x, mask: losses.clipped_value_loss(
            x, old, adv, mask, 0.1
        ),
        "cross-entropy": losses.cross_entropy_loss,
        "q": lambda x, mask: losses.q_loss(
            x[..., None] * fw.tensor(np.array([1.0, 2.0])), tokens, adv, mask
        ),
        "GRPO": surrogate("token", "sequence_mean"),
        "Dr. GRPO": surrogate("token", "constant", T),
        "DAPO": surrogate("token", "token_mean"),
        "GSPO": surrogate("length_normalised", "sequence_mean"),
        "RLOO": surrogate("sequence", "sequence_mean"),
    }


@FRAMEWORKS
@pytest.mark.parametrize("name", masked_losses(BOTH[0]))
def test_masked_tokens_have_no_gradient(fw, name):
    """In a row that ends early, in one that is all masked, in a batch that
    is: finite values, zeros where the mask is 0; and in float64."""
    loss = masked_losses(fw)[name]
    x = np.random.default_rng(1).normal(size=(B, T))
    for lengths in ([4, 2, 1], [4, 2, 0], [0, 0, 0]):
        mask = (np.arange(T) < np.array(lengths)[:, None]) * 1.0
        kept = fw.tensor(mask)
        value, (gradient,) = fw.grad(lambda x, m=kept: loss(x, m), x)
        assert np.isfinite(value) and np.isfinite(gradient).all()
        assert not gradient[mask == 0].any()
        assert value.dtype == gradient.dtype == np.float64
        moved = np.where(mask > 0, x, 7.0)  # what stands there is not read
        again, _ = fw.grad(lambda x, m=kept: loss(x, m), moved)
        assert again == pytest.approx(value, abs=1e-15)


def test_a_group_of_one_has_no_baseline():
    for kind in (Group, LeaveOneOut, MinimumRisk):
        with pytest.raises(ValueError, match="^size: expected at least 2"):
            kind(1)
    with pytest.raises(ValueError, match="^group_size: expected at least 2"):
        returns.group_advantages([1.0, 2.0], 1, scale=True)
    with pytest.raises(ValueError, match="^group_size: expected at least 2"):
        returns.leave_one_out([1.0, 2.0], 1)
    with pytest.raises(ValueError, match="^group_size: expected at least 2"):
        returns.informative_groups([1.0, 2.0], 1)


def environment(paid, max_length=3, **settings):
    return envs.BatchedEnvironment(
        [[1], [2]],
        [[1], [2]],
        lambda completions, mask, targets: paid(completions, mask),
        4,
        max_length=max_length,
        **settings,
    )


def trainer_of(fw, name, env, **settings):
    """A trainer with an algorithm's own settings."""
    models = fw.models
    config = PolicyGradientConfig(
        **{"algorithm": ALGORITHMS[name], "batch_size": 16, "warmup_steps": 0}
        | TRAINING.get(name, {})
        | settings
    )
    policy, reference = (
        models.LSTMPolicy(4, 4, 8, seed=seed, dtype="float64") for seed in (0, 1)
    )
    return fw.trainers.PolicyGradientTrainer(
        policy, env, config, reference=reference if config.algorithm.pull else None
    )


def first_token(completions, mask):
    paid = np.zeros(mask.shape)
    paid[:, 0] = completions[:, 0] == 3
    return paid


@FRAMEWORKS
@pytest.mark.parametrize("name", ["RLOO", "RLOO (TRL)", "GRPO", "Dr. GRPO", "GSPO"])
def test_groups_without_spread_change_nothing(fw, name):
    trainer = trainer_of(
        fw,
        name,
        environment(lambda completions, mask: 0.1 * mask),
        algorithm=replace(ALGORITHMS[name], pull=None),
    )
    before = fw.checkpoints.get_weights(trainer.policy)
    metrics = trainer.step()
    assert metrics["grad_norm"] < 1e-12 and metrics["informative"] == 0
    after = fw.checkpoints.get_weights(trainer.policy)
    for key in before:
        np.testing.assert_allclose(after[key], before[key], atol=1e-12)


@pytest.mark.parametrize(
    "fw, name",
    [
        *((BOTH[0], name) for name in ALGORITHMS),
        *((BOTH[1], name) for name in ("REINFORCE", "PPO", "GRPO", "GSPO")),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_texts_of_one_token(fw, name):
    trainer = trainer_of(fw, name, environment(first_token, max_length=1))
    history = trainer.train(2, progress=False)
    assert trainer.batch.completions.shape == (16, 1)
    assert np.isfinite([list(step.values()) for step in history]).all()


@FRAMEWORKS
@pytest.mark.parametrize("name", ["PPO", "GRPO"])
def test_pad_may_be_the_end(fw, name):
    """The same weights as with a pad of its own: EOS is trained, what
    stands after it is not."""
    found = []
    for pad in (0, 2):
        env = environment(first_token, eos_id=0, pad_id=pad)
        trainer = trainer_of(fw, name, env)
        trainer.train(2, progress=False)
        mask = trainer.batch.mask
        ends = (trainer.batch.completions == 0) & (mask > 0)
        assert ends.sum(axis=1).max() == 1 and ends.any()
        assert (trainer.batch.completions[mask == 0] == pad).all()
        found.append((mask, fw.checkpoints.get_weights(trainer.policy)))
    (mask, ours), (their_mask, theirs) = found
    np.testing.assert_array_equal(mask, their_mask)
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], atol=1e-12)


@FRAMEWORKS
@pytest.mark.parametrize("name", ["A2C", "GRPO"])
def test_texts_that_never_end(fw, name):
    """Without an EOS in the batch all tokens count, and nothing is
    terminated; a critic's value stands at the end."""
    env = environment(first_token, eos_id=0)
    trainer = trainer_of(fw, name, env)
    weights = fw.checkpoints.get_weights(trainer.policy)
    weights["policy_head.bias"][0] = -50.0
    fw.checkpoints.set_weights(trainer.policy, weights)
    metrics = trainer.step()
    batch = trainer.batch
    assert batch.mask.all() and not batch.terminated.any()
    assert metrics["length"] == 3 and np.isfinite(metrics["loss"])
