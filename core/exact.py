"""The oracle: every completion of a small text problem, enumerated.

With a vocabulary of at most 8 tokens and at most 4 of them per completion, all texts
fit in one table.  Then an expectation is a sum, and J, its gradient, the KL divergence,
and the mean and variance of any estimator are numbers without a sampling error.

N completions, T maximal length, S states (prefixes that are not finished), V
vocabulary.  A policy is a table of logits (S, V): one softmax per state, and so is its
gradient.  Everything is NumPy, float64, natural logarithms (nats).
"""

from collections.abc import Callable
from itertools import product

import numpy as np

from core import checks
from core.mdp import TokenMDP, with_rewards

# --- States -----------------------------------------------------------------


def state_batch(mdp: TokenMDP):
    """The states as (S, T - 1) int64, padded on the right with 0, and lengths (S,)."""
    prefixes = np.zeros((len(mdp.states), mdp.max_length - 1), dtype=np.int64)
    for row, state in zip(prefixes, mdp.states, strict=True):
        row[: len(state)] = state
    return prefixes, mdp.depth


def policy_logits(mdp: TokenMDP, function: Callable):
    """The logits (S, V) of any policy, such as a network.

    Args:
        function: maps prefixes (n, t) int64, all of one length t (0 at the start), to
            logits of the next token (n, V).

    The other way round, a network that scores `mdp.completions` gives logits (N, T, V);
    those of the states are
        table[mdp.visits[mdp.mask > 0]] = logits[mdp.mask > 0].
    """
    prefixes, lengths = state_batch(mdp)
    levels = (prefixes[lengths == t, :t] for t in range(mdp.max_length))
    table = np.concatenate([np.asarray(function(x), dtype=float) for x in levels])
    return checks.finite_array("function", table, mdp.next_state.shape)


# --- Evaluating a policy ---------------------------------------------------


def log_softmax(logits):
    """log π(a|s) = logits - log Σ exp(logits) over the last axis, nats."""
    logits = checks.floats("logits", logits)
    checks.require(logits.ndim, "logits: expected (..., V), got a number")
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_policy(mdp: TokenMDP, logits):
    """log π(a|s), (S, V); ValueError unless logits are (S, V), finite or -inf.

    A token with the logit -inf is never written; each state needs one that is.
    """
    logits = checks.floats("logits", logits)
    never = logits == -np.inf
    written = not never.all(axis=-1).any()
    checks.require(written, "logits: expected a token in each row")
    kept, shape = np.where(never, 0, logits), mdp.next_state.shape
    kept = checks.finite_array("logits", kept, shape)
    return log_softmax(np.where(never, -np.inf, kept))


def policy(mdp: TokenMDP, logits):
    """π(a|s), (S, V)."""
    return np.exp(log_policy(mdp, logits))


def completion_logprobs(mdp: TokenMDP, logits):
    """log π(y_t | y_<t) of every token, (N, T), nats; 0 after a completion's end."""
    logprobs = log_policy(mdp, logits)[mdp.visits, mdp.completions]
    return np.where(mdp.mask > 0, logprobs, 0)


def probabilities(mdp: TokenMDP, logits):
    """π(y) = Π_t π(y_t | y_<t) of every completion, (N,); the sum is 1."""
    return np.exp(completion_logprobs(mdp, logits).sum(axis=1))


def back_up(mdp: TokenMDP, choose: Callable):
    """V (S,) and Q (S, V) from the deepest states to the start.

    Q(s, a) = r(s, a) + γ V(s a), and V(s) = choose(Q of states, indices).
    """
    values = np.zeros(len(mdp.states) + 1)  # index -1 is the end, V = 0
    q = np.zeros(mdp.next_state.shape)
    for t in reversed(range(mdp.max_length)):
        level = np.flatnonzero(mdp.depth == t)
        future = values[mdp.next_state[level]]
        q[level] = mdp.step_rewards[level] + mdp.gamma * future
        values[level] = choose(q[level], level)
    return values[:-1], q


def _evaluated(mdp: TokenMDP, logits):
    """V and Q of the policy."""
    pi = policy(mdp, logits)
    return back_up(mdp, lambda q, level: (pi[level] * q).sum(axis=1))


def value(mdp: TokenMDP, logits):
    """V(s) = E[Σ_k γ^k r_{t+k} | s_t = s], (S,).

    Source: Sutton and Barto 2018, Reinforcement Learning, 2nd ed., eq. 4.4.
    """
    return _evaluated(mdp, logits)[0]


def q_values(mdp: TokenMDP, logits):
    """Q(s, a) = r(s, a) + γ V(s a), (S, V)."""
    return _evaluated(mdp, logits)[1]


def advantages(mdp: TokenMDP, logits):
    """A(s, a) = Q(s, a) - V(s), (S, V); its mean under π is 0."""
    v, q = _evaluated(mdp, logits)
    return q - v[:, None]


def optimal(mdp: TokenMDP):
    """V* (S,) and Q* (S, V) of the best policy: V*(s) = max_a Q*(s, a)."""
    return back_up(mdp, lambda q, level: q.max(axis=1))


