"""Inputs at which a loss or a distribution could be wrong and say nothing.

What is excluded, what stands behind a mask, ratios that overflow, policies that are
almost equal, shapes and types: the values are worked by hand or those of PyTorch's own
functions, the gradients finite differences in float64.
"""

from dataclasses import replace
from fractions import Fraction
from math import factorial

import numpy as np
import pytest
import tensorflow as tf
import torch
from transformers import TopPLogitsWarper

from core import exact
from core.algorithms import ALGORITHMS, KL, Algorithm, Clipped, ClippedWeight
from tests.both import BOTH, PT, TF

each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
INF, NAN = np.inf, np.nan
JUNK = [NAN, INF, -INF, 1e38]


def differences(function, x, step=1e-6):
    """The gradient of a function of one array, by central differences."""
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (np.sum(function(m)) for m in moved)
        found[place] = (up - down) / (2 * step)
    return found


def grad(fw, function, *arrays):
    """As fw.grad; the gradient of what is not read is 0."""
    if fw is PT:
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        value = function(*tensors)
        value.sum().backward()
        slopes = [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors]
        return value.detach().numpy(), [g.numpy() for g in slopes]
    tensors = [tf.Variable(a) for a in arrays]
    with tf.GradientTape() as tape:
        value = function(*tensors)
    slopes = tape.gradient(value, tensors, unconnected_gradients="zero")
    return value.numpy(), [tf.convert_to_tensor(g).numpy() for g in slopes]


def value_of(fw, function):
    """A function of tensors as one of arrays."""
    return lambda *arrays: fw.numpy(function(*map(fw.tensor, arrays)))


# --- What is excluded -------------------------------------------------------

LOGITS = [-40.0, -40.4, -40.4, -41.0, -90.0]  # a language model's are so low


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1e-46, 1e-38, 1e-8, 0.1, 1, 30, 1e30])
@pytest.mark.parametrize(
    "options, kept",
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"top_k": 1}, [1, 0, 0, 0, 0]),
        ({"top_k": 2}, [1, 1, 1, 0, 0]),
        ({"top_k": 4}, [1, 1, 1, 1, 0]),
        ({"top_p": 1e-46}, [1, 0, 0, 0, 0]),
        ({"top_k": 4, "top_p": 1e-9}, [1, 0, 0, 0, 0]),
    ],
    ids=str,
)
def test_what_is_excluded_has_probability_0(fw, dtype, temperature, options, kept):
    logits = fw.tensor(np.array([LOGITS], dtype))
    cut = fw.logprobs.sampling_logits(logits, temperature, **options)
    z = (np.array(LOGITS, dtype).astype(float) + 40) / temperature
    z[np.array(kept) == 0] = -INF
    wanted = exact.log_softmax(z)
    found = [
        fw.numpy(fw.logprobs.token_logprobs(cut, fw.tensor(np.array([i]))))[0]
        for i in range(5)
    ]
    tiny = np.finfo(dtype).tiny
    if temperature > 1e-30:
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)
    probs = np.exp(np.array(found, float))
    np.testing.assert_allclose(probs, np.exp(wanted), rtol=1e-5, atol=tiny)
    assert (probs[np.array(kept) == 0] == 0).all()
    assert (np.array(found)[np.array(kept) == 0] == -INF).all()
    bits = -sum(p * np.log(p) for p in np.exp(wanted) if p > 0)
    np.testing.assert_allclose(fw.numpy(fw.logprobs.entropy(cut)), [bits], atol=1e-5)


@each
@pytest.mark.parametrize("temperature", [1e-37, 1e-8, 0.5])
def test_scores_at_a_temperature_are_those_of_the_limit(fw, temperature):
    logits = fw.tensor(np.array([[LOGITS, LOGITS]], np.float32))
    found = fw.logprobs.token_logprobs(logits, fw.tensor([[0, 1]]), temperature)
    z = (np.array(LOGITS, np.float32).astype(float) + 40) / temperature
    wanted = exact.log_softmax(z)[:2]
    wanted = np.where(wanted < np.finfo(np.float32).min, -INF, wanted)
    np.testing.assert_allclose(fw.numpy(found)[0], wanted, rtol=1e-5)


