"""Cross-entropy training: a step by hand, parity, decay, resuming, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from core import weights
from core.settings import BERTConfig, GPTConfig, PolicyGradientConfig, SupervisedConfig
from tests.both import BOTH, PT, TF

SMALL_GPT = GPTConfig(vocab_size=7, n_positions=6, n_embd=8, n_layer=2, n_head=2)


def small_bert(head, num_labels=3):
    return BERTConfig(
        vocab_size=7,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=6,
        head=head,
        num_labels=num_labels,
    )


def batches_of(model, n=20, seed=0):
    """Random batches of the shapes that the model asks for."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        ids = rng.integers(0, 7, (4, 6))
        padding = np.arange(6) < rng.integers(2, 7, 4)[:, None]
        if model == "sequence":
            yield (ids, padding), rng.integers(0, 3, 4), np.ones(4)
        elif model == "token":
            yield (ids, padding), rng.integers(0, 3, (4, 6)), padding
        elif model == "masked":
            chosen = padding & (rng.random((4, 6)) < 0.4)
            chosen[0, 0] = True
            yield (ids, padding), np.where(chosen, ids, -100), chosen
        else:
            yield (ids[:, :-1],), ids[:, 1:], padding[:, 1:]


def trainer_of(fw, model="gpt", dtype="float64", **settings):
    settings = {"steps": 20, "warmup_steps": 3} | settings
    if model == "gpt":
        made = fw.models.GPT(SMALL_GPT, seed=1, dtype=dtype)
    elif model == "lstm":
        made = fw.models.LSTMPolicy(7, 4, 8, seed=1, dtype=dtype)
    else:
        made = fw.models.BERT(small_bert(model), seed=1, dtype=dtype)
    return fw.trainers.SupervisedTrainer(made, SupervisedConfig(**settings))


class PtTable(torch.nn.Module):
    """Logits of the next token are the row of the last: two by two zeros."""

    vocab_size = 2

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(2, 2, dtype=torch.float64)
        torch.nn.init.zeros_(self.table.weight)

    def forward(self, ids):
        return self.table(ids)


class TfTable(keras.Model):
    """The same in Keras."""

    vocab_size = 2

    def __init__(self):
        super().__init__(dtype="float64")
        self.table = keras.layers.Embedding(2, 2, "zeros", dtype="float64")
        self.table.build(None)

    def call(self, ids):
        return self.table(ids)


@pytest.mark.parametrize("fw, table", [(PT, PtTable), (TF, TfTable)], ids=["pt", "tf"])
def test_a_step_by_hand(fw, table):
    """Three targets count: 0 → 1 twice and 1 → 1 once.

    At zero both tokens have probability 1/2, so the loss is log 2 and the
    gradient (p - onehot) / 3 summed by row: (1/3, -1/3) and (1/6, -1/6).
    Adam's first step is rate × g / (|g| + 1e-5).
    """
    config = SupervisedConfig(
        steps=10, learning_rate=0.1, warmup_steps=0, decay="none", max_grad_norm=10.0
    )
    trainer = fw.trainers.SupervisedTrainer(table(), config)
    inputs = (np.array([[0, 1], [0, 1]]),)
    targets = np.array([[1, 1], [1, -100]])
    mask = np.array([[1, 1], [1, 0]])
    metrics = trainer.step(inputs, targets, mask)
    gradient = np.array([[1, -1], [1 / 2, -1 / 2]]) / 3
    assert metrics == pytest.approx(
        {
            "step": 1,
            "loss": np.log(2),
            "rate": 0.1,
            "grad_norm": np.sqrt((gradient**2).sum()),
        }
    )
    [weight] = fw.checkpoints.get_weights(trainer.model).values()
    np.testing.assert_allclose(
        weight, -0.1 * gradient / (np.abs(gradient) + 1e-5), rtol=1e-6
    )
    # Now p(1 | 0) = p(1 | 1) = 1 / (1 + exp(-0.2)), nearly.
    loss = trainer.evaluate([(inputs, targets, mask)] * 2)
    assert loss == pytest.approx(np.log1p(np.exp(-0.2)), rel=1e-4)


