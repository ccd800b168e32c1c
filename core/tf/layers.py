"""The layers of GPT-2 and of decoders, under their names of the weights, and the LSTM;
what stands under a mask; layers of PyTorch that Keras names or shapes in another
way; and how a function is compiled.

M tokens, B rows, L length, D width; H heads of queries, J of keys, K their width.
"""

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import keras
import tensorflow as tf

from core.settings import DecoderConfig, GPTConfig
from core.tf.logprobs import alike


class Block(keras.layers.Layer):
    """One layer of GPT-2: attention, then an MLP, each added to its input."""

    def __init__(self, config: GPTConfig, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        width, inner = config.n_embd, config.n_inner or 4 * config.n_embd
        self.ln_1 = LayerNorm(width, config.layer_norm_epsilon, dtype)
        linear = partial(Conv1D, dtype=dtype)
        self.attn = {"c_attn": linear(width, 3 * width), "c_proj": linear(width, width)}
        self.ln_2 = LayerNorm(width, config.layer_norm_epsilon, dtype)
        self.mlp = {"c_fc": linear(width, inner), "c_proj": linear(inner, width)}

    def call(self, x, attend: Callable):
        """x (M, D); `attend` maps queries, keys, values (M, 3D) to (M, D)."""
        x = x + self.attn["c_proj"](attend(self.attn["c_attn"](self.ln_1(x))))
        hidden = _gelu_tanh(self.mlp["c_fc"](self.ln_2(x)))
        return x + self.mlp["c_proj"](hidden)


class DecoderBlock(keras.layers.Layer):
    """One layer: attention, then a gated MLP (SwiGLU), each added to its input."""

    def __init__(self, config: DecoderConfig, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        self.width, eps = config.head_dim, config.rms_norm_eps
        width, inner = config.hidden_size, config.intermediate_size
        linear = partial(Linear, dtype=dtype, bias=False)
        sizes = {"q": config.num_attention_heads, "k": config.num_key_value_heads}
        sizes = {n: size * self.width for n, size in sizes.items()}
        parts: dict[str, keras.layers.Layer] = {
            f"{n}_proj": Linear(width, sizes[m], dtype, config.model_type == "qwen2")
            for n, m in zip("qkv", "qkk")
        }
        parts["o_proj"] = linear(sizes["q"], width)
        if config.model_type == "qwen3":
            parts |= {f"{n}_norm": RMSNorm(self.width, eps, dtype) for n in "qk"}
        self.self_attn = parts  # whole: Keras tracks nothing that is added later
        self.input_layernorm = RMSNorm(width, eps, dtype)
        self.post_attention_layernorm = RMSNorm(width, eps, dtype)
        mlp = {f"{n}_proj": linear(width, inner) for n in ("gate", "up")}
        self.mlp = mlp | {"down_proj": linear(inner, width)}

    def call(self, x, attend, turn):
        """x (M, D); `attend` maps (M, (H + 2 J) K) to (M, H K); `turn`: cos, sin."""
        heads = self._heads(self.input_layernorm(x), turn)
        x = x + self.self_attn["o_proj"](attend(heads))
        here, y = self.mlp, self.post_attention_layernorm(x)
        gate = here["gate_proj"](y)
        return x + here["down_proj"](gate * tf.sigmoid(gate) * here["up_proj"](y))

    def _heads(self, x, turn):
        """Queries, keys and values (M, (H + 2 J) K); the first two turned."""
        here, parts = self.self_attn, {}
        for n in "qkv":
            flat = here[f"{n}_proj"](x)
            heads = flat.shape[1] // self.width
            parts[n] = tf.reshape(flat, (-1, heads, self.width))
        for n in "qk":
            if f"{n}_norm" in here:
                parts[n] = here[f"{n}_norm"](parts[n])
            parts[n] = rotate(parts[n], *turn)
        whole: Any = tf.concat(list(parts.values()), axis=1)
        return tf.reshape(whole, (-1, whole.shape[1] * self.width))


def rotate(x, cos, sin):
    """Turn each head's numbers i and i + K / 2, a pair, by its angle.

    Args:
        x: (M, H, K) float.
        cos, sin: (M, 1, K / 2), of the angles.
    Returns: (M, H, K) float.
    Source: Su et al. 2021, arXiv:2104.09864; the pairs are those of Llama and Qwen.
    """
    first, second = tf.split(x, 2, axis=-1)
    turned = first * cos - second * sin, second * cos + first * sin
    return tf.concat(turned, axis=-1)


def _gelu_tanh(x):
    # Written out: `tf.nn.gelu` rounds its constant to float32.
    inner = (2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + tf.tanh(inner))


class Conv1D(keras.layers.Layer):
    """GPT-2's name for a linear map whose weight is (in, out)."""

    def __init__(self, inputs: int, outputs: int, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=(inputs, outputs), name="weight")
        self.bias = self.add_weight(shape=(outputs,), name="bias")

    def call(self, x):
        """(M, in) to (M, out)."""
        return tf.matmul(x, self.weight) + self.bias


def exact(x):
    """In float32 at least: logits, values and what is made of them."""
    return tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)


def lstm_layer(width: int, dtype: str = "float32") -> keras.layers.LSTM:
    """An LSTM that reads (B, L, in), with one bias that is trained."""
    return keras.layers.LSTM(
        int(width), return_sequences=True, return_state=True, dtype=dtype
    )


def under(mask, x):
    """x (B, L) where the mask is 1, 0 elsewhere, also for NaN; without a mask, x."""
    return x if mask is None else tf.where(tf.cast(mask, tf.bool), x, 0)


def known(ids, mask) -> tuple[Any, Any]:
    """Ids (B, L), 0 behind a row's last 1; and how many of its 1 are left, or None."""
    if mask is None:
        return ids, None
    _, mask = alike(completions=ids, mask=mask)
    left = tf.cumsum(tf.cast(mask, tf.int32), axis=1, reverse=True)
    return under(left, ids), left


class Linear(keras.layers.Layer):
    """PyTorch's linear map: its weight is (out, in)."""

    def __init__(self, inputs: int, outputs: int, dtype: str = "float32", bias=True):
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=(outputs, inputs), name="weight")
        self.bias = self.add_weight(shape=(outputs,), name="bias") if bias else None

    def call(self, x):
        """(..., in) to (..., out)."""
        product = tf.matmul(x, self.weight, transpose_b=True)
        return product if self.bias is None else product + self.bias


