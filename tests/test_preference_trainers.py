"""Reward models and DPO: exact optima, TRL, parity, resuming, errors."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from core import exact
from core.settings import GPTConfig, SupervisedConfig
from core.types import Preferences
from tests.both import BOTH, TF, log_of_tensorflow, traces
from tests.test_model_rewards import with_scores
from tests.test_preferences import trl_dpo, trl_reward_loss

each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
# All 7 texts of two tokens out of three, of which token 0 ends a text.
MDP = exact.TokenMDP.enumerate(3, 2, lambda text: 0.0, eos_id=0)
STRENGTHS = np.array([3, 1, 2, 4, 1, 2, 3])
REWARDS = np.log(STRENGTHS)
TO_THE_END = SupervisedConfig(steps=150, learning_rate=0.06, warmup_steps=10)


def every_pair():
    """Each pair of texts as often as Bradley-Terry says, without an error.

    Text i beats text j with probability σ(log a_i - log a_j), which is
    a_i / (a_i + a_j): of a_i + a_j rows it is chosen in a_i.
    """
    n = len(STRENGTHS)
    rows = np.array(
        [
            (i, j)
            for i in range(n)
            for j in range(n)
            if i != j
            for _ in range(STRENGTHS[i])
        ]
    )
    texts, mask = MDP.completions[rows], MDP.mask[rows]
    return Preferences(
        np.ones((len(rows), 1), int), texts[:, 0], mask[:, 0], texts[:, 1], mask[:, 1]
    )


def batches(n=12, padded=False, seed=0):
    """Random pairs: prompts of 3 tokens, texts of up to 4, 6 tokens."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        lengths = rng.integers(1, 5, (2, 5))
        mask = (np.arange(4) < lengths[..., None]).astype(float)
        prompt_mask = np.ones((5, 3))
        if padded:
            prompt_mask = np.arange(3) >= rng.integers(0, 3, (5, 1))
        texts = rng.integers(0, 6, (2, 5, 4))
        yield Preferences(
            rng.integers(0, 6, (5, 3)),
            texts[0],
            mask[0],
            texts[1],
            mask[1],
            prompt_mask,
        )


def labelled(n=12, padded=False, seed=0):
    """The same texts, some of whose tokens have a label."""
    rng = np.random.default_rng(seed + 1)
    for pairs in batches(n, padded, seed):
        mask = pairs.chosen_mask * rng.integers(0, 2, (5, 4))
        mask[0, 0] = 1
        labels = np.where(mask > 0, rng.random((5, 4)), np.nan)
        yield (
            pairs.prompts,
            pairs.chosen,
            mask,
            labels,
            pairs.prompt_mask if padded else None,
        )


def model_of(fw, gpt=False, seed=1, vocab=6, size=6):
    if gpt:
        config = GPTConfig(vocab, 7, n_embd=8, n_layer=1, n_head=2)
        return with_scores(fw, fw.models.GPT(config, seed, "float64"))
    return with_scores(fw, fw.models.LSTMPolicy(vocab, size, size, seed, "float64"))


KINDS = {
    "sequence": {},
    "token": {},
    "process": {},
    "dpo": {"label_smoothing": 0.1},
    "ipo": {},
    "tdpo": {"alpha": 0.5},
}


def trainer_of(fw, kind, gpt=False, settings=None, **config):
    config = SupervisedConfig(**{"steps": 12, "warmup_steps": 2} | config)
    here, model = fw.preference_trainers, model_of(fw, gpt)
    if kind == "process":
        return here.ProcessRewardTrainer(model, config)
    if kind in ("sequence", "token"):
        return here.RewardModelTrainer(model, config, kind)
    return here.DPOTrainer(
        model,
        model_of(fw, gpt, seed=2),
        config,
        **{"beta": 0.3, "loss": kind} | KINDS[kind] | (settings or {}),
    )


def data_of(kind, *arguments, **settings):
    make = labelled if kind == "process" else batches
    return list(make(*arguments, **settings))


# --- Exact optima ----------------------------------------------------------


