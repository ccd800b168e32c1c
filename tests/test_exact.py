"""The oracle against brute force, finite differences and autograd."""

from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from core import exact, returns
from core.exact import TokenMDP

TIGHT = dict(rtol=0, atol=1e-12)


def make(seed=0, vocab_size=3, max_length=3, eos_id=None, gamma=1.0):
    """A problem with random token rewards, and the logits of a policy."""
    rng = np.random.default_rng(seed)
    table = {}

    def reward(prefix):
        return table.setdefault(prefix, rng.normal())

    mdp = TokenMDP.enumerate(vocab_size, max_length, reward, eos_id, gamma)
    return mdp, rng.normal(size=mdp.next_state.shape) * 1.5


@st.composite
def problems(draw):
    vocab_size = draw(st.integers(2, 3))
    eos_id = draw(st.sampled_from([None, 0, vocab_size - 1]))
    return make(
        draw(st.integers(0, 10_000)),
        vocab_size,
        draw(st.integers(1, 3)),
        eos_id,
        draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    )


def finite_differences(function, logits, step=1e-5):
    gradient = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = step
        gradient[index] = (function(logits + shift) - function(logits - shift)) / (
            2 * step
        )
    return gradient


CASES = [
    dict(),
    dict(eos_id=2, gamma=0.9),
    dict(eos_id=0, vocab_size=2, max_length=4, gamma=0.5),
    dict(max_length=1),
    dict(gamma=0.0),
]


@pytest.fixture(params=CASES, ids=str)
def problem(request):
    return make(7, **request.param)


# --- the MDP ---


def test_fixed_length_enumerates_the_product():
    mdp, _ = make(vocab_size=3, max_length=3)
    assert len(mdp.states) == 1 + 3 + 9
    assert sorted(map(tuple, mdp.completions.tolist())) == sorted(
        product(range(3), repeat=3)
    )
    assert mdp.mask.all()
    assert mdp.states[0] == ()


def test_early_eos_by_hand():
    mdp = TokenMDP.enumerate(2, 2, len, eos_id=0)
    assert mdp.states == [(), (1,)]
    assert mdp.next_state.tolist() == [[-1, 1], [-1, -1]]
    assert mdp.completions.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert mdp.mask.tolist() == [[1, 0], [1, 1], [1, 1]]
    assert mdp.visits.tolist() == [[0, -1], [0, 1], [0, 1]]
    assert mdp.rewards.tolist() == [[1, 0], [1, 2], [1, 2]]


def test_reward_sees_the_prefix_with_the_new_token():
    mdp = TokenMDP.enumerate(2, 2, lambda prefix: float(prefix == (1, 0)))
    assert mdp.step_rewards.tolist() == [[0, 0], [0, 0], [1, 0]]
    assert exact.total_returns(mdp).tolist() == [0, 0, 1, 0]


def test_states_are_the_prefixes_of_the_completions(problem):
    mdp, _ = problem
    for n, t in np.argwhere(mdp.mask):
        prefix = tuple(mdp.completions[n, :t].tolist())
        assert mdp.states[mdp.visits[n, t]] == prefix


def test_state_batch_and_policy_logits():
    mdp, logits = make(eos_id=1)
    prefixes, lengths = exact.state_batch(mdp)
    assert prefixes.shape == (len(mdp.states), mdp.max_length - 1)
    index = {state: i for i, state in enumerate(mdp.states)}

    def network(rows):
        return logits[[index[tuple(row)] for row in rows.tolist()]]

    assert_allclose(exact.policy_logits(mdp, network), logits)
    assert lengths.tolist() == [len(state) for state in mdp.states]
    for s, state in enumerate(mdp.states):
        assert tuple(prefixes[s, : len(state)].tolist()) == state
        assert not prefixes[s, len(state) :].any()


