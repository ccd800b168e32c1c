"""The same GRPO step by TRL's `GRPOTrainer`, one optimizer step a batch."""

from __future__ import annotations

import tempfile
import time

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2LMHeadModel,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer

from tests.benchmarks.models import CONFIG, EOS, GROUP, PROMPT


class Rounds(TrainerCallback):
    """Seconds of each training step; calls `between` after each of them."""

    def __init__(self, between):
        self.between, self.seconds = between, []

    def on_step_begin(self, args, state, control, **kwargs):
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        self.seconds.append(time.perf_counter() - self.start)
        if self.between is not None:
            self.between(len(self.seconds) - 1)


class EndAt(LogitsProcessor):
    """Ends row b after ends[b] tokens, and not before."""

    def __init__(self, ends):
        self.last = PROMPT + torch.from_numpy(ends) - 1

    def __call__(self, input_ids, scores):
        last = self.last == input_ids.shape[1]
        scores[:, EOS] = torch.where(last, 1e4, -1e4)
        return scores


def train(
    model, prompts, steps, max_length, ends=None, between=None, checkpointing=False
):
    """Train for some steps of 8 completions of each prompt.

    Args:
        model: `GPT2LMHeadModel`.
        prompts: (N, P) int, the prompts of every step.
        ends: function of the step to (8 N,) lengths; None: all have
            max_length, as the tokenizer's EOS is then no token of the model.
        between: called with the step's number after it, outside its time.
        checkpointing: activations computed again in the backward pass, which
            is TRL's default.
    Returns: seconds of each step.
    """
    batch = len(prompts) * GROUP
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)  # the reference is read from there
        model = GPT2LMHeadModel.from_pretrained(folder)
        if ends is not None:
            _end(model, ends)
        config = GRPOConfig(
            folder,
            use_cpu=True,
            bf16=False,
            max_steps=steps,
            gradient_checkpointing=checkpointing,
            loss_type="grpo",
            beta=0.04,
            num_generations=GROUP,
            learning_rate=1e-6,
            per_device_train_batch_size=batch,
            max_completion_length=max_length,
            lr_scheduler_type="constant",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            report_to=[],
            seed=0,
        )
        rounds = Rounds(between)
        rng = np.random.default_rng(0)
        trainer = GRPOTrainer(
            model,
            reward_funcs=lambda completions, **_: rng.random(len(completions)).tolist(),
            args=config,
            callbacks=[rounds],
            train_dataset=Dataset.from_dict(
                {
                    "prompt": steps
                    * [" ".join(f"t{token}" for token in row) for row in prompts]
                }
            ),
            processing_class=_tokenizer("end" if ends is None else f"t{EOS}"),
        )
        trainer.train()
    return rounds.seconds


def _end(model, ends):
    """Let the model's `generate` end its rows where `ends` says."""
    generate, step = model.generate, iter(range(10**6))

    def ending(**inputs):
        processors = LogitsProcessorList([EndAt(ends(next(step)))])
        return generate(logits_processor=processors, **inputs)

    model.generate = ending


def _tokenizer(eos):
    """One word for each token id; "end" is behind the model's last."""
    words = {f"t{i}": i for i in range(CONFIG.vocab_size)}
    words["end"] = CONFIG.vocab_size
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="t0", eos_token=eos, padding_side="left"
    )