@each
def test_greedy_scores_have_a_gradient_of_0(fw):
    def chosen(logits):
        cut = fw.logprobs.sampling_logits(logits, 1e-8, top_k=2)
        return fw.logprobs.token_logprobs(cut, fw.tensor([0])) + (
            fw.logprobs.entropy(cut)
        )

    value, (gradient,) = grad(fw, chosen, np.array([LOGITS], np.float32))
    np.testing.assert_array_equal(value, [0])
    np.testing.assert_array_equal(gradient, np.zeros((1, 5)))


CUT = np.array([[[0.3, -1.2, -INF, 0.8], [0.5, 0.5, -INF, -INF]]])


@each
def test_entropy_of_what_is_left(fw):
    keep = np.isfinite(CUT)
    value, (gradient,) = grad(fw, fw.logprobs.entropy, CUT)
    probs = np.exp(exact.log_softmax(CUT))
    logs = np.log(np.where(keep, probs, 1))
    wanted = -(probs * logs).sum(axis=-1)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    assert value[0, 1] == pytest.approx(np.log(2))
    # ∂H/∂z_i = -π_i (log π_i + H)
    slope = -probs * (logs + wanted[..., None])
    np.testing.assert_allclose(gradient, slope, atol=1e-15)
    numeric = differences(
        lambda z: value_of(fw, fw.logprobs.entropy)(np.where(keep, z, -INF)),
        np.where(keep, CUT, 0),
    )
    np.testing.assert_allclose(gradient, numeric, atol=1e-9)


@each
@pytest.mark.parametrize("excluded", ["both", "policy"])
def test_kl_of_what_is_left(fw, excluded):
    """Also what the reference may say and the policy does not."""
    keep = np.isfinite(CUT)
    ref = np.array([[[0.1, 0.4, 1.1, -0.3], [0.2, 0.9, 0.1, 0.1]]])
    if excluded == "both":
        ref = np.where(keep, ref, -INF)
    value, gradients = grad(fw, fw.logprobs.kl_exact, CUT, ref)
    p, q = (np.exp(exact.log_softmax(x)) for x in (CUT, ref))
    k1 = np.log(np.where(keep, p, 1)) - np.log(np.where(keep, q, 1))
    wanted = (p * k1).sum(axis=-1)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    np.testing.assert_allclose(gradients[0], p * (k1 - wanted[..., None]), atol=1e-15)
    np.testing.assert_allclose(gradients[1], q - p, atol=1e-15)
    same, gradients = grad(fw, fw.logprobs.kl_exact, CUT, CUT)
    np.testing.assert_array_equal(same, [[0, 0]])
    np.testing.assert_array_equal(gradients, np.zeros((2, 1, 2, 4)))


@each
def test_kl_to_a_reference_that_excludes_is_infinite(fw):
    found = value_of(fw, fw.logprobs.kl_exact)(np.zeros_like(CUT), CUT)
    np.testing.assert_array_equal(found, [[INF, INF]])


# --- top-p at its boundary --------------------------------------------------


