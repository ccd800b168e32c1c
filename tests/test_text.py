"""core.text: every text comes back from its token ids."""

import doctest
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from applications.tasks import DOCUMENT_000_TEXT, continuations
from core import text, words
from core.text import (
    ByteBPETokenizer,
    CharTokenizer,
    PretrainedTokenizer,
    WordTokenizer,
)

ENGLISH = [t for side in continuations("en") for t in side]
CHINESE = [t for side in continuations("zh") for t in side]


def test_docstrings():
    results = [doctest.testmod(module) for module in (text, words)]
    assert not any(result.failed for result in results)
    assert min(result.attempted for result in results) > 3


@pytest.mark.parametrize(
    "tokenizer",
    [CharTokenizer(["ab"]), WordTokenizer(["a b"]), ByteBPETokenizer(["a b"], 259)],
)
def test_special_tokens_stand_first(tokenizer):
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.tokens[:3] == ["<pad>", "<bos>", "<eos>"]
    assert len(tokenizer) == len(tokenizer.tokens)


def test_document_000_has_16_tokens_of_which_14_differ():
    tokenizer = CharTokenizer([DOCUMENT_000_TEXT], keep_words=True)
    ids = tokenizer.encode(DOCUMENT_000_TEXT)
    assert ids == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 5, 6, 16]
    assert tokenizer.tokens[12] == "Python"
    assert tokenizer.decode(ids) == DOCUMENT_000_TEXT
    letters = CharTokenizer([DOCUMENT_000_TEXT])
    assert len(letters.encode(DOCUMENT_000_TEXT)) == 21


def test_from_tokens_takes_the_longest_token_that_fits():
    tokenizer = CharTokenizer.from_tokens(["你", "你好", "世界"])
    assert tokenizer.encode("你好世界你") == [4, 5, 3]
    assert tokenizer.decode([4, 5]) == "你好世界"


@pytest.mark.parametrize("string", ENGLISH + CHINESE)
def test_words_round_trip(string):
    tokenizer = WordTokenizer(ENGLISH + CHINESE)
    assert tokenizer.decode(tokenizer.encode(string)) == string


def test_word_spacing():
    for string in [
        "Yes, it's 3.5 km (or 2 miles): far! Is it?",
        "欢迎来到Python编程的世界，你好！",
        "Well-known words; others [see below].",
    ]:
        assert text.join_words(text.split_words(string)) == string


@pytest.mark.parametrize(
    "words, string",
    [
        (["[", "1", "]", "then", "(", "a", ")", "b"], "[1] then (a) b"),
        (["end", "!", "Next", "?", "No", ":", "x", ";", "y"], "end! Next? No: x; y"),
    ],
)
def test_a_space_follows_closing_marks(words, string):
    assert text.join_words(words) == string


@settings(deadline=None)
@given(st.text(min_size=1), st.booleans())
def test_characters_round_trip(string, keep_words):
    tokenizer = CharTokenizer([string], keep_words)
    assert tokenizer.decode(tokenizer.encode(string)) == string


BPE = ByteBPETokenizer(ENGLISH + CHINESE, 400)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_bytes_round_trip_for_any_text(string):
    assert BPE.decode(BPE.encode(string)) == string


def test_bpe_merges_frequent_pairs_and_keeps_to_its_size():
    tokenizer = ByteBPETokenizer(["low lower lowest"] * 5, 262)
    assert len(tokenizer) == 262
    assert tokenizer.tokens[259:] == ["lo", "low", "Ġlow"]
    assert len(tokenizer.encode("low")) == 1
    # The name of a special token, in a text, is text.
    ids = tokenizer.encode("<eos>")
    assert tokenizer.eos_id not in ids and tokenizer.decode(ids) == "<eos>"


def test_decode_stops_at_eos_and_skips_pad_and_bos():
    tokenizer = CharTokenizer(["abc"])
    assert tokenizer.decode([1, 3, 0, 4, 2, 5]) == "ab"
    assert tokenizer.decode(np.array([2, 3])) == ""


