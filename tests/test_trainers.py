"""The trainer: exact gradients, learning, resuming, errors."""

import numpy as np
import pytest

from core import envs, exact, returns, rewards, sampling, weights
from core.advantages import (
    BatchMean,
    Critic,
    Greedy,
    Group,
    Learned,
    LeaveOneOut,
    MinimumRisk,
    Return,
    Whitened,
    WhitenedRewards,
)
from core.algorithms import (
    KL,
    Algorithm,
    Clipped,
    ClippedWeight,
    ConstantLength,
    SequenceMean,
    TokenMean,
)
from core.settings import PolicyGradientConfig, SupervisedConfig
from core.trainers import loop
from core.trainers.policy_gradient import split
from core.types import Rollout
from tests.both import BOTH, TF, log_of_tensorflow, traces
from tests.test_rollout import last_logits, policy_of, small_env

SIZES = {"embedding_dim": 4, "hidden_dim": 8}


def trainer_of(fw, env=None, dtype="float64", **settings):
    settings = {"steps": 6, "batch_size": 16, "warmup_steps": 0} | settings
    config = PolicyGradientConfig(**settings)
    env = env or small_env(eos_id=2)
    policy = fw.models.LSTMPolicy(env.vocab_size, seed=2, dtype=dtype, **SIZES)
    network = None
    if config.algorithm.advantage.predicts == "baseline":
        network = fw.models.BaselineNetwork(
            env.vocab_size, seed=3, dtype=dtype, **SIZES
        )
    reference = None
    if config.algorithm.pull is not None:
        reference = fw.models.LSTMPolicy(env.vocab_size, seed=4, dtype=dtype, **SIZES)
    return fw.trainers.PolicyGradientTrainer(policy, env, config, network, reference)


def of(*records, **more):
    """Settings with an algorithm: its records in order, the other settings.

    A record of another place, such as a pull, is named.
    """
    named = {n: more.pop(n) for n in ("aggregate", "pull") if n in more}
    return {"algorithm": Algorithm(*records, **named)} | more