@each
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_a_reward_model_finds_the_rewards(fw, level):
    """Preferences say rewards up to a constant; there the loss is least."""
    pairs = every_pair()
    model = model_of(fw, vocab=3, size=8)
    trainer = fw.preference_trainers.RewardModelTrainer(model, TO_THE_END, level)
    trainer.train([pairs] * 150, progress=False)
    reward = fw.rewards.learned_reward(model, level)
    texts = MDP.completions, MDP.mask, np.ones((7, 1), int)
    found = reward(*texts).sum(axis=1)
    np.testing.assert_allclose(
        found - found.mean(), REWARDS - REWARDS.mean(), atol=0.005
    )
    wins = STRENGTHS / (STRENGTHS + STRENGTHS[:, None])  # of column over row
    least = np.average(-np.log(wins), weights=STRENGTHS * (1 - np.eye(7)))
    assert trainer.evaluate(pairs)["loss"] == pytest.approx(least, abs=1e-4)


def text_logprobs(fw, policy):
    """log π of the seven texts."""
    logprobs, *_ = policy.evaluate(
        fw.tensor(np.ones((1, 1), int)), fw.tensor(MDP.completions)
    )
    return (fw.numpy(logprobs) * MDP.mask).sum(axis=1)


@each
@pytest.mark.parametrize("loss", ["dpo", "tdpo"])
def test_dpo_finds_the_best_policy_under_the_penalty(fw, loss):
    """π_ref exp(R/β) / Z, from preferences alone: no reward is given."""
    beta = 0.5
    policy, reference = (model_of(fw, vocab=3, size=8) for _ in range(2))
    fw.checkpoints.set_weights(
        reference,
        {  # far from uniform
            n: 3 * w for n, w in fw.checkpoints.get_weights(reference).items()
        },
    )
    trainer = fw.preference_trainers.DPOTrainer(
        policy, reference, TO_THE_END, beta, loss
    )
    history = trainer.train([every_pair()] * 150, progress=False)
    goal = text_logprobs(fw, reference) + REWARDS / beta
    goal = goal - np.log(np.exp(goal).sum())
    found = text_logprobs(fw, policy)
    assert np.exp(found).sum() == pytest.approx(1)
    assert (np.exp(goal) * (goal - found)).sum() < 1e-5
    # The implicit rewards are the rewards, less one number.
    np.testing.assert_allclose(
        np.diff(beta * (found - text_logprobs(fw, reference))),
        np.diff(REWARDS),
        atol=0.01,
    )
    assert history[-1]["loss"] < history[0]["loss"]


@each
def test_a_process_reward_model_finds_the_probabilities(fw):
    """Each prefix is right with some probability: σ(score) becomes it."""
    texts = np.array([[0, 1], [1, 1], [2, 1]])
    labels = np.stack([[0.1, 0.5, 0.8], [0.3, 0.9, 0.6]], axis=1)
    batch = np.ones((1, 1), int), texts, np.ones((3, 2)), labels
    trainer = fw.preference_trainers.ProcessRewardTrainer(
        model_of(fw, vocab=3, size=8), TO_THE_END
    )
    trainer.train([batch] * 150, progress=False)
    scores = fw.numpy(
        fw.rewards.token_scores(trainer.model, *map(fw.tensor, batch[:3]))
    )
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), labels, atol=0.01)
    entropy = -(labels * np.log(labels) + (1 - labels) * np.log(1 - labels))
    assert trainer.evaluate([batch]) == pytest.approx(entropy.mean(), abs=1e-4)


# --- What a step reports ---------------------------------------------------


def scores_of(fw, model, pairs, level):
    """What the model says of the chosen and of the rejected texts."""
    return [
        fw.numpy(
            fw.rewards.sequence_scores(
                model, *map(fw.tensor, (pairs.prompts, texts, mask)), level
            )
        )
        for texts, mask in (
            (pairs.chosen, pairs.chosen_mask),
            (pairs.rejected, pairs.rejected_mask),
        )
    ]