@pytest.mark.parametrize(
    "arguments, name",
    [
        (dict(vocab_size=1), "vocab_size"),
        (dict(max_length=0), "max_length"),
        (dict(eos_id=3), "eos_id"),
        (dict(gamma=1.1), "gamma"),
        (dict(vocab_size=8, max_length=6), "max_states"),
        (dict(vocab_size=2.5), "vocab_size"),
        (dict(max_length=2.5), "max_length"),
        (dict(max_length=float("inf")), "max_length"),
        (dict(max_length=float("nan")), "max_length"),
        # Refused at once, not counted to the end.
        (dict(max_length=10**30), "max_states"),
        (dict(vocab_size=10**30, max_length=1), "max_states"),
    ],
)
def test_bad_problem(arguments, name):
    with pytest.raises(ValueError, match=name):
        make(**arguments)


def test_bad_input():
    mdp, logits = make()
    for most in (0, 2.5, float("nan")):
        with pytest.raises(ValueError, match="max_states"):
            TokenMDP.enumerate(2, 2, len, max_states=most)
    with pytest.raises(ValueError, match="reward: expected finite"):
        TokenMDP.enumerate(2, 2, lambda prefix: float("nan"))
    with pytest.raises(ValueError, match="logits: expected the shape"):
        exact.objective(mdp, logits[:-1])
    with pytest.raises(ValueError, match="logits: expected"):
        exact.objective(mdp, np.full_like(logits, -np.inf))
    with pytest.raises(ValueError, match="ref_logits"):
        exact.kl(mdp, logits, logits[:, :-1])
    with pytest.raises(ValueError, match="weights"):
        exact.gradient_samples(mdp, logits, np.ones(3))
    with pytest.raises(ValueError, match="probs"):
        exact.moments([0.5, 0.6], [1.0, 2.0])
    with pytest.raises(ValueError, match="^max_batches: expected"):
        exact.batch_moments([0.5, 0.5], np.sum, 2, max_batches=float("inf"))
    for samples in ([1.0, float("nan")], [1.0, float("inf")], 1.0):
        with pytest.raises(ValueError, match="^samples: expected"):
            exact.moments([0.5, 0.5], samples)
    for size in (0, 1.5, float("nan"), None, 10**30):
        with pytest.raises(ValueError, match="batch_size"):
            exact.batch_moments([0.5, 0.5], np.sum, size)
    with pytest.raises(ValueError, match="batch_size"):
        exact.batch_moments([0.5, 0.5], np.sum, 30)
    with pytest.raises(ValueError, match="gamma"):
        exact.with_rewards(mdp, mdp.step_rewards, gamma=2)


# --- evaluating a policy ---


@given(problems())
@settings(max_examples=40, deadline=None)
def test_objective_is_the_brute_force_sum(drawn):
    mdp, logits = drawn
    pi = exact.policy(mdp, logits)
    index = {state: i for i, state in enumerate(mdp.states)}
    total, mass = 0.0, 0.0
    for text in product(range(mdp.vocab_size), repeat=mdp.max_length):
        # A text of full length stands for its cut at the first EOS: the
        # tokens after it are given equal probability.
        probability, discounted, over = 1.0, 0.0, False
        for t, token in enumerate(text):
            if over:
                probability /= mdp.vocab_size
                continue
            s = index[text[:t]]
            probability *= pi[s, token]
            discounted += mdp.gamma**t * mdp.step_rewards[s, token]
            over = token == mdp.eos_id
        total += probability * discounted
        mass += probability
    assert_allclose(mass, 1, **TIGHT)
    assert_allclose(exact.objective(mdp, logits), total, **TIGHT)
    probs = exact.probabilities(mdp, logits)
    assert_allclose(probs.sum(), 1, **TIGHT)
    assert_allclose(probs @ exact.total_returns(mdp), total, **TIGHT)


