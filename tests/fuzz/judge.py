"""Calls with one argument replaced at a time, and what came of each.

An outcome is "right", the valid call's result; "named", a ValueError or TypeError of
our own code that names the argument (or FileNotFoundError); "other", one that names
another argument of the call; "foreign", any other error; or "silent": another result,
or any where an error is due; "not finite", if it is one.
"""

from __future__ import annotations

import inspect
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, is_dataclass
from fnmatch import fnmatch
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.both import BOTH
from tests.fuzz import book, calls, halves
from tests.fuzz.arguments import Argument
from tests.fuzz.intended import INTENDED, NOT_FINITE, THING

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "core", ROOT / "book"


class Half(SimpleNamespace):
    """One of the frameworks; models are kept for each."""

    __hash__ = object.__hash__


HALVES = [Half(**vars(half)) for half in BOTH]
HALVES[0].tensor = torch.as_tensor  # the strides stay
# TensorFlow builds or compiles something for each call: minutes in all.
SLOW = tuple(
    f"core.tf.{m}." for m in ("adapters", "models", "pretrained", "rewards", "rollout")
)
EXPECTED = {"same": ("right",), "either": ("right", "named")}
EXPECTED |= {"bad": ("named",), "drawn": ("named",)}


@dataclass(frozen=True)
class Outcome:
    call: str  # the function's full name, and a note
    argument: str
    group: str  # "same", "either", "bad" or "drawn"
    label: str  # of the replacement
    kind: str  # "right", "named", "other", "foreign", "not finite" or "silent"
    told: str = ""  # the error, or the value that passed
    thing: bool = False  # whether the argument is an object or a function

    @property
    def place(self):
        return self.call, self.argument, self.label

    @property
    def reason(self):
        """Why it may be so, or None."""
        if self.group == "same":
            return None
        if self.thing and self.kind == "foreign":
            return THING
        if self.kind == "not finite" and self.label.startswith(("nan", "inf", "-inf")):
            return NOT_FINITE
        found = (
            reason
            for pattern, reason in INTENDED.items()
            if all(map(fnmatch, self.place, pattern[:3])) and self.kind in pattern[3]
        )
        return next(found, None)

    @property
    def wrong(self):
        return self.kind not in EXPECTED[self.group] and not self.reason


@dataclass(frozen=True)
class Call:
    name: str
    function: Callable
    arguments: dict[str, Argument]
    half: Any = None

    def __call__(self, changed: str = "", value: Any = None):
        """The result as plain arrays, with one argument replaced."""
        arguments = {name: self.given(a) for name, a in self.arguments.items()}
        if changed:
            arguments[changed] = self.tensor(self.arguments[changed], value)
        return plain(self.function(**arguments))

    def given(self, argument: Argument):
        if argument.made:
            return argument.value(self.half)
        return self.tensor(argument, argument.value)

    def tensor(self, argument: Argument, value: Any):
        """As the framework takes it, where it can."""
        numeric = getattr(getattr(value, "dtype", None), "kind", "") in set("biufc")
        if isinstance(value, Form):
            return value.of(self.half)
        tensor = self.half is not None and argument.tensor and numeric
        return self.half.tensor(value) if tensor else value

    @cached_property
    def right(self):
        """The result of the valid call."""
        return self()

    @property
    def slow(self):
        return self.name.startswith(SLOW)

    def replacements(self):
        """(argument, group, label, value or strategy) of all."""
        for name, argument in self.arguments.items():
            same, either = argument.same, argument.either
            if self.half is not None and argument.tensor:
                either = either | {k: same[k] for k in ("list", "tuple")}
                either |= {k: Form(k, argument.value) for k in ("array", "variable")}
                same = {k: v for k, v in same.items() if k not in either}
            for group, part in (
                ("same", same),
                ("either", either),
                ("bad", argument.bad),
                ("drawn", argument.drawn),
            ):
                for label, value in part.items():
                    yield name, group, label, value

    def judge(self, argument: str, group: str, label: str, value: Any) -> Outcome:
        place = self.name, argument, group, label
        try:
            with warnings.catch_warnings(), chdir(calls.FOLDER.name):
                warnings.simplefilter("ignore")
                result = self(argument, value)
        except Exception as error:
            kind = "foreign"
            if named(error, *self.arguments):
                kind = "named" if named(error, argument) else "other"
            told = f"{type(error).__name__}: {error}".replace("\n", " ")
            return Outcome(*place, kind, told[:150], self.arguments[argument].thing)
        told = f"{value!r} gives {result!r}".replace("\n", " ")
        harmless = group in ("same", "either") and alike(self.right, result)
        kind = "right" if harmless else "silent"
        tensor = self.half and self.arguments[argument].tensor
        test = np.isfinite if finite(self.right) else lambda x: ~np.isnan(x)
        if tensor and kind == "silent" and not finite(result, test):
            kind = "not finite"
        return Outcome(*place, kind, told[:150])


