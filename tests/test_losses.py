"""Losses: hand-worked values, exact gradients, parity of both frameworks."""

import numpy as np
import pytest

from core import algorithms, exact
from tests.both import BOTH, PT, TF, random_batch

PULL = algorithms.KL("k3", 0.3, "loss")


def hash_reward(text):
    return np.sin(1.7 * len(text) + sum(3.1 * i * x for i, x in enumerate(text, 1)))


def small_mdp(gamma=1.0):
    return exact.TokenMDP.enumerate(3, 3, hash_reward, eos_id=0, gamma=gamma)


def gathered(fw, table, mdp):
    """The (S, V) table's logits for every token of every completion."""
    if fw is PT:
        return table[mdp.visits]
    import tensorflow as tf

    return tf.gather(table, np.maximum(mdp.visits, 0))


def table_gradient(fw, mdp, logits, weights):
    """Gradient of the loss when every completion counts by its weight."""

    def loss(table):
        logprobs = fw.logprobs.token_logprobs(
            gathered(fw, table, mdp), fw.tensor(mdp.completions)
        )
        return fw.losses.policy_gradient_loss(
            logprobs, fw.tensor(weights * len(weights)), fw.tensor(mdp.mask)
        )

    return np.asarray(fw.grad(loss, logits)[1][0])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("kind", ["total", "to_go", "state baseline"])
