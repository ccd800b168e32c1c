"""The parts of core that a gradient or a device passes through, in PyTorch."""
