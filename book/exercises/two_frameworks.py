"""What the answers to the chapter's exercises are compared with."""

import numpy as np

from pages.grader import Exercise

# --- Gumbel-max ---------------------------------------------------------------


def logs(probs):
    with np.errstate(divide="ignore"):
        return np.log(probs)


def draw(probs, uniform):
    """argmax of log π + g."""
    return (logs(probs) - np.log(-np.log(uniform))).argmax(axis=1)


def on_probabilities(probs, uniform):
    """The noise added to π, not to log π."""
    return (probs - np.log(-np.log(uniform))).argmax(axis=1)


def uniform_noise(probs, uniform):
    """u itself as the noise."""
    return (logs(probs) + uniform).argmax(axis=1)


def the_other_sign(probs, uniform):
    return (logs(probs) + np.log(-np.log(uniform))).argmax(axis=1)


RNG = np.random.default_rng(0)
GUMBEL = Exercise(
    "draw",
    expected=draw,
    cases=[
        (np.array([[0.5, 0.5]]), np.array([[0.2, 0.9]])),
        (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.01, 0.99], [0.99, 0.01]])),
        (RNG.dirichlet(np.ones(5), size=40), RNG.uniform(0.001, 0.999, (40, 5))),
    ],
    hint="Add -log(-log u) to the logarithm of the probability, and take the place of "
    "the largest sum in each row.",
    wrong=[on_probabilities, uniform_noise, the_other_sign],
)

# --- Adam ---------------------------------------------------------------------


def adam(gradients, rate, eps, corrected=True, first=True):
    """eq-adam, or with ε beside the uncorrected root, as Keras has it."""
    weights = m = v = np.zeros(gradients.shape[1])
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat = m / (1 - 0.9**t) if first else m
        root = np.sqrt(1 - 0.999**t)
        below = np.sqrt(v) / root + (eps if corrected else eps / root)
        weights = weights - rate * m_hat / below
    return weights


def as_keras(gradients, rate, eps):
    """ε added to the root of v, not of the corrected v."""
    return adam(gradients, rate, eps, corrected=False)


def without_correction(gradients, rate, eps):
    """m as it is."""
    return adam(gradients, rate, eps, first=False)


def upwards(gradients, rate, eps):
    return -adam(gradients, rate, eps)


ADAM = Exercise(
    "adam",
    expected=lambda gradients, rate, eps: adam(gradients, rate, eps),
    cases=[
        (np.array([[1.0, -2.0]]), 0.1, 1e-8),
        (np.array([[1e-5, 1e-3]]), 0.01, 1e-5),
        (np.random.default_rng(3).normal(size=(10, 3)) * 1e-4, 0.01, 1e-5),
        (np.zeros((3, 2)), 0.01, 1e-5),
    ],
    hint="Divide m by 1 - 0.9^t and v by 1 - 0.999^t first, with t from 1, and add ε "
    "to the root of the corrected v.",
    wrong=[as_keras, without_correction, upwards],
)