@given(problems())
@settings(max_examples=40, deadline=None)
def test_bellman_and_advantage(drawn):
    mdp, logits = drawn
    pi = exact.policy(mdp, logits)
    v, q = exact.value(mdp, logits), exact.q_values(mdp, logits)
    for s, a in np.ndindex(q.shape):
        after = mdp.next_state[s, a]
        future = v[after] if after >= 0 else 0.0
        expected = mdp.step_rewards[s, a] + mdp.gamma * future
        assert_allclose(q[s, a], expected, **TIGHT)
    assert_allclose((pi * q).sum(axis=1), v, **TIGHT)
    advantage = exact.advantages(mdp, logits)
    assert_allclose((pi * advantage).sum(axis=1), 0, **TIGHT)


def test_occupancy_counts_visits(problem):
    mdp, logits = problem
    probs = exact.probabilities(mdp, logits)
    counted = [
        probs[(mdp.visits == s).any(axis=1)].sum() for s in range(len(mdp.states))
    ]
    assert_allclose(exact.occupancy(mdp, logits), counted, **TIGHT)


def test_kl_and_entropy_are_those_of_whole_texts(problem):
    mdp, logits = problem
    ref = np.random.default_rng(1).normal(size=logits.shape)
    p, q = exact.probabilities(mdp, logits), exact.probabilities(mdp, ref)
    forward = (p * np.log(p / q)).sum()
    reverse = (q * np.log(q / p)).sum()
    assert_allclose(exact.kl(mdp, logits, ref), forward, **TIGHT)
    assert_allclose(exact.kl(mdp, ref, logits), reverse, **TIGHT)
    assert abs(forward - reverse) > 1e-5
    assert exact.kl(mdp, logits, logits) == 0
    entropy = -(p * np.log(p)).sum()
    assert_allclose(exact.entropy(mdp, logits), entropy, **TIGHT)


def test_uniform_policy_has_the_entropy_of_its_length():
    mdp, logits = make(vocab_size=3, max_length=3)
    assert_allclose(exact.entropy(mdp, 0 * logits), 3 * np.log(3))


@given(problems())
@settings(max_examples=25, deadline=None)
def test_optimal_is_the_best_completion(drawn):
    mdp, logits = drawn
    v, q = exact.optimal(mdp)
    best = exact.total_returns(mdp).max()
    assert_allclose(v[0], best, **TIGHT)
    assert (v >= exact.value(mdp, logits) - 1e-12).all()
    greedy = np.where(q == q.max(axis=1, keepdims=True), 0.0, -800.0)
    assert_allclose(exact.objective(mdp, greedy), best, **TIGHT)


def test_log_softmax_of_large_logits():
    logprobs = exact.log_softmax([1000.0, 0.0])
    assert_allclose(logprobs, [0, -1000])


# --- gradients ---


def test_objective_gradient_against_finite_differences(problem):
    mdp, logits = problem
    numeric = finite_differences(lambda x: exact.objective(mdp, x), logits)
    gradient = exact.objective_gradient(mdp, logits)
    assert_allclose(gradient, numeric, rtol=0, atol=1e-8)


def test_kl_and_entropy_gradients_against_finite_differences(problem):
    mdp, logits = problem
    ref = np.random.default_rng(2).normal(size=logits.shape)
    numeric = finite_differences(lambda x: exact.kl(mdp, x, ref), logits)
    gradient = exact.kl_gradient(mdp, logits, ref)
    assert_allclose(gradient, numeric, rtol=0, atol=1e-8)
    numeric = finite_differences(lambda x: exact.entropy(mdp, x), logits)
    gradient = exact.entropy_gradient(mdp, logits)
    assert_allclose(gradient, numeric, rtol=0, atol=1e-8)


