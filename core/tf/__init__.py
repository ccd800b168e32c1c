"""The same as core.pt, name by name, in TensorFlow.

Where the two differ on purpose; only `sample(seed=...)` then gives other results:

- PyTorch runs the code as it stands.  TensorFlow compiles what a training repeats
  (`tf.function`), and the sampler of a GPT by XLA (`layers.compiled`, once a shape).
- While texts are sampled, those that have ended leave the batch: in PyTorch
  when a quarter of it has; in TensorFlow a GPT's batch of 64 or more shrinks
  by halves, as XLA compiles each size, and an LSTM's does not.
- BERT leaves padding out in PyTorch and computes it in TensorFlow, where a
  shape that changes would be compiled again.
- PyTorch's `step` may write into the state that it is given (GPT,
  `LSTMAttentionPolicy`), TensorFlow's returns another: read the returned one only.
- `sample(seed=...)` draws the frameworks' own random numbers, which differ;
  `noise` is the same in both.
- Adam stands here as code, as Keras' own adds ε elsewhere; so do `Linear`,
  `LayerNorm`, `RMSNorm` and `Embedding`, whose weights Keras names or shapes otherwise.
"""

from core.load_order import torch_first

torch_first()
