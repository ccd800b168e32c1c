"""The same as core.pt, name by name, in TensorFlow."""

from core.load_order import torch_first

torch_first()
