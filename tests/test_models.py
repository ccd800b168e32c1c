"""The policies: causal, the same in both frameworks."""

import gc
import weakref

import numpy as np
import pytest

from core.policies import TokenPolicy
from core.settings import BERT_HEADS, BERTConfig, DecoderConfig, GPTConfig
from core.weights import initial_weights
from tests.both import BOTH, PT, TF, traces
from tests.test_rollout import POLICIES, policy_of

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


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("types", [("int32", "int64"), ("int64", "int32")])
def test_ids_of_two_integer_types(fw, types):
    policy = fw.models.LSTMPolicy(7, 4, 5, seed=1)
    ids = np.array([[3, 4]]), np.array([[5, 6, 2]])
    one = policy.score(*map(fw.tensor, ids))
    other = policy.score(*(fw.tensor(x.astype(t)) for x, t in zip(ids, types)))
    for x, y in zip(one, other):
        np.testing.assert_array_equal(fw.numpy(x), fw.numpy(y))


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


def test_what_is_compiled_is_freed_with_the_policy():
    """A compiled function holds the policy, which holds it."""
    from core.tf.layers import compiled

    score = compiled(lambda policy, *texts: policy.score(*texts))
    policy, other = (TF.models.LSTMPolicy(7, **SIZES) for _ in range(2))
    prompts = TF.tensor(np.array([[1, 2]]))
    for length in (1, 2, 1, 2):
        score(policy, prompts, TF.tensor(np.ones((1, length), int)))
    assert traces(policy) == [1, 1] and traces(other) == []
    left = weakref.ref(policy)
    del policy
    gc.collect()
    assert left() is None


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


# --- Masks -------------------------------------------------------------------

each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
MASK = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]] + 3 * [[1, 1, 1, 1]])
DTYPES = (bool, int, np.float32, np.float64)


def with_values(fw, policy):
    """The policy with values that are not 0."""
    arrays = fw.checkpoints.get_weights(policy)
    arrays["value_head.bias"] += 0.7
    fw.checkpoints.set_weights(policy, arrays)
    return policy


def texts_of():
    rng = np.random.default_rng(3)
    return rng.integers(0, 6, (2, 3)), rng.integers(0, 6, (6, 4))


@each
@pytest.mark.parametrize("name", POLICIES)
def test_all_is_zero_where_the_mask_is(fw, name):
    """Also where it begins with 0, has a hole, or no 1: the rest is as without it."""
    policy, texts = with_values(fw, policy_of(fw, name)), texts_of()
    whole = policy.evaluate(*map(fw.tensor, texts))
    for dtype in DTYPES:
        found = policy.evaluate(*map(fw.tensor, (*texts, MASK.astype(dtype))))
        for ours, unmasked in zip(found, map(fw.numpy, whole)):
            assert np.abs(unmasked).min() > 0
            np.testing.assert_allclose(fw.numpy(ours), unmasked * MASK, atol=1e-12)
            assert (fw.numpy(ours)[MASK == 0] == 0).all()


@each
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("bad", [-100, 10**6])
def test_what_is_behind_the_mask_is_not_read(fw, name, bad):
    """Values and gradients are those of any other ids there."""
    prompts, texts = texts_of()
    mask = (np.arange(4) < [[4], [2], [1], [3], [0], [4]]).astype(float)
    found = [
        weighted_sum(fw, policy_of(fw, name), (prompts, ids, mask))
        for ids in (texts, np.where(mask > 0, texts, bad))
    ]
    assert found[0][0] == found[1][0]
    assert found[0][1].keys() == found[1][1].keys()
    for key, gradient in found[0][1].items():
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(gradient, found[1][1][key])


@each
@pytest.mark.parametrize("name", POLICIES)
def test_a_mask_of_another_shape_is_named(fw, name):
    policy, texts = policy_of(fw, name), list(map(fw.tensor, texts_of()))
    for shape in ((6, 1), (4,), (6, 3), (2, 4)):
        mask = fw.tensor(np.ones(shape))
        with pytest.raises(ValueError, match="^completions, mask: expected one shape"):
            policy.evaluate(*texts, mask)


@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_gpt_reads_no_padding_of_prompts(fw, dtype):
    """Whatever ids stand there, and whatever kind of numbers the mask has."""
    policy, (prompts, texts) = policy_of(fw, "GPT"), texts_of()
    padding = np.array([[0, 0, 1], [1, 1, 1]], dtype)
    other = np.where(padding > 0, prompts, -100)
    alone = policy.score(fw.tensor(prompts[:1, 2:]), fw.tensor(texts[:3]))
    scored = policy.score(*map(fw.tensor, (other, texts, padding)))
    ids = np.concatenate([other, texts[::3]], axis=1)
    seen = np.concatenate([padding, np.ones((2, 4), dtype)], axis=1)
    read = policy(*map(fw.tensor, (ids, seen)))
    for want, ours, whole in zip(alone, scored, read):
        np.testing.assert_allclose(fw.numpy(ours)[:3], fw.numpy(want), atol=1e-12)
        np.testing.assert_allclose(
            fw.numpy(whole)[0, 2:6], fw.numpy(want)[0], atol=1e-12
        )