def test_gradients_with_fixed_states_leave_out_the_occupancy(problem):
    mdp, logits = problem
    ref = np.random.default_rng(3).normal(size=logits.shape)
    weight = exact.occupancy(mdp, logits)

    def divergence(x):
        log_ratio = exact.log_softmax(x) - exact.log_softmax(ref)
        return weight @ (np.exp(exact.log_softmax(x)) * log_ratio).sum(1)

    def surprise(x):
        logprobs = exact.log_softmax(x)
        return -weight @ (np.exp(logprobs) * logprobs).sum(1)

    gradient = exact.kl_gradient(mdp, logits, ref, fixed_states=True)
    numeric = finite_differences(divergence, logits)
    assert_allclose(gradient, numeric, rtol=0, atol=1e-8)
    gradient = exact.entropy_gradient(mdp, logits, fixed_states=True)
    numeric = finite_differences(surprise, logits)
    assert_allclose(gradient, numeric, rtol=0, atol=1e-8)
    if mdp.max_length > 1:
        through = exact.entropy_gradient(mdp, logits)
        assert abs(gradient - through).max() > 1e-3


def test_gradients_against_autograd(problem):
    torch = pytest.importorskip("torch")
    mdp, logits = problem
    ref = np.random.default_rng(4).normal(size=logits.shape)

    def text_logprobs(x):
        logprobs = torch.log_softmax(x, dim=-1)
        chosen = logprobs[mdp.visits, mdp.completions]
        return (chosen * torch.tensor(mdp.mask)).sum(dim=1)

    rewards = torch.tensor(exact.total_returns(mdp))
    other = text_logprobs(torch.tensor(ref))
    functions = [
        (lambda p: (p.exp() * rewards).sum(), exact.objective_gradient, ()),
        (lambda p: (p.exp() * (p - other)).sum(), exact.kl_gradient, (ref,)),
        (lambda p: -(p.exp() * p).sum(), exact.entropy_gradient, ()),
    ]
    for function, gradient, arguments in functions:
        x = torch.tensor(logits, requires_grad=True)
        function(text_logprobs(x)).backward()
        expected = gradient(mdp, logits, *arguments)
        assert_allclose(expected, x.grad.numpy(), **TIGHT)


def test_gradient_of_a_softmax_sums_to_zero_in_each_state(problem):
    mdp, logits = problem
    gradient = exact.objective_gradient(mdp, logits)
    assert_allclose(gradient.sum(axis=1), 0, **TIGHT)


# --- moments of estimators ---


def estimator_mean(mdp, logits, weights):
    probs = exact.probabilities(mdp, logits)
    samples = exact.gradient_samples(mdp, logits, weights)
    return exact.moments(probs, samples)[0]


def test_returns_by_hand():
    mdp = TokenMDP.enumerate(2, 3, len, eos_id=0, gamma=0.5)
    row = mdp.completions.tolist().index([1, 1, 1])
    assert_allclose(exact.returns_to_go(mdp)[row], [2.75, 3.5, 3])
    assert_allclose(exact.total_returns(mdp)[row], 2.75)
    row = mdp.completions.tolist().index([1, 0, 0])
    assert_allclose(exact.returns_to_go(mdp)[row], [2, 2, 0])
    undiscounted = exact.with_rewards(mdp, mdp.step_rewards, gamma=1)
    assert_allclose(exact.returns_to_go(undiscounted)[row], [3, 2, 0])


def test_returns_are_those_that_training_uses(problem):
    mdp, _ = problem
    arguments = mdp.rewards, mdp.mask, mdp.gamma
    to_go = returns.discounted_returns(*arguments)
    assert_allclose(exact.returns_to_go(mdp), to_go, **TIGHT)
    total = returns.total_returns(*arguments) * mdp.mask
    expected = exact.total_returns(mdp)[:, None] * mdp.mask
    assert_allclose(expected, total, **TIGHT)


def test_mean_return_to_go_is_q(problem):
    mdp, logits = problem
    probs = exact.probabilities(mdp, logits)
    to_go, q = exact.returns_to_go(mdp), exact.q_values(mdp, logits)
    for s, a in np.ndindex(q.shape):
        here = (mdp.visits == s) & (mdp.completions == a)
        weight = probs[:, None] * here
        assert_allclose((weight * to_go).sum() / weight.sum(), q[s, a])