def kept_by(fw, logits, top_p):
    cut = fw.logprobs.sampling_logits(fw.tensor(logits), top_p=top_p)
    return np.isfinite(fw.numpy(cut))


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shift", [0, -40])
def test_a_sum_that_is_top_p_is_enough(fw, dtype, shift):
    """.5 and .3 are .8, however each is rounded; so say transformers, too."""
    probs = np.array([[0.3, 0.1, 0.1, 0.5]])
    logits = (np.log(probs) + shift).astype(dtype)
    wanted = np.array([[True, False, False, True]])
    np.testing.assert_array_equal(kept_by(fw, logits, 0.8), wanted)
    np.testing.assert_array_equal(kept_by(fw, logits, 0.8001), np.ones((1, 4)))
    theirs = TopPLogitsWarper(0.8)(None, torch.tensor(np.log(probs)).float())
    np.testing.assert_array_equal(theirs.isfinite().numpy(), wanted)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_fractions_that_are_top_p(fw, dtype):
    """All tokens differ and the n most probable ones hold top_p: n are kept."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        weights = rng.choice(np.arange(1, 40), rng.integers(3, 12), replace=False)
        probs = weights / weights.sum()
        wanted = np.zeros(len(probs), bool)
        wanted[np.argsort(-probs)[: rng.integers(1, len(probs))]] = True
        logits = np.log(probs).astype(dtype)
        found = kept_by(fw, logits, float(probs[wanted].sum()))
        np.testing.assert_array_equal(found, wanted)


@each
def test_equal_tokens_stay_or_go_together(fw):
    logits = np.log([[0.2, 0.4, 0.2, 0.2]])
    for top_p, wanted in ((0.4, 1), (0.41, 4), (0.9, 4)):
        assert kept_by(fw, logits, top_p).sum() == wanted


# --- What stands behind a mask ----------------------------------------------

MASK = np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])  # holes, too
SEEN = MASK > 0


def masked_calls(fw):
    """Functions of floats (B, T) and a mask, each with the number of floats."""
    losses, preferences = fw.losses, fw.preferences
    calls = {
        "policy_gradient_loss": (losses.policy_gradient_loss, 2),
        "entropy_loss": (losses.entropy_loss, 1),
        "value_loss": (losses.value_loss, 2),
        "cross_entropy_loss": (losses.cross_entropy_loss, 1),
        "process_reward_loss": (preferences.process_reward_loss, 2),
        "clipped_value_loss": (lambda *x: losses.clipped_value_loss(*x, 0.2), 3),
        "no clip": (lambda *x: losses.clipped_value_loss(*x, None), 3),
    }
    for how in losses.AGGREGATIONS:
        length = 7 if how == "constant" else None
        calls[how] = (
            lambda *x, how=how, length=length: losses.aggregate(*x, how, length),
            1,
        )
    for level in ("token", "sequence", "length_normalised"):
        calls[f"ratio, {level}"] = (
            lambda *x, level=level: losses.policy_ratio(*x, level),
            2,
        )
    for name in ("RLOO", "GRPO", "GSPO", "CISPO", "RLOO (TRL)"):
        pull = KL("k2" if name == "RLOO" else "k3", 0.1, "loss")
        algorithm = replace(ALGORITHMS[name], pull=pull)
        calls[f"policy_loss, {name}"] = (
            lambda lp, old, adv, ref, mask, algorithm=algorithm: (
                fw.objective.policy_loss(algorithm, lp, old, adv, mask, 7, ref)[0]
            ),
            4,
        )
    return calls


@each
@pytest.mark.parametrize("name", masked_calls(PT))
@pytest.mark.parametrize("junk", JUNK)
def test_nothing_behind_a_mask_is_read(fw, name, junk):
    function, count = masked_calls(fw)[name]
    rng = np.random.default_rng(3)
    floats = list(rng.uniform(0.1, 0.9, size=(count, 4, 3)))
    mask = fw.tensor(MASK)
    wanted, slopes = grad(
        fw, lambda *x: function(*x, mask), *[np.where(SEEN, x, 0) for x in floats]
    )
    for i in range(count):  # in one argument, and in all
        for places in ([i], range(count)):
            spoilt = [
                np.where(SEEN, x, junk if k in places else 0)
                for k, x in enumerate(floats)
            ]
            value, gradients = grad(fw, lambda *x: function(*x, mask), *spoilt)
            np.testing.assert_array_equal(value, wanted)
            np.testing.assert_array_equal(gradients, slopes)
    assert np.isfinite(wanted).all() and not np.abs(np.array(slopes)[:, ~SEEN]).any()


@each
@pytest.mark.parametrize("name", masked_calls(PT))
def test_all_is_masked(fw, name):
    function, count = masked_calls(fw)[name]
    nothing = np.full((4, 3), NAN)
    value, gradients = grad(
        fw, lambda *x: function(*x, fw.tensor(np.zeros((4, 3)))), *[nothing] * count
    )
    np.testing.assert_array_equal(value, "ratio" in name)
    np.testing.assert_array_equal(gradients, np.zeros((count, 4, 3)))


@each
def test_metrics_of_nothing_are_0(fw):
    nothing = fw.tensor(np.zeros((2, 3)))
    for algorithm in (ALGORITHMS["GRPO"], ALGORITHMS["GSPO"]):
        algorithm = Algorithm(surrogate=algorithm.surrogate, pull=KL("k3", 0.1, "loss"))
        args = nothing, nothing, nothing, nothing, 3, nothing
        loss, metrics = fw.objective.policy_loss(algorithm, *args)
        assert float(loss) == 0
        assert {k: float(v) for k, v in metrics.items()} == {"kl": 0, "clipped": 0}


@each
def test_importance_weights_behind_a_mask(fw):
    floats = np.where(SEEN, 0.5, NAN), np.where(SEEN, 0.25, INF)
    found = fw.losses.importance_weights(*map(fw.tensor, (*floats, MASK)))
    np.testing.assert_allclose(fw.numpy(found)[:, 0], np.exp([0.5, 0.25, 0, 0.5]))


@each
@pytest.mark.parametrize("ignored", [-100, 7, 10**6])
def test_ignored_targets(fw, ignored):
    """As PyTorch's cross-entropy with ignore_index; logits behind it are not read."""
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(4, 3, 5)), rng.integers(0, 5, (4, 3))
    targets = np.where(SEEN, targets, ignored)
    wanted = torch.nn.functional.cross_entropy(
        torch.tensor(logits).flatten(0, 1),
        torch.tensor(targets).flatten(),
        ignore_index=ignored,
    )
    for junk in (0, *JUNK):
        spoilt = np.where(SEEN[..., None], logits, junk)
        value, (gradient,) = grad(
            fw,
            lambda x: fw.losses.token_cross_entropy(
                x, fw.tensor(targets), fw.tensor(MASK)
            ),
            spoilt,
        )
        assert value == pytest.approx(wanted.item(), rel=1e-14)
        probs = np.exp(exact.log_softmax(logits))
        slope = (probs - np.eye(5)[targets % 5]) * MASK[..., None] / MASK.sum()
        np.testing.assert_allclose(gradient, slope, atol=1e-15)
    nothing = fw.tensor(np.zeros((4, 3)))
    args = fw.tensor(logits), fw.tensor(targets), nothing
    assert float(fw.losses.token_cross_entropy(*args)) == 0


