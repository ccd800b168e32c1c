"""Preferences: worked numbers, exact optima, parity, and equality with TRL."""

from collections import defaultdict
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from trl import DPOTrainer, RewardTrainer

from core import exact
from tests.both import BOTH, PT

each = pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
BETA = 0.4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def floats(*rows):
    return [np.array(row, float) for row in rows]


def losses(fw):
    """Every loss as a function of (B,) tensors alone, and their number."""
    p = fw.preferences

    def tdpo(*x):
        # TensorFlow has no gradient, not 0, of what a loss never reads.
        return p.tdpo_loss(*x, BETA, 0.5) + 0 * x[4][0]

    return {
        "bradley_terry": (lambda *x: p.bradley_terry_loss(*x, 0.3), 2),
        "margins": (lambda *x: p.bradley_terry_loss(*x), 3),
        "dpo": (lambda *x: p.dpo_loss(*x, BETA), 4),
        "smoothed": (lambda *x: p.dpo_loss(*x, BETA, 0.2), 4),
        "ipo": (lambda *x: p.ipo_loss(*x, BETA), 4),
        "tdpo": (tdpo, 6),
    }


def random_rows(count, size=5, seed=0):
    return list(np.random.default_rng(seed).normal(size=(count, size)) * 3)


# --- Worked by hand --------------------------------------------------------


@each
def test_bradley_terry_by_hand(fw):
    # Leads of log 3 and 0 are won with probabilities 3/4 and 1/2.
    chosen, rejected = floats([np.log(3) + 1, 2], [1, 2])
    loss = fw.preferences.bradley_terry_loss
    value, (up, down) = fw.grad(loss, chosen, rejected)
    np.testing.assert_allclose(value, np.log([4 / 3, 2]).mean(), rtol=1e-14)
    np.testing.assert_allclose(up, [-1 / 8, -1 / 4], rtol=1e-14)
    np.testing.assert_allclose(down, -up)
    # A margin of log 3 turns leads of log 3, 0 into 0, -log 3.
    value, _ = fw.grad(lambda *x: loss(*x, np.log(3)), chosen, rejected)
    np.testing.assert_allclose(value, np.log([2, 4]).mean(), rtol=1e-14)
    value, _ = fw.grad(loss, chosen, rejected, np.array([0, np.log(3)]))
    np.testing.assert_allclose(value, np.log([4 / 3, 4]).mean(), rtol=1e-14)


@each
def test_process_rewards_by_hand(fw):
    # A score of log 3 is "right" with probability 3/4.
    scores = np.log([[3.0, 1, 3], [1 / 3, 5, 7]])
    labels, mask = floats([[1, 0.5, 0], [1, 2, 2]], [[1, 1, 1], [1, 0, 0]])
    loss = fw.preferences.process_reward_loss
    value, (gradient, *_) = fw.grad(
        lambda x: loss(x, fw.tensor(labels), fw.tensor(mask)), scores
    )
    np.testing.assert_allclose(value, np.log([4 / 3, 2, 4, 4]).mean(), rtol=1e-14)
    right = np.array([[3 / 4, 1 / 2, 3 / 4], [1 / 4, 0, 0]])
    np.testing.assert_allclose(gradient, (right - labels) * mask / 4, atol=1e-15)
    # One token, or none.
    for lone, wanted in ((mask[1:], np.log(4)), (0 * mask[1:], 0)):
        value = loss(*map(fw.tensor, (scores[1:], labels[1:], lone)))
        assert float(value) == pytest.approx(wanted, rel=1e-14)
    # A score far on the wrong side costs its size, and stays finite.
    value, (gradient,) = fw.grad(
        lambda x: loss(x, fw.tensor(labels[:1]), fw.tensor(mask[:1])),
        np.array([[-5e3, 0, 5e3]]),
    )
    np.testing.assert_allclose(value, (1e4 + np.log(2)) / 3)
    np.testing.assert_allclose(gradient, [[-1 / 3, 0, 1 / 3]])
    with pytest.raises(ValueError, match="one shape.*'labels'"):
        loss(*map(fw.tensor, (scores, labels[:1], mask)))