def test_policy_gradient_loss_is_unbiased(fw, kind):
    mdp = small_mdp()
    logits = np.random.default_rng(1).normal(size=mdp.next_state.shape)
    weights = {
        "total": np.repeat(exact.total_returns(mdp)[:, None], 3, axis=1),
        "to_go": exact.returns_to_go(mdp),
        "state baseline": exact.returns_to_go(mdp)
        - exact.value(mdp, logits)[mdp.visits],
    }[kind]
    probs = exact.probabilities(mdp, logits)
    gradient = table_gradient(fw, mdp, logits, probs[:, None] * weights)
    np.testing.assert_allclose(
        gradient, -exact.objective_gradient(mdp, logits), atol=1e-12
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_importance_weights_make_old_samples_unbiased(fw):
    mdp, rng = small_mdp(), np.random.default_rng(2)
    logits, old = rng.normal(size=(2,) + mdp.next_state.shape)
    weights = fw.numpy(
        fw.losses.importance_weights(
            fw.tensor(exact.completion_logprobs(mdp, logits)),
            fw.tensor(exact.completion_logprobs(mdp, old)),
            fw.tensor(mdp.mask),
        )
    )
    assert weights.shape == (len(mdp.mask), 1)
    drawn = exact.probabilities(mdp, old)[:, None]
    gradient = table_gradient(
        fw, mdp, logits, drawn * weights * exact.returns_to_go(mdp)
    )
    np.testing.assert_allclose(
        gradient, -exact.objective_gradient(mdp, logits), atol=1e-12
    )
    without = table_gradient(fw, mdp, logits, drawn * exact.returns_to_go(mdp))
    assert np.abs(without - gradient).max() > 0.01  # reuse needs them


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_importance_weights_carry_no_gradient(fw):
    batch = random_batch()

    def loss(logprobs):
        weights = fw.losses.importance_weights(
            logprobs, fw.tensor(batch.floats), fw.tensor(batch.mask)
        )
        return (logprobs * 0 + weights) * fw.tensor(batch.mask)

    (gradient,) = fw.grad(loss, batch.floats + 0.1)[1]
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_entropy_loss_gradient(fw):
    mdp = small_mdp()
    logits = np.random.default_rng(3).normal(size=mdp.next_state.shape)
    probs = exact.probabilities(mdp, logits)

    def loss(table):
        entropies = fw.logprobs.entropy(gathered(fw, table, mdp))
        weights = fw.tensor(mdp.mask * probs[:, None] * len(probs))
        return fw.losses.entropy_loss(entropies * weights, fw.tensor(mdp.mask))

    value, (gradient,) = fw.grad(loss, logits)
    assert value == pytest.approx(-exact.entropy(mdp, logits))
    np.testing.assert_allclose(
        gradient, -exact.entropy_gradient(mdp, logits, fixed_states=True), atol=1e-12
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_hand_worked(fw):
    losses, x = fw.losses, lambda a: fw.tensor(np.array(a, float))
    mask = x([[1, 1], [1, 0]])
    logprobs = x([[-1, -2], [-3, -4]])
    # (−1·2 + −2·1 + −3·(−1)) = −1; minus, over B = 2
    assert float(
        losses.policy_gradient_loss(logprobs, x([[2, 1], [-1, 9]]), mask)
    ) == pytest.approx(0.5)
    # row 0: −1 + −2 − (−2 + −2) = 1; row 1: −3 − (−3) = 0
    np.testing.assert_allclose(
        fw.numpy(losses.importance_weights(logprobs, x([[-2, -2], [-3, 5]]), mask)),
        [[np.e], [1]],
    )
    assert float(losses.entropy_loss(x([[0.5, 1], [2, 7]]), mask)) == pytest.approx(
        -1.75
    )
    # ½ (1² + 2² + 3²) / 3
    assert float(
        losses.value_loss(x([[1, 2], [3, 9]]), x([[0, 0], [0, 0]]), mask)
    ) == pytest.approx(7 / 3)
    assert float(losses.cross_entropy_loss(logprobs, mask)) == 2


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_all_masked_is_zero_and_shapes_are_checked(fw):
    ones = fw.tensor(np.ones((2, 3)))
    none = fw.tensor(np.zeros((2, 3)))
    assert fw.losses.value_loss(ones, none, none) == 0
    assert fw.losses.cross_entropy_loss(ones, none) == 0
    assert fw.losses.policy_gradient_loss(ones, ones, none) == 0
    other = fw.tensor(np.ones((2, 1)))
    for call in (
        lambda: fw.losses.policy_gradient_loss(ones, other, ones),
        lambda: fw.losses.importance_weights(ones, other, ones),
        lambda: fw.losses.entropy_loss(ones, other),
        lambda: fw.losses.value_loss(ones, other, ones),
        lambda: fw.losses.cross_entropy_loss(ones, other),
    ):
        with pytest.raises(ValueError, match="one shape"):
            call()


def test_parity_of_values_and_gradients():
    batch = random_batch()

    def loss(fw):
        def total(logits, values):
            logprobs = fw.logprobs.token_logprobs(logits, fw.tensor(batch.tokens), 0.7)
            mask, floats = fw.tensor(batch.mask), fw.tensor(batch.floats)
            ratio = fw.losses.importance_weights(logprobs, floats, mask)
            return (
                fw.losses.policy_gradient_loss(logprobs, floats * ratio, mask)
                + fw.losses.entropy_loss(fw.logprobs.entropy(logits), mask)
                + fw.losses.value_loss(values, floats, mask)
                + fw.losses.cross_entropy_loss(logprobs, mask)
            )

        return fw.grad(total, batch.logits, batch.floats * 2)

    ours, theirs = loss(PT), loss(TF)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-14)
    for a, b in zip(ours[1], theirs[1]):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_clipped_surrogate_by_hand(fw):
    ratio = np.array([[0.5, 0.9, 1.1, 2.0], [0.5, 0.9, 1.1, 2.0]])
    adv = np.array([[1.0, 1, 1, 1], [-2, -2, -2, -2]])
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.clipped_surrogate(x, fw.tensor(adv), 0.2, 0.3), ratio
    )
    np.testing.assert_allclose(value, [[0.5, 0.9, 1.1, 1.3], [-1.6, -1.8, -2.2, -4.0]])
    # A clipped ratio has no gradient; otherwise it is A.
    np.testing.assert_allclose(gradient, [[1, 1, 1, 0], [0, -2, -2, -2]])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_clipped_weight_surrogate_by_hand(fw):
    ratio = np.array([[0.5, 1.1, 2.0]])
    logprobs, adv = np.log([[0.2, 0.5, 0.8]]), np.array([[1.0, -2, 3]])
    value, gradients = fw.grad(
        lambda x, y: (
            fw.losses.clipped_weight_surrogate(x, y, fw.tensor(adv), 0.2, 0.3) + 0 * y
        ),
        logprobs,
        ratio,
    )
    weights = [[0.8, -2.2, 3.9]]  # 0.8 · 1, 1.1 · -2, 1.3 · 3
    np.testing.assert_allclose(value, weights * logprobs)
    np.testing.assert_allclose(gradients[0], weights)  # no token loses it
    np.testing.assert_array_equal(gradients[1], 0)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "level, values, gradients",
    [
        ("token", [[2, 0.5, 1], [4, 1, 1]], [[2, 0.5, 0], [4, 0, 0]]),
        ("sequence", [[1], [4]], [[1, 1, 0], [4, 0, 0]]),
        ("length_normalised", [[1], [4]], [[0.5, 0.5, 0], [4, 0, 0]]),
    ],
)
def test_policy_ratio_by_hand(fw, level, values, gradients):
    """Two tokens of ratios 2 and 1/2, and one of ratio 4; rest is mask."""
    ratio = np.array([[2, 0.5, 7], [4, 3, 0.1]])
    mask = np.array([[1.0, 1, 0], [1, 0, 0]])
    old = np.log([[0.3, 0.4, 0.5], [0.2, 0.3, 0.1]])
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.policy_ratio(x, fw.tensor(old), fw.tensor(mask), level),
        old + np.log(ratio),
    )
    np.testing.assert_allclose(value, values)
    np.testing.assert_allclose(gradient, gradients, atol=1e-15)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize(
    "how, length, wanted",
    [
        ("sequence_sum", None, (3 + 5 + 0) / 3),
        ("sequence_mean", None, (3 / 2 + 5 + 0) / 3),
        ("token_mean", None, (3 + 5) / 3),
        ("constant", 4, (3 + 5) / 12),
    ],
)
def test_aggregate_by_hand(fw, how, length, wanted):
    """Rows of two tokens, of one, and one that is masked whole."""
    x = fw.tensor(np.array([[1.0, 2, 9], [5, 9, 9], [9, 9, 9]]))
    mask = fw.tensor(np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    assert float(fw.losses.aggregate(x, mask, how, length)) == (
        pytest.approx(wanted, rel=1e-15)
    )
    none = fw.tensor(np.zeros((3, 3)))
    assert float(fw.losses.aggregate(x, none, how, length)) == 0


LENGTHS = np.array([1, 1, 2, 1, 4, 3, 4, 4])
PARTS = np.arange(4) < LENGTHS[:, None]  # (8, 4), the first half short
AGGREGATES = {
    "sequence_sum": algorithms.SequenceSum(),
    "sequence_mean": algorithms.SequenceMean(),
    "token_mean": algorithms.TokenMean(),
    "constant": algorithms.ConstantLength(5),
}


def parted(fw, aggregate):
    """A loss of rows with all its terms, a function of log-probabilities."""
    rng = np.random.default_rng(0)
    constants = [rng.normal(size=(8, 4)) for _ in range(4)]
    algorithm = algorithms.Algorithm(
        surrogate=algorithms.Clipped(), aggregate=aggregate, pull=PULL
    )

    def loss(x, rows, whole):
        mask = fw.tensor(PARTS[rows] * 1.0)
        ref, old, adv, goal = (fw.tensor(c[rows]) for c in constants)
        given = x, old, adv, mask, 4, ref, whole
        total, metrics = fw.objective.policy_loss(algorithm, *given)
        total = total + 0.1 * fw.losses.entropy_loss(x * x, mask, whole)
        total = total + 0.5 * fw.losses.value_loss(x, goal, mask, whole)
        return (
            total + fw.losses.clipped_value_loss(x, old, goal, mask, 0.2, whole),
            metrics,
        )

    return loss


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("how", AGGREGATES)
@pytest.mark.parametrize("count", [2, 4])
def test_parts_add_up_to_the_whole(fw, how, count):
    """Losses, metrics and gradients of k parts with the counts of all."""
    loss, x = parted(fw, AGGREGATES[how]), np.random.default_rng(1).normal(size=(8, 4))
    every, whole = np.arange(8), np.array([8, PARTS.sum()])
    value, (wanted,) = fw.grad(lambda x: loss(x, every, None)[0], x)
    found, total = np.zeros_like(x), 0.0
    for rows in np.split(every, count):
        part, (gradient,) = fw.grad(lambda x, r=rows: loss(x, r, whole)[0], x[rows])
        found[rows] += np.asarray(gradient)
        total += part
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    assert total == pytest.approx(value, rel=1e-12)
    metrics = loss(fw.tensor(x), every, None)[1]
    parts = [loss(fw.tensor(x[r]), r, tuple(whole))[1] for r in np.split(every, count)]
    for name in ("kl", "clipped"):
        added = sum(float(part[name]) for part in parts)
        assert added == pytest.approx(float(metrics[name]), rel=1e-12) != 0


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_mean_of_means_is_another_number(fw):
    """Halves of 1 and 3 tokens: each half's token mean counts 1/2, not 1/4 and 3/4."""
    terms, mask = np.array([[4.0, 0, 0], [1, 2, 3]]), np.array([[1.0, 0, 0], [1, 1, 1]])

    def mean(rows, whole=None):
        part = fw.tensor(terms[rows]), fw.tensor(mask[rows])
        return float(fw.losses.aggregate(*part, "token_mean", whole=whole))

    assert mean([0, 1]) == 2.5 == mean([0], (2, 4)) + mean([1], (2, 4))
    assert (mean([0]) + mean([1])) / 2 == 3


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("whole", [(3,), (0, 4), (2, np.nan), 5, (2, None)])
def test_counts_that_are_none(fw, whole):
    mask = fw.tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match="^whole: expected"):
        fw.losses.counts(mask, whole)


