"""The mutants: a pure module with one small mistake each, which a test must see.

cosmic-ray's operators make them, and swaps of functions that are easily confused.
`core.pt` and `core.tf` mirror each other, and a test that compares the two cannot see a
mistake made twice: wherever a function has equally many places for an operator in both,
the mistake is made in both at once.

Left out is what cannot change a number, or is an error for every number:
- annotations, of which no number comes; f-strings, which are messages of errors;
  docstrings, `__all__` and plain strings, which no operator touches;
- `strict=` of a zip, whose lengths were compared before;
- the order of texts, of which only equality means something;
- bitwise operators in the place of arithmetic; `+x` and `~x` in the place of `-x`.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
HALVES = ("pt", "tf")  # what * stands for below
# Each file with the tests that belong to it, the quick ones first.
TESTS = {
    "core/returns.py": ("test_returns", "test_algorithms"),
    "core/advantages.py": ("test_advantages", "test_algorithms"),
    "core/algorithms.py": ("test_algorithms",),
    "core/rewards/texts.py": ("test_rewards",),
    "core/rewards/tokens.py": ("test_rewards",),
    "core/mdp.py": ("test_exact",),
    "core/exact.py": ("test_exact",),
    "book/applications/tabular.py": ("applications/test_tabular",),
    "core/*/losses.py": ("test_losses", "test_silent_losses"),
    "core/*/logprobs.py": ("test_logprobs", "test_silent_losses"),
    "core/*/preferences.py": ("test_preferences", "test_silent_losses"),
}
BINARY = (
    "Add_Sub Add_Mul Sub_Add Sub_Mul Mul_Div Mul_Add Div_Mul Div_FloorDiv "
    "FloorDiv_Div Mod_Div Pow_Mul BitAnd_BitOr BitOr_BitAnd"
)
COMPARISON = (
    "Eq_NotEq Eq_GtE Eq_LtE NotEq_Eq NotEq_Gt NotEq_Lt Lt_LtE Lt_GtE "
    "LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
)
OTHERS = (
    "ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Not "
    "ReplaceUnaryOperator_Delete_Invert AddNot ReplaceTrueWithFalse "
    "ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd NumberReplacer "
    "RemoveDecorator ZeroIterationForLoop"
)
# The same confusion under the names of NumPy, PyTorch and TensorFlow.
SWAPS = {
    "sum mean": "sum:mean reduce_sum:reduce_mean",
    "mean sum": "mean:sum reduce_mean:reduce_sum",
    "min max": "min:max minimum:maximum amin:amax reduce_min:reduce_max",
    "max min": "max:min maximum:minimum argmax:argmin reduce_max:reduce_min",
    "any all": "any:all",
    "all any": "all:any",
    "zeros ones": "zeros:ones zeros_like:ones_like",
    "std var": "std:var",
    "exp expm1": "exp:expm1",
    "constant": "detach:clone stop_gradient:identity",
}


class Swap(Operator):
    """A call of one function becomes a call of another."""

    def __init__(self, pairs: str) -> None:
        self.names = dict(pair.split(":") for pair in pairs.split())

    def mutation_positions(self, node):
        called = node.type == "name" and node.get_next_leaf().value == "("
        if called and node.value in self.names:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = self.names[node.value]
        return node

    @classmethod
    def examples(cls):
        return ()


NAMES = (
    *(f"ReplaceBinaryOperator_{name}" for name in BINARY.split()),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARISON.split()),
    *OTHERS.split(),
)
ORDER = {name for name in NAMES if name.endswith(("_Lt", "_LtE", "_Gt", "_GtE"))}
OPERATORS = {name: get_operator(f"core/{name}")() for name in NAMES}
OPERATORS |= {f"swap {name}": Swap(pairs) for name, pairs in SWAPS.items()}


@dataclass(frozen=True)
class Mutant:
    """A mistake in one file, or the same in both halves."""

    module: str  # a key of TESTS
    function: str  # with the classes and functions around it
    operator: str
    literal: str  # the number that is changed, "" for what is none
    number: int  # which of such places in the function
    places: tuple[tuple[str, int], ...]  # file; which of the places in the file

    @property
    def file(self) -> str:
        """The file, with * for a mistake in both halves."""
        return self.places[0][0] if len(self.places) == 1 else self.module

    @property
    def rank(self) -> str:
        """An order without a pattern, which edits of other functions leave alone."""
        name = self.file, self.function, self.operator, self.literal, self.number
        return sha256(repr(name).encode()).hexdigest()

    def texts(self) -> dict[str, str]:
        """The files with the mistake."""
        operator = OPERATORS[self.operator]
        return {p: mutate_code(source(p), operator, n) for p, n in self.places}

    def lines(self) -> tuple[str, str]:
        """What stands in the (first) file, and what the mutant has there."""
        path, text = next(iter(self.texts().items()))
        old, new = source(path).splitlines(), text.splitlines()
        for end in (0, -1):
            while old and new and old[end] == new[end]:
                del old[end], new[end]
        return " ".join(" ".join(old).split()), " ".join(" ".join(new).split())

    def entry(self) -> dict[str, str]:
        """What survivors.toml says of it, without the reason."""
        was, becomes = self.lines()
        names = {"file": self.file, "function": self.function}
        return names | {"was": was, "becomes": becomes}


def mutants() -> list[Mutant]:
    """All of them, file by file."""
    found = []
    for module in TESTS:
        paths = dict.fromkeys(module.replace("*", half) for half in HALVES)
        columns = [places(path) for path in paths]
        for key in dict.fromkeys(key for column in columns for key in column):
            cells = [column.get(key, []) for column in columns]
            if len({len(cell) for cell in cells}) == 1:
                rows = zip(*cells)
            else:
                rows = ((place,) for cell in cells for place in cell)
            found += [Mutant(module, *key, i, row) for i, row in enumerate(rows)]
    return found


def survivors() -> list[tuple[dict[str, str], str]]:
    """The entries of the mutants that no test can kill, with the reasons."""
    rows = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]
    return [(row, row.pop("reason")) for row in rows]


@cache
def source(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def places(path: str) -> dict[tuple[str, str, str], list[tuple[str, int]]]:
    """The places of a file, by function, operator and number."""
    nodes, found = list(ast_nodes(get_ast(source(path)))), defaultdict(list)
    for name, operator in OPERATORS.items():
        acted = [node for node in nodes for _ in operator.mutation_positions(node)]
        for n, node in enumerate(acted):
            if not left_out(node) and not (name in ORDER and of_texts(node)):
                literal = node.value if node.type == "number" else ""
                found[function(node), name, literal].append((path, n))
    return found


def function(node) -> str:
    """The names of the classes and functions around a node, "" outside."""
    names = []
    for inside, parent in parents(node):
        if parent.type in ("funcdef", "classdef"):
            names.append(parent.name.value)
        elif parent.type == "decorated" and inside is not parent.children[-1]:
            names.append(parent.children[-1].name.value)
    return ".".join(reversed(names))


def left_out(node) -> bool:
    """Whether a change of the node changes no number."""
    return any(
        parent.type in ("fstring", "tfpdef")
        or (parent.type == "annassign" and inside is parent.children[1])
        or (parent.type == "funcdef" and inside is parent.annotation)
        or (parent.type == "parameters" and inside is node)  # a lone *
        or (
            parent.type == "argument"
            and parent.children[0].get_code().strip() == "strict"
        )
        for inside, parent in parents(node)
    )


def of_texts(node) -> bool:
    """Whether a comparison has a text written out on one side."""
    return any(child.type == "string" for child in node.children)


def parents(node) -> Iterator[tuple]:
    """Each node around a node, behind that of its children which holds it."""
    while node.parent is not None:
        yield node, node.parent
        node = node.parent
