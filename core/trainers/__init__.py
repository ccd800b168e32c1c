"""What a trainer does that no gradient passes through, once for both frameworks: the
loop, the rows of a batch, checkpoints, metrics.  `core.pt` and `core.tf` add to each
class what needs gradients or a device.
"""
