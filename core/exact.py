"""The oracle: every completion of a small text problem, enumerated.

With a vocabulary of at most 8 tokens and at most 4 of them per completion,
all texts fit in one table.  Then an expectation is a sum, and J, its
gradient, the KL divergence, and the mean and variance of any estimator are
numbers without a sampling error.  The tests and the chapters compare with
them.

N completions, T maximal length, S states (prefixes that are not finished),
V vocabulary.  A policy is a table of logits (S, V): one softmax per state.
Its gradient is taken with respect to these logits, so it has the shape
(S, V) as well.  Everything is NumPy, float64, natural logarithms (nats).

In order of reading: the MDP, evaluating a policy, gradients, the moments of
estimators, baselines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

# --- The MDP ---------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TokenMDP:
    """Text generation as a tree: a state is a prefix, an action is a token.

    Build one with `TokenMDP.enumerate`.

    vocab_size: V, tokens are 0 .. V - 1.
    max_length: T, a completion ends here at the latest.
    eos_id: the token that ends a completion early, or None (fixed length).
    gamma: discount per token, in [0, 1].
    states: S prefixes (tuples) by depth; states[0] == () is the start.
    next_state: (S, V) int64, state after each token, -1 where the text ends.
    step_rewards: (S, V) float, reward of each token in each state.
    completions: (N, T) int64, all finished texts; 0 after their end.
    mask: (N, T) float, 1 up to and including the last token.
    visits: (N, T) int64, the state in which token t was chosen; -1 after
        the end.
    """

    vocab_size: int
    max_length: int
    eos_id: int | None
    gamma: float
    states: list[tuple[int, ...]]
    next_state: np.ndarray
    step_rewards: np.ndarray
    completions: np.ndarray
    mask: np.ndarray
    visits: np.ndarray

    @classmethod
    def enumerate(
        cls, vocab_size, max_length, reward, eos_id=None, gamma=1.0, max_states=5000
    ):
        """All prefixes and completions of a problem.

        Args:
            vocab_size: V, at least 2.
            max_length: T, at least 1.
            reward: function of the prefix *after* a token (a tuple, the
                EOS included) -> the reward of that token, finite.
            eos_id: token that ends a text, or None.
            gamma: in [0, 1].
            max_states: refuse a problem with more prefixes than this.
        Raises: ValueError for anything outside these bounds.
        """
        check_problem(vocab_size, max_length, eos_id, gamma, max_states)
        states = [()]
        next_state = []
        for prefix in states:  # the list grows while it is read: by depth
            row = [-1] * vocab_size
            for token in range(vocab_size):
                if token != eos_id and len(prefix) + 1 < max_length:
                    row[token] = len(states)
                    states.append(prefix + (token,))
            next_state.append(row)
        next_state = np.array(next_state, dtype=np.int64)
        step_rewards = np.array(
            [[reward(s + (a,)) for a in range(vocab_size)] for s in states], dtype=float
        )
        check_table("reward", step_rewards, next_state.shape)
        texts = [states[s] + (int(a),) for s, a in np.argwhere(next_state < 0)]
        return cls(
            vocab_size,
            max_length,
            eos_id,
            float(gamma),
            states,
            next_state,
            step_rewards,
            *tables_of_texts(texts, states, max_length),
        )

    @property
    def rewards(self):
        """(N, T) reward of each token of each completion, 0 after its end."""
        return self.step_rewards[self.visits, self.completions] * self.mask

    @property
    def depth(self):
        """(S,) number of tokens in each state, which is its time t."""
        return np.array([len(s) for s in self.states])


def check_problem(vocab_size, max_length, eos_id, gamma, max_states):
    """ValueError unless the arguments describe a problem small enough."""
    if vocab_size < 2:
        raise ValueError(f"vocab_size: expected at least 2 tokens, got {vocab_size}")
    if max_length < 1:
        raise ValueError(f"max_length: expected at least 1, got {max_length}")
    if eos_id is not None and not 0 <= eos_id < vocab_size:
        raise ValueError(
            f"eos_id: expected None or a token below {vocab_size}, got {eos_id}"
        )
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a number in [0, 1], got {gamma}")
    going_on = vocab_size - (eos_id is not None)
    size = sum(going_on**depth for depth in range(max_length))
    if size > max_states:
        raise ValueError(
            f"max_states: expected a problem of at most {max_states} "
            f"states, this one has {size}"
        )


def check_table(name, values, shape):
    """`values` as a float64 array, if finite and of the given shape."""
    values = np.asarray(values, dtype=float)
    if values.shape != shape:
        raise ValueError(f"{name}: expected the shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers")
    return values


def tables_of_texts(texts, states, max_length):
    """completions, mask and visits, each (N, T), of a list of tuples."""
    index = {state: i for i, state in enumerate(states)}
    completions = np.zeros((len(texts), max_length), dtype=np.int64)
    mask = np.zeros((len(texts), max_length))
    visits = np.full((len(texts), max_length), -1, dtype=np.int64)
    for n, text in enumerate(texts):
        completions[n, : len(text)] = text
        mask[n, : len(text)] = 1
        visits[n, : len(text)] = [index[text[:t]] for t in range(len(text))]
    return completions, mask, visits


def with_rewards(mdp, step_rewards, gamma=None):
    """The same texts with other rewards (S, V), and another gamma if given.

    Shaped rewards, a KL penalty in the reward, or any other sum over tokens
    can be evaluated with the functions below in this way.
    """
    table = check_table("step_rewards", step_rewards, mdp.next_state.shape)
    gamma = mdp.gamma if gamma is None else gamma
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a number in [0, 1], got {gamma}")
    return replace(mdp, step_rewards=table, gamma=float(gamma))


def state_batch(mdp):
    """Every state as a row of tokens: (S, T - 1) int64, and lengths (S,).

    Rows are padded on the right with 0.
    """
    prefixes = np.zeros((len(mdp.states), mdp.max_length - 1), dtype=np.int64)
    for row, state in zip(prefixes, mdp.states, strict=True):
        row[: len(state)] = state
    return prefixes, mdp.depth


def policy_logits(mdp, function):
    """The logits (S, V) of any policy, such as a network.

    Args:
        function: maps prefixes (n, t) int64, all of one length t (0 at the
            start), to logits of the next token (n, V).

    The other way round, a network that scores `mdp.completions` gives
    logits (N, T, V); those of the states are
        table[mdp.visits[mdp.mask > 0]] = logits[mdp.mask > 0].
    """
    prefixes, lengths = state_batch(mdp)
    logits = np.concatenate(
        [
            np.asarray(function(prefixes[lengths == t, :t]), dtype=float)
            for t in range(mdp.max_length)
        ]
    )
    return check_table("function", logits, mdp.next_state.shape)


# --- Evaluating a policy ---------------------------------------------------


def log_softmax(logits):
    """log π(a|s) = logits - log Σ exp(logits) over the last axis, nats."""
    logits = np.asarray(logits, dtype=float)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_policy(mdp, logits):
    """log π(a|s), (S, V); ValueError unless logits are finite and (S, V)."""
    return log_softmax(check_table("logits", logits, mdp.next_state.shape))


def policy(mdp, logits):
    """π(a|s), (S, V)."""
    return np.exp(log_policy(mdp, logits))


def completion_logprobs(mdp, logits):
    """log π(y_t | y_<t) of every token of every completion, (N, T), nats.

    0 after the end of a completion.
    """
    logprobs = log_policy(mdp, logits)
    return logprobs[mdp.visits, mdp.completions] * mdp.mask


def probabilities(mdp, logits):
    """π(y) = Π_t π(y_t | y_<t) of every completion, (N,); the sum is 1."""
    return np.exp(completion_logprobs(mdp, logits).sum(axis=1))


def back_up(mdp, choose):
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


def value(mdp, logits):
    """V(s) = E[Σ_k γ^k r_{t+k} | s_t = s], (S,).

    Source: Sutton and Barto 2018, Reinforcement Learning, 2nd ed., eq. 4.4.
    """
    pi = policy(mdp, logits)
    return back_up(mdp, lambda q, level: (pi[level] * q).sum(axis=1))[0]


def q_values(mdp, logits):
    """Q(s, a) = r(s, a) + γ V(s a), (S, V)."""
    pi = policy(mdp, logits)
    return back_up(mdp, lambda q, level: (pi[level] * q).sum(axis=1))[1]


def advantages(mdp, logits):
    """A(s, a) = Q(s, a) - V(s), (S, V); its mean under π is 0."""
    return q_values(mdp, logits) - value(mdp, logits)[:, None]


def optimal(mdp):
    """V* (S,) and Q* (S, V) of the best policy: V*(s) = max_a Q*(s, a)."""
    return back_up(mdp, lambda q, level: q.max(axis=1))


def occupancy(mdp, logits):
    """d(s), (S,): the probability that a completion passes through s.

    A prefix is visited at most once, so this is the expected number of
    visits too.  No discount in it.
    """
    pi = policy(mdp, logits)
    visited = np.zeros(len(mdp.states))
    visited[0] = 1
    for s in range(len(mdp.states)):  # by depth: s is final when read
        going_on = mdp.next_state[s] >= 0
        visited[mdp.next_state[s, going_on]] = visited[s] * pi[s, going_on]
    return visited


def objective(mdp, logits):
    """J = E[Σ_t γ^t r_t], a float: the value of the start."""
    return float(value(mdp, logits)[0])


def kl(mdp, logits, ref_logits):
    """KL(π‖π_ref) = E_π[Σ_t (log π - log π_ref)] of whole texts, nats.

    It is the value of a problem that pays k1 = log π - log π_ref per token.
    """
    return objective(kl_problem(mdp, logits, ref_logits), logits)


def entropy(mdp, logits):
    """H(π) = E_π[-Σ_t log π(y_t | y_<t)] of whole texts, nats."""
    return objective(entropy_problem(mdp, logits), logits)


def kl_problem(mdp, logits, ref_logits):
    """The MDP whose reward is k1 = log π - log π_ref, undiscounted."""
    ref_logits = check_table("ref_logits", ref_logits, mdp.next_state.shape)
    k1 = log_policy(mdp, logits) - log_softmax(ref_logits)
    return with_rewards(mdp, k1, gamma=1.0)


def entropy_problem(mdp, logits):
    """The MDP whose reward is the surprise -log π, undiscounted."""
    return with_rewards(mdp, -log_policy(mdp, logits), gamma=1.0)


# --- Gradients -------------------------------------------------------------


def objective_gradient(mdp, logits, discount_states=True):
    """∇J with respect to the logits, (S, V), by the policy gradient theorem.

    ∂J/∂logits(s, a) = γ^t d(s) π(a|s) A(s, a),  t the depth of s

    In practice the factor γ^t is dropped, so that late tokens count as much
    as early ones.  `discount_states=False` gives what such an estimator
    aims at; for γ < 1 it is not ∇J (Nota and Thomas 2020, arXiv:1906.07073).

    Source: Sutton et al. 2000, Policy gradient methods for reinforcement
        learning with function approximation, theorem 1.
    """
    weight = occupancy(mdp, logits)
    if discount_states:
        weight = weight * mdp.gamma**mdp.depth
    return weight[:, None] * policy(mdp, logits) * advantages(mdp, logits)


def kl_gradient(mdp, logits, ref_logits, fixed_states=False):
    """∇KL(π‖π_ref) with respect to the logits of π, (S, V).

    It is the policy gradient with k1 as the reward: k1 depends on the
    logits as well, but that part has the mean E[∇ log π] = 0.

    fixed_states=True leaves out that the policy also chooses the states:
        Σ_s d(s) ∇KL(π(·|s)‖π_ref(·|s)), which is what an exact KL per
        token in the loss is differentiated to.
    """
    problem = kl_problem(mdp, logits, ref_logits)
    if fixed_states:
        problem = replace(problem, gamma=0.0)
    return objective_gradient(problem, logits, discount_states=False)


def entropy_gradient(mdp, logits, fixed_states=False):
    """∇H with respect to the logits, (S, V): the reward is -log π.

    fixed_states=True leaves out that the policy also chooses the states:
        Σ_s d(s) ∇H(π(·|s)), which is what an entropy bonus per token in
        the loss is differentiated to.
    """
    problem = entropy_problem(mdp, logits)
    if fixed_states:
        problem = replace(problem, gamma=0.0)
    return objective_gradient(problem, logits, discount_states=False)


def score(mdp, logits):
    """∇ log π(y_t | y_<t) of every token, (N, T, S, V).

    In the row of the state s_t it is onehot(y_t) - π(·|s_t), elsewhere 0.
    The largest array of this file: for tiny problems only.
    """
    scores = np.zeros(mdp.visits.shape + mdp.next_state.shape)
    n, t = np.nonzero(mdp.mask)
    state = mdp.visits[n, t]
    onehot = np.eye(mdp.vocab_size)[mdp.completions[n, t]]
    scores[n, t, state] = onehot - policy(mdp, logits)[state]
    return scores


# --- The moments of estimators ---------------------------------------------


def total_returns(mdp):
    """R = Σ_t γ^t r_t of every completion, (N,)."""
    return mdp.rewards @ mdp.gamma ** np.arange(mdp.max_length)


def returns_to_go(mdp):
    """G_t = Σ_{k≥t} γ^(k-t) r_k of every token, (N, T); 0 after the end."""
    time = np.arange(mdp.max_length)
    ahead = time - time[:, None]  # k - t in row t, column k
    discounts = np.where(ahead >= 0, mdp.gamma ** np.maximum(ahead, 0), 0.0)
    return mdp.rewards @ discounts.T


def gradient_samples(mdp, logits, weights):
    """The score-function estimate from each completion, (N, S, V).

    g(y) = Σ_t weights(y, t) ∇ log π(y_t | y_<t)

    Weights of shape (N, T) choose the estimator: the total return (REINFORCE,
    Williams 1992), γ^t times the return-to-go, either minus a baseline, or
    times an importance weight.
    """
    weights = check_table("weights", weights, mdp.mask.shape)
    samples = np.zeros((len(weights),) + mdp.next_state.shape)
    n, t = np.nonzero(mdp.mask)
    state = mdp.visits[n, t]  # differs for each t of a text: no overlap
    onehot = np.eye(mdp.vocab_size)[mdp.completions[n, t]]
    scores = onehot - policy(mdp, logits)[state]
    samples[n, state] = weights[n, t, None] * scores
    return samples


def moments(probs, samples):
    """Mean and variance of samples (N, ...) drawn with probs (N,).

    The variance is taken in each component; its sum is the total variance
    E‖g - E g‖².
    """
    samples = np.asarray(samples, dtype=float)
    probs = check_probabilities(probs, len(samples))
    mean = np.tensordot(probs, samples, axes=1)
    return mean, np.tensordot(probs, (samples - mean) ** 2, axes=1)


def batch_moments(probs, estimator, batch_size, max_batches=50_000):
    """Mean and variance of an estimator that reads several completions.

    Every batch of `batch_size` independent completions is enumerated,
    N ** batch_size of them.

    Args:
        probs: (N,), the probability of each completion.
        estimator: function of rows (batch_size,) int64, with repetitions,
            to an array of any fixed shape.
    Raises: ValueError where there are more than max_batches.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    probs = check_probabilities(probs, len(probs))
    if len(probs) ** batch_size > max_batches:
        raise ValueError(
            f"batch_size: expected at most {max_batches} batches, "
            f"got {len(probs)} ** {batch_size}"
        )
    batches = np.array(list(product(range(len(probs)), repeat=batch_size)))
    samples = np.array([estimator(rows) for rows in batches])
    return moments(probs[batches].prod(axis=1), samples)