SETTINGS = {
    "plain": {},
    "mean": of(BatchMean(), entropy_coef=0.1, entropy_final=0.0),
    "learned": of(Learned(total=True)),
    "critic": of(Critic(lam=0.9), gamma=0.9),
    "whiten": of(Whitened(BatchMean(leave_one_out=True))),
    "group": of(
        Group(4, scale=True), Clipped(), SequenceMean(), KL("k3", where="loss")
    ),
    "ppo": of(
        Whitened(Critic(lam=0.9)),
        Clipped(),
        TokenMean(),
        KL("k1", 0.5),
        epochs=2,
        minibatches=4,
    ),
    "cispo": of(Group(2), ClippedWeight(high=0.01), ConstantLength(), epochs=2),
    "clipped values": of(WhitenedRewards(Critic(value_clip=0.01)), Clipped(), epochs=2),
    "clipped baseline": of(Learned(value_clip=0.01), Clipped(), epochs=2),
    "greedy": of(Greedy()),
    "risk": of(MinimumRisk(4, sharpness=0.5), resample=2),
    "temperature": {"temperature": 0.7},
    "reuse": {"buffer_batches": 5, "reuse": 2},
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
            fw.checkpoints.get_weights(t.models[model]) for fw, t in zip(BOTH, trainers)
        )
        for name in ours:
            np.testing.assert_allclose(
                ours[name], theirs[name], atol=1e-10, err_msg=name
            )


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    "settings", [of(Critic(lam=0.9)), SETTINGS["reuse"]], ids=["critic", "reuse"]
)
def test_gpt_takes_the_same_steps_in_both(settings, padded):
    """Texts of several lengths, prompts of several lengths, in float64."""
    found = []
    for fw in BOTH:
        env = small_env(eos_id=2)
        if padded:
            env.prompt_mask = np.ones((8, 2))
            env.prompt_mask[::2, 0] = 0
        trainer = fw.trainers.PolicyGradientTrainer(
            policy_of(fw, "GPT"),
            env,
            PolicyGradientConfig(steps=4, batch_size=16, warmup_steps=0, **settings),
        )
        history = trainer.train(progress=False)
        assert min(trainer.batch.mask.sum(axis=1)) < 4  # some end early
        found.append((history, fw.checkpoints.get_weights(trainer.policy)))
    for ours, theirs in zip(found[0][0], found[1][0]):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-11)
    for name, ours in found[0][1].items():
        np.testing.assert_allclose(ours, found[1][1][name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("settings", [{}, {"adam_epsilon": 0.5}], ids=str)
def test_epsilon_says_which_gradients_move_a_weight_fully(fw, settings):
    """The first step is the rate times g / (|g| + ε)."""
    trainer = trainer_of(fw, learning_rate=0.1, **settings)
    before = fw.checkpoints.get_weights(trainer.policy)
    trainer.step()
    moments = fw.checkpoints.get_moments(trainer.optimizers["policy"], trainer.policy)
    epsilon = settings.get("adam_epsilon", 1e-5)
    for name, after in fw.checkpoints.get_weights(trainer.policy).items():
        gradient = moments[f"first.{name}"] / 0.1
        wanted = 0.1 * gradient / (np.abs(gradient) + epsilon)
        np.testing.assert_allclose(before[name] - after, wanted, atol=1e-9)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_noise_of_the_device_needs_no_array_of_the_host(fw, monkeypatch):
    monkeypatch.setattr(sampling, "gumbel_noise", None)
    greedy = trainer_of(fw, noise="device", **SETTINGS["greedy"])
    assert len(greedy.train(progress=False)) == 6
    host = trainer_of(fw, **SETTINGS["greedy"])
    with pytest.raises(TypeError):
        host.train(progress=False)


ON_DEVICE = {"device": {"noise": "device"}}


@pytest.mark.parametrize(
    "settings", (SETTINGS | ON_DEVICE).values(), ids=SETTINGS | ON_DEVICE
)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_resumes_bit_for_bit(tmp_path, fw, settings):
    path = tmp_path / "half.safetensors"
    whole = trainer_of(fw, dtype="float32", **settings)
    whole.train(progress=False)
    half = trainer_of(fw, dtype="float32", **settings)
    half.train(3, progress=False, path=path)
    resumed = trainer_of(fw, dtype="float32", **settings)
    resumed.train(2, progress=False)  # whatever it was, load replaces it
    resumed.load(path)
    resumed.train(progress=False)
    assert resumed.history == whole.history
    for model in whole.models:
        ours, theirs = (
            fw.checkpoints.get_weights(t.models[model]) for t in (whole, resumed)
        )
        for name in ours:
            np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("source, target", [(0, 1), (1, 0)])
def test_one_framework_resumes_the_other(tmp_path, source, target):
    path = tmp_path / "half.safetensors"
    settings = SETTINGS["reuse"] | of(Learned())
    whole = trainer_of(BOTH[source], **settings)
    whole.train(progress=False)
    half = trainer_of(BOTH[source], **settings)
    half.train(3, progress=False, path=path)
    resumed = trainer_of(BOTH[target], **settings)
    resumed.load(path)
    resumed.train(progress=False)
    assert resumed.history[-1] == pytest.approx(whole.history[-1], rel=1e-7)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"noise": "device"},
        of(Return(total=True)),
        of(BatchMean(leave_one_out=True)),
        of(LeaveOneOut(4)),
    ],
)
def test_the_mean_gradient_is_the_exact_one(fw, settings):
    """Adam's first moment after one step is 0.1 of the batch's gradient.

    Over 20,000 completions it comes near -∇J, chain rule included.
    """
    env = envs.BatchedEnvironment([[1]], [[2, 1]], rewards.token_position_match, 3)
    trainer = trainer_of(fw, env, batch_size=20_000, max_grad_norm=1e9, **settings)
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
    moments = fw.checkpoints.get_moments(trainer.optimizers["policy"], trainer.policy)
    found = moments["first.policy_head.bias"] / 0.1
    assert np.abs(expected).max() > 0.03
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_learns_a_text(fw):
    env = envs.TextEnvironment("ab ba").batched()
    trainer = trainer_of(
        fw,
        env,
        dtype="float32",
        steps=120,
        batch_size=64,
        gamma=0.0,
        learning_rate=0.02,
        entropy_coef=0.01,
        **of(BatchMean()),
    )
    trainer.train(progress=False)
    batch = fw.rollout.rollout(trainer.policy, env, np.zeros(1, int))
    assert env.texts(batch.completions) == ["ab ba"]
    assert batch.rewards.sum() == pytest.approx(1)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_group_answers_one_prompt(fw):
    trainer = trainer_of(fw, **SETTINGS["group"])
    trainer.step()
    batch = trainer.batch
    assert len(batch) == 16 and trainer.updates == 1
    prompts = batch.rows.reshape(4, 4)
    assert (prompts == prompts[:, :1]).all() and len(set(prompts[:, 0])) > 1
    assert len({tuple(row) for row in batch.completions[:4]}) > 1


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
    np.testing.assert_array_equal(left["embedding.weight"], kept["embedding.weight"])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_failed_step_keeps_its_batch_and_the_last_checkpoint(tmp_path, fw):
    """The step and the file are in the message, the weights untouched."""
    path = tmp_path / "run.safetensors"
    trainer = trainer_of(fw)
    trainer.train(2, progress=False, path=path)
    kept = path.read_bytes()
    before = fw.checkpoints.get_weights(trainer.policy)
    paid = trainer.env.token_reward

    def too_much(completions, mask, targets):
        return 1e308 * (1 + paid(completions, mask, targets))

    trainer.env.token_reward = too_much
    with (
        np.errstate(over="ignore"),
        pytest.raises(
            FloatingPointError, match="step 3: expected a finite loss"
        ) as caught,
    ):
        trainer.train(progress=False, path=path)
    failed = tmp_path / "run.safetensors.failed"
    assert str(failed) in caught.value.__notes__[0]
    arrays, about = weights.read(failed)
    assert about["step"] == 3 and "finite loss" in about["error"]
    assert Rollout(**arrays).rewards.max() > 1e300
    assert path.read_bytes() == kept and len(trainer.history) == 2
    after = fw.checkpoints.get_weights(trainer.policy)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_clipped_value_stops_moving(fw):
    """All returns lie above the values: past the clip nothing pulls."""
    moved = []
    for clip in (None, 0.05):
        env = small_env()
        env.token_reward = lambda completions, mask, targets: 5.0 * mask
        trainer = trainer_of(
            fw,
            env,
            epochs=30,
            learning_rate=0.01,
            **of(Critic(value_clip=clip), Clipped()),
        )
        before = trainer.predict(batch := trainer.draw())[:, :-1]
        trainer.update(batch)
        moved.append((trainer.predict(batch)[:, :-1] - before).mean())
    assert moved[0] > 0.8 > 0.3 > moved[1] > 0.05  # Adam coasts a little


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_resampling_replaces_groups_of_equal_returns(fw):
    """What is left without spread stands at the end, groups stay whole."""
    trainer = trainer_of(fw, batch_size=8, resample=50, **of(Group(2)))
    first = trainer.draw()
    shares = [trainer.informative(first).mean()]
    batch = trainer.refill(first)
    shares.append(trainer.informative(batch).mean())
    assert 0 < shares[0] < shares[1] and len(batch) == 8
    assert (batch.rows[::2] == batch.rows[1::2]).all()
    metrics = trainer.step()
    assert trainer.informative(trainer.batch).all()
    assert 0 <= metrics["informative"] <= 1


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_greedy_baseline_is_the_return_of_the_best_text(fw):
    trainer = trainer_of(fw, gamma=0.9, **of(Greedy()))
    trainer.step()
    batch = trainer.draw()
    found = trainer.predict(batch)
    for row, value in zip(batch.rows, found):
        best = fw.rollout.rollout(trainer.policy, trainer.env, [row])
        paid = best.rewards[0] @ 0.9 ** np.arange(best.rewards.shape[1])
        assert value == pytest.approx(paid, abs=1e-12)
    assert len(set(found)) > 1


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_risk_advantages_have_the_gradient_of_the_risk(fw):
    """Their policy-gradient loss and `minimum_risk_loss`: one gradient."""
    rng = np.random.default_rng(0)
    logprobs, scores = -rng.exponential(size=(6, 4)), rng.normal(size=6)
    adv = returns.risk_advantages(scores, logprobs.sum(axis=1), 3, 0.6)
    mask = np.ones((6, 4))
    ours = fw.grad(
        lambda x: fw.losses.policy_gradient_loss(
            x, fw.tensor(np.repeat(adv[:, None], 4, axis=1)), fw.tensor(mask)
        ),
        logprobs,
    )[1][0]
    theirs = fw.grad(
        lambda x: fw.losses.minimum_risk_loss(x, fw.tensor(scores), 3, 0.6),
        logprobs.sum(axis=1),
    )[1][0]
    np.testing.assert_allclose(ours, np.repeat(theirs[:, None], 4, axis=1), atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_wrong_arguments_are_named(tmp_path, fw):
    env = small_env()
    policy = fw.models.LSTMPolicy(6, **SIZES)
    network = fw.models.BaselineNetwork(6, **SIZES)
    make = fw.trainers.PolicyGradientTrainer
    pulled = PolicyGradientConfig(Algorithm(pull=KL("k1")))
    with pytest.raises(ValueError, match="baseline_network"):
        make(policy, env, PolicyGradientConfig(Algorithm(Learned())))
    with pytest.raises(ValueError, match="baseline_network"):
        make(policy, env, PolicyGradientConfig(), network)
    with pytest.raises(ValueError, match="^reference: expected with a"):
        make(policy, env, pulled)
    with pytest.raises(ValueError, match="^reference: expected with a"):
        make(policy, env, PolicyGradientConfig(), reference=policy)
    with pytest.raises(ValueError, match="^reference: expected a copy"):
        make(policy, env, pulled, reference=policy)
    with pytest.raises(ValueError, match="^reference: expected .* 6 tokens"):
        make(policy, env, pulled, reference=fw.models.LSTMPolicy(7, **SIZES))
    with pytest.raises(ValueError, match="policy: expected .* 6 tokens"):
        make(fw.models.LSTMPolicy(7, **SIZES), env, PolicyGradientConfig())
    with pytest.raises(ValueError, match="every"):
        trainer_of(fw).train(every=0)
    ratio = trainer_of(fw, **of(Return(), Clipped()))
    with pytest.raises(ValueError, match="^reused: expected False"):
        ratio.update(ratio.draw(), reused=True)
    path = tmp_path / "run.safetensors"
    trainer_of(fw).save(path)
    for other in ({"gamma": 0.5}, of(BatchMean())):
        with pytest.raises(ValueError, match="config"):
            trainer_of(fw, **other).load(path)
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


# One update against the oracle.  A policy whose head has a bias alone has the
# same probabilities in each state; with halves and quarters, 16 rows hold
# every text of two tokens as often as it is expected.
PI = np.log([0.5, 0.25, 0.25])


def of_sequences(level="sequence", **bounds):
    return of(Return(total=True), Clipped(level, **bounds), SequenceMean())


MU = np.log([0.25, 0.25, 0.5])


def expected_batch(mdp, logits):
    """A Rollout that holds each text in proportion to its probability."""
    table = np.tile(logits, (len(mdp.states), 1))
    counts = np.rint(16 * exact.probabilities(mdp, table)).astype(int)
    rows = np.repeat(np.arange(len(counts)), counts)
    return Rollout(
        np.ones((16, 1), int),
        mdp.completions[rows],
        mdp.mask[rows],
        exact.completion_logprobs(mdp, table)[rows],
        mdp.rewards[rows],
        np.ones(16, bool),
        np.zeros(16, int),
    )


def update_of(
    fw, settings, bias=PI, drawn=PI, reused=False, history=0, value=0.0, batch=None
):
    """Trainer after one update on the expected batch, and the problem."""
    mdp = exact.TokenMDP.enumerate(
        3, 2, lambda text: [0.5, 1.0, -0.4][text[-1]] * len(text)
    )
    env = envs.BatchedEnvironment([[1]], [[2, 1]], rewards.token_position_match, 3)
    trainer = trainer_of(fw, env, **{"max_grad_norm": 1e9, "steps": 4} | settings)
    arrays = fw.checkpoints.get_weights(trainer.policy)
    arrays["policy_head.weight"][:] = 0
    arrays["policy_head.bias"][:] = bias
    arrays["value_head.weight"] += value
    fw.checkpoints.set_weights(trainer.policy, arrays)
    if trainer.reference is not None:
        arrays["policy_head.bias"][:] = MU
        fw.checkpoints.set_weights(trainer.reference, arrays)
    trainer.history = [{}] * history
    if batch is None:
        batch = expected_batch(mdp, drawn)
    trainer.metrics = trainer.update(batch, reused)
    return trainer, mdp, np.tile(PI, (len(mdp.states), 1))


def moved(fw, trainer, name, model="policy"):
    """The gradient of one weight in the first update, clipped."""
    moments = fw.checkpoints.get_moments(
        trainer.optimizers[model], trainer.models[model]
    )
    return moments[f"first.{name}"] / 0.1


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "settings, arguments, alpha",
    [
        ({}, {}, 0.0),
        (of(Return(total=True)), {}, 0.0),
        ({"entropy_coef": 0.7}, {}, 0.7),
        ({"entropy_coef": 1}, {}, 1.0),
        ({"entropy_coef": 0.8, "entropy_final": 0.0}, {"history": 3}, 0.0),
        ({"temperature": 2.0, "entropy_coef": 0.7}, {"bias": 2 * PI}, 0.7),
        ({"reuse": 1, "buffer_batches": 1}, {"drawn": MU, "reused": True}, 0.0),
        # With V far from right, the critic's advantage is still unbiased.
        (of(Critic()), {"value": 2.0}, 0.0),
        (of(Learned()), {}, 0.0),
        # Where the policy is the one that sampled, the ratio is 1, and the
        # gradient of a surrogate is the policy gradient.
        (of(Return(), Clipped()), {}, 0.0),
        (of(Return(), ClippedWeight(low=0.2, high=0.2)), {}, 0.0),
        (of_sequences(), {}, 0.0),
        # Where it is not, the unclipped ratio of sequences makes it exact.
        (of_sequences(low=1.0, high=1e9), {"drawn": MU}, 0.0),
    ],
)
def test_one_update_has_the_exact_gradient(fw, settings, arguments, alpha):
    trainer, mdp, logits = update_of(fw, settings, **arguments)
    gradient = exact.objective_gradient(mdp, logits)
    gradient += alpha * exact.entropy_gradient(mdp, logits, fixed_states=True)
    # A bias adds to the logits of all states, divided by the temperature.
    expected = -gradient.sum(axis=0) / trainer.config.temperature
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(
        moved(fw, trainer, "policy_head.bias"), expected, atol=1e-9
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "kl, kl_in, share, fixed",
    [
        ("k1", "reward", 1, False),  # the gradient of the KL, all of it
        ("k2", "loss", 1, True),  # its gradient at the states that were visited
        ("k1", "loss", 0, True),  # nothing at all
    ],
)
def test_what_the_kl_to_the_reference_pulls(fw, kl, kl_in, share, fixed):
    trainer, mdp, logits = update_of(fw, of(pull=KL(kl, 0.8, where=kl_in)))
    ref = np.tile(MU, (len(mdp.states), 1))
    pull = exact.kl_gradient(mdp, logits, ref, fixed_states=fixed)
    gradient = exact.objective_gradient(mdp, logits) - 0.8 * share * pull
    assert np.abs(pull.sum(axis=0)).max() > 0.1
    np.testing.assert_allclose(
        moved(fw, trainer, "policy_head.bias"), -gradient.sum(axis=0), atol=1e-9
    )
    wanted = exact.kl(mdp, logits, ref) / 2  # two tokens a text
    if kl == "k1":
        assert trainer.metrics["kl"] == pytest.approx(wanted)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "settings",
    [
        of(aggregate=SequenceMean()),
        of(aggregate=TokenMean()),
        of(aggregate=ConstantLength()),
        of(aggregate=ConstantLength(2)),
        of_sequences("length_normalised"),
    ],
)
def test_means_over_two_tokens_halve_the_gradient(fw, settings):
    trainer, mdp, logits = update_of(fw, settings)
    gradient = exact.objective_gradient(mdp, logits)
    np.testing.assert_allclose(
        moved(fw, trainer, "policy_head.bias"), -gradient.sum(axis=0) / 2, atol=1e-9
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "low, high, share",
    [(0.4, 0.5, 0.75), (0.4, 2.0, 0.5), (0.6, 0.5, 0.25), (0.6, 2.0, 0.0)],
)
def test_clipped_is_the_share_beyond_the_bounds(fw, low, high, share):
    """π / μ is 2, 1 and 1/2; MU draws them in 1/4, 1/4 and 1/2."""
    trainer, *_ = update_of(fw, of(Return(), Clipped(low=low, high=high)), drawn=MU)
    assert trainer.metrics["clipped"] == pytest.approx(share)


