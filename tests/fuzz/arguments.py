"""Arguments by kind: other forms of the same value, and what must be refused.

A kind gives, by label: `same`, forms that must give the valid call's result; `either`,
forms that may also be refused by name; `bad` and `drawn`, values and strategies of
values that must be refused.  A flag is read for its truth, as Python does it, and has
no bad values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

NAN, INF = float("nan"), float("inf")
CHAT = [{"role": "user", "content": "a b"}]


class Thing:
    """What no function expects."""

    def __repr__(self):
        return "Thing()"


ANYTHING = {"None": None, "text": "ten", "object": Thing()}
# Where the sizes of an array are its own: what is then no mistake.
SIZES = ("shorter", "fewer rows", "more rows", "one row", "column", "shape")
FREE = (*SIZES, "flat", "extra axis", "empty")  # where its rank is its own, too


@dataclass(frozen=True)
class Argument:
    """A valid value; `made`: a function of the half that makes it anew; `tensor`: in
    the frameworks it is one; `thing`: an object with methods, or a function."""

    value: Any
    same: dict = field(default_factory=dict)
    either: dict = field(default_factory=dict)
    bad: dict = field(default_factory=dict)
    drawn: dict = field(default_factory=dict)
    made: bool = False
    tensor: bool = False
    thing: bool = False

    def but(self, *labels):
        """Without some replacements."""
        parts = {
            part: {k: v for k, v in getattr(self, part).items() if k not in labels}
            for part in ("same", "either", "bad", "drawn")
        }
        return replace(self, **parts)

    def plus(self, **bad):
        """With further bad values."""
        return replace(self, bad=self.bad | bad)


def optional(argument):
    """None is valid, too."""
    return argument.but("None")


def of_numpy(argument):
    """An array in the frameworks as well."""
    return replace(argument, tensor=False)


# --- Arrays -----------------------------------------------------------------


def array(value, same=(), either=(), bad=(), drawn=()):
    """An array of fixed shape."""
    value = np.asarray(value)
    rows, frozen, objects = value.tolist(), value.copy(), value.astype(object)
    frozen.flags.writeable, objects.flat[0] = False, None
    forms = {
        "list": rows,
        "tuple": tuple(map(tuple, rows)) if value.ndim == 2 else tuple(rows),
        "Fortran": np.asfortranarray(value),
        "strided": np.repeat(value, 2, axis=-1)[..., ::2],
        "read-only": frozen,
    }
    wrong = {
        "flat": value.ravel(),
        "extra axis": value[..., None],
        "shorter": value[..., :-1],
        "fewer rows": value[:-1],
        "more rows": np.concatenate([value, value]),
        "one row": value[:1],
        "column": value[..., :1],
        "empty": value[:0],
    }
    wrong = {k: v for k, v in wrong.items() if v.shape != value.shape}
    wrong |= ANYTHING | {
        "number": value.flat[0].item(),
        "ragged": [rows, rows[0]],
        "complex": value + 1j,
        "strings": value.astype(str),
        "objects": objects,
        "huge": np.where(value == value.flat[0], 10**400, objects),
    }
    shapes = array_shapes(min_dims=0, max_dims=4, max_side=5)
    shapes = shapes.filter(lambda shape: shape != value.shape)
    drawn = {"shape": shapes.map(partial(np.resize, value))} | dict(drawn)
    either, bad = dict(either), wrong | dict(bad)
    return Argument(value, forms | dict(same), either, bad, drawn, tensor=True)


def put(value, entry, row=0, dtype=float):
    """The array with another first entry in a row."""
    changed = np.array(value, dtype=dtype)
    changed.reshape(len(value), -1)[row, 0] = entry
    return changed


def inside(value, entries):
    """Strategy: one of the entries at the beginning of some row."""
    rows = st.integers(0, len(value) - 1)
    return st.builds(partial(put, value), entries, rows)


def floats(*shape, top=3):
    """Finite floats, exact in half precision, at most top / 4."""
    value = (np.arange(np.prod(shape)) * 5 % 7 + top - 6).reshape(shape) / 4
    either = {"float32": np.float32(value), "float16": np.float16(value)}
    bad = {"nan": put(value, NAN), "inf": put(value, INF), "-inf": put(value, -INF)}
    drawn = {"nan inside": inside(value, st.just(NAN))}
    drawn["infinite"] = inside(value, st.sampled_from([INF, -INF]))
    return array(value, either=either, bad=bad, drawn=drawn)


def mask(value):
    """Ones and zeros."""
    value = np.asarray(value, dtype=float)
    same = {t: value.astype(t) for t in ("float32", "int64", "int32", "bool")}
    numbers = {"-1": -1, "2": 2, "half": 0.5, "nan": NAN}
    bad = {k: put(value, v) for k, v in numbers.items()}
    # What single precision takes for 0 or 1 is.
    other = st.floats(allow_nan=True)
    other = other.filter(lambda x: not min(abs(x), abs(x - 1)) < 1e-6)
    return array(value, same, bad=bad, drawn={"other": inside(value, other)})


def ended(value):
    """A mask: in each row ones, then zeros."""
    return mask(value).plus(hole=put(value, 0), zeros=np.zeros(np.shape(value)))


def ids(value, low, high):
    """Integers from low on and, where there is one, below high."""
    value, outside = np.asarray(value), st.integers(-(2**31), low - 1)
    same = {"int32": value.astype("int32")}
    either = {"uint8": value.astype("uint8"), "float": value.astype(float)}
    bad = {"fraction": value + 0.5, "bool": value > low}
    bad |= {"below": put(value, low - 1, 0, int)}
    bad |= {"nan": put(value, NAN), "inf": put(value, INF)}
    if high is not None:
        bad["above"] = put(value, high, 0, int)
        outside |= st.integers(high, 2**31 - 1)
    drawn = {"outside": inside(value, outside).map(lambda x: x.astype(int))}
    return array(value, same, either, bad, drawn)


# --- Numbers, names, texts ----------------------------------------------------


def number(value, low=-INF, high=INF, open_low=False, open_high=False):
    """A finite number from low to high."""
    drawn = {}
    if low > -INF:
        drawn["below"] = st.floats(max_value=low, exclude_max=not open_low)
    if high < INF:
        drawn["above"] = st.floats(min_value=high, exclude_min=not open_high)
    bad = ANYTHING | {"nan": NAN, "inf": INF, "-inf": -INF, "bool": True}
    bad |= {"complex": 1j, "list": [value], "array": np.array([value])}
    bad |= {"digits": str(value), "huge": 10**400}
    same = {"float64": np.float64(value), "float32": np.float32(value)}
    return Argument(value, same, {"0-d": np.array(value)}, bad, drawn)


positive = partial(number, low=0, open_low=True)
share = partial(number, low=0, high=1)


def count(value, low, high=None):
    """An integer from low to high."""
    drawn = {"below": st.integers(-(2**40), low - 1)}
    bad = ANYTHING | {"nan": NAN, "inf": INF, "bool": True, "complex": 1j}
    bad |= {"list": [value], "array": np.array([value]), "digits": str(value)}
    bad |= {"fraction": value + 0.5, "-1": min(low, 0) - 1}
    if high is not None:
        drawn["above"] = st.integers(high + 1, 2**40)
        bad["huge"] = 10**30
    same = {"int64": np.int64(value), "int32": np.int32(value)}
    either = {"uint16": np.uint16(value), "float": float(value), "0-d": np.array(value)}
    return Argument(value, same, either, bad, drawn)


def flag(value):
    """A flag."""
    return Argument(value, {"bool_": np.bool_(value)})


def choice(value, *others):
    """One of some names."""
    bad = ANYTHING | {
        "nan": NAN,
        "number": 3,
        "list": [value],
        "swapped": value.swapcase(),
    }
    bad |= {"array": np.array([value, value]), "bytes": value.encode(), "empty": ""}
    other = st.text().filter(lambda name: name not in (value, *others))
    return Argument(value, {"str_": np.str_(value)}, bad=bad, drawn={"other": other})


def text(value):
    """A text of at least one character."""
    bad = {"None": None, "object": Thing(), "nan": NAN, "number": 3, "list": [value]}
    bad |= {"bytes": value.encode(), "chat": CHAT, "empty": ""}
    return Argument(value, {"str_": np.str_(value)}, bad=bad)


def texts(*value):
    """A list of texts, one for each row."""
    value, rest = list(value), list(value[1:])
    same = {"tuple": tuple(value), "array": np.array(value)}
    same |= {"objects": np.array(value, dtype=object), "Series": pd.Series(value)}
    wrong = [None, NAN, 3, value[0].encode(), CHAT, Thing()]
    bad = {"None": None, "object": Thing(), "nan": NAN, "number": 3, "text": value[0]}
    bad |= {f"{w!r:.9} inside": [w, *rest] for w in wrong}
    bad |= {"fewer": rest, "none": [], "dict": dict.fromkeys(value, 1)}
    drawn = {"inside": st.sampled_from(wrong).map(lambda w: [*value[:-1], w])}
    return Argument(value, same, bad=bad, drawn=drawn)


def only(value, **bad):
    """A value of its own kind, which everything else is not."""
    return Argument(value, bad=ANYTHING | {"number": 3, "list": [], "dict": {}} | bad)


def thing(value, **bad):
    """An object with methods, or a function: for another, Python's error will do."""
    return replace(only(value, **bad), thing=True)


def made(function, **bad):
    """The same of one that a function of the half makes for each call."""
    return replace(thing(function, **bad), made=True)


def rng():
    """A generator of NumPy."""
    state = np.random.RandomState(0)
    return made(lambda half: np.random.default_rng(0), seed=0, state=state)


def path(function):
    """Where a file or a folder is; the function makes it for each call."""
    wrong = {"None": None, "object": Thing(), "nan": NAN, "number": 3, "list": []}
    wrong |= {"empty": "", "nul": "a\0b", "no folder": "/nowhere/at/all"}
    return Argument(function, bad=wrong, made=True)
