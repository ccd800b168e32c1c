"""Q-learning with a network: a policy's logits, read as action values."""

import torch

from core.pt import checkpoints
from core.pt.losses import q_loss
from core.pt.rollout import rollout
from core.pt.trainers import adam, clipped_gradients, descend, tensor_like
from core.trainers import dqn


class DQNTrainer(dqn.DQNTrainer):
    """`core.trainers.dqn.DQNTrainer`, with its gradients."""

    _checkpoints, _rollout = checkpoints, staticmethod(rollout)
    _adam, _descend = staticmethod(adam), staticmethod(descend)

    @torch.no_grad()
    def _values(self, network, inputs):
        """Q(s_0 .. s_T, ·) as NumPy, (B, T + 1, V)."""
        logits = network(tensor_like(inputs, network))[0]
        return logits[:, -self.env.max_length - 1 :].cpu().numpy()

    def _gradients(self, *arrays):
        """Clipped gradients, their norms before, and metrics."""
        tensors = [tensor_like(array, self.policy) for array in arrays]
        norm = self.config.max_grad_norm
        return clipped_gradients(lambda: self._loss(*tensors), self.optimizers, norm)

    def _loss(self, inputs, completions, targets, mask):
        q = self.policy(inputs)[0][:, -self.env.max_length - 1 : -1]
        loss = q_loss(q, completions, targets, mask)
        best = (q.max(dim=-1).values * mask).sum()
        return loss, {"q": best / mask.sum()}
