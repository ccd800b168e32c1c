"""Q-learning with a network: a policy's logits, read as action values."""

import tensorflow as tf

from core.tf import checkpoints
from core.tf.layers import compiled
from core.tf.losses import q_loss
from core.tf.rollout import rollout
from core.tf.trainers import adam, clipped_gradients, descend, tensor_like
from core.trainers import dqn


class DQNTrainer(dqn.DQNTrainer):
    """`core.trainers.dqn.DQNTrainer`, with its gradients."""

    _checkpoints, _rollout = checkpoints, staticmethod(rollout)
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    def _values(self, network, inputs):
        """Q(s_0 .. s_T, ·) as NumPy, (B, T + 1, V)."""
        read = self._read if network is self.policy else self._read_target
        logits = read(tensor_like(inputs, network))
        return logits[:, -self.env.max_length - 1 :].numpy()

    @compiled
    def _read(self, inputs):
        return self.policy(inputs)[0]

    @compiled
    def _read_target(self, inputs):
        return self.target(inputs)[0]

    def _gradients(self, *arrays):
        """Clipped gradients, their norms before, and metrics."""
        return self._compiled(*(tensor_like(a, self.policy) for a in arrays))

    @compiled
    def _compiled(self, *tensors):
        norm = self.config.max_grad_norm
        return clipped_gradients(lambda: self._loss(*tensors), self.optimizers, norm)

    def _loss(self, inputs, completions, targets, mask):
        q = self.policy(inputs)[0][:, -self.env.max_length - 1 : -1]
        loss = q_loss(q, completions, targets, mask)
        best = tf.reduce_sum(tf.reduce_max(q, axis=-1) * mask)
        return loss, {"q": best / tf.reduce_sum(mask)}