def occupancy(mdp: TokenMDP, logits):
    """d(s), (S,): the probability that a completion passes through s.

    Also the expected number of visits, as there is one at most.  No discount in it.
    """
    pi = policy(mdp, logits)
    visited = np.zeros(len(mdp.states))
    visited[0] = 1
    for s in range(len(mdp.states)):  # by depth: s is final when read
        going_on = mdp.next_state[s] >= 0
        visited[mdp.next_state[s, going_on]] = visited[s] * pi[s, going_on]
    return visited


def objective(mdp: TokenMDP, logits) -> float:
    """J = E[Σ_t γ^t r_t]: the value of the start."""
    return float(value(mdp, logits)[0])


def kl(mdp: TokenMDP, logits, ref_logits) -> float:
    """KL(π‖π_ref) = E_π[Σ_t (log π - log π_ref)] of whole texts, nats.

    It is the value of a problem that pays k1 = log π - log π_ref per token.
    """
    k1 = _k1(mdp, logits, ref_logits)
    return objective(with_rewards(mdp, k1, gamma=1.0), logits)


def entropy(mdp: TokenMDP, logits) -> float:
    """H(π) = E_π[-Σ_t log π(y_t | y_<t)] of whole texts, nats: J for -log π."""
    return objective(with_rewards(mdp, -_written(mdp, logits), gamma=1.0), logits)


def _written(mdp: TokenMDP, logits):
    """log π, (S, V), with 0 for a token that is never written: 0 log 0 = 0."""
    logprobs = log_policy(mdp, logits)
    return np.where(logprobs == -np.inf, 0, logprobs)


def _k1(mdp: TokenMDP, logits, ref_logits):
    """log π - log π_ref, (S, V)."""
    shape = mdp.next_state.shape
    ref_logits = checks.finite_array("ref_logits", ref_logits, shape)
    logprobs = log_policy(mdp, logits)
    return np.where(logprobs == -np.inf, 0, logprobs - log_softmax(ref_logits))


# --- Gradients -------------------------------------------------------------


def objective_gradient(mdp: TokenMDP, logits, discount_states: bool = True):
    """∇J with respect to the logits, (S, V), by the policy gradient theorem.

    ∂J/∂logits(s, a) = γ^t d(s) π(a|s) A(s, a),  t the depth of s

    In practice the factor γ^t is dropped, so that late tokens count as much as early
    ones.  `discount_states=False` gives what such an estimator aims at; for γ < 1 it is
    not ∇J (Nota and Thomas 2020, arXiv:1906.07073).
    Source: Sutton et al. 2000, Policy gradient methods for reinforcement learning with
        function approximation, theorem 1.
    """
    weight = occupancy(mdp, logits)
    if discount_states:
        weight = weight * mdp.gamma**mdp.depth
    return weight[:, None] * policy(mdp, logits) * advantages(mdp, logits)


def kl_gradient(mdp: TokenMDP, logits, ref_logits, fixed_states: bool = False):
    """∇KL(π‖π_ref) with respect to the logits of π, (S, V).

    It is the policy gradient with k1 as the reward: k1 depends on the logits as well,
    but that part has the mean E[∇ log π] = 0.

    fixed_states=True leaves out that the policy also chooses the states:
        Σ_s d(s) ∇KL(π(·|s)‖π_ref(·|s)), which is what an exact KL per token in the loss
        is differentiated to.
    """
    gamma = 0.0 if fixed_states else 1.0
    problem = with_rewards(mdp, _k1(mdp, logits, ref_logits), gamma)
    return objective_gradient(problem, logits, discount_states=False)


def entropy_gradient(mdp: TokenMDP, logits, fixed_states: bool = False):
    """∇H with respect to the logits, (S, V): the reward is -log π.

    fixed_states=True, as for `kl_gradient`: Σ_s d(s) ∇H(π(·|s)), which is what an
        entropy bonus per token in the loss is differentiated to.
    """
    gamma = 0.0 if fixed_states else 1.0
    problem = with_rewards(mdp, -_written(mdp, logits), gamma)
    return objective_gradient(problem, logits, discount_states=False)


# --- The moments of estimators ---------------------------------------------


def total_returns(mdp: TokenMDP):
    """R = Σ_t γ^t r_t of every completion, (N,)."""
    return mdp.rewards @ mdp.gamma ** np.arange(mdp.max_length)


def returns_to_go(mdp: TokenMDP):
    """G_t = Σ_{k≥t} γ^(k-t) r_k of every token, (N, T); 0 after the end."""
    time = np.arange(mdp.max_length)
    ahead = time - time[:, None]  # k - t in row t, column k
    return mdp.rewards @ np.triu(mdp.gamma ** abs(ahead)).T


