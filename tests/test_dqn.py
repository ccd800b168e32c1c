"""Deep Q-learning: targets by hand, exact values, resuming, errors."""

import numpy as np
import pytest

from core import envs, exact, returns, sampling, weights
from core.settings import DQNConfig
from core.trainers import dqn
from core.types import Rollout
from tests.both import BOTH, TF, log_of_tensorflow, traces
from tests.test_rollout import last_logits, policy_of

RNG = np.random.default_rng(0)
# The reward of each token after its prefix; 0 ends a text.
PAID = {}


def paid(text):
    return PAID.setdefault(text, float(RNG.normal()))


MDP = exact.TokenMDP.enumerate(4, 3, paid, eos_id=0)


def token_reward(completions, mask, targets):
    rewards = np.zeros(mask.shape)
    for b, t in np.argwhere(mask > 0):
        rewards[b, t] = PAID[tuple(completions[b, : t + 1].tolist())]
    return rewards


def trainer_of(fw, limit_ends=True, dtype="float64", **settings):
    env = envs.BatchedEnvironment(
        [[1]], [[1]], token_reward, 4, eos_id=0, max_length=3, limit_ends=limit_ends
    )
    networks = [
        fw.models.LSTMPolicy(4, 8, 16, seed=seed, dtype=dtype) for seed in (2, 3)
    ]
    settings = {"steps": 6, "batch_size": 16} | settings
    return fw.dqn.DQNTrainer(*networks, env, DQNConfig(**settings))


def table(fw, network):
    return exact.policy_logits(MDP, lambda prefixes: last_logits(fw, network, prefixes))


SETTINGS = {
    "double": {},
    "plain": {"double": False, "target_every": 5},
    "soft": {"double": False, "alpha": 0.4, "gamma": 0.9},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_both_frameworks_take_the_same_steps(settings):
    trainers = [trainer_of(fw, **settings) for fw in BOTH]
    histories = [trainer.train(progress=False) for trainer in trainers]
    for ours, theirs in zip(*histories):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-11)
    for name in ("policy", "target"):
        ours, theirs = (
            fw.checkpoints.get_weights(trainer.models[name])
            for fw, trainer in zip(BOTH, trainers)
        )
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], atol=1e-10)


ON_DEVICE = {
    "hard": {"noise": "device"},
    "soft": SETTINGS["soft"] | {"noise": "device"},
}


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("settings", ON_DEVICE.values(), ids=ON_DEVICE)
def test_noise_of_the_device_needs_no_array_of_the_host(fw, settings, monkeypatch):
    monkeypatch.setattr(sampling, "gumbel_noise", None)
    assert len(trainer_of(fw, **settings).train(progress=False)) == 6
    host = trainer_of(fw, **settings | {"noise": "host"})
    with pytest.raises(TypeError):
        host.train(progress=False)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_exploration_on_the_device_has_its_share(fw):
    """Of random tokens: all at first, none at the end."""
    settings = {"steps": 2, "batch_size": 400, "epsilon_final": 0.0, "updates": 1}
    trainer = trainer_of(fw, noise="device", learning_rate=1e-9, **settings)
    trainer.step()
    shares = np.bincount(trainer.batch.completions[:, 0], minlength=4) / 400
    np.testing.assert_allclose(shares, 0.25, atol=0.09)  # four deviations
    trainer.step()
    assert len(np.unique(trainer.batch.completions, axis=0)) == 1


