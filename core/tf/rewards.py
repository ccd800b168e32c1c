"""Rewards that need a model.

B batch, P prompt length, T completion length.
"""

from __future__ import annotations

import tensorflow as tf


def token_loglikelihood(model, prompts, completions, mask, prompt_mask=None):
    """How likely a frozen language model finds each token of a text.

    exp of its mean is the inverse perplexity, a coherence score in (0, 1].

    Args:
        model: GPT, of this framework; no gradient flows into it.
        prompts: NumPy (N, P) int.
        completions: NumPy (B, T) int; row i answers prompt i // (B / N).
        mask: (B, T), 1 up to and including the first EOS.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
    Returns: NumPy (B, T), log-likelihood of each token in nats, 0 where the
        mask is 0.
    """
    if not hasattr(model, "compiled_evaluate"):  # freed with the model
        model.compiled_evaluate = tf.function(model.evaluate, autograph=False)
    arrays = [
        None if a is None else tf.convert_to_tensor(a)
        for a in (prompts, completions, mask, prompt_mask)
    ]
    return model.compiled_evaluate(*arrays)[0].numpy()