def check_probabilities(probs, length):
    """`probs` as a float64 array (length,) that is >= 0 and sums to 1."""
    probs = check_table("probs", probs, (length,))
    if (probs < 0).any() or abs(probs.sum() - 1) > 1e-6:
        raise ValueError("probs: expected numbers >= 0 that sum to 1")
    return probs


# --- Baselines -------------------------------------------------------------


def optimal_baseline(mdp, logits, weights=None):
    """The constant b that makes Σ_t (w_t - b) ∇ log π_t vary least, a float.

    b = E[⟨g_w, g_1⟩] / E[‖g_1‖²],  g_w = Σ_t w_t ∇ log π_t

    With the total return as the weight (the default) this is the known
    E[‖g_1‖² R] / E[‖g_1‖²].

    Source: Greensmith, Bartlett and Baxter 2004, Variance reduction
        techniques for gradient estimates in reinforcement learning, JMLR 5.
    """
    if weights is None:
        weights = total_returns(mdp)[:, None] * mdp.mask
    probs = probabilities(mdp, logits)
    ones = gradient_samples(mdp, logits, mdp.mask)
    weighted = gradient_samples(mdp, logits, weights)
    length = np.einsum("n,nsv,nsv->", probs, ones, ones)
    overlap = np.einsum("n,nsv,nsv->", probs, weighted, ones)
    return float(overlap / length) if length > 0 else 0.0


def optimal_state_baseline(mdp, logits, weights=None):
    """The b(s) that makes Σ_t (w_t - b(s_t)) ∇ log π_t vary least, (S,).

    b(s) = E[‖∇ log π_t‖² w_t | s_t = s] / E[‖∇ log π_t‖² | s_t = s]

    The default weight is the return-to-go.  The value V(s) is the same mean
    without the factor ‖∇ log π‖², so it is close to the best baseline, not
    equal to it.  b(s) = 0 where the score vanishes and nothing can be won.
    This form holds for a table of logits, where the scores of two states
    never overlap.

    Source: as for `optimal_baseline`.
    """
    if weights is None:
        weights = returns_to_go(mdp)
    probs = probabilities(mdp, logits)[:, None, None]
    ones = gradient_samples(mdp, logits, mdp.mask)
    weighted = gradient_samples(mdp, logits, weights)
    length = (probs * ones * ones).sum(axis=(0, 2))
    overlap = (probs * weighted * ones).sum(axis=(0, 2))
    return np.divide(overlap, length, out=np.zeros_like(length), where=length > 0)
