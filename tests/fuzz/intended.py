"""What may pass or fail otherwise, with the reason."""

THING = (
    "an object of a class, or a function: what it lacks, Python's own error says; a "
    "check of the type would refuse others that do the same"
)
NOT_FINITE = (
    "a number in a tensor that is not finite gives a result that is not, and the "
    "trainers refuse such a loss; to look at each would wait for the device"
)
PATH = "pathlib's own TypeError says that it is no path"
STEP = "the trainers' own count, read at each step"
INDEX = "any index of NumPy, with NumPy's own errors"
FIT = "of two that do not fit each other the message names the other, and says both"
LIMIT = (
    "an infinite number has its limit: a log-ratio is bounded, what is excluded has "
    "probability 0, and what is not chosen is not read"
)
IDS = (
    "an id of another width or outside of V: the framework's own error; to read ids "
    "would wait for the device, and the trainers and samplers have looked"
)
NUMPY = "PyTorch works with its own tensors alone, also where the number has no axes"
LOOKED = "the losses, which call it, have looked at the mask"
GRAPH = "in compiled graphs, on what a model has made: the framework's own errors"
GYM = "Gymnasium's own errors and warnings"
LATER = "kept until it is called; that it cannot be, Python says then"
JOIN = "the last step of `decode`, which runs for each text: Python's own errors"
FORMULA = "as the document prints it, or at each step of a loop that has checked"
MADE = "what a model or a trainer has made, by name"
ALIKE = "NumPy's own errors, of what only its generator reads"
PADDING = "ids of padding are not read, and may be any"
WEIGHT = "a token of advantage 0 has no term, whatever its log-probabilities"
BOOL = "True is the id 1"
NAMES = "the tokenizer calls them ids"
SHAPES = (
    *("flat", "extra axis", "shorter", "fewer rows", "more rows", "one row", "column"),
    *("empty", "shape", "fewer", "none", "number"),
)
TENSORS = tuple(f"core.*.{m}.*" for m in ("losses", "logprobs", "preferences"))
TENSORS += ("core.*.objective.*",)
CHOOSING = tuple(
    f"core.*.{name}"
    for name in ("losses.q_loss", "losses.token_cross_entropy", "logprobs.*")
)

# (function, argument, label of the replacement) as patterns, and the outcomes.
INTENDED: dict[tuple, str] = {
    ("*", kind, label, "foreign"): PATH
    for kind in ("path", "folder", "name")
    for label in ("None", "object", "nan", "number", "list")
} | {
    ("core.settings.*", "step", "*", "foreign silent"): STEP,
    ("core.algorithms.ConstantLength.tokens", "limit", "*", "silent"): STEP,
    ("core.types.Rows.take", "index", "*", "foreign"): INDEX,
    ("core.settings.PolicyGradientConfig", "per_prompt", "*", "other"): FIT,
    ("applications.metrics.pass_at_k", "samples", "below", "other"): FIT,
    ("core.exact.batch_moments", "max_batches", "below", "other"): FIT,
    ("core.weights.read_model", "kind", "*", "other"): FIT,
    ("core.pt.*", "*", "array", "foreign other"): NUMPY,
    ("core.pt.*", "*", "0-d", "foreign"): NUMPY,
    ("core.tf.logprobs.*", "logits", "array", "foreign"): NUMPY,
    ("core.*.logprobs.token_scores", "*", "*", "foreign silent other"): GRAPH,
    ("core.*.losses.counts", "mask", "*", "foreign silent other"): LOOKED,
    ("core.*.attention.attention", "*", "*", "foreign silent not finite"): GRAPH,
    ("core.*.objective.policy_loss", "limit", "*", "foreign silent"): STEP,
    ("core.envs.TokenEnvironment.reset", "*", "*", "foreign silent"): GYM,
    ("core.envs.*", "render_mode", "*", "foreign silent"): GYM,
    ("core.envs.TokenEnvironment.step", "action", "bool", "silent"): GYM,
    ("core.batched.*", "*reward", "*", "silent"): LATER,
    ("core.text.PretrainedTokenizer", "name", "nul", "foreign"): PATH,
    ("core.batched.*", "tokenizer", "*", "foreign silent other"): LATER,
    ("core.envs.*", "tokenizer", "*", "foreign silent other"): LATER,
    ("core.*.SupervisedTrainer.train", "batches", "text", "foreign"): LATER,
    ("core.batched.*", "*vocab_size", "*", "other"): FIT,
    ("core.envs.*", "*vocab_size", "*", "other"): FIT,
    ("core.envs.*", "vocab_size", "0-d", "foreign"): GYM,
    ("core.batched.BatchedEnvironment.texts*", "completions", "*", "foreign"): NAMES,
    ("core.sampling.gumbel_noise", "shape", "*", "foreign"): ALIKE,
    ("core.exact.log_softmax", "logits", "nan*", "silent"): NOT_FINITE,
    ("core.exact.log_softmax", "logits", "inf", "silent"): NOT_FINITE,
    ("core.*.objective.*", "*", "nan inside", "silent"): WEIGHT,
    ("core.*.checkpoints.load_model", "model", "*", "other"): FIT,
    ("core.text.*.join", "tokens", "*", "foreign silent"): JOIN,
    ("applications.tabular.greedy", "q", "*", "foreign silent"): FORMULA,
    ("applications.tabular.epsilon_greedy", "*", "*", "foreign silent"): FORMULA,
    ("applications.tabular.printed_rule", "*", "*", "foreign silent"): FORMULA,
    ("applications.tabular.schedule", "setting", "*", "foreign"): "`name` names it",
    ("core.weights.initial_weights", "shapes", "*", "foreign silent"): MADE,
    ("core.weights.write", "*", "*", "foreign silent"): MADE,
    ("core.weights.read_model", "kind", "array", "foreign"): MADE,
    ("core.text.FileTokenizer.save", "folder", "nul", "foreign"): PATH,
    ("core.*.checkpoints.*", "arrays", "*", "foreign"): MADE,
    ("core.*.checkpoints.*", "moments", "*", "foreign"): MADE,
    ("core.*.pretrained.load", "name", "nul", "foreign"): PATH,
    **{("*", "*", label, "other"): FIT for label in SHAPES},
    **{
        (name, "*", label, "silent"): LIMIT
        for name in TENSORS
        for label in ("inf", "-inf", "infinite")
    },
    **{
        (name, kind, label, "foreign"): IDS
        for name in (*CHOOSING, "core.*.rewards.*", "core.*.models.*")
        for kind in ("tokens", "targets", "prompts", "completions")
        for label in ("uint8", "below", "above", "outside")
    },
    ("core.*.losses.q_loss", "q", "nan*", "silent"): LIMIT,
    **{
        (f"core.*.{module}.*", kind, label, "silent foreign other"): reason
        for module in ("rewards", "rollout", "models.*")
        for kind, label, reason in (
            *(("prompts", label, PADDING) for label in ("below", "above", "outside")),
            ("completions", "bool", BOOL),
        )
    },
}
