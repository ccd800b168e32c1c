"""Checks of arguments, each once: `positive(rate=rate)` names what it checks.

All raise ValueError; the message names the argument and what was expected, and where
it helps what came.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np


def require(holds: object, message: str) -> None:
    """Raise ValueError(message) unless `holds` is true."""
    if not holds:
        raise ValueError(message)


@contextmanager
def about(what: object, *kinds: type[Exception]) -> Iterator[None]:
    """Turn an error of these kinds, or of any, into ValueError("what: error")."""
    try:
        yield
    except tuple(kinds or [Exception]) as error:
        raise ValueError(f"{what}: {error}") from error


# --- Numbers and names ------------------------------------------------------


def one_of(allowed: Collection, **values: object) -> None:
    """Each value is one of a tuple."""
    for name, value in values.items():
        require(value in allowed, f"{name}: expected one of {allowed}, got {value!r}")


def finite(**values: float) -> None:
    """Each number is neither infinite nor NaN."""
    for name, value in values.items():
        require(math.isfinite(value), f"{name}: expected a finite number, got {value}")


def positive(**values: float) -> None:
    """Each number is more than 0."""
    for name, value in values.items():
        require(value > 0, f"{name}: expected a positive number, got {value}")


def at_least(least: float, **values: float | None) -> None:
    """Each number is at least `least`; None passes."""
    for name, value in values.items():
        holds = value is None or value >= least
        require(holds, f"{name}: expected at least {least}, got {value}")


def unit_interval(**values: float) -> None:
    """Each number lies in [0, 1]."""
    for name, value in values.items():
        require(0 <= value <= 1, f"{name}: expected a number in [0, 1], got {value}")


def share(**values: float) -> None:
    """Each number lies in (0, 1]."""
    for name, value in values.items():
        require(0 < value <= 1, f"{name}: expected a number in (0, 1], got {value}")


def token_id(size: int, **values: int | None) -> None:
    """Each is a token id of a vocabulary of `size`; None passes."""
    for name, value in values.items():
        holds = value is None or 0 <= value < size
        require(holds, f"{name}: expected a token id in [0, {size}), got {value}")


def groups(group_size: int, rows: int, what: str = "rows") -> None:
    """The rows split into groups of `group_size`, at least 2."""
    require(
        group_size >= 2 and rows % group_size == 0,
        f"group_size: expected at least 2 and a divisor of {rows} {what}, "
        f"got {group_size}",
    )


def divisor(whole: int, of: str, **values: int) -> None:
    """Each number divides `whole`, which the message calls `of`."""
    for name, value in values.items():
        holds = value >= 1 and whole % value == 0
        require(holds, f"{name}: expected a divisor of {of} {whole}, got {value}")


# --- Arrays of either framework, and NumPy's ---------------------------------


def same_shape(**arrays: Any) -> None:
    """All have one shape, that of a batch (B, T) of tokens or (B,) of rows."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    require(len(set(shapes.values())) <= 1, f"expected one shape, got {shapes}")


def shape(expected: tuple, of: str = "", /, **arrays: Any) -> None:
    """Each array has the shape `expected`; the message says whose that is, `of`."""
    for name, array in arrays.items():
        found = np.shape(array)
        what = f"shape of {of} {expected}" if of else f"shape {expected}"
        require(found == expected, f"{name}: expected the {what}, got {found}")


def ratio(ratio: Any, advantages: Any) -> None:
    """A ratio of each token, (B, T), or of each row, (B, 1)."""
    batch, length = advantages.shape
    found = tuple(ratio.shape)
    require(
        found in ((batch, length), (batch, 1)),
        f"ratio: expected ({batch}, {length}) or ({batch}, 1), got {found}",
    )


def finite_array(name: str, values: Any, expected: tuple | None = None):
    """The values as float64, where all are finite and of the shape expected."""
    values = np.asarray(values, dtype=np.float64)
    if expected is not None:
        shape(expected, **{name: values})
    if not np.isfinite(values).all():  # an array is printed slowly: only now
        raise ValueError(f"{name}: expected finite numbers, got {values}")
    return values


def weighted(functions: Iterable, weights: Any) -> list[tuple]:
    """Each function with its weight; at least one, and as many weights."""
    functions = list(functions)
    at_least(1, functions=len(functions))
    return list(zip(functions, finite_array("weights", weights, (len(functions),))))


def mask(name: str, values: Any):
    """The values (B, T) as float64: in each row ones, then zeros."""
    values = np.asarray(values, dtype=np.float64)
    found = f"got shape {values.shape}"
    require(values.ndim == 2 and values.size, f"{name}: expected (B, T), {found}")
    require(
        np.isin(values, (0, 1)).all()
        and (np.diff(values) <= 0).all()
        and values[:, 0].all(),
        f"{name}: expected ones (at least one) and then zeros in every row",
    )
    return values


def ids(name: str, values: Any, size: int):
    """The values as an int64 table (N, length) of token ids below `size`."""
    at_least(1, vocab_size=size)
    try:
        table = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: expected rows of one length") from None
    require(
        table.ndim == 2 and table.size,
        f"{name}: expected (N, length), both at least 1, got {table.shape}",
    )
    require(table.dtype.kind in "iu", f"{name}: expected integers, got {table.dtype}")
    require(
        table.min() >= 0 and table.max() < size,
        f"{name}: expected token ids in [0, {size}), "
        f"got {table.min()} to {table.max()}",
    )
    return table.astype(np.int64)


# --- What records share -----------------------------------------------------


class Record:
    """A frozen dataclass: takes plain numbers, checks them, becomes JSON."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # which JSON does not know
                value = value.item()
                object.__setattr__(self, field.name, value)
            if isinstance(value, float):
                finite(**{field.name: value})
        self._check()

    def _check(self) -> None:
        """ValueError where a number is outside its range."""

    def as_dict(self) -> dict:
        """The record's kind and its fields, as JSON keeps them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {"kind": type(self).__name__} | {
            name: value.as_dict() if isinstance(value, Record) else value
            for name, value in values.items()
        }


# --- What a model is made of, and what it reads -----------------------------


def network(
    dtype: str, vocab_size: int = 1, embedding_dim: int = 1, hidden_dim: int = 1
) -> None:
    """The precision is a known one, and each size of a network at least 1."""
    one_of(("float32", "float64"), dtype=dtype)
    at_least(
        1, vocab_size=vocab_size, embedding_dim=embedding_dim, hidden_dim=hidden_dim
    )


def positions(limit: int | None, length: int, name: str = "prompts") -> None:
    """A text, prompt and completion in all, fits into a model's positions."""
    found = f"got {length} tokens in all"
    holds = limit is None or length <= limit
    require(holds, f"{name}: expected at most the model's {limit} positions, {found}")


def group_size(prompts: Any, completions: Any) -> int:
    """B / N of completions (B, T), equally many of each of prompts (N, P)."""
    count, rows = prompts.shape[0], completions.shape[0]
    require(count and prompts.shape[1], "prompts: expected (N, P) with N, P ≥ 1")
    wanted = f"expected a multiple of the {count} prompts"
    require(rows % count == 0, f"completions: {wanted}, got {rows} rows")
    return rows // count
