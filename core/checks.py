"""Checks of arguments, each once: `positive(rate=rate)` names what it checks.

All raise ValueError with the argument's name, what was expected, and what
came.
"""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np


def one_of(allowed, **values):
    """Each value is one of a tuple."""
    for name, value in values.items():
        if value not in allowed:
            raise ValueError(f"{name}: expected one of {allowed}, got {value!r}")


def finite(**values):
    """Each number is neither infinite nor NaN."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}: expected a finite number, got {value}")


def positive(**values):
    """Each number is more than 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, got {value}")


def at_least(least, **values):
    """Each number is at least `least`; None passes."""
    for name, value in values.items():
        if value is not None and not value >= least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")


def unit_interval(**values):
    """Each number lies in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value}")


class Record:
    """A frozen dataclass: takes plain numbers, checks them, becomes JSON."""

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # which JSON does not know
                value = value.item()
                object.__setattr__(self, field.name, value)
            if isinstance(value, float):
                finite(**{field.name: value})
        self._check()

    def _check(self):
        """ValueError where a number is outside its range."""

    def as_dict(self):
        """The record's kind and its fields, as JSON keeps them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"kind": type(self).__name__} | {
            name: value.as_dict() if isinstance(value, Record) else value
            for name, value in values.items()
        }