def test_rows_of_a_model_without_a_token_are_no_text():
    """Qwen's model has 151,936 rows, its tokenizer 151,665 tokens."""
    tokenizer = CharTokenizer(["abc"])
    assert tokenizer.ordinary([6, 3, 99, 4, 2]) == [3, 4]
    assert (tokenizer.decode([6, 3, 99, 4, 2]), tokenizer.decode([6])) == ("ab", "")


def test_encode_batch():
    tokenizer = CharTokenizer(["abc"])
    batch = tokenizer.encode_batch(["ab", "c"], 3, add_eos=True)
    assert batch.dtype == np.int64
    assert batch.tolist() == [[3, 4, 2], [5, 2, 0]]
    assert tokenizer.encode_batch(["ab"], 3).tolist() == [[3, 4, 0]]
    with pytest.raises(ValueError, match="length: expected at least 4"):
        tokenizer.encode_batch(["abc"], 3, add_eos=True)


def test_bad_input_is_named():
    tokenizer = CharTokenizer(["abc"])
    with pytest.raises(ValueError, match="text: '世' is not in the vocab"):
        tokenizer.encode("a世")
    with pytest.raises(ValueError, match="text: 'cat' is not in the vocab"):
        WordTokenizer(["a dog"]).encode("a cat")
    with pytest.raises(ValueError, match="ids: expected at least 0, got -1"):
        tokenizer.decode([3, -1])
    for cls in (CharTokenizer, WordTokenizer):
        for texts in ([], [""], "abc"):
            with pytest.raises(ValueError, match="texts: expected"):
                cls(texts)
    with pytest.raises(ValueError, match="tokens: expected at least one"):
        WordTokenizer([" "])
    for ids in ([3, 2.0], [3, math.nan], ["3"], [[3, 4]], 3, None, [None]):
        with pytest.raises(ValueError, match="^ids: expected a row of integers"):
            tokenizer.decode(ids)
    for tokens in ([], [""]):
        with pytest.raises(ValueError, match="tokens: expected at least one"):
            CharTokenizer.from_tokens(tokens)
    for tokens in (["a", "a"], ["<eos>"]):
        with pytest.raises(ValueError, match="tokens: expected .*distinct"):
            CharTokenizer.from_tokens(tokens)
    with pytest.raises(ValueError, match="vocab_size: expected at least 259"):
        ByteBPETokenizer(["a"], 100)


def test_encode_batch_on_the_left():
    tokenizer = CharTokenizer(["abc"])
    batch = tokenizer.encode_batch(["ab", "c"], 3, True, side="left")
    assert batch.tolist() == [[3, 4, 2], [0, 5, 2]]
    with pytest.raises(ValueError, match="side: expected one of ..left', 'right'"):
        tokenizer.encode_batch(["ab"], 3, side="top")


def test_encode_prompts():
    ids, mask = CharTokenizer(["abc"]).encode_prompts(["a", "abc", "bc"])
    assert ids.dtype == np.int64 and mask.dtype == np.float64
    assert ids.tolist() == [[0, 0, 3], [3, 4, 5], [0, 4, 5]]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1], [0, 1, 1]]
    for texts in ([], "abc", ["a", ""]):
        with pytest.raises(ValueError, match="texts: expected"):
            CharTokenizer(["abc"]).encode_prompts(texts)


def test_a_mask_token_has_the_last_id_and_moves_no_other():
    plain = ByteBPETokenizer(ENGLISH, 300)
    masked = ByteBPETokenizer(ENGLISH, 300, add_mask=True)
    assert masked.tokens == [*plain.tokens, "<mask>"]
    assert (plain.mask_id, masked.mask_id) == (None, 300)
    assert len(masked) == 301
    for string in (*ENGLISH, "a <mask> b"):  # the name, in a text, is text
        assert masked.encode(string) == plain.encode(string)
        assert masked.decode(masked.encode(string)) == string
    fox = masked.encode("fox")
    assert masked.ordinary([300, *fox, 300, 2, 5]) == fox
    assert masked.decode([300, *fox, 300]) == "fox"


