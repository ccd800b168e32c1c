"""Recurrent policies, GPT, Decoder, with value heads; a network for b(X); BERT.

N prompts, B completions, B / N of each prompt one after the other; L sequence length, P
prompt, T completion, V vocabulary, D embedding width, H hidden width (recurrent) or
heads (attention), J those of keys and values, K width of a head, M tokens that are no
padding.
"""

from core.pt.models.bert import BERT
from core.pt.models.decoder import Decoder
from core.pt.models.gpt import GPT
from core.pt.models.recurrent import BaselineNetwork, LSTMAttentionPolicy, LSTMPolicy

__all__ = [
    "BERT",
    "GPT",
    "BaselineNetwork",
    "Decoder",
    "LSTMAttentionPolicy",
    "LSTMPolicy",
]
