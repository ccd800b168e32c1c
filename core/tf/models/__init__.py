"""Recurrent policies and GPT, with value heads; a network for a baseline b(X); BERT.

N prompts, B completions, B / N of each prompt one after the other; L sequence length, P
prompt, T completion, V vocabulary, D embedding width, H hidden width (recurrent) or
heads (attention), K = D / H width of a head, M tokens without padding.
"""

from core.tf.models.bert import BERT
from core.tf.models.gpt import GPT
from core.tf.models.recurrent import BaselineNetwork, LSTMAttentionPolicy, LSTMPolicy

__all__ = ["BERT", "GPT", "BaselineNetwork", "LSTMAttentionPolicy", "LSTMPolicy"]