@each
@pytest.mark.parametrize("ignored", [-100, 10**6])
def test_ignored_tokens_of_q_values(fw, ignored):
    rng = np.random.default_rng(1)
    q, tokens = rng.normal(size=(4, 3, 5)), rng.integers(0, 5, (4, 3))
    targets = rng.normal(size=(4, 3))
    value, (gradient,) = grad(
        fw,
        lambda x: fw.losses.q_loss(
            x,
            fw.tensor(np.where(SEEN, tokens, ignored)),
            fw.tensor(np.where(SEEN, targets, NAN)),
            fw.tensor(MASK),
        ),
        np.where(SEEN[..., None], q, INF),
    )
    error = np.take_along_axis(q, tokens[..., None], 2)[..., 0] - targets
    assert value == pytest.approx(0.5 * (error**2)[SEEN].mean(), rel=1e-14)
    wanted = np.eye(5)[tokens] * (error * MASK / MASK.sum())[..., None]
    np.testing.assert_allclose(gradient, wanted, atol=1e-15)


@each
@pytest.mark.parametrize("scale", [1.0, 1e6, 1e15, 1e30])
def test_attention_leaves_out_at_every_scale(fw, scale):
    """Scores of -scale are seen and 0 is not: the weights are on what is seen."""
    from importlib import import_module

    attention = import_module(f"core.{fw.name}.attention").attention
    queries = np.full((1, 1, 1, 4), 1.0, np.float32)
    keys = np.zeros((1, 1, 3, 4), np.float32)
    keys[..., :2, :] = -scale / 2  # a score of -scale for a width of 4
    values = np.array([1, 3, 1000], np.float32)[:, None].repeat(4, 1)[None, None]
    seen = np.array([True, True, False])[None, None, None]
    found = attention(*map(fw.tensor, (queries, keys, values, seen)))
    np.testing.assert_allclose(fw.numpy(found), np.full((1, 1, 1, 4), 2.0))


# --- Ratios that overflow ---------------------------------------------------

BOUND = np.exp(20.0)