@given(problems())
@settings(max_examples=30, deadline=None)
def test_score_has_mean_zero(drawn):
    mdp, logits = drawn
    probs = exact.probabilities(mdp, logits)
    mean, _ = exact.moments(probs, exact.score(mdp, logits))
    assert_allclose(mean, 0, **TIGHT)


def test_score_is_the_gradient_of_each_logprob():
    mdp, logits = make(eos_id=1)
    scores = exact.score(mdp, logits)
    for n, t in np.ndindex(mdp.mask.shape):
        numeric = finite_differences(
            lambda x, at=(n, t): exact.completion_logprobs(mdp, x)[at], logits
        )
        assert_allclose(scores[n, t], numeric, rtol=0, atol=1e-8)
    weights = np.random.default_rng(0).normal(size=mdp.mask.shape)
    summed = np.einsum("nt,ntsv->nsv", weights, scores)
    samples = exact.gradient_samples(mdp, logits, weights)
    assert_allclose(samples, summed, **TIGHT)


@given(problems(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_reinforce_is_unbiased_with_any_state_baseline(drawn, seed):
    mdp, logits = drawn
    rng = np.random.default_rng(seed)
    discount = mdp.gamma ** np.arange(mdp.max_length)
    total = exact.total_returns(mdp)[:, None] * mdp.mask
    to_go = discount * exact.returns_to_go(mdp)
    baseline = rng.normal(size=len(mdp.states))[mdp.visits] * 3
    gradient = exact.objective_gradient(mdp, logits)
    for weights in (total, to_go, total - 2.5, to_go - baseline):
        mean = estimator_mean(mdp, logits, weights)
        assert_allclose(mean, gradient, **TIGHT)


def test_dropping_the_discount_of_late_states_is_another_direction():
    mdp, logits = make(5, gamma=0.5)
    mean = estimator_mean(mdp, logits, exact.returns_to_go(mdp))
    practice = exact.objective_gradient(mdp, logits, discount_states=False)
    assert_allclose(mean, practice, **TIGHT)
    gradient = exact.objective_gradient(mdp, logits)
    assert_allclose(mean[0], gradient[0], **TIGHT)
    assert abs(mean - gradient).max() > 1e-2


def test_k1_as_a_loss_has_no_gradient_and_as_a_reward_has_the_right_one(problem):
    mdp, logits = problem
    ref = np.random.default_rng(5).normal(size=logits.shape)
    # Differentiating the sampled log π - log π_ref leaves ∇ log π alone.
    assert_allclose(estimator_mean(mdp, logits, mdp.mask), 0, **TIGHT)
    k1 = exact.completion_logprobs(mdp, logits)
    k1 = k1 - exact.completion_logprobs(mdp, ref)
    weights = k1.sum(axis=1, keepdims=True) * mdp.mask
    gradient = exact.kl_gradient(mdp, logits, ref)
    assert abs(gradient).max() > 1e-2
    mean = estimator_mean(mdp, logits, weights)
    assert_allclose(mean, gradient, **TIGHT)


def test_importance_weights_correct_another_behaviour_policy():
    mdp, logits = make(3, eos_id=2)
    behaviour = np.random.default_rng(6).normal(size=logits.shape)
    probs = exact.probabilities(mdp, behaviour)
    ratio = exact.probabilities(mdp, logits) / probs
    weights = exact.total_returns(mdp)[:, None] * mdp.mask
    gradient = exact.objective_gradient(mdp, logits)
    samples = exact.gradient_samples(mdp, logits, weights * ratio[:, None])
    assert_allclose(exact.moments(probs, samples)[0], gradient, **TIGHT)
    samples = exact.gradient_samples(mdp, logits, weights)
    uncorrected = exact.moments(probs, samples)[0]
    assert abs(uncorrected - gradient).max() > 1e-2


def test_moments_by_hand():
    mean, variance = exact.moments([0.25, 0.75], [[4.0, 1.0], [0.0, 1.0]])
    assert_allclose(mean, [1, 1])
    assert_allclose(variance, [3, 0])


def test_batch_mean_divides_the_variance():
    mdp, logits = make(vocab_size=2, max_length=2)
    probs = exact.probabilities(mdp, logits)
    totals = exact.total_returns(mdp)
    mean, variance = exact.moments(probs, totals)
    batch_mean, batch_variance = exact.batch_moments(
        probs, lambda rows: totals[rows].mean(), 3
    )
    assert_allclose(batch_mean, mean)
    assert_allclose(batch_variance, variance / 3)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_leave_one_out_is_unbiased_and_the_batch_mean_is_not(batch_size):
    mdp, logits = make(4, vocab_size=2, max_length=3, eos_id=0)
    probs = exact.probabilities(mdp, logits)
    totals = exact.total_returns(mdp)
    scores = exact.gradient_samples(mdp, logits, mdp.mask)
    gradient = exact.objective_gradient(mdp, logits)

    def estimate(rows, leave_out):
        r = totals[rows]
        mean = np.full(batch_size, r.mean())
        if leave_out:
            mean = (r.sum() - r) / (batch_size - 1)
        return np.tensordot(r - mean, scores[rows], axes=1) / batch_size

    mean, _ = exact.batch_moments(probs, lambda rows: estimate(rows, True), batch_size)
    assert_allclose(mean, gradient, **TIGHT)
    mean, _ = exact.batch_moments(probs, lambda rows: estimate(rows, False), batch_size)
    assert_allclose(mean, (1 - 1 / batch_size) * gradient, **TIGHT)


# --- baselines ---


def total_variance(mdp, logits, weights):
    probs = exact.probabilities(mdp, logits)
    samples = exact.gradient_samples(mdp, logits, weights)
    return exact.moments(probs, samples)[1].sum()


def test_optimal_baseline_minimises_the_variance(problem):
    mdp, logits = problem
    total = exact.total_returns(mdp)[:, None] * mdp.mask
    default = exact.optimal_baseline(mdp, logits)
    assert_allclose(default, exact.optimal_baseline(mdp, logits, total))
    for weights in (total, exact.returns_to_go(mdp)):
        best = exact.optimal_baseline(mdp, logits, weights)
        least = total_variance(mdp, logits, weights - best)
        for shift in (-0.1, -0.01, 0.01, 0.1):
            other = total_variance(mdp, logits, weights - best - shift)
            assert other > least


def test_optimal_baseline_is_the_weighted_mean_return():
    mdp, logits = make(8, eos_id=0)
    probs = exact.probabilities(mdp, logits)
    scores = exact.gradient_samples(mdp, logits, mdp.mask)
    weight = probs * (scores**2).sum(axis=(1, 2))
    expected = weight @ exact.total_returns(mdp) / weight.sum()
    assert_allclose(exact.optimal_baseline(mdp, logits), expected)


def test_optimal_state_baseline_minimises_the_variance(problem):
    mdp, logits = problem
    weights = exact.returns_to_go(mdp)
    best = exact.optimal_state_baseline(mdp, logits)
    least = total_variance(mdp, logits, weights - best[mdp.visits])
    for s in range(len(best)):
        for shift in (-0.1, 0.1):
            other = best.copy()
            other[s] += shift
            shifted = weights - other[mdp.visits]
            assert total_variance(mdp, logits, shifted) > least
    value = exact.value(mdp, logits)[mdp.visits]
    assert total_variance(mdp, logits, weights - value) >= least
    constant = exact.optimal_baseline(mdp, logits, weights)
    assert total_variance(mdp, logits, weights - constant) >= least


def test_state_baseline_from_q():
    mdp, logits = make(9, gamma=0.8)
    pi, q = exact.policy(mdp, logits), exact.q_values(mdp, logits)
    norm = 1 - 2 * pi + (pi**2).sum(axis=1, keepdims=True)
    expected = (pi * norm * q).sum(axis=1) / (pi * norm).sum(axis=1)
    assert_allclose(exact.optimal_state_baseline(mdp, logits), expected)


def test_baselines_of_a_deterministic_policy_are_defined():
    mdp, logits = make()
    certain = np.zeros_like(logits)
    certain[:, 1] = 2000
    assert exact.optimal_baseline(mdp, certain) == 0
    assert not exact.optimal_state_baseline(mdp, certain).any()


# --- shaping ---


def shaped(mdp, token_rewards):
    """The MDP with token rewards (N, T) added to its own."""
    table = mdp.step_rewards.copy()
    here = mdp.mask > 0
    states, tokens = mdp.visits[here], mdp.completions[here]
    # A token in front of several completions gets the same bonus in all.
    table[states, tokens] = (mdp.rewards + token_rewards)[here]
    return exact.with_rewards(mdp, table)


def random_potentials(mdp, seed):
    """Φ(s_0) .. Φ(s_T), (N, T + 1), a function of the prefix alone."""
    rng = np.random.default_rng(seed)
    table = {}
    lengths = mdp.mask.sum(axis=1).astype(int)
    rows = [
        [
            table.setdefault(tuple(text[: min(t, n)].tolist()), rng.normal())
            for t in range(mdp.max_length + 1)
        ]
        for text, n in zip(mdp.completions, lengths, strict=True)
    ]
    return np.array(rows)


@pytest.mark.parametrize("eos_id", [None, 1])
@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_potential_shaping_leaves_the_gradient_alone(eos_id, gamma):
    from core.rewards import potential_difference, potential_shaping

    mdp, logits = make(10, eos_id=eos_id, gamma=gamma)
    potentials = random_potentials(mdp, 11)
    bonus = potential_shaping(potentials, mdp.mask, gamma)
    other = shaped(mdp, bonus)
    gradient = exact.objective_gradient(mdp, logits)
    same = exact.objective_gradient(other, logits)
    assert_allclose(same, gradient, **TIGHT)
    shift = exact.objective(other, logits) - exact.objective(mdp, logits)
    assert_allclose(shift, -potentials[0, 0], **TIGHT)
    best, other_best = exact.optimal(mdp)[1], exact.optimal(other)[1]
    assert (best.argmax(axis=1) == other_best.argmax(axis=1)).all()
    # Keeping the potential of the end is a reward, not a shaping.
    kept = shaped(mdp, potential_difference(potentials, mdp.mask))
    changed = exact.objective_gradient(kept, logits)
    assert abs(changed - gradient).max() > 1e-2


def test_a_bonus_that_is_no_potential_changes_the_best_policy():
    mdp = TokenMDP.enumerate(2, 2, lambda prefix: float(prefix == (0, 0)))
    bonus = 0.8 * (mdp.completions == 1)
    other = shaped(mdp, bonus)
    assert exact.optimal(mdp)[1][0].argmax() == 0
    assert exact.optimal(other)[1][0].argmax() == 1


def test_as_many_batches_as_allowed_are_enumerated():
    ones = lambda rows: np.ones(1)  # noqa: E731
    mean, variance = exact.batch_moments(np.full(10, 0.1), ones, 3, max_batches=1000)
    assert (mean, variance) == (pytest.approx(1), pytest.approx(0))
    with pytest.raises(ValueError, match="^batch_size: expected at most 999 batches"):
        exact.batch_moments(np.full(10, 0.1), ones, 3, max_batches=999)


def test_a_problem_is_itself_alone_and_stays_as_it_is():
    mdp, _ = make()
    assert mdp == mdp and mdp != make()[0] and len({mdp, mdp}) == 1
    with pytest.raises(FrozenInstanceError):
        mdp.gamma = 0.5


@pytest.mark.parametrize(
    "vocab_size, max_length, eos_id, states",
    [
        (2, 3, None, 1 + 2 + 4),
        (3, 3, 0, 1 + 2 + 4),
        (2, 6, 1, 6),
        (8, 1, None, 8),  # one state, and no more tokens than states may be
    ],
)
def test_as_many_states_as_allowed(vocab_size, max_length, eos_id, states):
    problem = vocab_size, max_length, lambda prefix: 0.0, eos_id, 1.0
    mdp = TokenMDP.enumerate(*problem, max_states=states)
    assert max(len(mdp.states), vocab_size) == states
    with pytest.raises(ValueError, match="^max_states: expected at most"):
        TokenMDP.enumerate(*problem, max_states=states - 1)


def test_states_allowed_without_a_word():
    assert len(TokenMDP.enumerate(5000, 1, len).completions) == 5000
    with pytest.raises(ValueError, match="^max_states: expected at most 5000"):
        TokenMDP.enumerate(5001, 1, len)


@pytest.mark.parametrize("batch_size, batches", [(1, 2), (3, 8)])
def test_as_many_batches_as_allowed(batch_size, batches):
    arguments = [0.5, 0.5], lambda rows: rows.sum(), batch_size
    mean, variance = exact.batch_moments(*arguments, max_batches=batches)
    assert_allclose([mean, variance], [batch_size / 2, batch_size / 4])
    with pytest.raises(ValueError, match="^batch_size: expected at most"):
        exact.batch_moments(*arguments, max_batches=batches - 1)


def test_batches_allowed_without_a_word():
    for texts in (50_000, 50_001):
        arguments = np.full(texts, 1 / texts), lambda rows: float(rows[0]), 1
        if texts > 50_000:
            with pytest.raises(ValueError, match="^batch_size: expected at most 50000"):
                exact.batch_moments(*arguments)
        else:
            assert_allclose(exact.batch_moments(*arguments)[0], (texts - 1) / 2)


def test_probabilities_may_be_zero_and_not_less():
    assert_allclose(exact.moments([0.0, 1.0], [5.0, 3.0]), (3, 0))
    for bad in ([-0.5, 1.5], [-0.5, -0.5], [0.5, 0.500002], [0.5, 0.499998]):
        with pytest.raises(ValueError, match="^probs: expected numbers >= 0"):
            exact.moments(bad, [5.0, 3.0])
    exact.moments([0.5, 0.5000005], [5.0, 3.0])  # rounding of a long sum


def test_a_token_that_is_never_written():
    """Its logit is -inf: the same as a vocabulary without it, and 0 log 0 = 0."""
    three = exact.TokenMDP.enumerate(3, 2, lambda text: float(text[-1] == 1))
    two = exact.TokenMDP.enumerate(2, 2, lambda text: float(text[-1] == 1))
    rng = np.random.default_rng(0)
    logits = rng.normal(size=two.next_state.shape)
    ref = rng.normal(size=three.next_state.shape)
    table = np.full(three.next_state.shape, -np.inf)
    # The states of the smaller problem within the larger one, by their texts.
    found = {tuple(state): s for s, state in enumerate(three.states)}
    places = [found[tuple(state)] for state in two.states]
    table[places, :2] = logits
    table[np.isinf(table).all(axis=1), 0] = 0  # states that are not reached
    assert exact.entropy(three, table) == pytest.approx(exact.entropy(two, logits))
    assert exact.objective(three, table) == pytest.approx(exact.objective(two, logits))
    assert exact.probabilities(three, table).sum() == pytest.approx(1)
    small = exact.entropy_gradient(two, logits)
    np.testing.assert_allclose(exact.entropy_gradient(three, table)[places, :2], small)
    assert np.isfinite(exact.kl_gradient(three, table, ref)).all()
    assert exact.kl(three, table, ref) > 0


def test_a_state_needs_a_token():
    mdp = exact.TokenMDP.enumerate(2, 2, lambda text: 0.0)
    table = np.zeros(mdp.next_state.shape)
    table[0] = -np.inf
    with pytest.raises(ValueError, match="logits: expected a token in each row"):
        exact.policy(mdp, table)
    with pytest.raises(ValueError, match="^logits: expected the shape"):
        exact.policy(mdp, np.zeros(3))