@each
@pytest.mark.parametrize("level", ["sequence", "token"])
def test_the_reward_models_metrics(fw, level):
    """The loss of TRL on the same scores, and counts by hand."""
    [pairs] = batches(1)
    trainer = trainer_of(fw, level)
    chosen, rejected = scores_of(fw, trainer.model, pairs, level)
    metrics = trainer.evaluate(pairs)
    assert metrics == pytest.approx(
        {
            "loss": trl_reward_loss(chosen, rejected)[0],
            "accuracy": np.mean(chosen > rejected),
            "margin": np.mean(chosen - rejected),
        },
        rel=1e-12,
    )
    step = trainer.step(pairs)
    assert {n: step[n] for n in metrics} == pytest.approx(metrics, rel=1e-12)
    assert set(step) - set(metrics) == {"step", "grad_norm", "rate"}
    assert trainer.history == [step]


@each
def test_equal_texts_are_not_ordered(fw):
    [pairs] = batches(1)
    same = Preferences(
        pairs.prompts, pairs.chosen, pairs.chosen_mask, pairs.chosen, pairs.chosen_mask
    )
    for kind in ("sequence", "dpo"):
        metrics = trainer_of(fw, kind).evaluate(same)
        assert metrics["accuracy"] == metrics["margin"] == 0


def logprobs_of(fw, policy, pairs):
    """Logits (2B, T, V), chosen rows first, and log π of their tokens."""
    texts = np.concatenate([pairs.chosen, pairs.rejected])
    logits, _ = policy.score(
        fw.tensor(np.tile(pairs.prompts, (2, 1))), fw.tensor(texts)
    )
    table = exact.log_softmax(fw.numpy(logits))
    return table, np.take_along_axis(table, texts[..., None], -1)[..., 0]


@each
@pytest.mark.parametrize(
    "loss, smoothing", [("dpo", 0.0), ("dpo", 0.2), ("ipo", 0.0), ("tdpo", 0.0)]
)
def test_the_metrics_of_dpo(fw, loss, smoothing):
    """DPO's loss is TRL's, the others and the metrics are by hand."""
    [pairs] = batches(1)
    settings = {"beta": 0.4, "label_smoothing": smoothing}  # 0.4: trl_dpo's
    trainer = trainer_of(fw, loss, settings=settings)
    mask = np.concatenate([pairs.chosen_mask, pairs.rejected_mask])
    table, live = logprobs_of(fw, trainer.model, pairs)
    ref_table, ref = logprobs_of(fw, trainer.reference, pairs)
    chosen, rejected = np.split(((live - ref) * mask).sum(axis=1), 2)
    gap = chosen - rejected
    kl = (np.exp(ref_table) * (ref_table - table)).sum(axis=2)
    kl_chosen, kl_rejected = np.split((kl * mask).sum(axis=1), 2)
    drift = 0.5 * (kl_rejected - kl_chosen)
    if smoothing:
        expected = (
            0.8 * np.log1p(np.exp(-0.4 * gap)) + 0.2 * np.log1p(np.exp(0.4 * gap))
        ).mean()
    else:
        expected = {
            "dpo": trl_dpo("sigmoid", np.stack([live, ref]) * mask, mask)[0],
            "ipo": ((gap - 1 / 0.8) ** 2).mean(),
            "tdpo": np.log1p(np.exp(-0.4 * (gap - drift))).mean(),
        }[loss]
    assert trainer.evaluate(pairs) == pytest.approx(
        {
            "loss": expected,
            "accuracy": (gap > 0).mean(),
            "margin": 0.4 * gap.mean(),
            "chosen": chosen.mean(),
            "rejected": rejected.mean(),
        },
        rel=1e-10,
    )


@each
def test_the_metrics_of_process_rewards(fw):
    [batch] = labelled(1)
    prompts, texts, mask, labels, _ = batch
    trainer = trainer_of(fw, "process")
    scores = fw.numpy(
        fw.rewards.token_scores(trainer.model, *map(fw.tensor, (prompts, texts, mask)))
    )[mask > 0]
    labels = labels[mask > 0]
    win = 1 / (1 + np.exp(-scores))
    loss = -(labels * np.log(win) + (1 - labels) * np.log(1 - win)).mean()
    assert trainer.evaluate([batch] * 2) == pytest.approx(loss, rel=1e-12)
    metrics = trainer.step(*batch)
    assert metrics["loss"] == pytest.approx(loss, rel=1e-12)
    assert metrics["accuracy"] == pytest.approx(np.mean((win > 0.5) == (labels > 0.5)))


