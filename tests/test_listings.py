"""The documents' programs: their names, their size, and what they print.

`python tests/test_listings.py` writes the grammar's file for document 004.
"""

import ast
import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from applications import grammar, text_generation
from core import documents, rewards
from core.settings import PolicyGradientConfig
from core.text import PretrainedTokenizer
from tests.test_mirror import face

ROOT = Path(__file__).resolve().parents[1]
BERT, GPT = (str(ROOT / "book" / "models" / name) for name in ("bert", "gpt"))
GRAMMAR = ROOT / "book" / "data" / "listings" / "sentences.lark"
HALVES = ("pt", "tf")
PATHS = {"000": [], "001": [], "002": [BERT], "003": []}
PATHS |= {"004": [GPT, str(GRAMMAR)]}
# What each listing defines, in its order, with its parameters: typed in from
# the documents.
DEFINED = {
    "000": {
        "preprocess_data": "text",
        "TextEnvironment": {
            "__init__": "self, text",
            "reset": "self",
            "step": "self, action",
        },
        "TextAgent": {
            "__init__": "self, env",
            "build_model": "self",
            "act": "self, state",
            "learn": "self, states, actions, rewards",
        },
        "train_agent": "agent, env, episodes=100",
        "main": "",
    },
    "001": {
        "LMEnvironment": {
            "__init__": "self, input_seq, target_seq, vocab_size",
            "step": "self, action",
            "reward_function": "self, output_seq, target_seq",
        }
    },
    "002": {"tokenizer": None, "model": None, "classify_text": "text"},
    "003": {
        "PolicyNetwork": {"__init__": "self, vocab_size, embedding_dim"},
        "reward_function": "text, target_text",
        "train_model": "policy_network, text_data, target_texts, epochs, learning_rate",
        "generate_text": "policy_network, initial_text, max_length",
    },
    "004": {"model": None, "tokenizer": None, "reward_function": "text"},
}
EACH = pytest.mark.parametrize(
    "half, number", [(half, number) for half in HALVES for number in DEFINED]
)


def program(half, number):
    return import_module(f"core.{half}.listings.document_{number}")