def surrogate_gradient(fw, record, logprobs, old, adv, dtype):
    mask = fw.tensor(np.ones(np.shape(old), dtype))

    def gain(x):
        constants = map(fw.tensor, (np.array(old, dtype), np.array(adv, dtype)))
        return fw.objective.surrogate(record, x, *constants, mask)[0]

    value, (gradient,) = grad(fw, gain, np.array(logprobs, dtype))
    return value, gradient


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("far", [21.0, 99.0, 800.0, 1e30])
@pytest.mark.parametrize("level", ["token", "sequence", "length_normalised"])
@pytest.mark.parametrize("advantage", [1.0, 0.0, -1.0])
def test_a_ratio_that_overflows_is_clipped(fw, dtype, far, level, advantage):
    """Two tokens; their ratio, and that of the text, is beyond any bound."""
    old, new, adv = [[-far - 1] * 2], [[-1.0] * 2], [[advantage] * 2]
    value, gradient = surrogate_gradient(fw, Clipped(level), new, old, adv, dtype)
    wanted = {1: 1.2, 0: 0, -1: -BOUND}[advantage]
    np.testing.assert_allclose(value, [[wanted] * 2], rtol=1e-5)
    np.testing.assert_array_equal(gradient, [[0, 0]])
    # The weight is bounded; no token loses the gradient of its logarithm.
    record = ClippedWeight(level, 1.0, 4.0)
    value, gradient = surrogate_gradient(fw, record, new, old, adv, dtype)
    np.testing.assert_allclose(value, [[-5 * advantage] * 2], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[5 * advantage] * 2], rtol=1e-6)


@each
@pytest.mark.parametrize("level", ["token", "sequence", "length_normalised"])
@pytest.mark.parametrize("advantage, wanted", [(1.0, 0.0), (0.0, 0.0), (-1.0, -0.8)])
def test_a_ratio_that_is_0_is_clipped(fw, level, advantage, wanted):
    old, new = [[-1.0] * 2], [[-999.0] * 2]
    for first in (-999.0, -INF):  # a token that is excluded now
        new[0][0] = first
        adv = [[advantage] * 2]
        value, gradient = surrogate_gradient(
            fw, Clipped(level), new, old, adv, np.float32
        )
        np.testing.assert_allclose(value, [[wanted] * 2], rtol=1e-6)
        np.testing.assert_array_equal(gradient, [[0, 0]])


@each
@pytest.mark.parametrize("level", ["token", "sequence", "length_normalised"])
@pytest.mark.parametrize(
    "record", [Clipped, ClippedWeight], ids=lambda record: record.__name__
)
def test_the_gradient_on_both_sides_of_the_clip(fw, level, record):
    """Against differences, between ratios of .3 and 3; CISPO's weight is constant."""
    rng = np.random.default_rng(5)
    new = np.log(rng.uniform(0.2, 0.9, (6, 3)))
    old = new - rng.uniform(-1.1, 1.1, (6, 1)) - rng.uniform(-0.2, 0.2, (6, 3))
    adv, ones = rng.normal(size=(6, 3)), np.ones((6, 3))
    made = record(level, 0.2, 0.3)
    gradient = surrogate_gradient(fw, made, new, old, adv, float)[1]

    def gain(x):
        ratio = x - old
        if level != "token":
            ratio = ratio.sum(axis=1, keepdims=True) * ones
        if level == "length_normalised":
            ratio = ratio / 3
        ratio = np.exp(ratio)
        clipped = np.clip(ratio, 0.8, 1.3)
        if record is ClippedWeight:
            return constant * adv * x
        return np.minimum(ratio * adv, clipped * adv)

    ratio = new - old
    if level != "token":
        ratio = ratio.sum(axis=1, keepdims=True) * ones
    constant = np.exp(ratio / (3 if level == "length_normalised" else 1))
    assert (constant > 1.3).any() and (constant < 0.8).any()
    constant = np.clip(constant, 0.8, 1.3)
    np.testing.assert_allclose(gradient, differences(gain, new), atol=1e-8)


@each
def test_a_ratio_of_infinity_and_no_advantage(fw):
    """Such as a reader makes with exp alone."""
    for ratio in ([[INF, 2.0]], [[INF]]):
        value, (gradient,) = grad(
            fw,
            lambda x: fw.losses.clipped_surrogate(
                x, fw.tensor(np.array([[0.0, 1.0]])), 0.2, 0.2
            ),
            np.array(ratio),
        )
        np.testing.assert_array_equal(value, [[0, 1.2]])
        np.testing.assert_array_equal(gradient, np.zeros_like(ratio))


@each
def test_weights_of_old_samples_are_bounded(fw):
    new, old = np.full((3, 60), -1.0), np.full((3, 60), -3.0)
    old[1], old[2] = -1.01, 1.0
    args = map(fw.tensor, (new, old, np.ones((3, 60))))
    found = fw.numpy(fw.losses.importance_weights(*args))
    np.testing.assert_allclose(found[:, 0], [BOUND, np.exp(0.6), np.exp(-120.0)])


