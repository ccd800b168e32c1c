"""Document 000's program: an agent learns to write a text from rewards."""

import numpy as np
import torch

from core import documents
from core.documents import TextEnvironment, preprocess_data, train_agent
from core.pt.models import LSTMPolicy
from core.pt.trainers import PolicyGradientTrainer
from core.tasks import DOCUMENT_000_TEXT

__all__ = ["preprocess_data", "TextEnvironment", "TextAgent", "train_agent", "main"]


class TextAgent:
    """A policy that draws its tokens, or without `rng` takes the likeliest."""

    def __init__(self, env: TextEnvironment) -> None:
        self.env, self.rng = env, np.random.default_rng(42)
        self.model = self.build_model()
        self.trainer = documents.trainer_of(self, PolicyGradientTrainer)

    def build_model(self) -> LSTMPolicy:
        """Embedding, LSTM, one logit for each token."""
        return LSTMPolicy(len(self.env.vocabulary) + 1, 32, 64, seed=42)

    @torch.no_grad()
    def act(self, state):
        """The next token of each text, (B,)."""
        logits = self.model(torch.tensor(state))[0][:, -1].numpy()
        noise = 0 if self.rng is None else self.rng.gumbel(size=logits.shape)
        return (logits + noise).argmax(axis=1)

    def learn(self, states, actions, rewards) -> None:
        """A step of the policy gradient on whole texts, (B, T) each."""
        self.trainer.update(documents.episode(states, actions, rewards))


def main() -> None:
    """Train an agent and print what it writes."""
    agent = TextAgent(TextEnvironment(DOCUMENT_000_TEXT))
    train_agent(agent, agent.env, episodes=100)
    print("生成的文本：{}".format(documents.written_text(agent, agent.env)))
