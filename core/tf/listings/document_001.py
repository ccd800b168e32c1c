"""Document 001's environment, and the training that its section 3 describes."""

from core.documents import LMEnvironment, sort_digits
from core.tf import models, rollout, trainers

__all__ = ["LMEnvironment", "main"]


def main() -> None:
    """Train by section 3; prints which share of unseen inputs is sorted."""
    sort_digits(models, rollout, trainers)