def expected_gradient(fw, mdp, logits, scores, how):
    """Exact E[∇ aggregate(log π · score)] over all completions."""
    probs = exact.probabilities(mdp, logits)

    def loss(table):
        logprobs = fw.logprobs.token_logprobs(
            gathered(fw, table, mdp), fw.tensor(mdp.completions)
        )
        gain = logprobs * fw.tensor(np.repeat((probs * scores)[:, None], 3, axis=1))
        return len(probs) * fw.losses.aggregate(gain, fw.tensor(mdp.mask), how)

    return np.asarray(fw.grad(loss, logits)[1][0])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_the_mean_over_a_sequence_climbs_another_objective(fw):
    """GRPO's: not E[R] but E[(R - b) / |y|], which rewards short texts."""
    mdp = small_mdp()
    logits = np.random.default_rng(4).normal(size=mdp.next_state.shape)
    lengths = mdp.mask.sum(axis=1)
    scores = exact.total_returns(mdp) + 0.7  # b = -0.7
    probs = exact.probabilities(mdp, logits)
    samples = exact.gradient_samples(mdp, logits, mdp.mask)  # ∇ log π(y)
    per_length = exact.moments(probs, samples * (scores / lengths).reshape(-1, 1, 1))[0]
    found = expected_gradient(fw, mdp, logits, scores, "sequence_mean")
    np.testing.assert_allclose(found, per_length, atol=1e-12)
    truth = exact.objective_gradient(mdp, logits)
    np.testing.assert_allclose(
        expected_gradient(fw, mdp, logits, scores, "sequence_sum"),
        truth,
        atol=1e-12,  # a constant b does not matter here
    )
    cosine = (found * truth).sum() / (np.linalg.norm(found) * np.linalg.norm(truth))
    assert cosine < 0.99  # another direction, not another length


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_clipped_value_gains_nothing_by_moving_further(fw):
    target = np.array([[1.0, 1, -1, 1, -1, -1]])
    values = np.array([[0.1, 0.5, 0.5, -0.5, -0.5, -0.1]])  # clip 0.2
    old, ones = np.zeros((1, 6)), np.ones((1, 6))
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.clipped_value_loss(
            x, *map(fw.tensor, (old, target, ones)), 0.2
        ),
        values,
    )
    squares = [0.9**2, 0.8**2, 1.5**2, 1.5**2, 0.8**2, 0.9**2]
    assert value == pytest.approx(np.mean(squares) / 2)
    # Near the old value and on the way back, the plain gradient; beyond the
    # clip, on either side, none.
    np.testing.assert_allclose(gradient, [[-0.9 / 6, 0, 1.5 / 6, -1.5 / 6, 0, 0.9 / 6]])


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_minimum_risk_of_all_texts_is_the_objective(fw):
    """With all completions in the group and sharpness 1, Q is π."""
    mdp = small_mdp()
    logits = np.random.default_rng(5).normal(size=mdp.next_state.shape)
    scores = exact.total_returns(mdp)

    def loss(table):
        logprobs = fw.logprobs.token_logprobs(
            gathered(fw, table, mdp), fw.tensor(mdp.completions)
        ) * fw.tensor(mdp.mask)
        sums = (logprobs @ fw.tensor(np.ones((3, 1))))[:, 0]
        return fw.losses.minimum_risk_loss(sums, fw.tensor(scores), len(scores), 1.0)

    value, (gradient,) = fw.grad(loss, logits)
    assert value == pytest.approx(-exact.objective(mdp, logits))
    np.testing.assert_allclose(
        gradient, -exact.objective_gradient(mdp, logits), atol=1e-12
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_minimum_risk_by_hand(fw):
    """Two groups of two; sharpness 1/2 takes the root of the odds."""
    logprobs, scores = np.log([0.4, 0.1, 0.2, 0.2]), np.array([1.0, 4, 0, 2])
    loss = fw.losses.minimum_risk_loss(fw.tensor(logprobs), fw.tensor(scores), 2, 0.5)
    assert float(loss) == pytest.approx(-((2 / 3 + 4 / 3) + 1) / 2)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_arguments_out_of_range_are_named(fw):
    ones, losses = fw.tensor(np.ones((2, 3))), fw.losses
    row = fw.tensor(np.ones(4))
    for name, call in (
        ("clip_low", lambda: losses.clipped_surrogate(ones, ones, -1, 0.2)),
        ("clip_high", lambda: losses.clipped_surrogate(ones, ones, 0.2, -1)),
        ("ratio", lambda: losses.clipped_surrogate(row[:, None], ones, 0, 0)),
        ("clip_low", lambda: losses.clipped_weight_surrogate(ones, ones, ones, -1, 0)),
        ("level", lambda: losses.policy_ratio(ones, ones, ones, "word")),
        ("how", lambda: losses.aggregate(ones, ones, "mean")),
        ("length", lambda: losses.aggregate(ones, ones, "constant")),
        ("length", lambda: losses.aggregate(ones, ones, "constant", 0)),
        ("length", lambda: losses.aggregate(ones, ones, "token_mean", 3)),
        ("clip", lambda: losses.clipped_value_loss(ones, ones, ones, ones, -0.1)),
        ("group_size", lambda: losses.minimum_risk_loss(row, row, 1, 1.0)),
        ("group_size", lambda: losses.minimum_risk_loss(row, row, 3, 1.0)),
        ("sharpness", lambda: losses.minimum_risk_loss(row, row, 2, 0.0)),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            call()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_token_cross_entropy_by_hand(fw):
    probs = np.array([[[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]]])
    targets, mask = np.array([[0, 0, 1]]), np.array([[1.0, 1.0, 0.0]])
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.token_cross_entropy(x, fw.tensor(targets), fw.tensor(mask)),
        np.log(probs),
    )
    np.testing.assert_allclose(value, -(np.log(0.5) + np.log(0.2)) / 2)
    np.testing.assert_allclose(
        gradient, [[[-0.25, 0.25], [-0.4, 0.4], [0, 0]]], atol=1e-12
    )


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_value_losses_of_returns_and_old_values_that_are_not_zero(fw):
    """Errors 1, -2, and one that is masked; each value may move by 1/2."""
    values, targets = np.array([[4.0, 1, 9]]), np.array([[3.0, 3, 3]])
    old, mask = np.array([[2.0, 2, 5]]), np.array([[1.0, 1, 0]])
    constants = [fw.tensor(x) for x in (targets, mask)]
    value, (gradient,) = fw.grad(lambda x: fw.losses.value_loss(x, *constants), values)
    assert value == pytest.approx((1 + 4) / 2 / 2)
    np.testing.assert_allclose(gradient, [[0.5, -1, 0]])
    for clip in (None, 0.5, 0.25):  # clipped ones err less: by ½ and 1½, or ¾ and 1¼
        value, (gradient,) = fw.grad(
            lambda x, clip=clip: fw.losses.clipped_value_loss(
                x, fw.tensor(old), *constants, clip
            ),
            values,
        )
        assert value == pytest.approx((1 + 4) / 2 / 2)
        np.testing.assert_allclose(gradient, [[0.5, -1, 0]])
    # From 8 and -2 the clip leaves 7½ and -1½, which err more than 4 and 1.
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.clipped_value_loss(
            x, fw.tensor(np.array([[8.0, -2, 5]])), *constants, 0.5
        ),
        values,
    )
    assert value == pytest.approx((4.5**2 + 4.5**2) / 2 / 2)
    assert not gradient.any()


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_q_loss_by_hand(fw):
    """The chosen values are 2, 4, 9 and 1; the third is masked."""
    q = np.array([[[1.0, 2, 3], [4, 5, 6]], [[7, 8, 9], [3, 2, 1]]])
    tokens, mask = np.array([[1, 0], [2, 2]]), np.array([[1.0, 1], [0, 1]])
    targets = np.array([[5.0, 2], [1, 1]])
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.q_loss(x, *map(fw.tensor, (tokens, targets, mask))), q
    )
    assert value == pytest.approx((9 + 4 + 0) / 2 / 3)
    wanted = np.zeros(q.shape)
    wanted[0, 0, 1], wanted[0, 1, 0] = -3 / 3, 2 / 3
    np.testing.assert_allclose(gradient, wanted, atol=1e-15)
    for bad in (q[:, :1], q[:1], q[..., 0]):
        with pytest.raises(ValueError, match="expected the shape"):
            fw.losses.q_loss(*map(fw.tensor, (bad, tokens, targets, mask)))


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_a_batch_of_one_token_and_a_row_of_none(fw):
    """The means are over one token; a ratio of no tokens is 1."""
    x, mask = fw.tensor(np.array([[-3.0, 7], [7, 7]])), np.zeros((2, 2))
    mask[0, 0] = 1
    kept, zero = fw.tensor(mask), fw.tensor(np.zeros((2, 2)))
    assert float(fw.losses.cross_entropy_loss(x, kept)) == 3
    assert float(fw.losses.value_loss(x, zero, kept)) == 4.5
    assert float(fw.losses.aggregate(x, kept, "token_mean")) == -3
    assert float(fw.losses.aggregate(x, kept, "sequence_mean")) == -1.5
    for level, ratios in (
        ("token", [[np.exp(-3), 1], [1, 1]]),
        ("sequence", [[np.exp(-3)], [1]]),
        ("length_normalised", [[np.exp(-3)], [1]]),
    ):
        found = fw.losses.policy_ratio(x, zero, kept, level)
        np.testing.assert_allclose(fw.numpy(found), ratios, rtol=1e-14)


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
@pytest.mark.parametrize("advantage", [-2.0, -1.0, 0.0, 1.0, 2.0])
def test_each_advantage_keeps_its_ratio(fw, advantage):
    """Ratios below, between and above the bounds ½ and 1½."""
    adv = fw.tensor(np.full((1, 3), advantage))
    value, (gradient,) = fw.grad(
        lambda x: fw.losses.clipped_surrogate(x, adv, 0.5, 0.5),
        np.array([[0.25, 1.25, 4]]),
    )
    used = [0.25, 1.25, 1.5] if advantage > 0 else [0.5, 1.25, 4]
    np.testing.assert_allclose(value, [np.array(used) * advantage])
    free = [1, 1, 0] if advantage > 0 else [0, 1, 1]
    np.testing.assert_allclose(gradient, [np.array(free) * advantage])