@each
@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_implicit_rewards_by_hand(fw, shape):
    value, (gradient, _) = fw.grad(
        lambda *x: fw.preferences.implicit_rewards(*x, 0.5),
        np.full(shape, -2.0),
        np.full(shape, -5.0),
    )
    np.testing.assert_array_equal(value, np.full(shape, 1.5))
    np.testing.assert_array_equal(gradient, np.full(shape, 0.5))


@each
def test_dpo_by_hand(fw):
    # Log-ratios 2 and -1, 0 and 1: h = 3 and -1.
    rows = floats([-1, -4], [-3, -2], [-3, -4], [-2, -3])
    z = BETA * np.array([3, -1])
    value, gradients = fw.grad(lambda *x: fw.preferences.dpo_loss(*x, BETA), *rows)
    np.testing.assert_allclose(value, np.log1p(np.exp(-z)).mean(), rtol=1e-14)
    weight = BETA * sigmoid(-z) / 2  # eq. 7 and the mean over B = 2
    np.testing.assert_allclose(gradients[0], -weight, rtol=1e-14)
    np.testing.assert_allclose(gradients[1], weight, rtol=1e-14)


@each
def test_label_smoothing_by_hand(fw):
    rows = floats([-1, -4], [-3, -2], [-3, -4], [-2, -3])
    z = BETA * np.array([3, -1])
    value, (gradient, *_) = fw.grad(
        lambda *x: fw.preferences.dpo_loss(*x, BETA, 0.2), *rows
    )
    np.testing.assert_allclose(
        value,
        (-0.8 * np.log(sigmoid(z)) - 0.2 * np.log(sigmoid(-z))).mean(),
        rtol=1e-14,
    )
    np.testing.assert_allclose(gradient, BETA * (sigmoid(z) - 0.8) / 2)
    # A pair is settled when it is won with probability 1 - ε, not 1.
    settled = floats([np.log(4) / BETA], [0], [0], [0])
    _, (gradient, *_) = fw.grad(
        lambda *x: fw.preferences.dpo_loss(*x, BETA, 0.2), *settled
    )
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


@each
def test_ipo_by_hand(fw):
    # h = 3 and -1, the target 1 / (2 · 0.25) = 2: errors of 1 and -3.
    rows = floats([-1, -4], [-3, -2], [-3, -4], [-2, -3])
    value, (up, down, *_) = fw.grad(lambda *x: fw.preferences.ipo_loss(*x, 0.25), *rows)
    assert value == 5
    np.testing.assert_array_equal(up, [1, -3])
    np.testing.assert_array_equal(down, [-1, 3])


@each
def test_tdpo_by_hand(fw):
    # h = 3 and -1; KL differences 2 and -4, halved: 3 - 1 and -1 + 2.
    rows = floats([-1, -4], [-3, -2], [-3, -4], [-2, -3], [1, 6], [3, 2])
    z = BETA * np.array([2, 1])
    loss, _ = losses(fw)["tdpo"]
    value, (up, down, _, _, kl_chosen, kl_rejected) = fw.grad(loss, *rows)
    np.testing.assert_allclose(value, np.log1p(np.exp(-z)).mean(), rtol=1e-14)
    weight = BETA * sigmoid(-z) / 2
    np.testing.assert_allclose(up, -weight, rtol=1e-14)
    np.testing.assert_allclose(down, weight, rtol=1e-14)
    np.testing.assert_allclose(kl_rejected, weight / 2, rtol=1e-14)
    np.testing.assert_array_equal(kl_chosen, 0)


@each
def test_one_loss_is_another(fw):
    p, rows = fw.preferences, [fw.tensor(row) for row in random_rows(6)]
    dpo = float(p.dpo_loss(*rows[:4], BETA))
    assert float(
        p.bradley_terry_loss(
            p.implicit_rewards(rows[0], rows[2], BETA),
            p.implicit_rewards(rows[1], rows[3], BETA),
        )
    ) == pytest.approx(dpo, rel=1e-14)
    assert float(p.tdpo_loss(*rows, BETA, 0.0)) == pytest.approx(dpo, rel=1e-14)


