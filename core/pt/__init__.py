"""The parts of core that a gradient or a device passes through, in PyTorch."""

from core.load_order import torch_first

torch_first(needed=True)