@pytest.mark.parametrize("more", [{}, {"noise": "device"}], ids=["host", "device"])
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_resumes_bit_for_bit(tmp_path, fw, more):
    """With the target network and the buffer, both of the file."""
    path, settings = tmp_path / "half.safetensors", {"target_every": 7} | more
    whole = trainer_of(fw, dtype="float32", **settings)
    whole.train(progress=False)
    half = trainer_of(fw, dtype="float32", **settings)
    half.train(3, progress=False, path=path)
    resumed = trainer_of(fw, dtype="float32", **settings)
    resumed.load(path)
    resumed.train(progress=False)
    assert resumed.history == whole.history
    for name, model in whole.models.items():
        ours = fw.checkpoints.get_weights(model)
        theirs = fw.checkpoints.get_weights(resumed.models[name])
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.parametrize("limit_ends", [True, False])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_targets_by_hand(fw, settings, limit_ends):
    """Token by token, from the two networks' own values."""
    trainer = trainer_of(fw, limit_ends, **settings)
    trainer.train(3, progress=False)
    # Another target network, whose best tokens are not the policy's.
    other = fw.models.LSTMPolicy(4, 8, 16, seed=5, dtype="float64")
    fw.checkpoints.set_weights(
        trainer.target,
        {
            name: 3 * weight
            for name, weight in fw.checkpoints.get_weights(other).items()
        },
    )
    config, batch = trainer.config, trainer.batch
    found = trainer.targets(batch)
    cut_off = 0

    def q(network, prefix):
        return last_logits(fw, network, np.array([prefix], dtype=int))[0]

    for b, text in enumerate(batch.completions.tolist()):
        length = int(batch.mask[b].sum())
        for t in range(length):
            prefix = text[: t + 1]
            after = q(trainer.target, prefix)
            if config.alpha:
                value = config.alpha * np.log(np.exp(after / config.alpha).sum())
            elif config.double:
                value = after[q(trainer.policy, prefix).argmax()]
            else:
                value = after.max()
            if prefix[-1] == 0 or (t == 2 and limit_ends):
                value = 0.0
            elif t == 2:
                cut_off += 1
            assert found[b, t] == pytest.approx(
                PAID[tuple(prefix)] + config.gamma * value, abs=1e-9
            )
        assert not found[b, length:].any()
    assert (cut_off > 0) == (not limit_ends)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_float64_is_for_one_text_at_a_time(settings, monkeypatch):
    trainer, shapes = trainer_of(BOTH[0], dtype="float32", **settings), []

    def seen(q, *more):
        shapes.append(q.shape)
        return returns.state_values(q, *more)

    monkeypatch.setattr(dqn, "state_values", seen)
    trainer.step()
    del shapes[:]
    assert trainer.targets(trainer.batch).shape == (16, 3)
    assert shapes == [(3, 4)] * 16


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_target_network_waits(fw):
    trainer = trainer_of(fw, updates=2, target_every=4)
    get = fw.checkpoints.get_weights

    def apart():
        ours, theirs = map(get, (trainer.policy, trainer.target))
        return max(np.abs(ours[n] - theirs[n]).max() for n in ours)

    found = [apart()]
    for _ in range(4):
        trainer.step()
        found.append(apart())
    assert found[0] == found[2] == found[4] == 0 < min(found[1], found[3])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_learns_the_exact_values(fw):
    trainer = trainer_of(
        fw,
        dtype="float32",
        steps=100,
        batch_size=64,
        learning_rate=0.01,
        epsilon_final=0.5,
    )
    trainer.train(progress=False)
    q = table(fw, trainer.policy)
    best = np.where(q == q.max(axis=1, keepdims=True), 0.0, -50.0)
    optimum = exact.optimal(MDP)[0][0]
    assert exact.objective(MDP, best) == pytest.approx(optimum, rel=0.01)
    np.testing.assert_allclose(q, exact.optimal(MDP)[1], atol=0.5)


