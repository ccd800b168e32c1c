"""The same as core.pt, name by name, in TensorFlow."""
