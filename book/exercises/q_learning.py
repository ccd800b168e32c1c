"""What the answers of the chapter on Q-learning are compared with."""

import numpy as np

from pages.grader import Exercise

Q = np.random.default_rng(0).normal(size=(4, 3)).round(2)


def _moved(q, state, action, target, alpha):
    new = np.array(q)
    new[state, action] = (1 - alpha) * new[state, action] + alpha * target
    return new


def _q_update(q, state, action, reward, after, alpha, gamma):
    future = 0.0 if after < 0 else max(q[after])
    return _moved(q, state, action, reward + gamma * future, alpha)


def _behind_the_end(q, state, action, reward, after, alpha, gamma):
    return _moved(q, state, action, reward + gamma * max(q[after]), alpha)


def _mean_of_the_next(q, state, action, reward, after, alpha, gamma):
    future = 0.0 if after < 0 else np.mean(q[after])
    return _moved(q, state, action, reward + gamma * future, alpha)


def _best_of_this_state(q, state, action, reward, after, alpha, gamma):
    future = 0.0 if after < 0 else max(q[state])
    return _moved(q, state, action, reward + gamma * future, alpha)


Q_UPDATE = Exercise(
    "q_update",
    expected=_q_update,
    cases=[
        (Q, 0, 1, 0.0, 2, 0.5, 1.0),
        (Q, 2, 0, 1.0, -1, 0.2, 1.0),
        (Q, 1, 2, -1.0, 3, 1.0, 0.9),
        (Q, 0, 0, 0.5, 1, 0.1, 0.0),
    ],
    hint="A finished text has the number -1 and the value 0: q[-1] is another state.",
    wrong=[_behind_the_end, _mean_of_the_next, _best_of_this_state],
)


def _sarsa_update(q, state, action, reward, after, next_action, alpha, gamma):
    future = 0.0 if after < 0 else q[after, next_action]
    return _moved(q, state, action, reward + gamma * future, alpha)


def _best_instead(q, state, action, reward, after, next_action, alpha, gamma):
    return _q_update(q, state, action, reward, after, alpha, gamma)


def _in_this_state(q, state, action, reward, after, next_action, alpha, gamma):
    """Document 000's slip: the next token, valued in the present state."""
    future = 0.0 if after < 0 else q[state, next_action]
    return _moved(q, state, action, reward + gamma * future, alpha)


SARSA_UPDATE = Exercise(
    "sarsa_update",
    expected=_sarsa_update,
    cases=[
        (Q, 0, 1, 0.0, 2, 0, 0.5, 1.0),
        (Q, 0, 1, 0.0, 2, 1, 0.5, 1.0),
        (Q, 2, 0, 1.0, -1, 0, 0.2, 1.0),
        (Q, 1, 2, -1.0, 3, 2, 1.0, 0.9),
    ],
    hint="The token that is really chosen next is valued in the next state.",
    wrong=[_best_instead, _in_this_state],
)
