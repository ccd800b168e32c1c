"""The book's page of the benchmarks, made from results.json alone."""

from __future__ import annotations

import statistics
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
PAGE, FIGURE = BOOK / "benchmarks.md", BOOK / "benchmarks.svg"
NAMES = {
    "pytorch": "PyTorch",
    "tensorflow": "TensorFlow",
    "trl": "TRL",
    "trl-default": "TRL, recomputing",
}

INTRODUCTION = """\
# Benchmarks

How fast `core` samples and trains, beside the libraries that a reader would
otherwise use: `generate` of transformers and of KerasHub, and `GRPOTrainer`
of TRL. All of it is a {layers}-layer GPT of width {width} with {vocab}
tokens: small, because the book's models are small. What holds here need not
hold for a model a thousand times larger, whose time is in its matrix
products on every side.

These numbers are of one machine, on one day. `make bench` measures them
again, in about ten minutes, and writes this page anew:

{machine}

Both sides have the same weights (their logits are compared first), the same
prompts of {prompt} tokens, the same lengths and {threads} threads. They take
turns within one process, and each number is the median of its rounds; a
ratio is the quotient of two medians. Compilation happens before the rounds
that count. OpenMP's threads wait as they do where nobody sets
`OMP_WAIT_POLICY`: they spin before they sleep.
`tests/benchmarks/results.json` has every round.
"""

SAMPLING = """\
## Sampling

{last} tokens after each prompt, from the full distribution, with no early
end. B rows are B / 8 prompts with 8 completions each, as in GRPO. Ours reads
each prompt once for its group; `generate` gets it 8 times, which is how TRL
calls it. The ratio is our rate divided by theirs.

{table}

The same with `OMP_WAIT_POLICY=passive`, where idle threads sleep at once.
Waking a thread then costs more than a small product, for both sides:

{passive}
"""

ROOFLINE = """\
## The roofline

A sampled token costs {operations:.2f} million floating-point operations,
counted from the sizes of the products (the prompt's share included). A
product of B rows with a 128 × 512 matrix, the shape of the MLP, runs at the
rate in the second column. Their quotient is the number of tokens per second
that no sampler can exceed whose products have that shape; the other columns
say what share of it each side reaches. The product of two 1024 × 1024
matrices runs at {large:.0f} GFLOP/s.

{table}
"""

GRPO = """\
## A GRPO step

16 prompts, 8 completions each: sampling, the reference policy's
log-probabilities, loss, gradient, clipping, one Adam update. TRL runs with
activation checkpointing off and in float32, so that it computes what ours
computes; both are other than its defaults. "4 to 48" means completions that
end at random, at the same places on both sides; only tokens up to the end
count.

{table}
"""

MEMORY = """\
## Memory and the first step

Peak of resident memory of a fresh process after three such steps with 48
tokens, and what of it was there after the imports. TRL's default
("recomputing") throws activations away and computes them again in the
backward pass, which takes time and saves memory; the target is set against
the setting that computes the same as ours.

{table}

TensorFlow traces and compiles its first step. From the call to the loss it
took {first:.1f} s; the target, at most {target:g} s, is {reached}.
"""

GROWTH = """\
## How the cost grows

```{{figure}} benchmarks.svg
:alt: {alt}

Left: tokens per second against the length of the completion, at B = 64.
Right: against the batch, at {last} tokens.
```

With a cache each new token reads the keys and values of all before it, so a
longer completion costs more per token, but much less than reading the text
again would. A larger batch costs less per token, as long as a product's rate
grows with its rows (the roofline above).
"""

BFLOAT16 = """\
## bfloat16

Under `torch.autocast` the matrix products of a loss and its gradient
(16 prompts, 8 completions of {last} tokens) run {ratio:.2f} times as fast as
in float32. The largest difference of a log-probability to TensorFlow's, in
nats, says what it costs; the weights are random and far from zero, so that
the distributions are not flat:

{table}

The equality of the two frameworks that the book relies on is one of float32
and float64. Training in bfloat16 gives that up.
"""


