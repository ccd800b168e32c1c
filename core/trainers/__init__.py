"""What a trainer does that no gradient passes through, once: the loop, the rows of a
batch, checkpoints, metrics.  `core.pt` and `core.tf` add what needs gradients.
"""
