"""Rewards that need a model: likelihoods, and the scores of a reward model.

N prompts, B completions, B / N of each in turn; P prompt, T completion length.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from core import checks
from core.pt.layers import known, under
from core.rewards import terminal
from core.sampling import checked_texts
from core.types import REWARD_LEVELS


@torch.no_grad()
def token_loglikelihood(model: Any, prompts, completions, mask, prompt_mask=None):
    """How likely a frozen language model finds each token of a text.

    exp of its mean is the inverse perplexity, a coherence score in (0, 1].

    Args:
        model: GPT, of this framework; no gradient flows into it.
        prompts: NumPy (N, P) int.
        completions: NumPy (B, T) int; row i answers prompt i // (B / N).
        mask: (B, T), 1 up to and including the first EOS.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
    Returns: NumPy (B, T), log-likelihood of each token in nats, 0 where the mask is 0.
    Raises: ValueError for what `core.sampling.checked_texts` refuses.
    """
    tensor = partial(torch.as_tensor, device=model.embedding.weight.device)
    texts = checked_texts(tensor, model, prompts, completions, mask, prompt_mask)
    return model.evaluate(*texts)[0].cpu().numpy()


def token_scores(model: Any, prompts, completions, mask, prompt_mask=None):
    """What a reward model thinks of a text after each of its tokens.

    A reward model is a policy whose value head is read as a reward.  The value of the
    state behind token t has seen the prompt and the tokens up to t, and none after it.

    Args:
        model: a policy of the same framework's `models`; the gradient flows into it.
        prompts: tensor (N, P) int.
        completions: tensor (B, T) int; row i answers prompt i // (B / N).
        mask: tensor (B, T); at 0 nothing is scored, behind the last 1 nothing is read.
        prompt_mask: (N, P), 0 on padding at the left; None: no padding.
    Returns: (B, T) float, 0 where the mask is 0.
    """
    # `score` reads the tokens before each column: one more, never read.
    completions, _ = known(completions, mask)
    longer = torch.cat([completions, completions[:, -1:]], dim=1)
    _, values = model.score(prompts, longer, prompt_mask)  # (B, T + 1)
    return under(mask, values[:, 1:])


def sequence_scores(model, prompts, completions, mask, level: str, prompt_mask=None):
    """One score a text, of its tokens' scores.

    Args:
        model, prompts, completions, prompt_mask: as for `token_scores`.
        mask: tensor (B, T), 1 up to and including the first EOS.
        level: "sequence": the score after the last token under the mask, 0 without
            one; "token": the sum of the scores of all tokens.
    Returns: (B,) float; the gradient flows into the model.
    Raises: ValueError for another level.
    Source: the last token: Ouyang et al. 2022, arXiv:2203.02155.
    """
    checks.one_of(REWARD_LEVELS, level=level)
    scores = token_scores(model, prompts, completions, mask, prompt_mask)
    if level == "sequence":
        scores = under(known(scores, mask)[1] == 1, scores)  # the last alone
    return scores.sum(dim=1)


def learned_reward(model: Any, level: str) -> Callable:
    """A reward model as the reward of an environment.

    The environment's `targets` are its prompts, -1 on padding at the left.

    Args:
        model: as for `token_scores`; it is frozen here.
        level: "sequence" pays all on the last token, "token" each token its own.
    Returns: f(completions (B, T), mask (B, T), targets (B, P)) -> (B, T)
        NumPy float, as `core.batched.BatchedEnvironment` asks for.
    Raises: ValueError for another level; the reward for what `checked_texts` refuses.
    """
    checks.one_of(REWARD_LEVELS, level=level)

    @torch.no_grad()
    def reward(completions, mask, targets):
        tensor = partial(torch.as_tensor, device=model.embedding.weight.device)
        seen = np.asarray(targets) >= 0
        texts = checked_texts(tensor, model, targets, completions, mask, seen)
        scores = token_scores(model, *texts).cpu().numpy()
        if level == "token":
            return scores
        last = np.sum(mask, axis=1).astype(int) - 1
        return terminal(scores[np.arange(len(last)), last], mask)

    return reward
