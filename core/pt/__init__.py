"""The parts of core that need gradients or a device, in PyTorch."""

from core.load_order import torch_first

torch_first(needed=True)