# Two texts of two tokens, two that end with their first; one has no EOS.
EARLY = Rollout(
    np.ones((4, 1), int),
    np.array([[2, 1], [0, 0], [1, 0], [1, 0]]),
    np.array([[1, 1], [1, 0], [1, 1], [1, 0.0]]),
    MU[[[2, 1], [0, 0], [1, 0], [1, 0]]] * [[1, 1], [1, 0], [1, 1], [1, 0]],
    np.array([[1, 2], [4, 0], [-1, 3], [0.5, 0]]),
    np.ones(4, bool),
    np.zeros(4, int),
)


def test_return_and_length_by_hand():
    """Sums and counts of a text's own tokens, then the mean over texts."""
    found = loop.sampled(EARLY)
    assert found == {"return": (3 + 4 + 2 + 0.5) / 4, "length": 6 / 4}


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "settings, reused",
    [
        (of(pull=KL("k1")), False),
        (of(pull=KL("k2", where="loss")), False),
        (of(pull=KL("k3", where="loss")), False),
        ({"reuse": 1, "buffer_batches": 1}, True),
    ],
)
def test_metrics_by_hand_on_texts_that_end_early(fw, settings, reused):
    """Means over the six tokens, none of them over padding."""
    trainer, *_ = update_of(
        fw, settings | {"batch_size": 4}, reused=reused, batch=EARLY
    )
    pi, mu = np.exp(PI), np.exp(MU)
    tokens = np.array([2, 1, 0, 1, 0, 1])
    assert trainer.metrics["entropy"] == pytest.approx(-(pi * PI).sum())
    if reused:  # the policy MU drew them, the weights are those of PI
        ratio = pi / mu
        weights = np.array(
            [ratio[2] * ratio[1], ratio[0], ratio[1] * ratio[0], ratio[1]]
        )
        share = weights.sum() ** 2 / (4 * (weights**2).sum())
        assert share < 0.9
        assert trainer.metrics["ess"] == pytest.approx(share)
        return
    log_ratio = (PI - MU)[tokens]
    estimates = {
        "k1": log_ratio,
        "k2": log_ratio**2 / 2,
        "k3": np.exp(-log_ratio) - 1 + log_ratio,
    }
    wanted = estimates[settings["algorithm"].pull.estimator].mean()
    assert trainer.metrics["kl"] == pytest.approx(wanted)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("clip, share", [(0.0, 0.0), (1e9, 1.0)])
