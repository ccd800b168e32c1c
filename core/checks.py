"""Checks of arguments, each once: `positive(rate=rate)` names what it checks.

All raise ValueError; it names the argument, what was expected and often what came.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import fields
from math import inf, ulp
from numbers import Integral, Real
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
# Numbers of Python and NumPy, and tensors without axes.  They are finite; True is none,
# and 4.0 is no integer.


def plain(value: Any) -> Any:
    """The number of an array or tensor without axes; anything else as it is."""
    if not hasattr(value, "item") and hasattr(value, "numpy"):  # TensorFlow's
        value = value.numpy()
    return value.item() if hasattr(value, "item") and not np.ndim(value) else value


def _numbers(wanted, values: dict, kind: Any = Real, least=-inf, most=inf) -> None:
    for name, value in values.items():
        value = plain(value)
        number = isinstance(value, kind) and not isinstance(value, bool)
        holds = number and (kind is Integral or abs(value) <= sys.float_info.max)
        holds = holds and least <= value <= most
        require(holds, f"{name}: expected {wanted}, got {value!r:.80}")


def one_of(allowed: Collection, **values: object) -> None:
    """Each value is one of a tuple."""
    for name, value in values.items():
        found = any(isinstance(value, type(a)) and value == a for a in allowed)
        require(found, f"{name}: expected one of {allowed}, got {value!r:.80}")


def finite(**values: float) -> None:
    """Each is a number, neither infinite nor NaN."""
    _numbers("a finite number", values)


def positive(**values: float) -> None:
    """Each number is more than 0."""
    _numbers("a positive number", values, least=ulp(0.0))


def at_least(least: float, **values: float | None) -> None:
    """Each number is at least `least`; None passes."""
    given = {name: value for name, value in values.items() if value is not None}
    _numbers(f"at least {least}", given, least=least)


def integer(least: int, **values: int | None) -> None:
    """Each is an integer of at least `least`; None passes."""
    given = {name: value for name, value in values.items() if value is not None}
    _numbers("an integer", given, Integral)
    _numbers(f"at least {least}", given, Integral, least)


def whole(least: int, **values: int) -> None:
    """As `integer`; None does not pass."""
    finite(**values)
    integer(least, **values)


def unit_interval(**values: float) -> None:
    """Each number lies in [0, 1]."""
    _numbers("a number in [0, 1]", values, least=0, most=1)


def share(**values: float) -> None:
    """Each number lies in (0, 1]."""
    _numbers("a number in (0, 1]", values, least=ulp(0.0), most=1)


def token_id(size: int, **values: int | None) -> None:
    """Each is a token id of a vocabulary of `size`; None passes."""
    given = {name: value for name, value in values.items() if value is not None}
    _numbers(f"a token id in [0, {size})", given, Integral, 0, size - 1)


def ends(size: int, eos_id: Any) -> tuple[int, ...]:
    """The ids that end a text, each below `size`: none for None, one, or several."""
    several = np.ndim(eos_id) == 1
    found = [] if eos_id is None else eos_id if several else [eos_id]
    for one in found:
        _numbers(f"a token id in [0, {size})", {"eos_id": one}, Integral, 0, size - 1)
    return tuple(dict.fromkeys(int(plain(one)) for one in found))


def groups(group_size: int, rows: int, what: str = "rows") -> None:
    """The rows split into groups of `group_size`, an integer of at least 2."""
    wanted = f"at least 2 and a divisor of {rows} {what}"
    _numbers(wanted, {"group_size": group_size}, Integral, least=2)
    holds = rows % group_size == 0
    require(holds, f"group_size: expected {wanted}, got {group_size}")


def divisor(whole: int, of: str, **values: int) -> None:
    """Each integer divides `whole`, which the message calls `of`."""
    for name, value in values.items():
        wanted = f"a divisor of {of} {whole}"
        _numbers(wanted, {name: value}, Integral, least=1)
        require(whole % value == 0, f"{name}: expected {wanted}, got {value}")


# --- Arrays of either framework, and NumPy's ---------------------------------


def same_shape(**arrays: Any) -> None:
    """All are arrays of one shape, of a batch (B, T) of tokens or (B,) of rows."""
    for name, array in arrays.items():
        wanted = f"{name}: expected an array, got {type(array).__name__}"
        require(hasattr(array, "shape"), wanted)
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    wanted = f"{', '.join(shapes)}: expected one shape"
    require(len(set(shapes.values())) <= 1, f"{wanted}, got {shapes}")


def shape(expected: tuple, of: str = "", /, **arrays: Any) -> None:
    """Each array has the shape `expected`; the message says whose that is, `of`."""
    for name, array in arrays.items():
        with about(name):  # a list of rows of several lengths has no shape
            found = np.shape(array)
        what = f"shape of {of} {expected}" if of else f"shape {expected}"
        require(found == expected, f"{name}: expected the {what}, got {found}")


def ratio(ratio: Any, advantages: Any, **clips: float) -> None:
    """A ratio of each token, (B, T), or of each row, (B, 1); clips of at least 0."""
    real(ratio=ratio, advantages=advantages)
    finite(**clips)
    at_least(0, **clips)
    found = tuple(advantages.shape)
    require(len(found) == 2, f"advantages: expected (B, T), got {found}")
    (batch, length), found = found, tuple(ratio.shape)
    wanted = f"ratio: expected ({batch}, {length}) or ({batch}, 1), got {found}"
    require(found in ((batch, length), (batch, 1)), wanted)


def chosen(of: str, values: Any, **ids: Any) -> None:
    """Numbers (..., V) called `of`, and ids (...) of one each."""
    real(**{of: values}, **ids)
    integers(**ids)
    shape(tuple(values.shape[:-1]), f"the {of}", **ids)


def finite_array(name: str, values: Any, expected: tuple | None = None):
    """The values as float64, where all are finite and of the shape expected."""
    values = floats(name, values)
    if expected is not None:
        shape(expected, **{name: values})
    if not np.isfinite(values).all():  # an array is printed slowly: only now
        raise ValueError(f"{name}: expected finite numbers, got {values}")
    return values


def floats(name: str, values: Any):
    """The values as float64; ValueError for what are no real numbers."""
    with about(name):  # a tensor that takes a gradient is read as any other
        values = np.asarray(values.detach() if hasattr(values, "detach") else values)
    kind = values.dtype
    require(kind.kind in "biuf", f"{name}: expected real numbers, got {kind}")
    return values.astype(np.float64, copy=False)


def weighted(functions: Iterable, weights: Any) -> list[tuple]:
    """Each function with its weight; at least one, and as many weights."""
    with about("functions", TypeError):
        functions = list(functions)
    at_least(1, functions=len(functions))
    require(all(map(callable, functions)), "functions: expected functions")
    return list(zip(functions, finite_array("weights", weights, (len(functions),))))


def real(**arrays: Any) -> None:
    """Each is an array or a tensor of floats, integers or bools."""
    for name, array in arrays.items():
        kind = str(getattr(array, "dtype", type(array)))
        known = any(k in kind for k in ("float", "int", "bool"))
        holds = known and hasattr(array, "shape")
        require(holds, f"{name}: expected an array of real numbers, got {kind}")


def mask(name: str, values: Any):
    """The values (B, T) as float64: in each row ones, then zeros."""
    values = floats(name, values)
    found = f"got shape {values.shape}"
    require(values.ndim == 2 and values.size, f"{name}: expected (B, T), {found}")
    holds = np.isin(values, (0, 1)).all() and (np.diff(values) <= 0).all()
    wanted = f"{name}: expected ones (at least one) and then zeros in every row"
    require(holds and values[:, 0].all(), wanted)
    return values


def written(completions: Any, seen: Any) -> tuple:
    """Integers (B, T), and the mask of them as above."""
    integers(completions=completions)
    seen = mask("mask", seen)
    shape(seen.shape, "mask", completions=completions)
    completions = np.asarray(completions)
    require((completions >= 0).all(), "completions: expected ids of at least 0")
    return completions, seen


def ids(name: str, values: Any, size: int):
    """The values as an int64 table (N, length) of token ids below `size`."""
    whole(1, vocab_size=size)
    with about(f"{name}: expected rows of one length"):
        table = np.asarray(values)
    wanted = f"{name}: expected (N, length), both at least 1, got {table.shape}"
    require(table.ndim == 2 and table.size, wanted)
    require(table.dtype.kind in "iu", f"{name}: expected integers, got {table.dtype}")
    least, most = table.min(), table.max()
    wanted = f"{name}: expected token ids in [0, {size}), got {least} to {most}"
    require(least >= 0 and most < size, wanted)
    return table.astype(np.int64)


def integers(**arrays: Any) -> None:
    """Each holds integers."""
    for name, array in arrays.items():
        with about(f"{name}: expected rows of one length"):
            kind = getattr(array, "dtype", None) or np.asarray(array).dtype
        require("int" in str(kind), f"{name}: expected integers, got {kind}")


def flags(name: str, values: Any, expected: tuple):
    """The values as booleans, where they are these or zeros and ones."""
    values = finite_array(name, values, expected)
    require(np.isin(values, (0, 1)).all(), f"{name}: expected zeros and ones")
    return values > 0


# --- Texts --------------------------------------------------------------------


def text(**values: Any) -> None:
    """Each value is a text."""
    for name, value in values.items():
        if not isinstance(value, str):  # a message would be slow where all is well
            raise ValueError(f"{name}: expected a text, got {value!r:.60}")


def texts(
    name: str, values: Any, count: int | None = None, chat: bool = False
) -> list[str]:
    """The values, a list or a column of NumPy or pandas, as a list of str.

    count: how many there should be.
    chat: a conversation, TRL's list of {"role", "content"}, is read as the content of
        the assistant's last message.
    """
    wanted = f"{name}: expected a list of {'' if count is None else f'{count} '}texts"
    bare = isinstance(values, str | bytes | Mapping | Set)
    if bare or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise ValueError(f"{wanted}, got {values!r:.60}")
    found = [_content(value) if chat else value for value in values]
    if wrong := [value for value in found if not isinstance(value, str)]:
        raise ValueError(f"{wanted}, got {wrong[0]!r:.60} in it")
    require(count in (None, len(found)), f"{wanted}, got {len(found)}")
    return [str(value) for value in found]  # NumPy's, too


def _content(value: Any) -> Any:
    """The text of a conversation; another value as it is."""
    said = []
    for message in value if isinstance(value, list | tuple) else ():
        if isinstance(message, Mapping) and message.get("role") == "assistant":
            said.append(message.get("content"))
    return said[-1] if said else value


# --- What records share -----------------------------------------------------


class Record:
    """A frozen dataclass: takes plain numbers, checks them, becomes JSON.

    Raises: ValueError for a field annotated as int, float, bool or str, alone or with
        None, that is none: 4.0 and True are no integers, NaN is no number.
    """

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            name, value = field.name, plain(getattr(self, field.name))
            object.__setattr__(self, name, value)  # NumPy's JSON does not know
            kind, *rest = str(getattr(field.type, "__name__", field.type)).split(" | ")
            if value is None and rest == ["None"]:
                continue
            if kind == "int":
                _numbers("an integer", {name: value}, Integral)
            elif kind == "float":
                _numbers("a finite number", {name: value})
            elif kind == "bool":
                one_of((True, False), **{name: value})
            elif kind == "str":
                text(**{name: value})
        self._check()

    def _check(self) -> None:
        """ValueError where a number is outside its range."""

    def as_dict(self) -> dict:
        """The record's kind and its fields, as JSON keeps them."""
        return {"kind": type(self).__name__} | {
            name: value.as_dict() if isinstance(value, Record) else value
            for name, value in vars(self).items()
        }