def test_the_temperature_of_a_compiled_sampler_is_a_tensor():
    logits = TF.tensor(np.random.default_rng(0).normal(size=(2, 5)))
    cooled = TF.logprobs.sampling_logits(logits, tf.constant(0.7, tf.float64))
    wanted = TF.logprobs.sampling_logits(logits, 0.7)
    np.testing.assert_allclose(cooled, wanted, rtol=1e-12)


# --- KL of policies that are close, and far ---------------------------------


@each
@pytest.mark.parametrize("d", [-0.01, 0.01, 0.009, -0.011])
def test_k3_of_each_digit(fw, d):
    """Against the sum of d^n / n! from n = 2 in fractions."""
    exact = float(sum(Fraction(d) ** n / factorial(n) for n in range(2, 12)))
    found = fw.logprobs.kl_k3(*map(fw.tensor, (np.zeros((1, 1)), np.array([[d]]))))
    assert float(found[0, 0]) == pytest.approx(exact, rel=2e-13, abs=0)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-6, 1e-5, 1e-4, 1e-2, 1.0])
def test_k3_of_near_policies_has_digits(fw, dtype, size):
    rng = np.random.default_rng(0)
    old = np.full(20_000, -1.3, dtype)
    new = (old + rng.normal(0, size, old.shape)).astype(dtype)
    d = (new - old).astype(np.longdouble)
    series = d**2 / 2 + d**3 / 6 + d**4 / 24
    wanted = np.where(abs(d) < 1e-4, series, np.expm1(d) - d)
    found, (slope,) = grad(fw, lambda x: fw.logprobs.kl_k3(x, fw.tensor(new)), old)
    digits = {"float32": 1e-4, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(found, wanted.astype(float), rtol=digits)
    np.testing.assert_allclose(slope, -np.expm1(d).astype(float), rtol=digits)


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_estimates_far_away_are_finite(fw, dtype):
    """ρ is bounded where the reference is far above; nothing else is."""
    ours, ref = np.array([-99.0, -800, -1, -1], dtype), np.array([-1.0, -1, -99, -800])
    value, (slope,) = grad(
        fw, lambda x: fw.logprobs.kl_k3(x, fw.tensor(ref.astype(dtype))), ours
    )
    np.testing.assert_allclose(value, [BOUND - 21, BOUND - 21, 97, 798], rtol=1e-6)
    np.testing.assert_array_equal(slope, [0, 0, 1, 1])


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0.0, 1e-5, 1e-4, 1e-2, 1.0, 30.0])
def test_exact_kl_is_never_negative(fw, dtype, size):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (300, 1, 50)).astype(dtype)
    y = (x + rng.normal(0, size, x.shape)).astype(dtype)
    found = value_of(fw, fw.logprobs.kl_exact)(x, y)
    p, q = x.astype(np.longdouble), y.astype(np.longdouble)
    p, q = (a - np.log(np.exp(a).sum(axis=-1, keepdims=True)) for a in (p, q))
    wanted = (np.exp(p) * (p - q)).sum(axis=-1).astype(float)
    assert (found >= 0).all()
    if dtype == "float64":
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-17)
    else:  # the logits' own rounding moves a log-ratio by 1e-6
        np.testing.assert_allclose(found, wanted, rtol=0.02, atol=1e-11)


