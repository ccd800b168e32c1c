"""Cross-entropy training: a step by hand, parity, decay, resuming, errors."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from core import weights
from core.settings import BERTConfig, GPTConfig, PolicyGradientConfig, SupervisedConfig
from tests.both import BOTH, PT, TF, traces

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


def stopped_and_resumed(fw, path, before, again):
    """The history of a training that a second process goes on with."""
    half, resumed = trainer_of(fw, "lstm"), trainer_of(fw, "lstm")
    before(half)
    half.save(path)
    resumed.load(path)
    again(resumed)
    return resumed


def blocks(trainer, *counts):
    """One stream without end in several calls, as a chapter takes it."""
    stream = itertools.cycle(batches_of("lstm", 12))
    for count in counts:
        trainer.train(itertools.islice(stream, count), progress=False)


@pytest.mark.parametrize(
    "whole, before, again",
    [
        # a list, an iterator without end, the same in blocks, two lists
        (lambda t, a, b: t.train(a, progress=False), lambda t, a, b: t.train(a[:5]), 0),
        (lambda t, a, b: blocks(t, 99), lambda t, a, b: blocks(t, 7), 0),
        (lambda t, a, b: blocks(t, 4, 4, 4), lambda t, a, b: blocks(t, 4, 3), 0),
        (
            lambda t, a, b: [t.train(x, progress=False) for x in (a, b)],
            lambda t, a, b: [t.train(x, progress=False) for x in (a, b[:3])],
            0,
        ),
        # the program knows which calls are done, or which batches
        (
            lambda t, a, b: [t.train(x, progress=False) for x in (a, b)],
            lambda t, a, b: [t.train(x, progress=False) for x in (a, b[:3])],
            lambda t, a, b: t.train(b, progress=False),
        ),
        (
            lambda t, a, b: t.train(a, progress=False),
            lambda t, a, b: t.train(a[:5], progress=False),
            lambda t, a, b: t.train(a[5:], progress=False),
        ),
        # the second of two passes was stopped
        (
            lambda t, a, b: [t.train(a, progress=False) for _ in range(2)],
            lambda t, a, b: [t.train(x, progress=False) for x in (a, a[:3])],
            lambda t, a, b: t.train(a, progress=False),
        ),
    ],
    ids=["list", "stream", "blocks", "two", "the second", "the rest", "passes"],
)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_stopped_program_run_again_takes_the_same_steps(
    tmp_path, fw, whole, before, again
):
    a, b = list(batches_of("lstm", 10)), list(batches_of("lstm", 10, seed=1))
    never = trainer_of(fw, "lstm")
    whole(never, a, b)
    path = tmp_path / "half"
    once = stopped_and_resumed(
        fw, path, lambda t: before(t, a, b), lambda t: (again or whole)(t, a, b)
    )
    assert once.history == never.history
    # And a second time: what a resumed training saves is as good.
    twice = stopped_and_resumed(
        fw,
        path,
        lambda t: (before(t, a, b), t.save(path), t.load(path)),
        lambda t: (again or whole)(t, a, b),
    )
    assert twice.history == never.history


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_data_are_left_out_once_and_in_a_resumed_training_alone(tmp_path, fw):
    """In one process a call trains on what it is given, whatever came before."""
    batches, path = list(batches_of("lstm", 4)), tmp_path / "x"
    trainer = trainer_of(fw, "lstm")
    for count in (4, 8):
        assert len(trainer.train(batches, progress=False)) == count
    trainer.save(path)
    assert len(trainer.train(batches[:2], progress=False)) == 10
    trainer.load(path)
    other = list(batches_of("lstm", 3, seed=1))
    assert len(trainer.train(other, progress=False)) == 11  # begins otherwise
    assert len(trainer.train(batches, progress=False)) == 11  # all were taken
    assert len(trainer.train(batches, progress=False)) == 15


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_batch_counts_when_its_step_is_taken(tmp_path, fw, monkeypatch):
    """Not one that failed, nor a step outside of `train`."""
    batches, path = list(batches_of("lstm", 6)), tmp_path / "x"
    trainer, resumed = trainer_of(fw, "lstm"), trainer_of(fw, "lstm")
    with pytest.raises(ValueError, match="^inputs: "):
        trainer.train([*batches[:3], (1, 2, 3)], progress=False)
    trainer.step(*batches[5])
    trainer.save(path)
    resumed.load(path)
    resumed.train(batches, progress=False)
    trainer.train(batches[3:], progress=False)
    assert resumed.history == trainer.history


def test_nothing_is_drawn_that_no_step_is_taken_on():
    """Also where a stream goes on in a second call."""
    trainer, stream = trainer_of(PT, "lstm", steps=5), batches_of("lstm")
    trainer.train(itertools.islice(stream, 2), progress=False)
    trainer.train(stream, progress=False)
    trainer.train(stream, progress=False)
    assert len(trainer.history) == 5 and len(list(stream)) == 15


def test_a_batch_that_cannot_be_read_is_named():
    weight = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(ValueError, match="^batches: .*requires grad"):
        trainer_of(PT).train([((IDS,), weight, IDS)], progress=False)


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
    with pytest.raises(ValueError, match=r"^config.learning_rate: .* 0.001, got 1.0"):
        trainer_of(fw, learning_rate=1.0).load(path)
    with pytest.raises(ValueError, match="^dtype.model: .*'float64'.*, got .*32"):
        trainer_of(fw, dtype="float32").load(path)
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
        ((), IDS, IDS, "inputs"),
        ((IDS[0],), IDS, IDS, "inputs"),
        ((7 * IDS,), IDS, IDS, "inputs"),
        ((1.0 * IDS,), IDS, IDS, "inputs"),
        ((IDS, IDS[:, :2]), IDS, IDS, "inputs"),
        ((IDS,), IDS[:, :2], IDS[:, :2], "targets"),
        ((IDS,), IDS[:1], IDS[:1], "targets"),
        ((IDS,), IDS[:, 0], IDS[:, 0], "targets"),
        ((IDS,), IDS[..., None], IDS[..., None], "targets"),
        ((IDS,), 1.5 * IDS, IDS, "targets"),
        ((IDS,), IDS.astype(str), IDS, "targets"),
        ((IDS,), [[1], [1, 2]], IDS, "targets"),
        ((IDS,), IDS, 2 * IDS, "mask"),
        ((IDS,), IDS, -IDS, "mask"),
        ((IDS,), IDS, np.nan * IDS, "mask"),
        ((IDS,), IDS, None, "mask"),
        ((IDS,), IDS, IDS.astype(str), "mask"),
    ],
)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_bad_batches_are_named(fw, inputs, targets, mask, named):
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match=f"^{named}: "):
        trainer.step(inputs, targets, mask)
    with pytest.raises(ValueError, match=f"^{named}: "):
        trainer.evaluate([(inputs, targets, mask)])
    assert trainer.history == []


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_classes_are_the_heads(fw):
    ids, mask = np.ones((2, 3), int), np.ones(2)
    with pytest.raises(ValueError, match=r"targets: expected ids in \[0, 3"):
        trainer_of(fw, "sequence").step((ids,), np.array([0, 3]), mask)
    with pytest.raises(ValueError, match=r"targets: expected the shape .*\(2,\)"):
        trainer_of(fw, "sequence").step((ids,), ids, ids)
    with pytest.raises(ValueError, match=r"targets: expected the shape .*\(2, 3\)"):
        trainer_of(fw, "token").step((ids,), np.array([0, 2]), mask)
    trainer = trainer_of(fw)
    with pytest.raises(ValueError, match="batches"):
        trainer.evaluate([])
    for every in (0, 1.5, None, "1", float("nan"), True):
        with pytest.raises(ValueError, match="^every: "):
            trainer.train([], every=every)
    with pytest.raises(ValueError, match="path: the folder"):
        trainer.train(batches_of("gpt"), path="no/such/folder/x")
    for path in ("", ".", "a\0b"):  # directories, and what no system takes
        with pytest.raises(ValueError, match="^path: expected a "):
            trainer.train(batches_of("gpt"), path=path)
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
    assert traces(trainer) == [1]
    assert isinstance(trainer.optimizer.iterations, tf.Variable)


@pytest.mark.parametrize("config", [None, "a", {}, PolicyGradientConfig()])
def test_other_settings_are_refused(config):
    with pytest.raises(ValueError, match="^config: expected a SupervisedConfig, got "):
        PT.trainers.SupervisedTrainer(PT.models.GPT(SMALL_GPT), config)


def test_a_long_history_is_saved(tmp_path):
    """One of more characters than the header of a file may have."""
    path, entry = tmp_path / "x", {"step": 1, "loss": 0.4479272961616516}
    trainer, other = trainer_of(PT, "lstm"), trainer_of(TF, "lstm")
    trainer.history = [entry | {"note": "-" * 10**6}] * 101
    trainer.save(path)
    other.load(path)
    assert other.history == trainer.history