# --- Folders --------------------------------------------------------------

NEW_TEXTS = ["The fox  isn't here, is it ?", "懒狗，你好！", "Ünïcode 🙂 \n x"]


def saved(tokenizer, folder):
    tokenizer.save(folder)
    return PretrainedTokenizer(folder)


@pytest.mark.parametrize("add_mask", [False, True])
def test_save_for_transformers_and_back(tmp_path, add_mask):
    import transformers

    tokenizer = ByteBPETokenizer(ENGLISH + CHINESE, 400, add_mask)
    read = saved(tokenizer, tmp_path / "new" / "folder")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "new" / "folder")
    assert len(read) == len(theirs) == len(tokenizer) == 400 + add_mask
    assert read.tokens == tokenizer.tokens
    for name in ("pad_id", "bos_id", "eos_id", "mask_id"):
        wanted = getattr(tokenizer, name)
        assert getattr(read, name) == wanted
        assert getattr(theirs, name.replace("_", "_token_")) == wanted
    for string in (*ENGLISH, *CHINESE, *NEW_TEXTS):
        ids = tokenizer.encode(string)
        assert read.encode(string) == theirs.encode(string) == ids
        assert read.decode(ids) == theirs.decode(ids) == string
    assert read.decode([1, *read.encode("fox"), 2, 5]) == "fox"
    batch = read.encode_batch(["fox", "a"], 6, add_eos=True)
    assert (batch == tokenizer.encode_batch(["fox", "a"], 6, True)).all()


@pytest.mark.parametrize("kind", ["gpt2", "bert", "qwen2", "llama", "t5"])
def test_what_is_saved_is_read_beside_any_model(tmp_path, kind):
    put(tmp_path, config={"model_type": kind})
    read = saved(BPE, tmp_path)
    assert read.tokens == BPE.tokens
    for string in ("It's 1234.\n\n  e\u0301", *CHINESE):
        assert read.encode(string) == BPE.encode(string)


@pytest.fixture
def gpt2(tmp_path):
    """A folder as GPT-2's: eos is bos, no pad; the special token is last."""
    from tokenizers.implementations import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(ENGLISH, 300, show_progress=False)
    trained.add_special_tokens(["<|endoftext|>"])
    trained.save(str(tmp_path / "tokenizer.json"))
    trained.save_model(str(tmp_path))  # vocab.json, merges.txt
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', "utf-8")
    vocab = json.loads((tmp_path / "vocab.json").read_text("utf-8"))
    vocab["<|endoftext|>"] = len(vocab)  # there it is in the vocabulary too
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), "utf-8")
    return tmp_path


@pytest.fixture
def bert(tmp_path):
    """A folder as BERT's: WordPiece, lower case, five special tokens."""
    from tokenizers.implementations import BertWordPieceTokenizer

    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(ENGLISH, 200, show_progress=False)
    trained.save(str(tmp_path / "tokenizer.json"))
    trained.save_model(str(tmp_path))  # vocab.txt
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    return tmp_path


def leave_out(folder, layout):
    """Drop what a folder of the old layout lacks."""
    if layout.startswith("old"):
        (folder / "tokenizer.json").unlink()
    if layout == "old, alone":
        (folder / "config.json").unlink()