@each
def test_gradient_of_the_exact_kl(fw):
    """On both sides of where its terms take another form, and beyond."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1, 5, 6)) * np.array([1e-3, 0.1, 1, 8, 40])[:, None]
    y = rng.normal(size=(1, 5, 6)) * np.array([1e-3, 0.1, 1, 8, 40])[:, None]
    value, gradients = grad(fw, fw.logprobs.kl_exact, x, y)
    p, q = np.exp(exact.log_softmax(x)), np.exp(exact.log_softmax(y))
    k1 = exact.log_softmax(x) - exact.log_softmax(y)
    np.testing.assert_allclose(value, (p * k1).sum(-1), rtol=1e-9, atol=1e-16)
    slope = p * (k1 - (p * k1).sum(-1, keepdims=True))
    np.testing.assert_allclose(gradients[0], slope, atol=1e-13)
    np.testing.assert_allclose(gradients[1], q - p, atol=1e-13)


# --- Shapes and types -------------------------------------------------------

TYPES = ["bool", "int32", "int64", "uint8", "float16", "float32", "float64"]


@each
@pytest.mark.parametrize("name", masked_calls(PT))
@pytest.mark.parametrize("kind", TYPES)
def test_a_mask_of_any_type(fw, name, kind):
    function, count = masked_calls(fw)[name]
    rng = np.random.default_rng(3)
    floats = rng.uniform(0.1, 0.9, size=(count, 4, 3)).astype(np.float32)
    value, slopes = grad(
        fw, lambda *x: function(*x, fw.tensor(MASK.astype(kind))), *floats
    )
    wanted, same = grad(
        fw, lambda *x: function(*x, fw.tensor(MASK.astype(np.float32))), *floats
    )
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, wanted)
    np.testing.assert_array_equal(slopes, same)


@pytest.mark.parametrize("name", masked_calls(PT))
def test_columns_of_a_table_are_tensors_too(name):
    """Tensors whose rows do not lie one after the other in memory."""
    function, count = masked_calls(PT)[name]
    floats = torch.rand(count, 4, 3, generator=torch.Generator().manual_seed(0))
    rows = [*floats, torch.tensor(MASK)]
    columns = [x.T.contiguous().T for x in rows]
    assert not columns[0].is_contiguous()
    torch.testing.assert_close(function(*columns), function(*rows))


@pytest.mark.parametrize("name", masked_calls(PT))
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "numpy"])
@pytest.mark.parametrize("first", ["float16", "float32", "float64"])
def test_types_are_mixed_alike(name, first, kind):
    """The first tensor's precision, at least float32, is the result's."""
    found = []
    for fw in BOTH:
        function, count = masked_calls(fw)[name]
        floats = np.random.default_rng(3).uniform(0.1, 0.9, size=(count, 4, 3))
        floats = floats.astype(np.float16)  # the same numbers in each type
        rest = [x if kind == "numpy" else fw.tensor(x.astype(kind)) for x in floats[1:]]
        value = function(fw.tensor(floats[0].astype(first)), *rest, fw.tensor(MASK))
        found.append(fw.numpy(value))
    wanted = np.float64 if first == "float64" else np.float32
    assert [x.dtype for x in found] == [wanted] * 2
    np.testing.assert_allclose(*found, rtol=1e-5)


@each
@pytest.mark.parametrize("wrong", [-1.0, 2.0, 0.5, NAN, INF])
@pytest.mark.parametrize("name", masked_calls(PT))
def test_a_mask_of_other_numbers_is_refused(fw, name, wrong):
    function, count = masked_calls(fw)[name]
    mask = MASK.copy()
    mask[1, 1] = wrong
    floats = [fw.tensor(np.full((4, 3), 0.5))] * count
    with pytest.raises(
        ValueError, match=f"(?s)^mask: expected 0 or 1, got .*{wrong:g}"
    ):
        function(*floats, fw.tensor(mask))


@each
@pytest.mark.parametrize("shape", [(4, 2), (4, 1), (1, 3), (3,), (), (4, 3, 1)])
@pytest.mark.parametrize("name", masked_calls(PT))
def test_nothing_is_broadcast(fw, name, shape):
    function, count = masked_calls(fw)[name]
    for place in range(count + 1):
        args = [fw.tensor(np.ones((4, 3)))] * (count + 1)
        args[place] = fw.tensor(np.ones(shape))
        with pytest.raises(ValueError, match=r"^[\w, ]+: .*expected one shape"):
            function(*args)


WRONG = [
    None,
    "text",
    1.0,
    [[1.0] * 3] * 4,
    np.array([["1.0"] * 3] * 4),
    np.array([[None] * 3] * 4),
    np.ones((4, 3), complex),
]


@each
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("name", masked_calls(PT))
def test_what_is_no_tensor_is_named(fw, name, wrong):
    function, count = masked_calls(fw)[name]
    for place in range(count + 1):
        args = [fw.tensor(np.ones((4, 3)))] * (count + 1)
        args[place] = wrong
        with pytest.raises(ValueError, match=r"^\w+: expected an array"):
            function(*args)


@each
@pytest.mark.parametrize("length", [1, 2, 4])
def test_as_many_tokens_as_logits(fw, length):
    """PyTorch's gather reads fewer tokens than there are logits, and says nothing."""
    logits = fw.tensor(np.zeros((2, 3, 5)))
    tokens = fw.tensor(np.zeros((2, length), int))
    mask = fw.tensor(np.ones((2, length)))
    losses, some = fw.losses, fw.tensor(np.zeros((2, 3), int))
    for name, call in (
        ("tokens", lambda: fw.logprobs.token_logprobs(logits, tokens)),
        ("tokens", lambda: losses.q_loss(logits, tokens, mask, mask)),
        ("targets", lambda: losses.token_cross_entropy(logits, tokens, mask)),
        ("mask", lambda: losses.token_cross_entropy(logits, some, mask)),
    ):
        wanted = f"^{name}: expected the shape of |^targets, {name}: expected one shape"
        with pytest.raises(ValueError, match=wanted):
            call()


