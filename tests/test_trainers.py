"""The trainer: exact gradients, learning, resuming, errors."""

import numpy as np
import pytest

from core import envs, exact, rewards, weights
from core.types import PolicyGradientConfig
from tests.both import BOTH
from tests.test_rollout import last_logits, small_env

SIZES = {"embedding_dim": 4, "hidden_dim": 8}


def trainer_of(fw, env=None, dtype="float64", **settings):
    settings = {"steps": 6, "batch_size": 16, "warmup_steps": 0} | settings
    config = PolicyGradientConfig(**settings)
    env = env or small_env(eos_id=2)
    policy = fw.models.LSTMPolicy(
        env.vocab_size, seed=2, dtype=dtype, **SIZES
    )
    network = None
    if config.baseline == "learned":
        network = fw.models.BaselineNetwork(
            env.vocab_size, seed=3, dtype=dtype, **SIZES
        )
    return fw.trainers.PolicyGradientTrainer(policy, env, config, network)


SETTINGS = {
    "plain": {},
    "mean": {"baseline": "mean", "entropy_coef": 0.1, "entropy_final": 0.0},
    "learned": {"baseline": "learned", "returns": "total"},
    "critic": {"baseline": "critic", "lam": 0.9, "gamma": 0.9},
    "whiten": {"baseline": "leave_one_out", "whiten": True},
    "temperature": {"temperature": 0.7},
    "reuse": {"buffer_batches": 2, "reuse": 2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_both_frameworks_take_the_same_steps(settings):
    """Six float64 updates: the same history and the same weights."""
    trainers = [trainer_of(fw, **settings) for fw in BOTH]
    histories = [t.train(progress=False) for t in trainers]
    for ours, theirs in zip(*histories):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-11)
    for model in trainers[0].models:
        ours, theirs = (
            fw.checkpoints.get_weights(t.models[model])
            for fw, t in zip(BOTH, trainers)
        )
        for name in ours:
            np.testing.assert_allclose(
                ours[name], theirs[name], atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_resumes_bit_for_bit(tmp_path, fw, settings):
    path = tmp_path / "half.safetensors"
    whole = trainer_of(fw, dtype="float32", **settings)
    whole.train(progress=False)
    half = trainer_of(fw, dtype="float32", **settings)
    half.train(3, progress=False, path=path)
    resumed = trainer_of(fw, dtype="float32", **settings)
    resumed.step()  # whatever it was, load replaces it
    resumed.load(path)
    resumed.train(progress=False)
    assert resumed.history == whole.history
    for model in whole.models:
        ours, theirs = (
            fw.checkpoints.get_weights(t.models[model])
            for t in (whole, resumed)
        )
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("source, target", [(0, 1), (1, 0)])
def test_one_framework_resumes_the_other(tmp_path, source, target):
    path = tmp_path / "half.safetensors"
    settings = SETTINGS["reuse"] | {"baseline": "learned"}
    whole = trainer_of(BOTH[source], **settings)
    whole.train(progress=False)
    half = trainer_of(BOTH[source], **settings)
    half.train(3, progress=False, path=path)
    resumed = trainer_of(BOTH[target], **settings)
    resumed.load(path)
    resumed.train(progress=False)
    assert resumed.history[-1] == pytest.approx(whole.history[-1], rel=1e-7)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("settings", [
    {}, {"returns": "total"}, {"baseline": "leave_one_out"},
])
def test_the_mean_gradient_is_the_exact_one(fw, settings):
    """Adam's first moment after one step is 0.1 of the batch's gradient.

    Over 20,000 completions it comes near -∇J, chain rule included.
    """
    env = envs.BatchedEnvironment(
        [[1]], [[2, 1]], rewards.token_position_match, 3
    )
    trainer = trainer_of(
        fw, env, batch_size=20_000, max_grad_norm=1e9, **settings
    )
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: 0.5 * (text[-1] == (2, 1)[len(text) - 1])
    )
    logits = exact.policy_logits(
        mdp, lambda prefixes: last_logits(fw, trainer.policy, prefixes)
    )
    gradient = exact.objective_gradient(mdp, logits)
    # The head's bias adds to every state's logits.
    expected = -gradient.sum(axis=0)
    trainer.step()
    moments = fw.checkpoints.get_moments(
        trainer.optimizers["policy"], trainer.policy
    )
    found = moments["first.policy_head.bias"] / 0.1
    assert np.abs(expected).max() > 0.03
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_learns_a_text(fw):
    env = envs.TextEnvironment("ab ba").batched()
    trainer = trainer_of(
        fw, env, dtype="float32", steps=120, batch_size=64, gamma=0.0,
        baseline="mean", learning_rate=0.02, entropy_coef=0.01,
    )
    trainer.train(progress=False)
    batch = fw.rollout.rollout(trainer.policy, env, np.zeros(1, int))
    assert env.texts(batch.completions) == ["ab ba"]
    assert batch.rewards.sum() == pytest.approx(1)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_saves_on_the_way(tmp_path, fw, monkeypatch):
    """A crash loses the steps since the last save, not the checkpoint."""
    path = tmp_path / "run.safetensors"
    trainer = trainer_of(fw)
    step = trainer.step

    def failing():
        if len(trainer.history) == 5:
            raise KeyboardInterrupt
        return step()

    monkeypatch.setattr(trainer, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(progress=False, path=path, every=2)
    assert len(weights.read(path)[1]["history"]) == 4


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_not_finite_gradients_stop_the_training(fw):
    trainer = trainer_of(fw)
    trainer.step()
    kept = fw.checkpoints.get_weights(trainer.policy)
    broken = dict(kept)
    broken["policy_head.bias"] = np.full(6, np.nan)
    batch = trainer.batch
    fw.checkpoints.set_weights(trainer.policy, broken)
    with pytest.raises(FloatingPointError, match="step 2"):
        trainer.update(batch)
    left = fw.checkpoints.get_weights(trainer.policy)
    np.testing.assert_array_equal(
        left["embedding.weight"], kept["embedding.weight"]
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_wrong_arguments_are_named(tmp_path, fw):
    env = small_env()
    policy = fw.models.LSTMPolicy(6, **SIZES)
    network = fw.models.BaselineNetwork(6, **SIZES)
    make = fw.trainers.PolicyGradientTrainer
    with pytest.raises(ValueError, match="baseline_network"):
        make(policy, env, PolicyGradientConfig(baseline="learned"))
    with pytest.raises(ValueError, match="baseline_network"):
        make(policy, env, PolicyGradientConfig(), network)
    with pytest.raises(ValueError, match="policy: expected .* 6 tokens"):
        make(fw.models.LSTMPolicy(7, **SIZES), env, PolicyGradientConfig())
    with pytest.raises(ValueError, match="every"):
        trainer_of(fw).train(every=0)
    path = tmp_path / "run.safetensors"
    trainer_of(fw).save(path)
    with pytest.raises(ValueError, match="config"):
        trainer_of(fw, gamma=0.5).load(path)
    with pytest.raises(FileNotFoundError):
        trainer_of(fw).load(tmp_path / "none")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="truncated"):
        trainer_of(fw).load(path)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_shows_a_bar(fw, capfd):
    trainer_of(fw).train(2)
    assert "2/2" in capfd.readouterr().err
    trainer_of(fw).train(2, progress=False)
    assert "2/2" not in capfd.readouterr().err