def test_the_learned_baseline_can_be_clipped(fw, clip, share):
    """Half the error of b(X) = 0 either way; its gradient is cut at 0."""
    trainer, mdp, logits = update_of(fw, of(Learned(value_clip=clip, value_coef=1.0)))
    probs = exact.probabilities(mdp, logits)
    to_go = exact.returns_to_go(mdp)[:, 0]
    assert trainer.metrics["value_loss"] == pytest.approx(probs @ to_go**2 / 2)
    found = moved(fw, trainer, "value_head.bias", "baseline")
    if clip:  # where the two errors are equal, frameworks differ in the cut
        assert found == pytest.approx(-share * probs @ to_go)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_batch_is_used_as_often_as_asked(fw, monkeypatch):
    """Each pass holds every row once, in another order."""
    trainer = trainer_of(fw, **SETTINGS["ppo"])
    seen, whole = [], trainer._update
    monkeypatch.setattr(
        trainer,
        "_update",
        lambda arrays, reused: seen.append(arrays["old"]) or whole(arrays, reused),
    )
    trainer.step()
    assert trainer.updates == len(seen) == 8
    old = {tuple(row) for row in trainer.batch.logprobs}
    passes = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    for rows in passes:
        assert {tuple(row) for row in rows} == old and len(rows) == 16
    assert (passes[0] != passes[1]).any()
    assert trainer.history[0]["clipped"] >= 0


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("name", ["mean", "learned", "group", "ppo", "cispo"])
def test_parts_of_an_update_add_up(fw, name):
    """Four updates in two parts each are those in one, as are their metrics."""
    found = []
    for count in (1, 2):
        trainer = trainer_of(fw, **SETTINGS[name], steps=4, accumulate=count)
        history = trainer.train(progress=False)
        found.append((history, fw.checkpoints.get_weights(trainer.policy)))
    assert min(trainer.batch.mask.sum(axis=1)) < 4  # texts of several lengths
    for ours, theirs in zip(found[0][0], found[1][0]):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-11)
    for key, ours in found[0][1].items():
        np.testing.assert_allclose(ours, found[1][1][key], atol=1e-10, err_msg=key)