class Embedding(keras.layers.Layer):
    """A table of vectors, one a row."""

    def __init__(self, rows: int, width: int, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=(rows, width), name="weight")

    def call(self, ids):
        """(...) int to (..., width)."""
        return tf.gather(self.weight, ids)


class LayerNorm(keras.layers.Layer):
    """Layer normalisation with PyTorch's names of the weights."""

    def __init__(self, width: int, epsilon: float, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=(width,), name="weight")
        self.bias = self.add_weight(shape=(width,), name="bias")
        self.epsilon = epsilon

    def call(self, x):
        """(..., width) to the same shape."""
        centred = exact(x) - tf.reduce_mean(exact(x), axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred**2, axis=-1, keepdims=True)
        scaled = tf.cast(centred * tf.math.rsqrt(variance + self.epsilon), x.dtype)
        return scaled * self.weight + self.bias


class RMSNorm(keras.layers.Layer):
    """Division by the root of the mean square, with PyTorch's name of the weight."""

    def __init__(self, width: int, epsilon: float, dtype: str = "float32"):
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=(width,), name="weight")
        self.epsilon = epsilon

    def call(self, x):
        """(..., width) to the same shape."""
        square = tf.reduce_mean(exact(x) ** 2, axis=-1, keepdims=True)
        scaled = exact(x) * tf.math.rsqrt(square + self.epsilon)
        return tf.cast(scaled, x.dtype) * self.weight


def compiled(function: Callable, xla: bool = False) -> Callable:
    """A function whose first argument, a model or a trainer, keeps what is compiled.

    Each shape of the others has a `tf.function`: of one for all shapes and models
    TensorFlow warns that it is traced too often.  xla: if `_compiled` of the first.
    """

    @wraps(function)
    def call(self, *arguments):
        parts = tf.nest.flatten(arguments)
        key = function, *((x.shape, x.dtype) if tf.is_tensor(x) else x for x in parts)
        made = vars(self).setdefault("_made", {})  # so that Keras tracks nothing
        if key not in made:
            whole, jit = partial(function, self), xla and self._compiled
            made[key] = tf.function(whole, jit_compile=jit, autograph=False)
        return made[key](*arguments)

    return call
