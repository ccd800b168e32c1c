"""Models from directories in Hugging Face's layout, and back."""

from functools import partial

from core import hub
from core.pt.checkpoints import get_weights, set_weights
from core.pt.models import BERT, GPT, Decoder
from core.settings import BERTConfig, DecoderConfig, GPTConfig

_MODELS = {GPTConfig: GPT, BERTConfig: BERT, DecoderConfig: Decoder}
_HALF = _MODELS, get_weights, set_weights
load, save = partial(hub.load, _HALF), partial(hub.save, _HALF)
load.__doc__, save.__doc__ = hub.load.__doc__, hub.save.__doc__