@pytest.mark.parametrize("layout", ["new", "old", "old, alone", "named", "numbered"])
def test_a_folder_of_gpt2(gpt2, layout):
    leave_out(gpt2, layout)
    if layout == "named":
        eos = {"content": "<|endoftext|>", "lstrip": False}
        (gpt2 / "special_tokens_map.json").write_text(
            json.dumps({"eos_token": eos, "pad_token": "!"}), "utf-8"
        )
        (gpt2 / "tokenizer_config.json").write_text('{"pad_token": null}', "utf-8")
    if layout == "numbered":
        (gpt2 / "config.json").write_text(  # 2 is "#", 7 is "("
            '{"eos_token_id": [2, 5], "bos_token_id": 7}', "utf-8"
        )
    tokenizer = PretrainedTokenizer(gpt2)
    assert len(tokenizer) == 301
    special = (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id)
    assert special == {
        "named": (tokenizer.ids["!"], 300, 300),
        "numbered": (2, 7, 2),
    }.get(layout, (300, 300, 300))
    assert (tokenizer.mask_id, tokenizer.cls_id) == (None, None)
    for string in (*ENGLISH, *CHINESE, "two  spaces <|endoftext|>"):
        ids = tokenizer.encode(string)
        assert 300 not in ids and tokenizer.decode(ids) == string
    ids, mask = tokenizer.encode_prompts(["The fox", "The lazy dog jumps"])
    assert (ids[0] == tokenizer.pad_id).sum() == (mask[0] == 0).sum() > 0


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_a_published_tokenizer_is_saved_whole(kind, request):
    import transformers

    folder = request.getfixturevalue(kind)
    tokenizer, copy = PretrainedTokenizer(folder), folder / "copy"
    tokenizer.save(copy)
    again = PretrainedTokenizer(copy)
    theirs = transformers.AutoTokenizer.from_pretrained(copy)
    assert again.tokens == tokenizer.tokens
    for name in ("pad", "bos", "eos", "mask", "cls", "sep"):
        wanted = getattr(tokenizer, f"{name}_id")
        assert getattr(again, f"{name}_id") == wanted
        assert getattr(theirs, f"{name}_token_id") == wanted
    for string in ENGLISH:
        assert again.encode(string) == tokenizer.encode(string)


@pytest.mark.parametrize("layout", ["new", "old", "old, alone"])
def test_a_folder_of_bert(bert, layout):
    import transformers

    theirs = transformers.BertTokenizer(str(bert / "vocab.txt"))
    leave_out(bert, layout)
    tokenizer = PretrainedTokenizer(str(bert))
    names = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
    assert (
        tokenizer.pad_id,
        tokenizer.cls_id,
        tokenizer.sep_id,
        tokenizer.mask_id,
    ) == tuple(map(tokenizer.ids.get, names))
    assert tokenizer.eos_id is None and tokenizer.bos_id is None
    assert len(tokenizer) == len((bert / "vocab.txt").read_text("utf-8").split())
    for string in ENGLISH:
        ids = tokenizer.encode(string)
        assert ids == theirs.encode(string, add_special_tokens=False)
        framed = [tokenizer.cls_id, *ids, tokenizer.sep_id, tokenizer.pad_id]
        assert tokenizer.ordinary(framed) == ids
        assert tokenizer.decode(framed) == string.lower()
    with pytest.raises(ValueError, match="add_eos: this tokenizer has no EOS"):
        tokenizer.encode_batch(ENGLISH, 50, add_eos=True)


def test_cased_bert_keeps_capitals(bert):
    (bert / "tokenizer.json").unlink()
    (bert / "tokenizer_config.json").write_text('{"do_lower_case": false}', "utf-8")
    lower, unknown = PretrainedTokenizer(bert), "[UNK]"
    assert lower.encode("The")[0] == lower.ids[unknown]
    assert lower.encode("the")[0] != lower.ids[unknown]


