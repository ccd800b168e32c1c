"""What a trainer does that no gradient passes through, once for both
frameworks: the loop, the rows of a batch, checkpoints, metrics.

`core.pt` and `core.tf` complete each class by what a gradient or a device
passes through.
"""