@each
@pytest.mark.parametrize("name", ["kl_k1", "kl_k2", "kl_k3", "kl_exact"])
def test_kl_of_one_shape(fw, name):
    ones = fw.tensor(np.ones((2, 3, 4)))
    for shape in ((2, 1, 4), (3, 4), (2, 3, 1)):
        with pytest.raises(ValueError, match="expected one shape"):
            getattr(fw.logprobs, name)(ones, fw.tensor(np.ones(shape)))


@each
@pytest.mark.parametrize("number", [NAN, INF, -1.0])
def test_numbers_that_are_refused(fw, number):
    losses, preferences = fw.losses, fw.preferences
    ones, row = fw.tensor(np.ones((2, 3))), fw.tensor(np.ones(4))
    rows, labels = [row] * 4, fw.tensor(np.array([[1, 0.5, number]] * 2))
    for name, call in (
        ("clip_low", lambda: losses.clipped_surrogate(ones, ones, number, 0.2)),
        ("clip_high", lambda: losses.clipped_surrogate(ones, ones, 0.2, number)),
        (
            "clip_high",
            lambda: losses.clipped_weight_surrogate(ones, ones, ones, 0, number),
        ),
        ("clip", lambda: losses.clipped_value_loss(ones, ones, ones, ones, number)),
        ("length", lambda: losses.aggregate(ones, ones, "constant", number)),
        ("sharpness", lambda: losses.minimum_risk_loss(row, row, 2, number)),
        ("beta", lambda: preferences.implicit_rewards(row, row, number)),
        ("beta", lambda: preferences.dpo_loss(*rows, number)),
        ("label_smoothing", lambda: preferences.dpo_loss(*rows, 1.0, number)),
        ("beta", lambda: preferences.ipo_loss(*rows, number)),
        ("beta", lambda: preferences.tdpo_loss(*rows, row, row, number, 0.5)),
        ("alpha", lambda: preferences.tdpo_loss(*rows, row, row, 0.5, number)),
        ("labels", lambda: preferences.process_reward_loss(ones, labels, ones)),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            call()
    if number != -1:
        with pytest.raises(ValueError, match="^margin: expected"):
            preferences.bradley_terry_loss(row, row, number)


@each
def test_a_label_is_a_share(fw):
    ones, labels = np.ones((1, 2)), np.array([[1, 1.5]])
    with pytest.raises(ValueError, match="^labels: expected"):
        fw.preferences.process_reward_loss(*map(fw.tensor, (ones, labels, ones)))


@each
def test_minimum_risk_takes_sequences_alone(fw):
    """Rows of tokens would be cut into groups of tokens."""
    table = fw.tensor(np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"^scores: expected the shape \(4,\)"):
        fw.losses.minimum_risk_loss(table, table, 2, 1.0)


def test_a_compiled_graph_computes_the_same():
    """There no value of a mask can be read; shapes are checked as ever."""
    function, count = masked_calls(TF)["policy_loss, GRPO"]
    floats = list(np.random.default_rng(3).uniform(0.1, 0.9, size=(count, 4, 3)))
    args = [tf.constant(np.where(SEEN, x, NAN)) for x in floats] + [tf.constant(SEEN)]
    wanted = function(*args)
    for xla in (False, True):
        compiled = tf.function(function, jit_compile=xla, autograph=False)
        np.testing.assert_allclose(compiled(*args), wanted, rtol=1e-12)
    with pytest.raises(ValueError, match="expected one shape"):
        compiled(*args[:-1], tf.constant(SEEN[:, :2]))


def test_a_compiled_graph_of_pytorch_is_whole():
    function, count = masked_calls(PT)["policy_gradient_loss"]
    args = [torch.ones(4, 3)] * count + [torch.tensor(SEEN)]
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    assert compiled(*args) == function(*args)
