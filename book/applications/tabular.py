"""Tables of action values on a problem small enough to enumerate.

Value iteration knows the rewards and gives the true Q*.  Q-learning and
SARSA, the two methods that documents 000 and 004 name, only see one sampled
text after the other.  All work on `exact.TokenMDP`: a state is a prefix, an
action is a token, Q has the shape (S, V).
"""

from __future__ import annotations

import numpy as np

from core import checks
from core.exact import TokenMDP

HELLO_WORLD = ("你好", "世界")


def value_iteration(mdp):
    """Q* (S, V): repeat Q(s, a) = r(s, a) + γ max_b Q(s a, b) to the end.

    Each sweep carries rewards back by one token, so max_length sweeps
    reach the start, and further ones would change nothing.

    Source: Sutton and Barto 2018, Reinforcement Learning, 2nd ed., eq. 4.10.
    """
    q = np.zeros(mdp.next_state.shape)
    ended = mdp.next_state < 0
    for _ in range(mdp.max_length):
        future = np.where(ended, 0.0, q.max(axis=1)[mdp.next_state])
        q = mdp.step_rewards + mdp.gamma * future
    return q


def greedy(q):
    """The action of the highest value in each state, (S,) int64.

    The first one where several are equal.
    """
    return np.asarray(q).argmax(axis=1)


def epsilon_greedy(values, epsilon, rng):
    """One action: random with probability epsilon, else one of the best.

    Among equally good actions the choice is random.  values: (V,).
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(rng.choice(np.flatnonzero(values == values.max())))


def q_learning(mdp, episodes, alpha, epsilon, rng):
    """Q-learning: the target takes the best next action.

    Q(s, a) ← Q(s, a) + α (r + γ max_b Q(s', b) - Q(s, a))

    Args:
        episodes: number of texts to generate, at least 1.
        alpha: learning rate in (0, 1], or a function of the episode.
        epsilon: exploration in [0, 1], or a function of the episode.
        rng: np.random.Generator.
    Returns: Q (S, V), and a history with "q" (episodes, S, V), the table
        after each episode, and "returns" (episodes,), Σ γ^t r_t.
    Source: Watkins and Dayan 1992, Q-learning, Machine Learning 8.
    """
    rates = schedule("alpha", alpha, episodes)
    explore = schedule("epsilon", epsilon, episodes)
    q, history = empty_history(mdp, episodes)
    for episode in range(episodes):
        state, weight = 0, 1.0
        while state >= 0:
            action = epsilon_greedy(q[state], explore[episode], rng)
            reward = mdp.step_rewards[state, action]
            after = mdp.next_state[state, action]
            future = q[after].max() if after >= 0 else 0.0
            error = reward + mdp.gamma * future - q[state, action]
            q[state, action] += rates[episode] * error
            history["returns"][episode] += weight * reward
            state, weight = after, weight * mdp.gamma
        history["q"][episode] = q
    return q, history


def sarsa(mdp, episodes, alpha, epsilon, rng):
    """SARSA: the target takes the next action that is really played.

    Q(s, a) ← Q(s, a) + α (r + γ Q(s', a') - Q(s, a)),  a' from the policy

    With a constant epsilon it learns the values of the exploring policy;
    for Q* epsilon must fall to 0, and slowly: once it is 0, an action that
    looked bad while the later choices were random is never tried again.

    Arguments and results: as `q_learning`.
    Source: Sutton and Barto 2018, Reinforcement Learning, 2nd ed., eq. 6.7.
    """
    rates = schedule("alpha", alpha, episodes)
    explore = schedule("epsilon", epsilon, episodes)
    q, history = empty_history(mdp, episodes)
    for episode in range(episodes):
        state, weight = 0, 1.0
        action = epsilon_greedy(q[state], explore[episode], rng)
        while state >= 0:
            reward = mdp.step_rewards[state, action]
            after = mdp.next_state[state, action]
            future, chosen = 0.0, -1
            if after >= 0:
                chosen = epsilon_greedy(q[after], explore[episode], rng)
                future = q[after, chosen]
            error = reward + mdp.gamma * future - q[state, action]
            q[state, action] += rates[episode] * error
            history["returns"][episode] += weight * reward
            state, action, weight = after, chosen, weight * mdp.gamma
        history["q"][episode] = q
    return q, history


def empty_history(mdp, episodes):
    """A table of zeros, and the arrays that record its learning."""
    q = np.zeros(mdp.next_state.shape)
    history = {"q": np.zeros((episodes,) + q.shape), "returns": np.zeros(episodes)}
    return q, history


def schedule(name, setting, episodes):
    """The setting of each episode, (episodes,), from a number or function.

    Raises: ValueError where one is outside [0, 1], or alpha is 0.
    """
    checks.one_of(("alpha", "epsilon"), name=name)
    checks.whole(1, episodes=episodes)
    given = setting if callable(setting) else lambda episode: setting
    values = [given(episode) for episode in range(episodes)]
    values = checks.finite_array(name, values, (episodes,))
    too_low = values <= 0 if name == "alpha" else values < 0
    if (too_low | (values > 1)).any():
        interval = "(0, 1]" if name == "alpha" else "[0, 1]"
        raise ValueError(f"{name}: expected numbers in {interval}")
    return values


# --- Document 000, section 4.3 ---------------------------------------------


def hello_world(gamma=1.0):
    """The document's case: tokens 你好 and 世界, reward 1 for 你好世界.

    Token i is HELLO_WORLD[i]; a text has two tokens.  The document starts
    behind 你好; here the first token is chosen as well, and its case is the
    state (0,).
    """
    return TokenMDP.enumerate(
        len(HELLO_WORLD), 2, lambda text: float(text == (0, 1)), gamma=gamma
    )


def printed_rule(q, state, next_action):
    """The policy as document 000, section 4.2 prints it, (V,) of 0 and 1.

    π(S_t, A_t) = 1 if Q(S_t, A_t) ≥ Q(S_t, A_{t+1}), else 0

    It compares with the action of the *next* step, which is not chosen yet
    when A_t is, and its entries need not sum to 1.  The comparison that
    makes it a policy is with every other action of this step: `greedy`.
    """
    q = np.asarray(q)
    return (q[state] >= q[state, next_action]).astype(float)
