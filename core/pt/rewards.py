"""Rewards that need a model.

B batch, P prompt length, T completion length.
"""

from __future__ import annotations

import torch


@torch.no_grad()
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
    device = model.embedding.weight.device
    arrays = [
        None if a is None else torch.as_tensor(a, device=device)
        for a in (prompts, completions, mask, prompt_mask)
    ]
    return model.evaluate(*arrays)[0].cpu().numpy()