@each
@pytest.mark.parametrize(
    "name, beta", [("bradley_terry", 1), ("dpo", BETA), ("tdpo", BETA)]
)
def test_far_gaps_stay_finite(fw, name, beta):
    loss, count = losses(fw)[name]
    for gap, value, slope in ((5e3, 0, 0), (-5e3, 5e3 * beta, -beta)):
        rows = floats([gap], *[[0]] * (count - 1))
        found, (gradient, *_) = fw.grad(loss, *rows)
        np.testing.assert_allclose(found, value, rtol=1e-3)  # a margin: 0.3
        np.testing.assert_allclose(gradient, slope)


# --- Exact: every pair of a small problem ----------------------------------


def text_reward(prefix):
    return np.sin(2.3 * len(prefix) + sum(1.9 * i * x for i, x in enumerate(prefix, 1)))


def problem():
    """A problem of 7 texts, their returns, and a reference policy."""
    mdp = exact.TokenMDP.enumerate(3, 2, text_reward, eos_id=0)
    ref = np.random.default_rng(4).normal(size=mdp.next_state.shape)
    return mdp, exact.total_returns(mdp), ref


def logits_of(mdp, probs):
    """The table of logits (S, V) whose texts have these probabilities."""
    mass = defaultdict(float)
    for text, mask, prob in zip(mdp.completions, mdp.mask, probs):
        text = tuple(text[: int(mask.sum())])
        for length in range(1, len(text) + 1):
            mass[text[:length]] += prob
    return np.log([[mass[s + (a,)] for a in range(mdp.vocab_size)] for s in mdp.states])


def tilted(mdp, ref, exponent):
    """Logits of π ∝ π_ref exp(exponent) over texts."""
    probs = exact.probabilities(mdp, ref) * np.exp(exponent)
    return logits_of(mdp, probs / probs.sum())


def wins(returns):
    """P(i is preferred to j), (N, N), by Bradley and Terry."""
    return sigmoid(returns[:, None] - returns)


def expected(loss, returns):
    """E[loss] over all ordered pairs, each chosen as often as it wins."""
    n = len(returns)
    return sum(
        wins(returns)[i, j] / (n * (n - 1)) * loss(i, j)
        for i in range(n)
        for j in range(n)
        if i != j
    )


def sequence_logprobs(fw, mdp, table):
    """log π of all texts, (N, 1): a row is a batch of one."""
    if fw is PT:
        logits = table[mdp.visits]
    else:
        import tensorflow as tf

        logits = tf.gather(table, np.maximum(mdp.visits, 0))
    logprobs = fw.logprobs.token_logprobs(logits, fw.tensor(mdp.completions))
    return (logprobs * fw.tensor(mdp.mask)) @ fw.tensor(
        np.ones(mdp.max_length)[:, None]
    )


@each
def test_expected_bradley_terry_finds_the_rewards(fw):
    _, returns, _ = problem()

    def gradient(scores):
        return fw.grad(
            lambda s: expected(
                lambda i, j: fw.preferences.bradley_terry_loss(
                    s[i : i + 1], s[j : j + 1]
                ),
                returns,
            ),
            scores,
        )[1][0]

    np.testing.assert_allclose(gradient(returns + 7), 0, atol=1e-15)
    assert np.abs(gradient(1.1 * returns)).max() > 1e-3
    assert np.abs(gradient(returns + np.eye(7)[2] * 0.1)).max() > 1e-3


def pair_gradient(fw, name, logits):
    """∇E[loss] with respect to the policy's table of logits (S, V)."""
    mdp, returns, ref = problem()
    loss = getattr(fw.preferences, name)
    ref_logprobs = sequence_logprobs(fw, mdp, fw.tensor(ref))

    def total(table):
        logprobs = sequence_logprobs(fw, mdp, table)
        return expected(
            lambda i, j: loss(
                logprobs[i], logprobs[j], ref_logprobs[i], ref_logprobs[j], BETA
            ),
            returns,
        )

    return np.asarray(fw.grad(total, logits)[1][0])


@each
def test_expected_dpo_finds_the_optimal_policy(fw):
    mdp, returns, ref = problem()
    gradient = partial(pair_gradient, fw, "dpo_loss")
    best = tilted(mdp, ref, returns / BETA)
    np.testing.assert_allclose(gradient(best), 0, atol=1e-15)
    for other in (ref, tilted(mdp, ref, returns), best * 1.1):
        assert np.abs(gradient(other)).max() > 1e-3