@dataclass(frozen=True)
class Form:
    """An array that stays one, or a tensor that takes a gradient."""

    kind: str
    array: Any

    def of(self, half: Any):
        if self.kind == "array":
            return self.array
        if half.name == "tf":
            return tf.Variable(self.array)
        tensor = torch.tensor(self.array)
        return tensor.requires_grad_(tensor.is_floating_point())


def named(error: Exception, *arguments: str) -> bool:
    """Whether our own code raised it and it names one of the arguments."""
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    ours = any(last.is_relative_to(folder) for folder in OURS)
    kind = isinstance(error, (ValueError, TypeError, FileNotFoundError))
    words = rf"\b({'|'.join(arguments)})\b"
    return ours and kind and bool(re.search(words, str(error)))


def plain(result: Any) -> Any:
    """A result as numbers, texts and arrays in lists."""
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    if isinstance(result, (tf.Tensor, tf.Variable)):
        return result.numpy()
    if isinstance(result, (list, tuple)):
        return [plain(part) for part in result]
    if isinstance(result, dict):
        return {name: plain(part) for name, part in result.items()}
    if is_dataclass(result):
        return {name: plain(part) for name, part in vars(result).items()}
    return result


def finite(result: Any, test: Callable = np.isfinite) -> bool:
    """Whether all numbers of a result are, or pass another test."""
    if isinstance(result, (list, dict)):
        parts = result.values() if isinstance(result, dict) else result
        return all(finite(part, test) for part in parts)
    kind = np.asarray(result).dtype.kind
    return kind not in "fc" or bool(np.all(test(result)))


