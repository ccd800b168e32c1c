"""The two frameworks under one set of names, for tests that run in both."""

import logging
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
import torch

import pages.parity  # noqa: F401  first: it sets up both frameworks
from core.pt import adapters as pt_adapters
from core.pt import checkpoints as pt_checkpoints
from core.pt import dqn as pt_dqn
from core.pt import logprobs as pt_logprobs
from core.pt import losses as pt_losses
from core.pt import models as pt_models
from core.pt import objective as pt_objective
from core.pt import preference_trainers as pt_preference_trainers
from core.pt import preferences as pt_preferences
from core.pt import rewards as pt_rewards
from core.pt import rollout as pt_rollout
from core.pt import trainers as pt_trainers
from core.tf import adapters as tf_adapters
from core.tf import checkpoints as tf_checkpoints
from core.tf import dqn as tf_dqn
from core.tf import logprobs as tf_logprobs
from core.tf import losses as tf_losses
from core.tf import models as tf_models
from core.tf import objective as tf_objective
from core.tf import preference_trainers as tf_preference_trainers
from core.tf import preferences as tf_preferences
from core.tf import rewards as tf_rewards
from core.tf import rollout as tf_rollout
from core.tf import trainers as tf_trainers


def _pt_grad(function, *arrays):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = function(*tensors)
    value.sum().backward()
    return value.detach().numpy(), [t.grad.numpy() for t in tensors]


def _tf_grad(function, *arrays):
    tensors = [tf.Variable(a) for a in arrays]
    with tf.GradientTape() as tape:
        value = function(*tensors)
        total = tf.reduce_sum(value)
    gradients = tape.gradient(total, tensors)
    return value.numpy(), [tf.convert_to_tensor(g).numpy() for g in gradients]


PT = SimpleNamespace(
    name="pt",
    tensor=torch.tensor,
    grad=_pt_grad,
    numpy=lambda t: t.detach().numpy(),
    adapters=pt_adapters,
    checkpoints=pt_checkpoints,
    dqn=pt_dqn,
    logprobs=pt_logprobs,
    losses=pt_losses,
    objective=pt_objective,
    models=pt_models,
    preferences=pt_preferences,
    rewards=pt_rewards,
    rollout=pt_rollout,
    trainers=pt_trainers,
    preference_trainers=pt_preference_trainers,
)
TF = SimpleNamespace(
    name="tf",
    tensor=tf.constant,
    grad=_tf_grad,
    numpy=lambda t: t.numpy(),
    adapters=tf_adapters,
    checkpoints=tf_checkpoints,
    dqn=tf_dqn,
    logprobs=tf_logprobs,
    losses=tf_losses,
    objective=tf_objective,
    models=tf_models,
    preferences=tf_preferences,
    rewards=tf_rewards,
    rollout=tf_rollout,
    trainers=tf_trainers,
    preference_trainers=tf_preference_trainers,
)
BOTH = [PT, TF]


def random_batch(seed=0, b=5, t=4, v=6):
    """Logits (B, T, V), tokens, mask with an early end, floats (B, T)."""
    rng = np.random.default_rng(seed)
    mask = np.ones((b, t))
    mask[0, 2:] = 0
    return SimpleNamespace(
        logits=rng.normal(size=(b, t, v)),
        ref_logits=rng.normal(size=(b, t, v)),
        tokens=rng.integers(0, v, (b, t)),
        mask=mask,
        floats=rng.normal(size=(b, t)),
    )


def traces(owner):
    """How often TensorFlow traced each function that a model or trainer keeps."""
    made = vars(owner).get("_made", {}).values()
    return [function.experimental_get_tracing_count() for function in made]


@contextmanager
def log_of_tensorflow():
    """What TensorFlow logs as a warning or worse, which core.quiet drops."""
    logger, text = tf.get_logger(), StringIO()
    level, handler = logger.level, logging.StreamHandler(text)
    logger.setLevel("WARNING")
    logger.addHandler(handler)
    yield text
    logger.removeHandler(handler)
    logger.setLevel(level)