def order(module):
    """The public names of a module, in its order."""
    tree = ast.parse(inspect.getsource(module)).body
    names = []
    for node in tree:
        if isinstance(node, ast.Assign):
            names += [target.id for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            names.append(node.target.id)
        names += [node.name] if hasattr(node, "name") else []
    return getattr(module, "__all__", names)


def parameters(function):
    """As they are written, without annotations."""
    given = inspect.signature(function).parameters.values()
    return ", ".join(str(p.replace(annotation=inspect.Parameter.empty)) for p in given)


@EACH
def test_names_signatures_and_order(half, number):
    module, defined = program(half, number), DEFINED[number]
    assert [name for name in order(module) if name in defined] == list(defined)
    for name, expected in defined.items():
        found = getattr(module, name)
        if isinstance(expected, str):
            assert parameters(found) == expected
        elif expected:
            own = [n for n in vars(found) if n in expected]
            assert own == list(expected)
            for method, signature in expected.items():
                assert parameters(vars(found)[method]) == signature


@pytest.mark.parametrize("number", DEFINED)
def test_the_same_face(number):
    """Names, parameters, docstrings and assignments of both halves."""
    sources = [inspect.getsource(program(half, number)) for half in HALVES]
    pt, tf = (face(ast.parse(source).body) for source in sources)
    assert pt == tf


def code_lines(source):
    """How many lines there are without blank ones, comments, docstrings."""
    tree, skipped = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped |= set(range(node.lineno, node.end_lineno + 1))
    return sum(
        i not in skipped and bool(line.strip()) and not line.strip().startswith("#")
        for i, line in enumerate(source.splitlines(), 1)
    )


@EACH
def test_at_most_80_lines(half, number):
    """A half's module and its document's part of `core.documents` together."""
    shared = inspect.getsource(documents).split("# --- ")
    [part] = [p for p in shared if p.startswith(f"Document {number}")]
    part = part.partition("\n")[2]
    assert code_lines(part) + code_lines(inspect.getsource(program(half, number))) <= 80


# --- What they print ---------------------------------------------------------


@pytest.fixture(scope="module")
def printed():
    """The lines that each program prints; each is run once."""
    kept = {}

    def lines(half, number, capsys):
        if (half, number) not in kept:
            program(half, number).main(*PATHS[number])
            output = capsys.readouterr()
            assert output.err == ""
            kept[half, number] = output.out.splitlines()
        return kept[half, number]

    return lines


@pytest.mark.parametrize("half", HALVES)
def test_000_writes_the_stated_line(half, printed, capsys):
    stated = ["生成的文本：你好世界，欢迎来到Python编程的世界。"]
    assert printed(half, "000", capsys) == stated


@pytest.mark.parametrize("half", HALVES)
def test_001_sorts_unseen_inputs(half, printed, capsys):
    lines = printed(half, "001", capsys)
    assert [line.split(":")[0] for line in lines] == [
        f"Iteration {i}" for i in (0, 50, 100, 150, 200)
    ]
    shares = [float(line.split()[-1]) for line in lines]
    assert shares[0] < 0.6 and shares[-1] > shares[0] + 0.3


def test_001_starts_alike(printed, capsys):
    """The same weights, data and noise: equal at first, as rounding allows."""
    first = [printed(half, "001", capsys)[0] for half in HALVES]
    assert first[0] == first[1]


@pytest.mark.parametrize("half", HALVES)
def test_002_classifies_what_it_has_not_seen(half, printed, capsys):
    score, review, sentence = printed(half, "002", capsys)
    accuracy, f1 = (float(part.split()[-1]) for part in score.split(","))
    assert min(accuracy, f1) >= 0.9
    assert review == "The film was not boring. Label: 1"
    assert sentence.startswith("This is a sample sentence. Label: ")
    classify_text = program(half, "002").classify_text
    assert classify_text("The hotel was very poor.") == 0
    assert type(classify_text("The hotel was not poor.")) is int


@pytest.mark.parametrize("half", HALVES)
def test_003_writes_the_stated_sentence(half, printed, capsys):
    *losses, text = printed(half, "003", capsys)
    assert text == (
        "The quick brown fox jumps over the lazy dog and quickly catches "
        "the hound that chases it."
    )
    assert [line.split(":")[0] for line in losses] == [
        f"Epoch {epoch}" for epoch in range(0, 140, 20)
    ]


def test_003_starts_alike(printed, capsys):
    first = [float(printed(half, "003", capsys)[0].split()[-1]) for half in HALVES]
    assert first[0] == pytest.approx(first[1], abs=2e-3)


@pytest.mark.parametrize("half", HALVES)
def test_004_leaves_the_loop(half, printed, capsys):
    sentence = "The cat sat on the mat."
    of_sentence, loop, of_loop, text, of_text = printed(half, "004", capsys)
    assert of_sentence == "Reward: 0.93"
    assert loop == "Generated text: " + " ".join([sentence] * 5)  # section 5.4
    assert of_loop == "Reward: 0.85"
    assert float(of_text.split()[-1]) > 0.93
    assert text.startswith("Generated text: The cat sat on")
    text = text.removeprefix("Generated text: ")
    assert text_generation.repeated(text) == 0
    assert grammar.Parser("en").parses(text)


def test_004_has_the_scores_of_the_chapter():
    """Those of `applications.text_generation`, token by token."""
    tokenizer = PretrainedTokenizer(GPT)
    instant = documents.InstantReward(
        lambda prompts, completions, mask: -2.0 * mask, tokenizer, str(GRAMMAR)
    )
    rng, parser = np.random.default_rng(0), grammar.Parser("en")
    texts = grammar.corpus(20, seed=3, kind="both")
    for text in list(texts):
        words = text.split(" ")
        i, j = rng.integers(0, len(words), 2)
        words[i], words[j] = words[j], words[i]
        texts.append(" ".join(words))
    for text in texts:
        ids = np.array([tokenizer.encode(text)])
        coherence, fits = instant.of_text(text)
        theirs = text_generation.token_grammar(
            ids, np.ones(ids.shape), tokenizer, parser
        )
        np.testing.assert_array_equal(fits, theirs)
        np.testing.assert_allclose(coherence, 0.8)


# --- Their parts -------------------------------------------------------------


def test_the_environment_of_000():
    env = documents.TextEnvironment("好好Python。")
    assert env.tokens == ["好", "好", "Python", "。"]
    assert env.vocabulary == ["好", "Python", "。"]
    state, reward = env.step(np.zeros(64, dtype=int))
    assert state.shape == (64, 2) and (state[0] == [3, 0]).all()
    assert (reward == 1).all()
    _, reward = env.step(np.arange(64) % 3)
    assert (reward[:3] == [1, 0, 0]).all()
    env.reset()
    assert env.current_state.shape == (64, 1) and env.current_action is None


def test_the_environment_of_001():
    """It pays what the training pays, and keeps its states."""
    target = [5, 4, 3, 6]
    for output in ([5, 4, 3, 6], [4, 4, 3, 5], [3, 5, 6, 4]):
        env = documents.LMEnvironment([7], target, vocab_size=13)
        steps = [env.step(token) for token in output]
        found = rewards.token_position_match([output], np.ones((1, 4)), [target])
        np.testing.assert_allclose([paid for _, paid, _ in steps], found[0])
        assert [len(state[1]) for state, _, _ in steps] == [1, 2, 3, 4]
        assert [done for *_, done in steps] == [False, False, False, True]
    assert env.step(3)[2]  # and stays at its end
    with pytest.raises(ValueError, match=r"^action: expected a token id in \[0, 13\)"):
        env.step(13)
    with pytest.raises(ValueError, match="^target_seq: expected at least 1"):
        documents.LMEnvironment([7], [], vocab_size=13)


def test_the_reviews_of_002():
    """Each word stands as often in reviews for as in reviews against."""
    texts, labels = documents.reviews()
    assert len(set(texts)) == 512 and labels.mean() == 0.5
    assert dict(zip(texts, labels))["The film was not at all boring."] == 1
    words = {word for text in texts for word in text[:-1].split()}
    for word in words:
        having = [word in text[:-1].split() for text in texts]
        assert labels[having].mean() == 0.5, word


def test_the_reward_of_003():
    reward_function = documents.reward_function
    target = [3, 4, 5, 2]
    np.testing.assert_allclose(reward_function([3, 4, 5, 2], target), 0)
    np.testing.assert_allclose(reward_function([3, 9, 5, 2], target), [0, -0.25, 0, 0])
    np.testing.assert_allclose(reward_function([2], target), [-0.75])


def test_the_shared_settings():
    assert isinstance(documents.IMMEDIATE, PolicyGradientConfig)
    assert documents.IMMEDIATE.gamma == 0


# --- python -m ----------------------------------------------------------------


def run(half, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"core.{half}.listings", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )


@pytest.mark.parametrize("half", HALVES)
def test_a_program_by_its_number(half):
    done = run(half, "000")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == "生成的文本：你好世界，欢迎来到Python编程的世界。\n"


@pytest.mark.parametrize("half", HALVES)
def test_another_number(half):
    done = run(half, "005")
    assert done.returncode == 2 and done.stdout == ""
    assert f"python -m core.{half}.listings: error: argument document" in done.stderr
    assert "invalid choice: '005'" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["002"], "expected ['directory'], which are there, got []"),
        (
            ["002", "nowhere"],
            "expected ['directory'], which are there, got ['nowhere']",
        ),
        (["004", GPT], "expected ['directory', 'grammar'], which are there"),
        (["000", GPT], "expected [], which are there"),
    ],
    ids=["no path", "a missing one", "too few", "too many"],
)
def test_paths_that_are_not_there(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        documents.run("core.pt.listings", arguments)
    assert f"error: paths: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("half", HALVES)
def test_a_file_is_no_directory(half):
    with pytest.raises(FileNotFoundError, match="^name: there is no directory"):
        program(half, "002").main(str(GRAMMAR))


def test_without_lark(monkeypatch):
    monkeypatch.setitem(sys.modules, "lark", None)
    with pytest.raises(ImportError, match="^document 004 needs lark: pip install lark"):
        documents.InstantReward(None, None, str(GRAMMAR))


# --- The grammar's file --------------------------------------------------------


def lark_text():
    """The English sentences of `applications.grammar` in lark's notation."""
    rules = grammar._one_language(0)
    sentences = [name for name, alts in rules.items() if alts[0][-1] in grammar.ENDS]
    used = list(sentences)
    for name in used:
        parts = dict.fromkeys(symbol for alt in rules[name] for symbol in alt)
        used += [part for part in parts if part in rules and part not in used]
    lines = ['%ignore " "', "start: sentence+"]
    lines.append("sentence: " + " | ".join(sentences).lower())
    for name in used:
        sides = (
            " ".join(s.lower() if s in rules else f'"{s}"' for s in alt)
            for alt in rules[name]
        )
        lines.append(f"{name.lower()}: {' | '.join(sides)}")
    return "\n".join(lines) + "\n"


def test_the_grammars_file():
    assert GRAMMAR.read_text("utf-8") == lark_text()


if __name__ == "__main__":
    GRAMMAR.write_text(lark_text(), "utf-8")
