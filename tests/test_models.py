"""The policies: causal, the same in both frameworks."""

import gc
import weakref
from functools import partial

import numpy as np
import pytest

from core.weights import initial_weights
from tests.both import BOTH, PT, TF
from tests.test_rollout import policy_of

NAMES = ["LSTMPolicy", "LSTMAttentionPolicy"]
SIZES = {"embedding_dim": 4, "hidden_dim": 5, "dtype": "float64"}


def score(fw, name, prompts, completions, seed=1):
    policy = getattr(fw.models, name)(7, seed=seed, **SIZES)
    out = policy.score(fw.tensor(prompts), fw.tensor(completions))
    return [fw.numpy(o) for o in out]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_shapes_and_causality(fw, name):
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, 7, (3, 2))
    completions = rng.integers(0, 7, (3, 4))
    logits, values = score(fw, name, prompts, completions)
    assert logits.shape == (3, 4, 7) and values.shape == (3, 4)
    later = completions.copy()
    later[:, 2] = (later[:, 2] + 1) % 7
    changed, _ = score(fw, name, prompts, later)
    # the token at 2 is seen from position 3 on, and not before
    np.testing.assert_array_equal(changed[:, :3], logits[:, :3])
    assert np.abs(changed[:, 3] - logits[:, 3]).max() > 1e-6


@pytest.mark.parametrize("name", NAMES + ["BaselineNetwork"])
def test_parity_of_outputs_and_gradients(name):
    rng = np.random.default_rng(1)
    ids, seed = rng.integers(0, 7, (3, 5)), 3
    found = {}
    for fw in BOTH:
        model = getattr(fw.models, name)(7, seed=seed, **SIZES)
        # The value head starts at zero: move it, so that it has a gradient.
        arrays = {n: w + 0.1 for n, w in fw.checkpoints.get_weights(model).items()}
        fw.checkpoints.set_weights(model, arrays)
        found[fw.name] = gradients(fw, model, ids)
    assert found["pt"][0] == pytest.approx(found["tf"][0], rel=1e-12)
    assert set(found["pt"][1]) == set(found["tf"][1])
    for key, gradient in found["pt"][1].items():
        np.testing.assert_allclose(
            gradient, found["tf"][1][key], rtol=1e-9, atol=1e-12, err_msg=key
        )


def gradients(fw, model, ids):
    """Σ out² of a model and its gradient by shared weight name."""
    if fw is PT:
        out = model(fw.tensor(ids))
        out = out if isinstance(out, tuple) else (out,)
        loss = sum((o**2).sum() for o in out)
        loss.backward()
        named = dict(model.named_parameters())
        return loss.item(), {
            n: p.grad.numpy() for n, p in named.items() if p.requires_grad
        }
    import tensorflow as tf

    with tf.GradientTape() as tape:
        out = model(fw.tensor(ids))
        out = out if isinstance(out, tuple) else (out,)
        loss = sum(tf.reduce_sum(o**2) for o in out)
    named = dict(fw.checkpoints._named(model))
    found = tape.gradient(loss, list(named.values()))
    return float(loss), {
        n: fw.checkpoints._turned(v, tf.convert_to_tensor(g).numpy())
        for (n, v), g in zip(named.items(), found)
    }


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_seed_gives_both_frameworks_the_same_weights(fw):
    model = fw.models.LSTMPolicy(7, seed=5, **SIZES)
    weights = fw.checkpoints.get_weights(model)
    shapes = {n: w.shape for n, w in weights.items()}
    assert shapes["lstm.weight_ih_l0"] == (20, 4)
    expected = initial_weights(shapes, 5)
    assert set(weights) == set(expected)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, expected[name])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("name", NAMES + ["BaselineNetwork"])
def test_wrong_arguments_are_named(fw, name):
    with pytest.raises(ValueError, match="vocab_size"):
        getattr(fw.models, name)(0)
    with pytest.raises(ValueError, match="dtype"):
        getattr(fw.models, name)(3, dtype="int32")


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_baseline_reads_the_whole_prompt(fw):
    network = fw.models.BaselineNetwork(7, seed=1, **SIZES)
    arrays = fw.checkpoints.get_weights(network)
    arrays["value_head.weight"] += 1
    fw.checkpoints.set_weights(network, arrays)
    prompts = np.array([[1, 2, 3], [1, 2, 4], [5, 2, 3]])
    values = fw.numpy(network(fw.tensor(prompts)))
    assert np.abs(np.diff(np.sort(values))).min() > 1e-4


def test_attention_is_more_than_the_lstm():
    ids = np.array([[1, 2, 3]]), np.array([[4, 5, 6]])
    for fw in (PT, TF):
        plain, _ = score(fw, "LSTMPolicy", *ids)
        mixed, _ = score(fw, "LSTMAttentionPolicy", *ids)
        assert np.abs(plain - mixed).max() > 1e-3


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_prompt_is_refused(fw, name):
    with pytest.raises(ValueError, match="prompts"):
        score(fw, name, np.zeros((2, 0), int), np.ones((2, 3), int))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_what_is_made_once_is_freed_with_the_policy(fw):
    """Also a compiled function, which holds the policy that holds it."""
    policy, other = (fw.models.LSTMPolicy(7, **SIZES) for _ in range(2))
    make = compiled if fw is TF else scorer
    made = policy.once(make)
    made(fw.tensor(np.array([[1, 2]])), fw.tensor(np.array([[3, 4]])))
    assert policy.once(make) is made
    assert policy.once(partial(make)) is not made
    assert other.once(make) is not made
    left = weakref.ref(policy)
    del policy, made
    gc.collect()
    assert left() is None


def scorer(policy):
    return policy.score


def compiled(policy):
    import tensorflow as tf

    return tf.function(policy.score, autograph=False)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("masked", [False, True])
def test_chunks_change_nothing(fw, masked, monkeypatch):
    """Few logits at once: the same log-probabilities and gradients."""
    rng = np.random.default_rng(8)
    prompts, texts = rng.integers(0, 6, (2, 3)), rng.integers(0, 6, (6, 4))
    mask = np.ones((6, 4))
    mask[[0, 3], [[2], [3]]] = 0
    arrays = [prompts, texts, mask if masked else None]
    found = []
    for at_once in (2**24, 18):  # 3 rows of 6 logits
        monkeypatch.setattr(fw.logprobs, "LOGITS_AT_ONCE", at_once)
        found.append(weighted_sum(fw, policy_of(fw, "GPT"), arrays))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for name, ours in found[0][1].items():
        np.testing.assert_allclose(ours, found[1][1][name], atol=1e-12)


def weighted_sum(fw, model, arrays):
    """A sum of the log-probabilities and entropies, and its gradients."""
    tensors = [None if a is None else fw.tensor(a) for a in arrays]
    weights = fw.tensor(np.random.default_rng(9).normal(size=(6, 4)))

    def total():
        logprobs, entropies, _ = model.evaluate(*tensors)
        return (logprobs + 0.3 * entropies) * weights

    if fw is PT:
        loss = total().sum()
        loss.backward()
        return loss.item(), {
            n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None
        }
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(total())
    named = dict(fw.checkpoints._named(model))
    found = tape.gradient(loss, named)
    return float(loss), {
        n: tf.convert_to_tensor(g).numpy() for n, g in found.items() if g is not None
    }
