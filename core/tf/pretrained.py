"""Models from directories in Hugging Face's layout, and back."""

from functools import partial

from core import hub
from core.settings import BERTConfig, DecoderConfig, GPTConfig
from core.tf.checkpoints import get_weights, set_weights
from core.tf.models import BERT, GPT, Decoder

_MODELS = {GPTConfig: GPT, BERTConfig: BERT, DecoderConfig: Decoder}
_HALF = _MODELS, get_weights, set_weights
load, save = partial(hub.load, _HALF), partial(hub.save, _HALF)
load.__doc__, save.__doc__ = hub.load.__doc__, hub.save.__doc__