def gradient_samples(mdp: TokenMDP, logits, weights):
    """The score-function estimate from each completion, (N, S, V).

    g(y) = Σ_t weights(y, t) ∇ log π(y_t | y_<t)

    Weights of shape (N, T) choose the estimator: the total return (REINFORCE, Williams
    1992), γ^t times the return-to-go, either minus a baseline, or times an importance
    weight.
    """
    weights = checks.finite_array("weights", weights, mdp.mask.shape)
    samples = np.zeros((len(weights), *mdp.next_state.shape))
    n, t = np.nonzero(mdp.mask)
    state = mdp.visits[n, t]  # differs for each t of a text: no overlap
    onehot = np.eye(mdp.vocab_size)[mdp.completions[n, t]]
    scores = onehot - policy(mdp, logits)[state]
    samples[n, state] = weights[n, t, None] * scores
    return samples


def score(mdp: TokenMDP, logits):
    """∇ log π(y_t | y_<t) of every token, (N, T, S, V).

    In the row of the state s_t it is onehot(y_t) - π(·|s_t), elsewhere 0.  The largest
    array of this file: for tiny problems only.
    """
    alone = np.eye(mdp.max_length)[:, None] * mdp.mask  # weight 1 on one token
    return np.stack([gradient_samples(mdp, logits, w) for w in alone], axis=1)


def moments(probs, samples):
    """Mean and variance of samples (N, ...) drawn with probs (N,).

    The variance is taken in each component; its sum is the total variance E‖g - E g‖².
    """
    samples = checks.finite_array("samples", samples)
    checks.at_least(1, samples=samples.ndim)
    probs = _probabilities(probs, len(samples))
    mean = np.tensordot(probs, samples, axes=1)
    return mean, np.tensordot(probs, (samples - mean) ** 2, axes=1)


def batch_moments(probs, estimator: Callable, batch_size: int, max_batches=50_000):
    """Mean and variance of an estimator that reads several completions.

    Every batch of `batch_size` independent completions is enumerated, N ** batch_size
    of them; ValueError where these are more than max_batches.

    Args:
        probs: (N,), the probability of each completion.
        estimator: rows (batch_size,) int64, with repetitions, to an array of one shape.
    """
    checks.whole(1, batch_size=batch_size, max_batches=max_batches)
    probs = _probabilities(probs, np.size(checks.floats("probs", probs)))
    wanted = f"batch_size: expected at most {max_batches} batches"
    few = batch_size * np.log(len(probs)) <= np.log(float(max_batches)) + 1e-9
    checks.require(few, f"{wanted}, got {len(probs)} ** {batch_size}")
    batches = np.array(list(product(range(len(probs)), repeat=batch_size)))
    samples = np.array([estimator(rows) for rows in batches])
    return moments(probs[batches].prod(axis=1), samples)


def _probabilities(probs, length: int):
    probs = checks.finite_array("probs", probs, (length,))
    holds = (probs >= 0).all() and abs(probs.sum() - 1) <= 1e-6
    checks.require(holds, "probs: expected numbers >= 0 that sum to 1")
    return probs


# --- Baselines -------------------------------------------------------------


def optimal_baseline(mdp: TokenMDP, logits, weights=None) -> float:
    """The constant b that makes Σ_t (w_t - b) ∇ log π_t vary least.

    b = E[⟨g_w, g_1⟩] / E[‖g_1‖²],  g_w = Σ_t w_t ∇ log π_t

    With the total return as weight (the default): the known E[‖g_1‖² R] / E[‖g_1‖²].
    Source: Greensmith, Bartlett and Baxter 2004, Variance reduction techniques for
        gradient estimates in reinforcement learning, JMLR 5.
    """
    if weights is None:
        weights = total_returns(mdp)[:, None] * mdp.mask
    overlap, length = (x.sum() for x in _overlaps(mdp, logits, weights))
    return float(overlap / length) if length > 0 else 0.0


def optimal_state_baseline(mdp: TokenMDP, logits, weights=None):
    """The b(s) that makes Σ_t (w_t - b(s_t)) ∇ log π_t vary least, (S,).

    b(s) = E[‖∇ log π_t‖² w_t | s_t = s] / E[‖∇ log π_t‖² | s_t = s]

    The default weight is the return-to-go.  The value V(s) is the same mean without the
    factor ‖∇ log π‖², so it is close to the best baseline, not equal to it.  b(s) = 0
    where the score vanishes and nothing can be won.  This form holds for a table of
    logits, where the scores of two states never overlap.
    Source: as for `optimal_baseline`.
    """
    if weights is None:
        weights = returns_to_go(mdp)
    overlap, length = _overlaps(mdp, logits, weights)
    return np.divide(overlap, length, out=np.zeros_like(length), where=length > 0)


def _overlaps(mdp: TokenMDP, logits, weights):
    """E[⟨g_w, g_1⟩] and E[‖g_1‖²] within each state, (S,)."""
    probs = probabilities(mdp, logits)[:, None, None]
    ones = gradient_samples(mdp, logits, mdp.mask)
    weighted = gradient_samples(mdp, logits, weights)
    return [(probs * g * ones).sum(axis=(0, 2)) for g in (weighted, ones)]