# --- What a model is made of, and what it reads -----------------------------


def precision(dtype: str) -> None:
    """The precision of a GPT is a known one."""
    known = ("float32", "float64", "bfloat16", "mixed_bfloat16")
    one_of(known, dtype=dtype)


def network(dtype: str, vocab_size=1, embedding_dim=1, hidden_dim=1) -> None:
    """The precision is a known one, and each size of a network at least 1."""
    one_of(("float32", "float64"), dtype=dtype)
    sizes = {"vocab_size": vocab_size, "embedding_dim": embedding_dim}
    whole(1, hidden_dim=hidden_dim, **sizes)


def positions(limit: int | None, length: int, name: str = "prompts") -> None:
    """A text, prompt and completion in all, fits into a model's positions."""
    wanted = f"{name}: expected at most the model's {limit} positions"
    require(limit is None or length <= limit, f"{wanted}, got {length} tokens in all")


def group_size(prompts: Any, completions: Any) -> int:
    """B / N of completions (B, T), equally many of each of prompts (N, P)."""
    real(prompts=prompts, completions=completions)
    integers(prompts=prompts, completions=completions)
    asked, given = tuple(prompts.shape), tuple(completions.shape)
    holds = len(asked) == 2 and 0 not in asked
    require(holds, f"prompts: expected (N, P) with N, P ≥ 1, got shape {asked}")
    require(len(given) == 2, f"completions: expected (B, T), got shape {given}")
    wanted = f"completions: expected a multiple of the {asked[0]} prompts"
    require(given[0] % asked[0] == 0, f"{wanted}, got {given[0]} rows")
    return given[0] // asked[0]