@each
@pytest.mark.parametrize("gpt", [False, True])
@pytest.mark.parametrize("kind", ["sequence", "tdpo"])
def test_what_is_behind_a_text_is_not_read(fw, kind, gpt):
    """Other tokens there, even ids that no model has: the same metrics."""
    [pairs] = batches(1)
    other = Preferences(
        pairs.prompts,
        np.where(pairs.chosen_mask, pairs.chosen, -100),
        pairs.chosen_mask,
        np.where(pairs.rejected_mask, pairs.rejected, 5),
        pairs.rejected_mask,
    )
    trainer = trainer_of(fw, kind, gpt)
    assert trainer.evaluate(other) == pytest.approx(trainer.evaluate(pairs), rel=1e-12)


@each
@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_prompts_is_not_read(fw, kind):
    """Each pair alone, without its padding: the mean of the losses."""
    trainer = trainer_of(fw, kind, gpt=True)
    [batch] = data_of(kind, 1, padded=True)
    rows = list(batch) if kind == "process" else list(vars(batch).values())
    prompts, padding = rows[0], rows[-1]
    assert 0 < padding.mean() < 1

    def loss(rows):
        if kind == "process":
            return trainer.evaluate([tuple(rows)])
        return trainer.evaluate(Preferences(*rows))["loss"]

    whole = [prompts * padding, np.where(padding > 0, prompts, -100)]
    found = [loss([p, *rows[1:-1], padding]) for p in whole]
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    losses, weights = [], []
    for i, seen in enumerate(padding > 0):
        here = slice(i, i + 1)
        losses.append(
            loss([prompts[here, seen], *(a[here] for a in rows[1:-1]), None])
            if kind != "process" or rows[2][i].any()
            else 0.0
        )
        weights.append(rows[2][i].sum() if kind == "process" else 1.0)
    assert found[0] == pytest.approx(np.average(losses, weights=weights), rel=1e-9)


@each
@pytest.mark.parametrize("kind", ["sequence", "tdpo"])
def test_only_what_the_loss_reads_is_trained(fw, kind):
    trainer = trainer_of(fw, kind)
    models = [trainer.model, getattr(trainer, "reference", trainer.model)]
    before = [fw.checkpoints.get_weights(m) for m in models]
    trainer.train(batches(3), progress=False)
    after = [fw.checkpoints.get_weights(m) for m in models]
    other = "policy_head" if kind == "sequence" else "value_head"
    for name, array in before[0].items():
        same = np.array_equal(array, after[0][name])
        if (kind, name) == ("sequence", "value_head.bias"):
            # A constant on all scores changes no preference.
            np.testing.assert_allclose(array, after[0][name], atol=1e-9)
        else:
            assert same == name.startswith(other)
    if kind == "tdpo":
        for name, array in before[1].items():
            np.testing.assert_array_equal(array, after[1][name])


# --- Both frameworks, and resuming -----------------------------------------


@pytest.mark.parametrize(
    "kind, gpt", [*((kind, False) for kind in KINDS), ("token", True), ("tdpo", True)]
)
def test_both_frameworks_take_the_same_steps(kind, gpt):
    """Twelve float64 updates; a GPT's prompts are padded."""
    data = data_of(kind, padded=gpt)
    trainers = [trainer_of(fw, kind, gpt, weight_decay=0.1) for fw in BOTH]
    ours, theirs = (t.train(iter(data), progress=False) for t in trainers)
    assert len(ours) == 12
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-11)
    ours, theirs = (
        fw.checkpoints.get_weights(t.model) for fw, t in zip(BOTH, trainers)
    )
    for name in ours:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=0, atol=1e-9, err_msg=name
        )