def test_fixed_lengths_in_a_file_are_ignored(gpt2):
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(gpt2 / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=4)
    backend.save(str(gpt2 / "tokenizer.json"))
    tokenizer = PretrainedTokenizer(gpt2)
    for string in (ENGLISH[0], "a"):
        assert tokenizer.decode(tokenizer.encode(string)) == string
    assert len(tokenizer.encode("a")) == 1


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="name: there is no directory"):
        PretrainedTokenizer(tmp_path / "none")
    (tmp_path / "vocab.json").write_text("{}", "utf-8")
    with pytest.raises(FileNotFoundError, match="with tokenizer.json, or"):
        PretrainedTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="folder: no tokenizer in the files"):
        PretrainedTokenizer(tmp_path)
    BPE.bpe.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="folder: expected a pad_token or an"):
        PretrainedTokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[", "utf-8")
    with pytest.raises(ValueError, match="folder: .* is not JSON"):
        PretrainedTokenizer(tmp_path)


def put(folder, **files):
    """Write files of JSON: `config={...}` into config.json."""
    for name, told in files.items():
        (folder / f"{name}.json").write_text(json.dumps(told), "utf-8")


@pytest.fixture
def unigram(tmp_path):
    """A folder as T5's and XLM-R's: "▁" for spaces, an unknown token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = [
        ("<unk>", 0.0),
        ("</s>", 0.0),
        ("▁hi", -1.0),
        ("▁", -2.0),
        ("h", -3.0),
        ("i", -3.0),
    ]
    backend = Tokenizer(models.Unigram(words, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(["<unk>", "</s>"])
    backend.save(str(tmp_path / "tokenizer.json"))
    put(tmp_path, tokenizer_config={"eos_token": "</s>", "unk_token": "<unk>"})
    return tmp_path


@pytest.mark.parametrize("kind", ["gpt2", "bert", "unigram"])
@pytest.mark.parametrize(
    "added",
    [
        {},
        {"lstrip": True},
        {"rstrip": True},
        {"normalized": False},
        {"single_word": True},
        {"special": True},
    ],
)
def test_unknown_and_added_tokens_are_the_backends(kind, added, request):
    import transformers

    folder = request.getfixturevalue(kind)
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text("utf-8"))
    new = 1 + max(t["id"] for t in told["added_tokens"])
    new = max(new, len(told["model"]["vocab"]))
    token = {"id": new, "content": "NEW", "normalized": True}
    for name in ("single_word", "lstrip", "rstrip", "special"):
        token[name] = False
    told["added_tokens"].append(token | added)
    path.write_text(json.dumps(told), "utf-8")
    tokenizer = PretrainedTokenizer(folder)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for string in ("hi 鹂", "鹂鹂 hi", "hi NEW hi", "hi  NEW", "hiNEWhi", ""):
        ids = theirs.encode(string, add_special_tokens=False, split_special_tokens=True)
        assert tokenizer.encode(string) == ids
        pieces = tokenizer.split(string)
        assert [tokenizer.ids[piece] for piece in pieces] == ids
        assert tokenizer.join(pieces) == tokenizer.decode(ids)
    assert tokenizer.decode(tokenizer.encode("hi")) == "hi"


def test_what_cannot_be_written_is_named(tmp_path):
    from tokenizers import Tokenizer, models

    words = models.WordLevel({"a": 0, "</s>": 1}, unk_token="none")
    Tokenizer(words).save(str(tmp_path / "tokenizer.json"))
    put(tmp_path, tokenizer_config={"eos_token": "</s>"})
    assert PretrainedTokenizer(tmp_path).encode("a") == [0]
    with pytest.raises(ValueError, match="text: 'b': .*UNK"):
        PretrainedTokenizer(tmp_path).encode("b")


def test_pieces_are_joined_to_their_text(gpt2):
    tokenizer = PretrainedTokenizer(gpt2)
    pieces = tokenizer.split("The cat sat.")
    assert any("Ġ" in piece for piece in pieces)
    assert tokenizer.join(pieces) == "The cat sat."


@pytest.mark.parametrize(
    "files, wanted",
    [
        # (pad, bos, eos) of 301 tokens; the first LLaMA files have pad -1.
        ({"config": {"pad_token_id": -1, "eos_token_id": 2}}, (2, None, 2)),
        ({"config": {"pad_token_id": None, "eos_token_id": 2}}, (2, None, 2)),
        ({"config": {"eos_token_id": [5, 300]}}, (5, None, 5)),
        (
            {
                "config": {"pad_token_id": 0},
                "generation_config": {"eos_token_id": [7, 8]},
            },
            (0, None, 7),
        ),
        (
            {
                "config": {"eos_token_id": None, "bos_token_id": 4},
                "generation_config": {"eos_token_id": 7},
            },
            (7, 4, 7),
        ),
        # What the tokenizer's own files name comes first.
        (
            {
                "config": {"eos_token_id": [5, 6], "pad_token_id": 3},
                "tokenizer_config": {"eos_token": "<|endoftext|>"},
            },
            (3, None, 300),
        ),
        (
            {
                "config": {"model_type": "gpt2", "eos_token_id": 50256},
                "tokenizer_config": {"pad_token": "!"},
            },
            (0, 300, 300),
        ),
    ],
)
def test_ids_of_special_tokens(gpt2, files, wanted):
    (gpt2 / "config.json").unlink()
    put(gpt2, **files)
    tokenizer = PretrainedTokenizer(gpt2)
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) == wanted
    ids, mask = tokenizer.encode_prompts(["The lazy dog", "a"])
    assert set(ids[mask == 0]) == {tokenizer.pad_id}


@pytest.mark.parametrize(
    "files, name",
    [
        ({"config": {"eos_token_id": 301}}, "eos_token_id"),
        ({"config": {"eos_token_id": 2.0}}, "eos_token_id"),
        ({"config": {"eos_token_id": True}}, "eos_token_id"),
        ({"config": {"eos_token_id": [2.5, 3]}}, "eos_token_id"),
        ({"config": {"eos_token_id": 2, "pad_token_id": -2}}, "pad_token_id"),
        ({"config": {"eos_token_id": 2, "bos_token_id": "2"}}, "bos_token_id"),
        (
            {"config": {"eos_token_id": 2}, "generation_config": {"pad_token_id": 301}},
            "pad_token_id",
        ),
        # A token that was added to the tokenizer and not to the model.
        (
            {
                "config": {"vocab_size": 301, "eos_token_id": 2},
                "tokenizer_config": {"pad_token": "[PAD]"},
            },
            "pad_token_id",
        ),
        ({"tokenizer_config": {"eos_token": 2}}, "folder: no token.*eos_token"),
        ({"tokenizer_config": {"eos_token": ["!"]}}, "folder: no token.*eos_tok"),
    ],
)
def test_ids_that_are_no_tokens_are_refused(gpt2, files, name):
    (gpt2 / "config.json").unlink()
    put(gpt2, **files)
    with pytest.raises(ValueError, match=f"^{name}"):
        PretrainedTokenizer(gpt2)


def test_padding_at_the_left_is_no_end(gpt2):
    """Where pad, BOS and EOS are one, as GPT-2's."""
    tokenizer = PretrainedTokenizer(gpt2)
    texts = ["The lazy dog jumps", "a", "The fox"]
    for row, string in zip(tokenizer.encode_prompts(texts)[0], texts):
        assert tokenizer.decode(row) == string
        assert tokenizer.decode([*row, 300, 5]) == string
    assert tokenizer.decode([300, 300]) == tokenizer.decode([]) == ""


def test_nothing_but_the_folder_is_read_and_no_code_run(gpt2, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: 1 / 0)
    for name in ("vocab.json", "merges.txt"):
        (gpt2 / name).unlink()
    (gpt2 / "code.py").write_text("raise SystemExit", "utf-8")
    put(
        gpt2,
        config={"model_type": "x", "auto_map": {"AutoConfig": "code.Config"}},
        tokenizer_config={"eos_token": "!"},
    )
    assert PretrainedTokenizer(gpt2).eos_id == 0
    put(
        gpt2,
        tokenizer_config={
            "eos_token": "!",
            "auto_map": {"AutoTokenizer": ["code.Tokenizer", None]},
        },
    )
    with pytest.raises(ValueError, match="folder: no tokenizer.*custom code"):
        PretrainedTokenizer(gpt2)


@pytest.mark.parametrize(
    "kind, files, message",
    [
        ("bert", {"config": {"model_type": "gpt2"}}, "GPT2Token.* no vocabulary"),
        (
            "gpt2",
            {"tokenizer_config": {"tokenizer_class": "ByT5Tokenizer"}},
            "folder: no tokenizer in the files of .*ByT5Tokenizer",
        ),
        ("gpt2", {"generation_config": []}, "generation_config.json is not JSON"),
        ("gpt2", {"tokenizer_config": 5}, "tokenizer_config.json is not JSON"),
        ("gpt2", {"special_tokens_map": 5}, "folder: no tokenizer in the files"),
    ],
)
def test_files_that_do_not_fit_are_refused(kind, files, message, request):
    folder = request.getfixturevalue(kind)
    if kind == "bert":
        (folder / "tokenizer.json").unlink()
    put(folder, **files)
    with pytest.raises(ValueError, match=message):
        PretrainedTokenizer(folder)


# --- What is a text -------------------------------------------------------------

TOKENIZERS = [CharTokenizer(["abc"]), WordTokenizer(["abc"]), BPE]


@pytest.mark.parametrize("bad", [None, math.nan, 3, b"a", ["a"]])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_one_text_is_a_str(tokenizer, bad):
    for name, call in {
        "text: expected a text": lambda: tokenizer.encode(bad),
        "texts: expected a list of texts": lambda: tokenizer.encode_batch([bad], 9),
        "texts: .* texts": lambda: tokenizer.encode_prompts(["abc", bad]),
    }.items():
        with pytest.raises(ValueError, match=f"^{name}"):
            call()
    with pytest.raises(ValueError, match="^text: expected a text"):
        words.split_words(bad)


@pytest.mark.parametrize("bad", ["abc", {"abc": 1}, {"abc"}, None, np.array([["abc"]])])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_several_texts_are_a_list(tokenizer, bad):
    """A str is no list of its characters, a conversation none of its texts."""
    chat = [[{"role": "user", "content": "abc"}]]
    for texts in (bad, chat):
        with pytest.raises(ValueError, match="^texts: expected a list of texts"):
            tokenizer.encode_batch(texts, 9)
        with pytest.raises(ValueError, match="^texts: expected a list of texts"):
            tokenizer.encode_prompts(texts)


def test_columns_are_lists_of_texts():
    for kind in (tuple, np.array, pd.Series):
        texts = kind(["ab", "c"])
        assert CharTokenizer(["abc"]).encode_batch(texts, 2).tolist() == [
            [3, 4],
            [5, 0],
        ]
        assert len(CharTokenizer(texts)) == 6


@pytest.mark.parametrize(
    "string, pieces",
    [
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("cafe\u0301-cre\u0300me.", ["cafe\u0301-cre\u0300me", "."]),
        ("हिन्दी भाषा है।", ["हिन्दी", "भाषा", "है", "।"]),
        ("यह है। वह भी।", ["यह", "है", "।", "वह", "भी", "।"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("ที่นี่", ["ที่นี่"]),
        ("好e\u0301", ["好", "e\u0301"]),
        ("❤\ufe0f", ["❤\ufe0f"]),
    ],
)
def test_marks_belong_to_their_letters(string, pieces):
    assert words.split_words(string) == pieces
    assert words.join_words(pieces) == string
    tokenizer = WordTokenizer([string])
    assert tokenizer.decode(tokenizer.encode(string)) == string


def test_every_mark_belongs_to_its_letter():
    """All of Unicode's below the emoji, nonspacing and spacing."""
    from unicodedata import category

    for code in range(0x1F000):
        if category(chr(code)).startswith("M"):
            word = f"x{chr(code)}y"
            assert words.split_words(f"{word} {word}") == [word, word]


@pytest.mark.parametrize("bad", ["ab", None, [None], [3], {"a": 1}])
def test_tokens_and_words_are_lists_of_texts(bad):
    with pytest.raises(ValueError, match="^tokens: expected a list of texts"):
        CharTokenizer.from_tokens(bad)
    with pytest.raises(ValueError, match="^words: expected a list of texts"):
        words.join_words(bad)


@pytest.mark.parametrize("length", [-1, 2.5, math.nan, math.inf, None, "2"])
def test_the_length_of_a_batch_is_a_number_of_tokens(length):
    with pytest.raises(ValueError, match="^length: expected"):
        CharTokenizer(["abc"]).encode_batch(["a"], length)