@pytest.mark.parametrize("model", ["gpt", "masked", "sequence", "token", "lstm"])
def test_both_frameworks_take_the_same_steps(model):
    """Twenty float64 updates: equal histories, weights and evaluations."""
    trainers = [trainer_of(fw, model, weight_decay=0.1) for fw in BOTH]
    ours, theirs = (t.train(batches_of(model), progress=False) for t in trainers)
    assert len(ours) == 20
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-9)
    ours, theirs = (
        fw.checkpoints.get_weights(t.model) for fw, t in zip(BOTH, trainers)
    )
    for name in ours:
        np.testing.assert_allclose(
            ours[name], theirs[name], rtol=0, atol=1e-9, err_msg=name
        )
    losses = [t.evaluate(batches_of(model, 3, seed=5)) for t in trainers]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_learns_what_can_be_learned(fw):
    """A row of ones and twos in turn: the loss falls towards zero."""
    ids = np.array([[1, 2, 1, 2, 1, 2]])
    batch = ((ids[:, :-1],), ids[:, 1:], np.ones((1, 5)))
    trainer = trainer_of(fw, steps=60, learning_rate=3e-2)
    history = trainer.train(iter([batch] * 99), progress=False)
    assert len(history) == 60  # the batches go on, the steps do not
    assert history[0]["loss"] == pytest.approx(np.log(7), abs=0.1)
    assert trainer.evaluate([batch]) < 0.01


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_evaluation_weighs_by_targets(fw):
    """Two batches in one, or one after the other: the same mean."""
    trainer = trainer_of(fw)
    first, second = batches_of("gpt", 2)
    joined = (
        (np.concatenate([first[0][0], second[0][0]]),),
        np.concatenate([first[1], second[1]]),
        np.concatenate([first[2], second[2]]),
    )
    apart = trainer.evaluate([first, second])
    assert apart == pytest.approx(trainer.evaluate([joined]), rel=1e-9)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_decay_shrinks_matrices_alone(fw):
    """With a rate × decay of 1/2 and no gradient's worth, half is left."""
    settings = {"learning_rate": 1e-9, "warmup_steps": 0, "decay": "none"}
    trainer = trainer_of(fw, weight_decay=0.5e9, **settings)
    before = fw.checkpoints.get_weights(trainer.model)
    trainer.train(batches_of("gpt", 1), progress=False)
    for name, after in fw.checkpoints.get_weights(trainer.model).items():
        share = 0.5 if after.ndim > 1 else 1.0
        np.testing.assert_allclose(
            after, share * before[name], rtol=1e-5, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_resumes_bit_for_bit(tmp_path, fw):
    path = tmp_path / "half.safetensors"
    batches = list(batches_of("masked"))
    whole, half, resumed = (trainer_of(fw, "masked") for _ in range(3))
    whole.train(batches, progress=False)
    half.train(batches[:8], progress=False, path=path, every=3)
    resumed.train(batches[:2], progress=False)  # load replaces it
    resumed.load(path)
    resumed.train(batches[8:], progress=False)
    assert resumed.history == whole.history
    ours, theirs = (fw.checkpoints.get_weights(t.model) for t in (whole, resumed))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("source, target", [(PT, TF), (TF, PT)], ids=["pt-tf", "tf-pt"])
def test_a_checkpoint_moves_between_the_frameworks(tmp_path, source, target):
    path = tmp_path / "x.safetensors"
    batches = list(batches_of("gpt"))
    first, second = trainer_of(source), trainer_of(target)
    first.train(batches[:10], progress=False)
    first.save(path)
    second.load(path)
    for trainer in (first, second):
        trainer.train(batches[10:], progress=False)
    for a, b in zip(first.history, second.history, strict=True):
        assert a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, fw):
    path = tmp_path / "x.safetensors"
    trainer_of(fw).save(path)
    with pytest.raises(ValueError, match="config"):
        trainer_of(fw, learning_rate=1.0).load(path)
    with pytest.raises(ValueError, match="missing"):
        trainer_of(fw, "lstm").load(path)