@each
@pytest.mark.parametrize("kind", ["token", "dpo"])
def test_resumes_bit_for_bit(tmp_path, fw, kind):
    path, data = tmp_path / "half.safetensors", data_of(kind)
    whole, half, resumed = (trainer_of(fw, kind) for _ in range(3))
    whole.train(data, progress=False)
    half.train(data[:5], progress=False, path=path, every=2)
    resumed.train(data[:2], progress=False)  # load replaces it
    resumed.load(path)
    resumed.train(data[5:], progress=False)
    assert resumed.history == whole.history
    ours, theirs = (fw.checkpoints.get_weights(t.model) for t in (whole, resumed))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@each
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, fw):
    path = tmp_path / "x.safetensors"
    for kind, other, settings in (
        ("sequence", "token", {}),
        ("dpo", "dpo", {"beta": 0.2}),
        ("dpo", "dpo", {"label_smoothing": 0.2}),
        ("tdpo", "tdpo", {"alpha": 0.2}),
    ):
        trainer_of(fw, kind).save(path)
        trainer_of(fw, kind).load(path)
        with pytest.raises(ValueError, match="config"):
            trainer_of(fw, other, settings=settings).load(path)


@pytest.mark.parametrize("kind", ["sequence", "tdpo", "process"])
def test_tensorflow_compiles_once_per_shape(kind):
    trainer = trainer_of(TF, kind)
    trainer.train(data_of(kind, 4), progress=False)
    assert traces(trainer) == [1]


@pytest.mark.parametrize("kind", ["sequence", "tdpo", "process"])
def test_tensorflow_does_not_warn_of_many_shapes_and_trainers(kind):
    with log_of_tensorflow() as text:
        for _ in range(6):
            trainer = trainer_of(TF, kind, gpt=True)
            trainer.train(data_of(kind, 1), progress=False)
        for size in (1, 2, 3, 4, 5, 4, 3):  # of the batch
            [batch] = data_of(kind, 1)
            if kind == "process":
                batch = tuple(a if a is None else a[:size] for a in batch)
                trainer.evaluate([batch])
                trainer.step(*batch)
            else:
                trainer.evaluate(batch.take(slice(size)))
                trainer.step(batch.take(slice(size)))
    assert traces(trainer) == [1] * 10
    assert text.getvalue() == ""


# --- Wrong input -----------------------------------------------------------


def arrays(**changes):
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    return {
        "prompts": np.ones((2, 1), int),
        "chosen": np.ones((2, 3), int),
        "chosen_mask": mask,
        "rejected": np.zeros((2, 3), int),
        "rejected_mask": mask[::-1],
        "prompt_mask": np.ones((2, 1)),
    } | changes


@pytest.mark.parametrize(
    "name, value",
    [
        ("chosen", np.ones(3)),
        ("prompts", np.ones((3, 1))),
        ("prompts", np.ones(2)),
        ("rejected", np.ones((2, 2))),
        ("prompt_mask", np.ones((2, 2))),
        *(
            (f"{text}_mask", np.array(mask))
            for text in ("chosen", "rejected")
            for mask in (
                [[1, 1], [1, 1]],
                [[1, 0, 0], [0, 0, 0]],
                [[1, 0, 1], [1, 1, 1]],
                [[1, 0.5, 0], [1, 1, 1]],
            )
        ),
    ],
)
def test_bad_preferences_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        Preferences(**arrays(**{name: value}))


def test_preferences_take_rows():
    pairs = Preferences(**arrays(prompt_mask=None))
    assert len(pairs) == 2
    np.testing.assert_array_equal(pairs.prompt_mask, np.ones((2, 1)))
    turned = pairs.take([1, 0])
    for name, array in vars(pairs).items():
        np.testing.assert_array_equal(getattr(turned, name), array[::-1])


@each
@pytest.mark.parametrize("kind", ["sequence", "dpo"])
def test_bad_pairs_are_named(fw, kind):
    trainer = trainer_of(fw, kind)
    good = Preferences(**arrays())
    for pairs, name in (
        (tuple(vars(good).values()), "pairs"),
        (good.take([]), "pairs"),
        (Preferences(**arrays(prompts=np.full((2, 1), 6))), "prompts"),
        (Preferences(**arrays(rejected=np.full((2, 3), 6))), "completions"),
        (Preferences(**arrays(prompt_mask=np.zeros((2, 1)))), "prompt_mask"),
    ):
        for act in (trainer.step, trainer.evaluate):
            with pytest.raises(ValueError, match=f"^{name}: expected"):
                act(pairs)
    assert trainer.history == []
    with pytest.raises(ValueError, match="^prompts: expected at least 0"):
        Preferences(**arrays(prompts=np.full((2, 1), -1)))