@each
@pytest.mark.parametrize("head", BERT_HEADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bert_reads_no_padding(fw, head, dtype):
    config = BERTConfig(7, 8, 2, 2, 12, 16, head=head)
    model, rng = fw.models.BERT(config, 2, "float64"), np.random.default_rng(4)
    ids, seen = rng.integers(0, 7, (2, 5)), np.ones((2, 5), dtype)
    seen[0, :2] = seen[1, 3:] = 0
    found = fw.numpy(model(*map(fw.tensor, (np.where(seen, ids, -100), seen))))
    for row, kept in enumerate((slice(2, 5), slice(0, 3))):
        alone = fw.numpy(model(fw.tensor(ids[row : row + 1, kept])))[0]
        ours = found[row] if head == "sequence" else found[row, kept]
        np.testing.assert_allclose(ours, alone, atol=1e-12)


@each
@pytest.mark.parametrize("seed", [-1, 1.5, "a", True, [1], float("nan"), None])
@pytest.mark.parametrize("name", [*POLICIES, "BaselineNetwork", "BERT"])
def test_a_seed_is_a_whole_number(fw, name, seed):
    make = getattr(fw.models, name)
    first = 7
    if name in ("GPT", "BERT"):
        first = {"GPT": GPTConfig(7, 4, 4, 1, 1), "BERT": BERTConfig(7, 4, 1, 1, 4)}[
            name
        ]
    with pytest.raises((ValueError, TypeError), match="^seed: expected"):
        make(first, seed=seed)


def without_logits(policy, patch):
    """The policy, which cannot make a logit any more."""
    if hasattr(policy, "policy_head"):
        del policy.policy_head
    else:
        patch.setattr(type(policy), "_logits", None)
    return policy


@each
@pytest.mark.parametrize("name", [*POLICIES, "Decoder"])
@pytest.mark.parametrize("side", ["none", "left", "right"])
def test_values_are_those_of_a_call_without_its_logits(fw, name, side, monkeypatch):
    sizes = DecoderConfig(6, 8, 2, 2, 1, 4, 12, 16)
    policy = fw.models.Decoder(sizes, 1, "float64") if name == "Decoder" else None
    policy = policy or policy_of(fw, name)
    arrays = fw.checkpoints.get_weights(policy)
    arrays["value_head.weight"] += np.arange(arrays["value_head.weight"].size)
    fw.checkpoints.set_weights(policy, arrays)
    texts, recurrent = [np.array([[3, 1, 5, 4], [2, 2, 0, 5]])], hasattr(policy, "lstm")
    if side != "none":
        texts.append(
            np.array([[1.0, 1, 1, 1], {"left": [0, 0, 1, 1]}.get(side, [1, 1, 0, 0])])
        )
    texts = [fw.tensor(x) for x in texts]
    if recurrent and side != "none":
        with pytest.raises(ValueError, match="^attention_mask: expected None"):
            policy.values(*texts)
        return
    wanted = fw.numpy(policy(*texts)[1])
    assert np.ptp(wanted) > 0.1
    found = without_logits(policy, monkeypatch).values(*texts)
    np.testing.assert_array_equal(fw.numpy(found), wanted)
    with pytest.raises((TypeError, AttributeError)):
        policy(*texts)


@each
def test_a_policy_that_has_no_way_of_its_own_gives_values(fw):
    """As one of a small vocabulary: it makes the logits, too."""
    policy, ids = policy_of(fw, "GPT"), fw.tensor(np.array([[3, 1, 5]]))
    arrays = fw.checkpoints.get_weights(policy)
    arrays["value_head.weight"] += np.arange(arrays["value_head.weight"].size)
    fw.checkpoints.set_weights(policy, arrays)
    seen = fw.tensor(np.array([[0.0, 1, 1]]))
    for texts in ((ids,), (ids, seen)):
        wanted = fw.numpy(policy(*texts)[1])
        assert np.ptp(wanted[:, 1:]) > 0.1
        found = fw.numpy(TokenPolicy.values(policy, *texts))
        np.testing.assert_array_equal(found, wanted)


@each
@pytest.mark.parametrize("name", POLICIES)
def test_ids_that_are_no_tokens_are_named(fw, name):
    """In score and evaluate, outside of a compiled graph."""
    policy, good = policy_of(fw, name), texts_of()
    for place, argument in enumerate(("prompts", "completions")):
        for bad in (6, -1, 2.0, True):
            arrays = list(good)
            arrays[place] = np.full(good[place].shape, bad)
            for act in (policy.score, policy.evaluate):
                with pytest.raises(ValueError, match=f"^{argument}: expected"):
                    act(*map(fw.tensor, arrays))
    for padding in ([[1, 0, 1]], [[1, 1, 0]], [[0, 0, 0]], [[2, 1, 1]], [[np.nan] * 3]):
        mask = fw.tensor(np.repeat(padding, 2, axis=0))
        with pytest.raises(ValueError, match="^prompt_mask: expected"):
            policy.score(*map(fw.tensor, good), mask)
