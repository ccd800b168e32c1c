"""Rules that pay for texts (`texts`) and for tokens (`tokens`); none needs a model."""

import core.rewards.texts as texts
import core.rewards.tokens as tokens
from core.rewards.texts import *  # noqa: F403
from core.rewards.tokens import *  # noqa: F403

__all__ = []
__all__ += texts.__all__
__all__ += tokens.__all__