IDS = np.ones((2, 3), int)


@pytest.mark.parametrize(
    "inputs, targets, mask, named",
    [
        (IDS, IDS, IDS, "inputs"),
        ((IDS,), IDS, IDS[:, :2], "mask"),
        ((IDS,), IDS, 0 * IDS, "mask"),
        ((IDS,), 7 * IDS, IDS, "targets"),
        ((IDS,), -IDS, IDS, "targets"),
    ],
)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_bad_batches_are_named(fw, inputs, targets, mask, named):
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match=named):
        trainer.step(inputs, targets, mask)
    with pytest.raises(ValueError, match=named):
        trainer.evaluate([(inputs, targets, mask)])
    assert trainer.history == []


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_classes_are_the_heads(fw):
    ids, mask = np.ones((2, 3), int), np.ones(2)
    with pytest.raises(ValueError, match=r"targets: expected ids in \[0, 3"):
        trainer_of(fw, "sequence").step((ids,), np.array([0, 3]), mask)
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match="batches"):
        trainer.evaluate([])
    with pytest.raises(ValueError, match="every"):
        trainer.train([], every=0)
    with pytest.raises(ValueError, match="path: the folder"):
        trainer.train(batches_of("gpt"), path="no/such/folder/x")
    assert trainer.history == []


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_gradient_that_is_not_finite_stops(tmp_path, fw):
    """Its batch is kept."""
    trainer, path = trainer_of(fw), tmp_path / "run.safetensors"
    kept = fw.checkpoints.get_weights(trainer.model)
    broken = {n: np.full_like(w, np.nan) for n, w in kept.items()}
    fw.checkpoints.set_weights(trainer.model, broken)
    batches = list(batches_of("gpt"))
    with pytest.raises(FloatingPointError, match="step 1") as caught:
        trainer.train(batches, progress=False, path=path)
    assert trainer.history == [] and not path.exists()
    assert "run.safetensors.failed" in caught.value.__notes__[0]
    arrays, about = weights.read(f"{path}.failed")
    assert about["step"] == 1
    inputs, targets, mask = batches[0]
    np.testing.assert_array_equal(arrays["batch.0.0"], inputs[0])
    np.testing.assert_array_equal(arrays["batch.1"], targets)
    np.testing.assert_array_equal(arrays["batch.2"], mask)


@pytest.mark.parametrize(
    "name, value",
    [
        ("steps", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("max_grad_norm", 0),
        ("max_grad_norm", float("inf")),
        ("warmup_steps", -1),
        ("weight_decay", -0.1),
        ("decay", "linear"),
        ("weight_decay", float("nan")),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        SupervisedConfig(**{name: value})


@pytest.mark.parametrize("kind", [SupervisedConfig, PolicyGradientConfig])
def test_the_rate_warms_up_and_decays(kind):
    config = kind(steps=12, learning_rate=2.0, warmup_steps=2, decay="cosine")
    rates = [config.rate(step) for step in range(13)]
    assert rates[:3] == pytest.approx([2 / 3, 4 / 3, 2.0])
    assert rates[7] == pytest.approx(1.0)  # half-way down
    assert rates[12] == 0 and rates[11] > 0
    assert np.all(np.diff(rates[2:]) < 0)
    steady = kind(learning_rate=2.0, decay="none")
    assert steady.rate(10**6) == 2.0


def test_tensorflow_compiles_once_per_shape():
    trainer = trainer_of(TF)
    trainer.train(batches_of("gpt", 5), progress=False)
    assert trainer._gradients.experimental_get_tracing_count() == 1
    assert isinstance(trainer.optimizer.iterations, tf.Variable)
