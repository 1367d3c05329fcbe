"""Optimisers: a module each, named as in the field `name` of a recipe's `optimiser` section.

A module has a class `Algorithm`, a MomentOptimiser (moments.py). Planning reads the line here, and
loads no torch.
"""

MOMENTS = {"adamw": 2, "lamb": 2}  # fp32 numbers that each keeps per parameter between updates