def test_learns_the_best_policy_with_an_entropy_bonus():
    """softmax(Q / alpha) has nearly the most of J + alpha H."""
    fw, alpha = BOTH[0], 0.3
    trainer = trainer_of(
        fw,
        dtype="float32",
        steps=100,
        batch_size=64,
        learning_rate=0.01,
        alpha=alpha,
        double=False,
    )
    trainer.train(progress=False)
    logits = table(fw, trainer.policy) / alpha
    found = exact.objective(MDP, logits) + alpha * exact.entropy(MDP, logits)
    best = exact.back_up(MDP, lambda q, level: returns.state_values(q, alpha))[0][0]
    assert best - 0.03 < found <= best


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_gradient_of_the_loss(fw):
    """(Q(y_t) - target) / tokens at the chosen token, elsewhere 0."""
    rng = np.random.default_rng(1)
    q, targets = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3))
    tokens, mask = rng.integers(0, 4, (2, 3)), np.ones((2, 3))
    mask[1, 1:] = 0
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.q_loss(x, *map(fw.tensor, (tokens, targets, mask))), q
    )
    chosen = np.take_along_axis(q, tokens[..., None], -1)[..., 0]
    error = (chosen - targets) * mask
    assert value == pytest.approx((error**2).sum() / 2 / 4)
    expected = np.zeros_like(q)
    np.put_along_axis(expected, tokens[..., None], error[..., None] / 4, -1)
    np.testing.assert_allclose(gradient, expected, atol=1e-12)
    with pytest.raises(ValueError, match="one shape"):
        fw.losses.q_loss(*map(fw.tensor, (q, tokens, targets[:1], mask)))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_wrong_arguments_are_named(fw):
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match="^target: expected another"):
        fw.dqn.DQNTrainer(trainer.policy, trainer.policy, trainer.env, trainer.config)
    with pytest.raises(ValueError, match="^target: expected .* 4 tokens"):
        fw.dqn.DQNTrainer(
            trainer.policy, fw.models.LSTMPolicy(5, 8, 16), trainer.env, trainer.config
        )
    trainer.step()
    batch = trainer.batch
    batch.prompt_mask[0] = 0
    with pytest.raises(ValueError, match="^prompts: expected .* padding"):
        trainer.update(batch)


@pytest.mark.parametrize(
    "name, value",
    [
        ("steps", 0),
        ("updates", 0),
        ("target_every", 0),
        ("gamma", 1.5),
        ("epsilon", -0.1),
        ("epsilon_final", 2.0),
        ("learning_rate", 0.0),
        ("alpha", -1.0),
        ("alpha", float("nan")),
        ("buffer_batches", 0),
        ("noise", "gpu"),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        DQNConfig(double=False, **{name: value})


def test_a_soft_maximum_is_not_double():
    with pytest.raises(ValueError, match="^double: expected False"):
        DQNConfig(alpha=0.1)
    with pytest.raises(ValueError, match="^alpha: expected"):
        returns.state_values(np.ones(3), 0.1, chooser=np.ones(3))


def test_the_batch_of_a_failed_update_is_kept(tmp_path):
    """That from the buffer, not the one sampled last."""
    trainer, path = trainer_of(BOTH[0]), tmp_path / "run.safetensors"
    trainer.step()
    for kept in trainer.buffer.rollouts:
        kept.rewards[:] = 1e200
    with pytest.raises(FloatingPointError, match="step 2") as caught:
        trainer.train(progress=False, path=path)
    arrays, about = weights.read(f"{path}.failed")
    assert (
        about["step"] == 2 and "run.safetensors.failed" in (caught.value.__notes__[0])
    )
    assert Rollout(**arrays).rewards.max() == 1e200
    assert trainer.batch.rewards.max() < 1e200


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_gpt_takes_the_same_steps_in_both(settings):
    histories = []
    for fw in BOTH:
        trainer = trainer_of(fw, **settings)
        networks = [policy_of(fw, "GPT", vocab=4, seed=s) for s in (2, 3)]
        trainer = fw.dqn.DQNTrainer(*networks, trainer.env, trainer.config)
        histories.append(trainer.train(3, progress=False))
    for ours, theirs in zip(*histories):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-11)


def test_a_not_finite_loss_stops_the_training():
    trainer = trainer_of(BOTH[0])
    trainer.step()
    trainer.batch.rewards[:] = 1e200
    with pytest.raises(FloatingPointError, match="step 2: expected a finite"):
        trainer.update(trainer.batch)


def test_tensorflow_does_not_warn_of_many_trainers():
    with log_of_tensorflow() as text:
        for _ in range(6):
            trainer = trainer_of(TF)
            trainer.train(2, progress=False)
            assert set(traces(trainer)) == set(traces(trainer.policy)) == {1}
    assert text.getvalue() == ""