@each
def test_expected_ipo_finds_its_optimal_policy(fw):
    """π ∝ π_ref exp(P(y beats another) / β), texts drawn evenly."""
    mdp, returns, ref = problem()
    gradient = partial(pair_gradient, fw, "ipo_loss")
    best = tilted(mdp, ref, wins(returns).mean(axis=1) / BETA)
    np.testing.assert_allclose(gradient(best), 0, atol=1e-14)
    for other in (ref, tilted(mdp, ref, returns / BETA), best * 1.1):
        assert np.abs(gradient(other)).max() > 1e-3


@each
def test_implicit_rewards_of_tokens_are_shaped_rewards(fw):
    mdp, returns, ref = problem()
    values, q = exact.back_up(
        mdp,
        lambda q, level: (
            BETA
            * np.log((exact.policy(mdp, ref)[level] * np.exp(q / BETA)).sum(axis=1))
        ),
    )
    best = tilted(mdp, ref, returns / BETA)
    found = fw.numpy(
        fw.preferences.implicit_rewards(
            fw.tensor(exact.log_policy(mdp, best)),
            fw.tensor(exact.log_policy(mdp, ref)),
            BETA,
        )
    )
    np.testing.assert_allclose(found, q - values[:, None], atol=1e-14)
    probs = exact.probabilities(mdp, ref)
    of_texts = fw.preferences.implicit_rewards(
        fw.tensor(exact.completion_logprobs(mdp, best).sum(axis=1)),
        fw.tensor(exact.completion_logprobs(mdp, ref).sum(axis=1)),
        BETA,
    )
    np.testing.assert_allclose(
        fw.numpy(of_texts),
        returns - BETA * np.log(probs @ np.exp(returns / BETA)),
        atol=1e-14,
    )


@each
def test_tdpo_is_the_likelihood_of_returns_at_its_optimum(fw):
    """At π ∝ π_ref exp(Q_ref/β) and α = 1 it sees the returns themselves.

    There β (log π - log π_ref) + β KL(π_ref‖π) is the reference policy's
    advantage, and advantages along a text add up to return minus V(start).
    """
    mdp, returns, ref = problem()
    logits = ref + exact.q_values(mdp, ref) / BETA
    kl = fw.numpy(fw.logprobs.kl_exact(fw.tensor(ref[None]), fw.tensor(logits[None])))[
        0
    ]
    drift = (kl[mdp.visits] * mdp.mask).sum(axis=1)
    logprobs, ref_logprobs = (
        exact.completion_logprobs(mdp, table).sum(axis=1) for table in (logits, ref)
    )
    for i, j in np.argwhere(~np.eye(len(returns), dtype=bool)):
        pair = [
            fw.tensor(x[k : k + 1])
            for x in (logprobs, ref_logprobs, drift)
            for k in (i, j)
        ]
        assert float(fw.preferences.tdpo_loss(*pair, BETA, 1.0)) == pytest.approx(
            -np.log(wins(returns)[i, j]), rel=1e-12
        )


# --- Both frameworks, and TRL ----------------------------------------------


@pytest.mark.parametrize("name", losses(PT))
def test_parity_of_values_and_gradients(name):
    results = []
    for fw in BOTH:
        loss, count = losses(fw)[name]
        results.append(fw.grad(loss, *random_rows(count)))
    (ours, our_grads), (theirs, their_grads) = results
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    for a, b in zip(our_grads, their_grads):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


class Given(torch.nn.Module):
    """A model that answers what it was given, whatever it is asked."""

    is_gradient_checkpointing = False

    def __init__(self, **outputs):
        super().__init__()
        self.outputs = SimpleNamespace(**outputs)
        self.eval()

    def forward(self, **inputs):
        return self.outputs


def bare(kind, **settings):
    """A trainer of TRL with no more than its loss reads."""
    trainer = kind.__new__(kind)
    trainer.accelerator = SimpleNamespace(
        device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x
    )
    trainer._metrics = {"eval": defaultdict(list)}
    trainer._total_train_tokens = 0
    for name, value in settings.items():
        setattr(trainer, name, value)
    return trainer