def write(results):
    """Write the page and its figure."""
    PAGE.write_text(render(results), encoding="utf-8")
    draw(results["entries"], FIGURE)


def render(results):
    """The page as MyST text."""
    entries = results["entries"]
    sections = [
        introduction(results),
        sampling(entries),
        roofline(entries),
        grpo(entries),
        memory(entries),
        growth(entries),
        bfloat16(entries),
        missed(entries),
    ]
    return "\n".join(sections)


# --- Sections --------------------------------------------------------------


def introduction(results):
    """What was measured, and on what machine."""
    from tests.benchmarks.models import CONFIG, PROMPT

    machine = results["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    rows = [
        ["processor", f"{machine['processor']}, {machine['cores']} cores"],
        ["memory", f"{machine['memory_gib']} GiB"],
        ["software", f"{machine['system']}, Python {machine['python']}, " + versions],
    ]
    return INTRODUCTION.format(
        layers=CONFIG.n_layer,
        width=CONFIG.n_embd,
        vocab=CONFIG.vocab_size,
        prompt=PROMPT,
        threads=machine["threads"],
        machine=table(["part", "here"], rows),
    )


def sampling(entries):
    """Tokens per second of all samplers."""
    head = [
        "ours in",
        "against",
        "B",
        "ours (tokens/s)",
        "theirs (tokens/s)",
        "ratio",
        "target",
        "reached",
    ]
    tables = {}
    for waiting in ("default", "passive"):
        tables[waiting] = table(
            head,
            [
                [
                    NAMES[e["framework"]],
                    e["against"],
                    e["batch"],
                    f"{rate(e):,.0f}",
                    f"{rate(e, 'theirs'):,.0f}",
                    *verdict(e),
                ]
                for e in chosen(entries, what="sampling", waiting=waiting)
            ],
        )
    last = chosen(entries, what="sampling")[0]["completion"]
    return SAMPLING.format(
        last=last, table=tables["default"], passive=tables["passive"]
    )


def roofline(entries):
    """Attainable rate, and the share of it that each side reaches."""
    products = {tuple(e["shape"]): e for e in chosen(entries, what="matrix product")}
    operations = chosen(entries, what="matrix product")[0]["operations"]
    batches = {e["batch"] for e in chosen(entries, what="sampling")}
    rows = []
    for batch in sorted(batches):
        gflops = 1 / products[batch, 128, 512]["number"]
        bound = gflops * 1e9 / operations
        found = {}
        for e in chosen(entries, what="sampling", batch=batch, waiting="default"):
            found[NAMES[e["framework"]]] = rate(e)
            found.setdefault(e["against"], rate(e, "theirs"))
        rows.append(
            [batch, f"{gflops:.0f}", f"{bound:,.0f}"]
            + [
                f"{found[name] / bound:.0%}"
                for name in ("PyTorch", "TensorFlow", "transformers", "KerasHub")
            ]
        )
    head = [
        "B",
        "GFLOP/s",
        "attainable (tokens/s)",
        "PyTorch",
        "TensorFlow",
        "transformers",
        "KerasHub",
    ]
    large = 1 / products[1024, 1024, 1024]["number"]
    return ROOFLINE.format(
        operations=operations / 1e6, large=large, table=table(head, rows)
    )


def grpo(entries):
    """Seconds of a step, ours and TRL's."""
    head = [
        "ours in",
        "tokens of a completion",
        "ours (s)",
        "TRL (s)",
        "ours (tokens/s)",
        "ratio",
        "target",
        "reached",
    ]
    return GRPO.format(
        table=table(
            head,
            [
                [
                    NAMES[e["framework"]],
                    e["completion"],
                    f"{median(e):.3f}",
                    f"{median(e, 'theirs'):.3f}",
                    f"{rate(e):,.0f}",
                    *verdict(e),
                ]
                for e in chosen(entries, what="GRPO step")
            ],
        )
    )


