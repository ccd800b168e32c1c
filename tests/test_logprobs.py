"""Log-probabilities, entropy and KL against NumPy and the exact oracle."""

import numpy as np
import pytest

from core import exact
from tests.both import BOTH, PT, TF, random_batch
from tests.test_losses import gathered, small_mdp


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_token_logprobs(fw, temperature):
    batch = random_batch()
    got = fw.numpy(
        fw.logprobs.token_logprobs(
            fw.tensor(batch.logits), fw.tensor(batch.tokens), temperature
        )
    )
    table = exact.log_softmax(batch.logits / temperature)
    expected = np.take_along_axis(table, batch.tokens[..., None], 2)[..., 0]
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(fw, temperature):
    batch = random_batch()
    with pytest.raises(ValueError, match="temperature"):
        fw.logprobs.token_logprobs(
            fw.tensor(batch.logits), fw.tensor(batch.tokens), temperature
        )


PROBS = np.array([[0.5, 0.05, 0.25, 0.2], [0.1, 0.1, 0.7, 0.1]])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "options, kept",
    [
        ({}, [[1, 1, 1, 1], [1, 1, 1, 1]]),
        ({"top_k": 1}, [[1, 0, 0, 0], [0, 0, 1, 0]]),
        ({"top_k": 2}, [[1, 0, 1, 0], [1, 1, 1, 1]]),  # equal ones stay together
        ({"top_k": 9}, [[1, 1, 1, 1], [1, 1, 1, 1]]),
        ({"top_p": 0.5}, [[1, 0, 0, 0], [0, 0, 1, 0]]),
        ({"top_p": 0.51}, [[1, 0, 1, 0], [0, 0, 1, 0]]),
        ({"top_p": 0.9}, [[1, 0, 1, 1], [1, 1, 1, 1]]),
        ({"top_p": 1e-9}, [[1, 0, 0, 0], [0, 0, 1, 0]]),
        # .5 and .25 are left of top_k: 2/3 and 1/3
        ({"top_k": 2, "top_p": 0.6}, [[1, 0, 0, 0], [0, 0, 1, 0]]),
        # At temperature 1/2 the squares: .25, .0025, .0625, .04
        ({"temperature": 0.5, "top_p": 0.8}, [[1, 0, 1, 0], [0, 0, 1, 0]]),
    ],
    ids=str,
)
def test_what_is_sampled_by_hand(fw, options, kept):
    logits = fw.logprobs.sampling_logits(fw.tensor(np.log(PROBS)[None]), **options)
    expected = PROBS ** (1 / options.get("temperature", 1.0)) * kept
    expected /= expected.sum(axis=1, keepdims=True)
    found = np.exp(exact.log_softmax(fw.numpy(logits)[0]))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    found = fw.numpy(fw.logprobs.entropy(logits))[0]
    np.testing.assert_allclose(
        found,
        [-sum(p * np.log(p) for p in row if p > 0) for row in expected],
        atol=1e-12,
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_what_is_not_sampled_gets_no_gradient(fw):
    def chosen(logits):
        logits = fw.logprobs.sampling_logits(logits, top_k=2)
        return fw.logprobs.token_logprobs(logits, fw.tensor([[2, 2]]))

    _, (gradient,) = fw.grad(chosen, np.log(PROBS)[None])
    np.testing.assert_allclose(gradient[0, 0], [-2 / 3, 0, 2 / 3, 0], atol=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_entropy_by_hand(fw):
    logits = np.log([[[0.5, 0.5, 1e-300], [0.25, 0.25, 0.5]]])
    np.testing.assert_allclose(
        fw.numpy(fw.logprobs.entropy(fw.tensor(logits))), [[np.log(2), 1.5 * np.log(2)]]
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_kl_estimates_against_the_exact_kl(fw):
    """Mean of each estimate, summed over tokens, over all completions."""
    mdp, rng = small_mdp(), np.random.default_rng(4)
    logits, ref = rng.normal(size=(2,) + mdp.next_state.shape)
    ref *= 2
    probs = exact.probabilities(mdp, logits)[:, None] * mdp.mask
    ours = fw.tensor(exact.completion_logprobs(mdp, logits))
    refs = fw.tensor(exact.completion_logprobs(mdp, ref))
    kl = exact.kl(mdp, logits, ref)
    mean = {
        name: (probs * fw.numpy(getattr(fw.logprobs, name)(ours, refs))).sum()
        for name in ("kl_k1", "kl_k2", "kl_k3")
    }
    assert mean["kl_k1"] == pytest.approx(kl, abs=1e-12)
    assert mean["kl_k3"] == pytest.approx(kl, abs=1e-12)
    assert abs(mean["kl_k2"] - kl) > 0.01  # biased, and said so
    table = fw.logprobs.kl_exact(
        fw.tensor(logits[mdp.visits]), fw.tensor(ref[mdp.visits])
    )
    assert (probs * fw.numpy(table)).sum() == pytest.approx(kl, abs=1e-12)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_k1_in_the_loss_has_no_gradient_in_expectation(fw):
    mdp, rng = small_mdp(), np.random.default_rng(5)
    logits, ref = rng.normal(size=(2,) + mdp.next_state.shape)
    probs = exact.probabilities(mdp, logits)[:, None] * mdp.mask

    def mean(name):
        def loss(table):
            logprobs = fw.logprobs.token_logprobs(
                gathered(fw, table, mdp), fw.tensor(mdp.completions)
            )
            refs = fw.tensor(exact.completion_logprobs(mdp, ref))
            return getattr(fw.logprobs, name)(logprobs, refs) * fw.tensor(probs)

        return fw.grad(loss, logits)[1][0]

    np.testing.assert_allclose(mean("kl_k1"), 0, atol=1e-14)
    # k3's is not the gradient of the KL; k2's is that of fixed states
    true = exact.kl_gradient(mdp, logits, ref, fixed_states=True)
    np.testing.assert_allclose(mean("kl_k2"), true, atol=1e-12)
    assert np.abs(mean("kl_k3") - true).max() > 0.01


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_chunk_of_logits_takes_64_mebibytes(fw):
    assert 4 * fw.logprobs.LOGITS_AT_ONCE == 64 * 2**20  # in float32
    features, seen = fw.tensor(np.random.default_rng(0).normal(size=(8, 3))), []

    def logits_of(part):
        seen.append(len(part))
        return part

    for size, chunks in ((2**24, 1), (2**24 + 1, 2), (2**26, 4)):
        tokens = fw.tensor(np.arange(8) % 3)
        fw.logprobs.token_scores(logits_of, features, tokens, size)
        assert seen == [8 // chunks] * chunks
        seen.clear()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("size", [0, 24, 25, 35, 120])
def test_token_scores_in_chunks(fw, size, monkeypatch):
    """7 tokens of 5 logits: the same in one chunk or some, gradient too."""
    monkeypatch.setattr(fw.logprobs, "LOGITS_AT_ONCE", 12)
    rng = np.random.default_rng(2)
    features, head = rng.normal(size=(7, 3)), rng.normal(size=(3, 5))
    tokens = rng.integers(0, 5, 7)
    weights = fw.tensor(rng.normal(size=(2, 7)))
    rows = []

    def in_chunks(features):
        def logits_of(chunk):
            rows.append(chunk.shape[0])
            return chunk @ fw.tensor(head)

        logprobs, entropies = fw.logprobs.token_scores(
            logits_of, features, fw.tensor(tokens), size, 0.7
        )
        return logprobs * weights[0] + entropies * weights[1]

    def at_once(features):
        logits = fw.logprobs.sampling_logits(features @ fw.tensor(head), 0.7)
        logprobs = fw.logprobs.token_logprobs(logits, fw.tensor(tokens))
        return logprobs * weights[0] + fw.logprobs.entropy(logits) * weights[1]

    found, wanted = fw.grad(in_chunks, features), fw.grad(at_once, features)
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-14)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-14)
    if 0 < size < 120:
        assert max(rows) == -(-7 // -(-size // 12))  # backward: once more


def test_parity_of_values_and_gradients():
    batch = random_batch()

    def both(fw):
        lp = fw.logprobs

        def total(logits, ref_logits):
            tokens = fw.tensor(batch.tokens)
            a = lp.token_logprobs(logits, tokens)
            b = lp.token_logprobs(ref_logits, tokens)
            return (
                lp.kl_k1(a, b)
                + lp.kl_k2(a, b)
                + lp.kl_k3(a, b)
                + lp.kl_exact(logits, ref_logits)
                + lp.entropy(logits)
            )

        return fw.grad(total, batch.logits, batch.ref_logits)

    ours, theirs = both(PT), both(TF)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
    for a, b in zip(ours[1], theirs[1]):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("size, chunks", [(12, 1), (13, 2), (35, 3)])
def test_only_chunks_are_computed_again_and_the_sampler_is_plain(
    fw, size, chunks, monkeypatch
):
    """The backward pass computes the logits of several chunks once more."""
    monkeypatch.setattr(fw.logprobs, "LOGITS_AT_ONCE", 12)
    rng, calls = np.random.default_rng(3), []
    logits, tokens = rng.normal(size=(7, 5)), rng.integers(0, 5, 7)

    def scored(features):
        def logits_of(chunk):
            calls.append(chunk)
            return chunk * 1.0

        logprobs, entropies = fw.logprobs.token_scores(
            logits_of, features, fw.tensor(tokens), size
        )
        return logprobs + 10 * entropies

    value, _ = fw.grad(scored, logits)
    assert len(calls) == (1 if chunks == 1 else 2 * chunks)
    table = exact.log_softmax(logits)
    entropies = -(np.exp(table) * table).sum(axis=1)
    wanted = table[np.arange(7), tokens] + 10 * entropies
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