def preference_batch(pairs=4, length=6):
    """Token log-probabilities (2, 2B, T), chosen first, and mask (2B, T)."""
    rng = np.random.default_rng(9)
    lengths = np.array([2, 6, 3, 5, 4, 1, 6, 2])[: 2 * pairs]
    mask = (np.arange(length) < lengths[:, None]).astype(float)
    return -rng.exponential(size=(2, 2 * pairs, length)) * mask, mask


def trl_dpo(loss_type, logprobs, mask, label_smoothing=0.0):
    """TRL's own loss of given log-probabilities, and its gradient."""
    live, ref = (torch.tensor(x) for x in logprobs)
    live.requires_grad_(True)
    trainer = bare(
        DPOTrainer,
        model=None,
        ref_model=Given(log_probs=ref),
        beta=BETA,
        label_smoothing=label_smoothing,
        loss_types=[loss_type],
        loss_weights=[1.0],
        f_divergence_type="reverse_kl",
        ld_alpha=None,
        precompute_ref_logps=False,
        use_weighting=False,
        aux_loss_enabled=False,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None),
    )
    trainer.model = Given(
        log_probs=live, entropy=live, mean_logits=live, is_top1=live > -1
    )
    prompt = np.zeros((len(mask), 1))  # one token, which TRL shifts away
    inputs = {
        "input_ids": torch.zeros(mask.shape[0], mask.shape[1] + 1).long(),
        "attention_mask": torch.tensor(np.hstack([prompt + 1, mask])),
        "completion_mask": torch.tensor(np.hstack([prompt, mask])).long(),
    }
    loss = trainer._compute_loss(trainer.model, inputs, False)
    loss.backward()
    return loss.item(), live.grad.numpy()


def our_rows(logprobs):
    """chosen, rejected, ref_chosen, ref_rejected: a half of the rows each."""
    return [half for rows in logprobs for half in np.split(rows, 2)]


def assert_like_trl(fw, loss, trl, sums, scale):
    """The value, and the gradient by token: scale times that by sequence."""
    value, gradients = fw.grad(loss, *our_rows(sums))
    np.testing.assert_allclose(value, trl[0], rtol=1e-12)
    np.testing.assert_allclose(
        np.concatenate(gradients[:2])[:, None] * scale, trl[1], rtol=1e-12, atol=1e-15
    )


@each
def test_dpo_is_that_of_trl(fw):
    logprobs, mask = preference_batch()
    assert_like_trl(
        fw,
        lambda *x: fw.preferences.dpo_loss(*x, BETA),
        trl_dpo("sigmoid", logprobs, mask),
        logprobs.sum(axis=2),
        np.ones_like(mask),
    )


@each
def test_label_smoothing_is_that_of_trl(fw):
    """Its `aot_unpaired` of one pair: nothing to sort, so smoothed DPO.

    Its `sigmoid` has no label smoothing, and `robust` divides by 1 - 2ε
    what it subtracts, which is another loss.
    """
    logprobs, mask = preference_batch()
    one = [0, 4]  # the first chosen and the first rejected row
    logprobs, mask = logprobs[:, one], mask[one]
    assert_like_trl(
        fw,
        lambda *x: fw.preferences.dpo_loss(*x, BETA, 0.2),
        trl_dpo("aot_unpaired", logprobs, mask, 0.2),
        logprobs.sum(axis=2),
        np.ones_like(mask),
    )
    plain = trl_dpo("sigmoid", logprobs, mask)[0]
    assert trl_dpo("sigmoid", logprobs, mask, 0.2)[0] == plain
    smoothed = float(
        fw.preferences.dpo_loss(
            *[fw.tensor(x) for x in our_rows(logprobs.sum(axis=2))], BETA, 0.2
        )
    )
    robust = trl_dpo("robust", logprobs, mask, 0.2)[0]
    assert min(abs(smoothed - plain), abs(smoothed - robust)) > 0.01