def memory(entries):
    """Peak of memory, and the first step in TensorFlow."""
    imported = {}
    for e in chosen(entries, what="memory", at="imported"):
        imported[e["framework"]] = median(e)
        imported[e["against"]] = median(e, "theirs")
    head = [
        "ours in",
        "against",
        "ours (MiB)",
        "of it imports",
        "theirs (MiB)",
        "of it imports",
        "ours / theirs",
        "target",
        "reached",
    ]
    rows = [
        [
            NAMES[e["framework"]],
            NAMES[e["against"]],
            f"{median(e):,.0f}",
            f"{imported[e['framework']]:,.0f}",
            f"{median(e, 'theirs'):,.0f}",
            f"{imported[e['against']]:,.0f}",
            *verdict(e),
        ]
        for e in chosen(entries, what="memory", at="peak")
    ]
    first = chosen(entries, what="first step")[0]
    return MEMORY.format(
        table=table(head, rows),
        first=first["number"],
        target=first["target"],
        reached="reached" if first["reached"] else "missed",
    )


def growth(entries):
    """The figure and what it shows."""
    kept = [e for e in chosen(entries, what="growth") if e["theirs"]]
    return GROWTH.format(
        last=chosen(entries, what="sampling")[0]["completion"],
        alt="Tokens per second of PyTorch, TensorFlow and transformers; "
        f"ours in PyTorch is {min(e['number'] for e in kept):.1f} to "
        f"{max(e['number'] for e in kept):.1f} times as fast as "
        "transformers at every length and batch.",
    )


def bfloat16(entries):
    """What autocast gains and costs, or that it was not measured."""
    found = chosen(entries, what="bfloat16")
    if not found:
        return "## bfloat16\n\nNot measured: this processor has no bfloat16 units.\n"
    e = found[0]
    rows = [[kind, f"{value:.1e}"] for kind, value in e["differences"].items()]
    return BFLOAT16.format(
        last=e["completion"],
        ratio=e["number"],
        table=table(["PyTorch in", "largest difference (nats)"], rows),
    )


# --- Targets that were missed ----------------------------------------------


def missed(entries):
    """Each missed target, with the profile that explains it."""
    lost = [e for e in entries if e["what"] != "profile" and e["reached"] is False]
    if not lost:
        return "## Targets\n\nAll were reached.\n"
    lines = ["## Targets that were missed", ""]
    lines += [
        f"- {describe(e)}: {e['number']:.3g} instead of {e['target']:g}." for e in lost
    ]
    if any(e["what"] == "sampling" for e in lost):
        lines += ["", *sampling_profile(entries)]
    if any(e["what"] in ("GRPO step", "memory", "first step") for e in lost):
        lines += ["", *step_profile(entries)]
    return "\n".join(lines) + "\n"


def describe(e):
    """An entry in words."""
    words = [e["what"], NAMES[e["framework"]]]
    if e["what"] == "sampling":
        words += [f"B = {e['batch']}"]
    if e["what"] == "GRPO step":
        words += [f"{e['completion']} tokens"]
    if "against" in e:
        words += ["against " + NAMES.get(e["against"], e["against"])]
    return ", ".join(words)


def sampling_profile(entries):
    """Where sampling spends its time, ours and transformers'."""
    lines = [
        "### Where sampling spends its time",
        "",
        "Under PyTorch's profiler, which itself slows short operations.",
        "`aten::addmm` is the products with the weights. Both sides must do",
        "them, and they alone bound the ratio: even if all else of ours took",
        "no time, it could not exceed the quotient in the last line.",
        "",
    ]
    for batch in (8, 64, 256):
        ours, theirs = (
            chosen(entries, what="profile", of="sampling", side=side, batch=batch)[0]
            for side in ("ours", "transformers")
        )
        products = dict((n, ms) for n, ms, _ in ours["rows"])["aten::addmm"]
        lines += [
            f"B = {batch}, ours: {ours['ms']:.0f} ms.",
            "",
            operations(ours),
            "",
            f"B = {batch}, transformers: {theirs['ms']:.0f} ms.",
            "",
            operations(theirs),
            "",
            f"All of transformers' time divided by our `aten::addmm`: "
            f"{theirs['ms'] / products:.1f}.",
            "",
        ]
    return lines