def test_what_cannot_be_accumulated():
    with pytest.raises(ValueError, match="minibatches × accumulate 6, got 16"):
        PolicyGradientConfig(batch_size=16, accumulate=6)
    with pytest.raises(ValueError, match="reuse: expected 0 with accumulate, got 1"):
        PolicyGradientConfig(buffer_batches=2, reuse=1, accumulate=2)
    with pytest.raises(ValueError, match="count: expected a divisor of the rows 4"):
        split({"mask": np.ones((4, 2))}, 3)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("kind", [Critic, Learned])
def test_values_are_trained(fw, kind):
    """Values start at 0: their gradient is minus the mean return."""
    trainer, mdp, logits = update_of(fw, of(kind(value_coef=0.6)))
    to_go = exact.returns_to_go(mdp)
    probs = exact.probabilities(mdp, logits)
    wanted = probs @ to_go[:, 0]
    if kind is Critic:
        wanted = probs @ to_go.mean(axis=1)
    name = "policy" if kind is Critic else "baseline"
    assert moved(fw, trainer, "value_head.bias", name) == pytest.approx(-0.6 * wanted)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_critic_predicts_the_state_before_each_token_and_the_last(fw):
    trainer = trainer_of(fw, **of(Critic()))
    arrays = fw.checkpoints.get_weights(trainer.policy)
    arrays["value_head.weight"] += 1
    fw.checkpoints.set_weights(trainer.policy, arrays)
    trainer.step()
    batch = trainer.batch
    found = trainer.predict(batch)
    prompts, completions = map(fw.tensor, (batch.prompts, batch.completions))
    _, values = trainer.policy.score(prompts, completions)
    assert found.shape == (16, 5)
    np.testing.assert_allclose(found[:, :-1], fw.numpy(values), atol=1e-12)
    ids = np.concatenate([batch.prompts, batch.completions], axis=1)
    after = fw.numpy(trainer.policy(fw.tensor(ids))[1])[:, -1]
    np.testing.assert_allclose(found[:, -1], after, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("padded", [False, True])
def test_a_critic_predicts_without_logits(fw, padded, monkeypatch):
    env = small_env()
    if padded:
        env.prompt_mask = np.ones((8, 2))
        env.prompt_mask[::2, 0] = 0
    config = PolicyGradientConfig(batch_size=16, **of(Critic()))
    trainer = fw.trainers.PolicyGradientTrainer(policy_of(fw, "GPT"), env, config)
    arrays = fw.checkpoints.get_weights(trainer.policy)
    arrays["value_head.weight"] += np.arange(arrays["value_head.weight"].size)
    fw.checkpoints.set_weights(trainer.policy, arrays)
    batch = trainer.draw()
    ids = np.concatenate([batch.prompts, batch.completions], axis=1)
    seen = np.concatenate([batch.prompt_mask, np.ones_like(batch.mask)], axis=1)
    wanted = fw.numpy(trainer.policy(*map(fw.tensor, (ids, seen)))[1])[:, 1:]
    assert np.ptp(wanted) > 0.1
    monkeypatch.setattr(type(trainer.policy), "_logits", None)
    np.testing.assert_allclose(trainer.predict(batch), wanted, atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_gradient_is_clipped_and_the_rate_warms_up(fw):
    trainer, _, _ = update_of(
        fw, {"max_grad_norm": 0.01, "warmup_steps": 9, "learning_rate": 0.5}
    )
    names = fw.checkpoints.get_weights(trainer.policy)
    clipped = [moved(fw, trainer, name).ravel() for name in names]
    norm = np.linalg.norm(np.concatenate(clipped))
    assert norm == pytest.approx(0.01, rel=1e-3)
    assert trainer.metrics["grad_norm"] > 0.1
    step = np.abs(names["policy_head.bias"] - PI).max()
    assert step == pytest.approx(0.05, rel=0.02)  # Adam's first: the rate


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_samples_at_the_temperature(fw):
    trainer = trainer_of(fw, temperature=0.5)
    untouched = trainer_of(fw).policy
    trainer.step()
    batch = trainer.batch
    logits, _ = untouched.score(fw.tensor(batch.prompts), fw.tensor(batch.completions))
    expected = fw.logprobs.token_logprobs(logits, fw.tensor(batch.completions), 0.5)
    np.testing.assert_allclose(
        batch.logprobs, fw.numpy(expected) * batch.mask, atol=1e-12
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_reuses_earlier_batches(fw, monkeypatch):
    trainer = trainer_of(fw, reuse=1, buffer_batches=1)
    batches, update = [], trainer.update

    def spy(batch, reused=False):
        batches.append((batch, reused))
        return update(batch, reused)

    monkeypatch.setattr(trainer, "update", spy)
    trainer.train(2, progress=False)
    (first, _), (second, fresh), (old, reused) = batches
    assert reused and not fresh
    assert sorted(old.logprobs.sum(1)) == sorted(first.logprobs.sum(1))
    assert sorted(old.logprobs.sum(1)) != sorted(second.logprobs.sum(1))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_wrong_checkpoint_changes_nothing(tmp_path, fw):
    path = tmp_path / "run.safetensors"
    settings = of(Learned(), reuse=1, buffer_batches=2)
    trainer = trainer_of(fw, **settings)
    trainer.train(2, progress=False, path=path)
    arrays, kept = weights.read(path)
    other = trainer_of(fw, **settings)
    before = fw.checkpoints.get_weights(other.policy)
    name = "baseline.weights.value_head.bias"
    broken = {
        "missing": {n: a for n, a in arrays.items() if n != name},
        "extra": arrays | {"more": np.ones(1)},
        "not finite": arrays | {name: np.array([np.nan])},
    }
    for message, named in broken.items():
        weights.write(path, named, kept)
        with pytest.raises(ValueError, match=message):
            other.load(path)
    weights.write(path, arrays, kept | {"task": [4, 2, 4, 6]})
    with pytest.raises(ValueError, match="task"):
        other.load(path)
    for name, array in fw.checkpoints.get_weights(other.policy).items():
        np.testing.assert_array_equal(array, before[name])
    assert other.history == []


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_missing_folder_is_named_before_the_work(tmp_path, fw):
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match="folder"):
        trainer.train(path=tmp_path / "none" / "run.safetensors")
    assert trainer.history == []


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_baseline_refuses_padded_prompts(fw):
    """b(X) has no mask: it would read the padding as tokens."""
    env = small_env(eos_id=2)
    env.prompt_mask = np.ones((8, 2))
    settings = of(Learned()) | {"steps": 1, "batch_size": 16}
    trainer = fw.trainers.PolicyGradientTrainer(
        policy_of(fw, "GPT"),
        env,
        PolicyGradientConfig(**settings),
        fw.models.BaselineNetwork(6, dtype="float64", **SIZES),
    )
    trainer.step()
    env.prompt_mask[:, 0] = 0
    before = fw.checkpoints.get_weights(trainer.policy)
    with pytest.raises(ValueError, match="^prompt_mask: expected no padding"):
        trainer.step()
    after = fw.checkpoints.get_weights(trainer.policy)
    assert all(np.array_equal(before[n], after[n]) for n in before)


@pytest.mark.parametrize(
    "settings", [of(Critic()), SETTINGS["group"], SETTINGS["learned"]]
)
def test_tensorflow_does_not_warn_of_many_trainers(settings):
    with log_of_tensorflow() as text:
        for _ in range(6):
            trainer = trainer_of(TF, **settings)
            trainer.train(2, progress=False)
            assert set(traces(trainer)) == set(traces(trainer.policy)) == {1}
            for optimizer in trainer.optimizers.values():
                assert optimizer.apply.experimental_get_tracing_count() == 1
    assert text.getvalue() == ""


def test_tensorflow_does_not_warn_of_batches_of_many_lengths():
    """Supervised training: one trace a length, however often it comes."""
    model = policy_of(TF, "GPT")
    trainer = TF.trainers.SupervisedTrainer(model, SupervisedConfig(steps=20))
    with log_of_tensorflow() as text:
        for length in (*range(1, 8), *range(7, 0, -1)):
            ids = np.ones((2, length), int)
            trainer.step((ids,), ids, np.ones(ids.shape))
            trainer.evaluate([((ids,), ids, np.ones(ids.shape))])
    assert traces(trainer) == [1] * 14
    assert text.getvalue() == ""