@each
def test_ipo_of_means_is_that_of_trl(fw):
    logprobs, mask = preference_batch()
    count = mask.sum(axis=1, keepdims=True)
    trl = trl_dpo("ipo", logprobs, mask)

    def loss(*x):
        return fw.preferences.ipo_loss(*x, BETA)

    assert_like_trl(
        fw, loss, trl, logprobs.sum(axis=2) / count[:, 0], np.ones_like(mask) / count
    )
    sums = loss(*[fw.tensor(x) for x in our_rows(logprobs.sum(axis=2))])
    assert abs(float(sums) - trl[0]) > 0.01


def trl_reward_loss(chosen, rejected, **inputs):
    """TRL's own loss of given scores, and its gradient."""
    scores = torch.tensor(
        np.concatenate([chosen, rejected])[:, None], requires_grad=True
    )
    trainer = bare(RewardTrainer, args=SimpleNamespace(center_rewards_coefficient=None))
    trainer.model = Given(logits=scores)
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    return loss.item(), scores.grad.numpy()[:, 0]


@each
@pytest.mark.parametrize("with_margin", [False, True])
def test_bradley_terry_is_that_of_trl(fw, with_margin):
    chosen, rejected, margin = random_rows(3)
    inputs = {"margin": torch.tensor(margin)} if with_margin else {}
    theirs = trl_reward_loss(chosen, rejected, **inputs)
    rows = [chosen, rejected] + [margin] * with_margin
    value, gradients = fw.grad(fw.preferences.bradley_terry_loss, *rows)
    np.testing.assert_allclose(value, theirs[0], rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(gradients[:2]), theirs[1], rtol=1e-12)


# --- Wrong input -----------------------------------------------------------

ARGUMENTS = {
    "bradley_terry_loss": ["chosen", "rejected", "margin"],
    "implicit_rewards": ["logprobs", "ref_logprobs"],
    "dpo_loss": ["chosen", "rejected", "ref_chosen", "ref_rejected"],
    "ipo_loss": ["chosen", "rejected", "ref_chosen", "ref_rejected"],
    "tdpo_loss": [
        "chosen",
        "rejected",
        "ref_chosen",
        "ref_rejected",
        "kl_chosen",
        "kl_rejected",
    ],
}
NUMBERS = {
    "bradley_terry_loss": {},
    "implicit_rewards": {"beta": BETA},
    "dpo_loss": {"beta": BETA},
    "ipo_loss": {"beta": BETA},
    "tdpo_loss": {"beta": BETA, "alpha": 0.5},
}


def call(fw, name, shapes, **numbers):
    tensors = {
        argument: fw.tensor(np.zeros(shapes.get(argument, shapes["rest"])))
        for argument in ARGUMENTS[name]
    }
    return getattr(fw.preferences, name)(**tensors, **NUMBERS[name] | numbers)


@each
@pytest.mark.parametrize("name", ARGUMENTS)
def test_shapes_are_checked(fw, name):
    call(fw, name, {"rest": (3,)})
    for argument in ARGUMENTS[name]:
        for shape in ((1,), (3, 1)):  # both would broadcast
            with pytest.raises(ValueError, match=f"one shape.*'{argument}'"):
                call(fw, name, {"rest": (3,), argument: shape})
    if name != "implicit_rewards":
        with pytest.raises(ValueError, match=r"^chosen: expected the shape \(3,\)"):
            call(fw, name, {"rest": (3, 2)})


@each
@pytest.mark.parametrize(
    "name, numbers",
    [
        *(
            (name, {"beta": bad})
            for name in list(ARGUMENTS)[1:]
            for bad in (0, -0.1, float("nan"))
        ),
        *(("dpo_loss", {"label_smoothing": bad}) for bad in (-0.1, 0.5, float("nan"))),
        *(("tdpo_loss", {"alpha": bad}) for bad in (-0.1, float("nan"))),
    ],
)
def test_numbers_are_checked(fw, name, numbers):
    with pytest.raises(ValueError, match=f"^{next(iter(numbers))}: "):
        call(fw, name, {"rest": (3,)}, **numbers)


@each
def test_a_margin_may_be_a_tensor_of_one_number(fw):
    rows = [fw.tensor(row) for row in random_rows(2)]
    loss = fw.preferences.bradley_terry_loss
    margin = fw.tensor(np.float64(0.3))
    assert float(loss(*rows, margin)) == float(loss(*rows, 0.3))