def step_profile(entries):
    """Where a GRPO step spends its time, in both frameworks."""
    lines = ["### Where a GRPO step spends its time", ""]
    for e in chosen(entries, what="profile", of="GRPO step"):
        lines += [
            f"PyTorch, {e['completion']} tokens, {e['ms']:.0f} ms:",
            "",
            operations(e),
            "",
        ]
    lines += [
        "TensorFlow, where a compiled loop has no operations to list:",
        "",
        table(
            ["tokens of a completion", "part", "s"],
            [
                [e["completion"], e["part"], f"{e['number']:.3f}"]
                for e in chosen(entries, what="parts")
            ],
        ),
    ]
    return lines


def operations(profile):
    """Table of the operations that take most of the time."""
    return table(
        ["operation", "ms", "share", "calls"],
        [
            [f"`{key}`", f"{ms:.1f}", f"{ms / profile['ms']:.0%}", calls]
            for key, ms, calls in profile["rows"]
        ],
    )


# --- Pieces ----------------------------------------------------------------


def summary(entries):
    """The targets as text for the terminal."""
    rows = [
        f"{describe(e):62} {e['number']:6.2f}  target {e['target']:5g}  "
        + ("reached" if e["reached"] else "missed")
        for e in entries
        if e.get("target") is not None
    ]
    return "\n".join(rows)


def draw(entries, path):
    """The growth of cost with length and batch, as SVG."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from pages import plots

    plots.use_style()
    # Text as text and ids from a fixed salt: the same file every time.
    plt.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none"})
    fig, axes = plt.subplots(
        1, 2, figsize=(7.2, 3.2), sharey=True, layout="constrained"
    )
    panels = (("completion", "batch", 64), ("batch", "completion", 48))
    for ax, (x, fixed, value) in zip(axes, panels):
        for framework in ("pytorch", "tensorflow"):
            kept = chosen(entries, what="growth", framework=framework, **{fixed: value})
            kept = sorted({e[x]: e for e in kept}.items())
            color, style = plots.FRAMEWORKS[NAMES[framework]]
            ax.plot(
                [k for k, _ in kept],
                [rate(e) for _, e in kept],
                style,
                color=color,
                marker="o",
                label=NAMES[framework],
            )
            if framework == "pytorch":
                ax.plot(
                    [k for k, _ in kept],
                    [rate(e, "theirs") for _, e in kept],
                    ":",
                    color=plots.COLORS["green"],
                    marker="s",
                    label="transformers",
                )
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:.0f}")
    axes[0].set(
        xlabel="length of the completion (tokens)",
        ylabel="sampled (tokens/s)",
        ylim=(0, None),
    )
    axes[1].set(xlabel="batch (completions)")
    axes[1].legend()
    fig.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(fig)


def chosen(entries, **wanted):
    """The entries in which the keys have these values."""
    return [
        e for e in entries if all(e.get(key) == value for key, value in wanted.items())
    ]


def median(e, side="ours"):
    """Median of a side's rounds."""
    return statistics.median(e[side])


def rate(e, side="ours"):
    """Tokens per second of a side."""
    return e["tokens"] / median(e, side)


def verdict(e):
    """Ratio, target and whether it was reached, as cells."""
    if e["target"] is None:
        return [f"{e['number']:.2f}", "", ""]
    sign = "≥" if e["kind"] == "speed" else "≤"
    return [
        f"{e['number']:.2f}",
        f"{sign} {e['target']:g}",
        "yes" if e["reached"] else "no",
    ]


def table(head, rows):
    """A Markdown table; numbers to the right."""
    lines = ["| " + " | ".join(head) + " |"]
    right = [all(_numeric(row[i]) for row in rows) for i in range(len(head))]
    lines.append("|" + "|".join("--:" if r else ":--" for r in right) + "|")
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def _numeric(cell):
    text = str(cell).strip("≥≤ %").replace(",", "")
    return text.replace(".", "", 1).isdigit() or text == ""