def alike(first: Any, second: Any) -> bool:
    """Whether two results are the same up to single precision."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(
            alike(first[name], second[name]) for name in first
        )
    if isinstance(first, list):
        return len(first) == len(second) and all(map(alike, first, second))
    if isinstance(first, (int, float, np.ndarray, np.generic)):
        same = np.shape(first) == np.shape(second)
        return same and np.allclose(first, second, rtol=2e-3, atol=2e-3)
    return first == second if isinstance(first, str) else type(first) is type(second)


# --- All of them --------------------------------------------------------------


def table():
    """The calls by name, those of the frameworks once for each, and what is missing:
    parameters without a kind, and parts that do not exist."""
    modules = [(None, name, calls) for name in calls.CALLS]
    modules += [(None, name, book) for name in book.CALLS]
    modules += [(half, name, halves) for name in halves.CALLS for half in HALVES]
    found, missing, parts, seen = {}, [], set(), set()
    for half, name, tables in modules:
        full = f"core.{half.name}.{name}" if half else name
        module, kinds = import_module(full), tables.CALLS[name]
        if half:
            setattr(half, name, module)
        inner = tables.PARTS.get(f"core.*.{name}" if half else name, "").split()
        parts |= {(name, part) for part in inner}
        names = dict.fromkeys(public(module))
        seen |= {(name, part) for part in names}
        names |= dict.fromkeys(k for k, v in kinds.items() if isinstance(v, dict))
        common = calls.COMMON | (halves.COMMON if half else {})
        for function in names:
            if function not in inner:
                call, without = called(module, function, common | kinds, half, tables)
                found[call.name] = call
                missing += [f"{call.name}, {parameter}" for parameter in without]
    return found, missing + [f"no part {name}.{part}" for name, part in parts - seen]


def called(module: Any, name: str, kinds: dict, half: Any, tables: Any):
    """The call of a function, and its parameters that have no kind."""
    function, path = module, name.split(" ")[0].split(".")
    own, arguments, without = kinds.get(name), {}, []
    own = own if isinstance(own, dict) else {}  # or the kind of a parameter
    for part in path:
        function = getattr(function, part)
    for parameter in inspect.signature(function).parameters.values():
        place = parameter.name
        kind = own.get(place, kinds.get(place))
        if place == "self" and "self" not in own:
            kind = vars(tables).get("SELF", calls.SELF).get(path[0])
        if isinstance(kind, Argument):
            arguments[place] = kind
        elif kind is None and parameter.default is inspect.Parameter.empty:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                without.append(place)
    arguments |= {k: v for k, v in own.items() if isinstance(v, Argument)}
    how, bare = own.get("_"), function
    if how:
        function = lambda **given: how(bare, **given)  # noqa: E731
    return Call(f"{module.__name__}.{name}", function, arguments, half), without


def public(module: Any):
    """Names of its own functions, classes, and methods with parameters."""
    for name, value in vars(module).items():
        own = getattr(value, "__module__", None) == module.__name__
        if name.startswith("_") or not (own and callable(value)):
            continue
        yield name
        for method in list(vars(value)) if isinstance(value, type) else ():
            function = getattr(value, method)
            routine = inspect.isroutine(function) and callable(function)
            if method.startswith("_") or not routine:
                continue
            if set(inspect.signature(function).parameters) - {"self"}:
                yield f"{name}.{method}"


def examine(call: Call, examples: int, derandomize: bool = True) -> list[Outcome]:
    """All fixed replacements, and as many of each strategy as `examples`."""
    found: list[Outcome] = []
    call.right  # noqa: B018  the valid call must not fail
    parts = list(call.replacements())
    for argument, group, label, value in parts:
        if group != "drawn":
            found.append(call.judge(argument, group, label, value))
    drawn = [
        st.tuples(st.just(name), st.just(group), st.just(label), strategy)
        for name, group, label, strategy in parts
        if group == "drawn"
    ]
    if drawn:

        @settings(
            max_examples=examples * len(drawn),
            derandomize=derandomize,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.one_of(drawn))
        def run(replacement):
            found.append(call.judge(*replacement))

        run()
    return found


def differences(outcomes: list[Outcome]) -> list[str]:
    """Where one half takes what the other refuses; fixed replacements only."""
    kinds: dict[tuple, dict] = {}
    for o in outcomes:
        match = re.match(r"core\.(pt|tf)\.(.*)", o.call)
        if match and o.group != "drawn" and not o.reason:
            place = match[2], o.argument, o.label
            kinds.setdefault(place, {})[match[1]] = o.kind
    taken = dict.fromkeys(("right", "silent", "not finite"), "takes it")
    said = {
        place: {half: taken.get(kind, "refuses it") for half, kind in both.items()}
        for place, both in kinds.items()
    }
    return [
        f"{place[0]}, {place[1]}, {place[2]}: pt {both['pt']}, tf {both['tf']}"
        for place, both in said.items()
        if len(both) == 2 and both["pt"] != both["tf"]
    ]


def report(outcomes: list[Outcome]):
    """The table, as lines of text."""
    kinds = ("right", "named", "other", "foreign", "silent")
    counts: dict[str, Counter] = {}
    for o in outcomes:
        part = re.match(r"(core\.(?:pt|tf|rewards)\.\w+|\w+\.\w+)", o.call)
        kind = "intended" if o.reason else o.kind.replace("not finite", "silent")
        counts.setdefault(part[0], Counter())[kind] += 1
    heads = ("part", "calls", "right", "named error", "of another", "foreign", "silent")
    yield "| " + " | ".join((*heads, "by intention")) + " |"
    yield "|" + "---|" * (len(heads) + 1)
    counts["all"] = sum(counts.values(), Counter())
    for part, count in counts.items():
        numbers = [sum(count.values()), *(count[k] for k in kinds), count["intended"]]
        yield f"| {part} | " + " | ".join(map(str, numbers)) + " |"


def findings(outcomes: list[Outcome]) -> list[str]:
    """What is wrong, once for each replacement."""
    wrong = {o.place: o for o in outcomes if o.wrong}
    return [f"{', '.join(place)}: {o.kind}, {o.told}" for place, o in wrong.items()]