ONES = np.ones((2, 3))


@each
@pytest.mark.parametrize(
    "place, value, name",
    [
        (0, np.full((2, 1), 6), "prompts"),
        (1, np.full((2, 3), 6), "completions"),
        (1, 6 * ONES, "completions"),
        (1, ONES, "completions"),
        (0, ONES, "prompts"),
        (2, ONES[:, :2], "mask"),
        (2, 0 * ONES, "mask"),
        (2, ONES / 2, "mask"),
        (3, ONES[:1], "labels"),
        (3, 2 * ONES, "labels"),
        (3, -ONES, "labels"),
        (3, np.nan * ONES, "labels"),
        (4, ONES, "prompt_mask"),
    ],
)
def test_bad_labels_are_named(fw, place, value, name):
    batch = [np.ones((2, 1), int), np.ones((2, 3), int), ONES, ONES, None]
    batch[place] = value
    trainer = trainer_of(fw, "process")
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        trainer.step(*batch)
    assert trainer.history == []


@each
@pytest.mark.parametrize(
    "kind, settings, name",
    [
        ("dpo", {"loss": "DPO"}, "loss"),
        ("dpo", {"beta": 0}, "beta"),
        ("dpo", {"beta": float("nan")}, "beta"),
        ("dpo", {"beta": float("inf")}, "beta"),
        ("dpo", {"beta": "a"}, "beta"),
        ("dpo", {"label_smoothing": float("nan")}, "label_smoothing"),
        ("dpo", {"label_smoothing": "a"}, "label_smoothing"),
        ("tdpo", {"alpha": float("nan")}, "alpha"),
        ("tdpo", {"alpha": float("inf")}, "alpha"),
        ("tdpo", {"alpha": "a"}, "alpha"),
        ("ipo", {"label_smoothing": 0.1}, "label_smoothing"),
        ("tdpo", {"label_smoothing": 0.1}, "label_smoothing"),
        ("dpo", {"label_smoothing": 0.5}, "label_smoothing"),
        ("dpo", {"alpha": 0.1}, "alpha"),
        ("ipo", {"alpha": 0.1}, "alpha"),
        ("tdpo", {"alpha": -0.1}, "alpha"),
    ],
)
def test_bad_settings_are_named(fw, kind, settings, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        trainer_of(fw, kind, settings=settings)


@each
def test_bad_models_are_named(fw):
    here, config = fw.preference_trainers, SupervisedConfig()
    policy = model_of(fw)
    for reference in (policy, model_of(fw, vocab=5)):
        with pytest.raises(ValueError, match="^reference: expected"):
            here.DPOTrainer(policy, reference, config, 0.3)
    with pytest.raises(ValueError, match="^level: expected"):
        here.RewardModelTrainer(policy, config, "text")
    [padded] = batches(1, padded=True)
    with pytest.raises(ValueError, match="prompt_mask: expected None"):
        trainer_of(fw, "sequence").step(padded)


@each
@pytest.mark.parametrize("kind", ["sequence", "process", "dpo"])
def test_a_gradient_that_is_not_finite_stops(tmp_path, fw, kind):
    """Its batch is kept: pairs by their names, a tuple by its places."""
    trainer, path = trainer_of(fw, kind), tmp_path / "run.safetensors"
    kept = fw.checkpoints.get_weights(trainer.model)
    broken = {n: np.full_like(w, np.nan) for n, w in kept.items()}
    fw.checkpoints.set_weights(trainer.model, broken)
    (batch,) = data_of(kind, 1)
    with pytest.raises(FloatingPointError, match="step 1"):
        trainer.train([batch], progress=False, path=path)
    assert trainer.history == []
    arrays = load_file(f"{path}.failed")  # not finite, some of it
    if kind == "process":
        np.testing.assert_array_equal(arrays["batch.1"], batch[1])
    else:
        again = Preferences(**arrays)
        np.testing.assert_array_equal(again.rejected, batch.rejected)
