"""Tiny directories in the place of published models, each with what makes its model
unlike the book's own: GPT-2 pads with EOS; Qwen has more rows than tokens, several EOS
and a chat template; Llama has no pad and, as a base model, no template; BERT has CLS
and SEP, no BOS and no EOS.  The weights are drawn: their texts mean nothing.
"""

import json
from pathlib import Path

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers

TEXTS = ["The robot sat in the garden.", "A duck swam by the boat.", "What is 2 + 3?"]
TEXTS += ["Where was the king?", "小明住在北京。", "小明住在哪里？", "unknown\n\n"]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "max_position_embeddings": 512}
GROUPED = SIZES | {"num_key_value_heads": 1, "tie_word_embeddings": True}
TURN = "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
TURNS = "{% for m in messages %}" + TURN + "{% endfor %}"
SYSTEM = "{% if messages[0].role != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n"
ANSWER = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
NO_THOUGHT = "{% if enable_thinking is defined and not enable_thinking %}"
NO_THOUGHT += "<think>\n\n</think>\n\n{% endif %}"
MORE_ROWS = 24


def directories(root):
    """A directory in `root` for each name, made now: {name: Path}."""
    root, texts = Path(root), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    made = {
        "openai-community/gpt2": (gpt2, root / "gpt2"),
        "Qwen/Qwen2.5-0.5B": (qwen, root / "qwen2", "qwen2", texts, 0),
        "Qwen/Qwen2.5-0.5B-Instruct": (qwen, root / "qwen2i", "qwen2", texts, 2),
        "Qwen/Qwen3-0.6B": (qwen, root / "qwen3", "qwen3", texts, 2),
        "meta-llama/Llama-3.2-1B": (llama, root / "llama"),
        "google-bert/bert-base-uncased": (bert, root / "bert"),
    }
    for function, folder, *rest in made.values():
        folder.mkdir()
        function(folder, *rest)
    return {name: folder for name, (_, folder, *_) in made.items()}


def download(made):
    """What stands in for `huggingface_hub.snapshot_download`."""

    def snapshot_download(name, allow_patterns=None, **_):
        if name not in made:
            raise FileNotFoundError(f"{name}: no such model in the tests")
        return str(made[name])

    return snapshot_download


def byte_level(special, plain=()):
    """A BPE over bytes whose further tokens stand behind the others, as Qwen's."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    backend.add_special_tokens(list(special))
    backend.add_tokens(list(plain))
    return backend


def gpt2(folder):
    backend = byte_level(["<|endoftext|>"])
    backend.save(str(folder / "tokenizer.json"))
    end = backend.token_to_id("<|endoftext|>")
    put(folder, "tokenizer_config", model_max_length=512)
    config = transformers.GPT2Config(
        vocab_size=backend.get_vocab_size(),
        n_positions=512,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=end,
        eos_token_id=end,
    )
    model(folder, transformers.GPT2LMHeadModel, config)


def qwen(folder, kind, special, end):
    """end: which of the special tokens is the tokenizer's EOS; chats end with two."""
    plain = ["<think>", "</think>"] if kind == "qwen3" else []
    backend = byte_level(special, plain)
    backend.save(str(folder / "tokenizer.json"))
    thought = NO_THOUGHT if plain else ""
    system = "" if plain else SYSTEM + "{% endif %}"
    put(
        folder,
        "tokenizer_config",
        tokenizer_class="Qwen2Tokenizer",
        eos_token=special[end],
        pad_token=special[0],
        chat_template=system + TURNS + ANSWER + thought,
    )
    ids = [backend.token_to_id(special[i]) for i in dict.fromkeys([end, 0])]
    rows = backend.get_vocab_size() + MORE_ROWS
    configs = {"qwen2": transformers.Qwen2Config, "qwen3": transformers.Qwen3Config}
    heads = {"head_dim": 8} if kind == "qwen3" else {}
    config = configs[kind](
        vocab_size=rows, bos_token_id=ids[-1], eos_token_id=ids[0], **GROUPED, **heads
    )
    classes = {"qwen2": transformers.Qwen2ForCausalLM}
    classes |= {"qwen3": transformers.Qwen3ForCausalLM}
    model(folder, classes[kind], config)
    put(folder, "generation_config", eos_token_id=ids, pad_token_id=ids[-1])


def llama(folder):
    begin, end = special = "<|begin_of_text|>", "<|end_of_text|>"
    backend = byte_level(special)
    backend.save(str(folder / "tokenizer.json"))
    put(
        folder,
        "tokenizer_config",
        tokenizer_class="PreTrainedTokenizerFast",
        bos_token=begin,
        eos_token=end,
    )
    config = transformers.LlamaConfig(
        vocab_size=backend.get_vocab_size(),
        bos_token_id=backend.token_to_id(begin),
        eos_token_id=backend.token_to_id(end),
        **GROUPED,
    )
    model(folder, transformers.LlamaForCausalLM, config)


def bert(folder):
    letters = sorted({c for text in TEXTS for c in text.lower() if not c.isspace()})
    words = sorted({w.strip(".?") for text in TEXTS for w in text.lower().split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    pieces += [f"##{c}" for c in letters] + [w for w in words if len(w) > 1]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)), "utf-8")
    put(folder, "tokenizer_config", do_lower_case=True, tokenizer_class="BertTokenizer")
    size = len(dict.fromkeys(pieces))
    config = transformers.BertConfig(vocab_size=size, pad_token_id=0, **SIZES)
    model(folder, transformers.BertForMaskedLM, config)


def model(folder, kind, config):
    """Weights that are not all about 0, so that the texts differ."""
    torch.manual_seed(0)
    made = kind(config)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    made.save_pretrained(folder)


def put(folder, name, **told):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
