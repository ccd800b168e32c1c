"""Document 003's policy network, which learns to continue eight texts."""

from core.documents import continue_text, generate_text, reward_function, train_model
from core.pt import rollout as pt_rollout
from core.pt import trainers as pt_trainers
from core.pt.models import LSTMAttentionPolicy

__all__ = ["PolicyNetwork", "reward_function", "train_model", "generate_text", "main"]


class PolicyNetwork(LSTMAttentionPolicy):
    """Embedding, LSTM, causal attention, one logit for each word."""

    trainer = pt_trainers.PolicyGradientTrainer
    sample = staticmethod(pt_rollout.sample)

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__(vocab_size, embedding_dim, hidden_dim=128, seed=42)


def main() -> None:
    """Train a network on the eight texts and print the document's, continued."""
    continue_text(PolicyNetwork)
